"""``yolopace ceiling``: the largest batch that trains on this machine, and its memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cases.recipe import check_threads
from bench.ceiling.service import (
    DEFAULT_MAX_BATCH,
    available_sizes,
    check_limit,
    describe,
    granularity_for,
    is_known,
    search_cases,
    search_one,
)
from bench.cli import terminal
from bench.cli.axis_options import FIRST_DEVICE, axis_options
from bench.cli.io import say
from bench.errors import ExitCode, NothingMeasured, UsageError
from bench.formatting import format_rough_bytes, parse_bytes
from bench.text import clean

if TYPE_CHECKING:  # --help does without what these import
    from bench.cases.case import Case
    from bench.ceiling.search import SearchRequest
    from bench.records.ceiling import Ceiling
    from bench.records.store import Store
    from bench.runner.launchers.local import Launcher

LARGEST = 65536
"""The largest batch that may be asked for."""

MEMORY_SIZES = "8GiB,12GiB,16GiB,24GiB"


@axis_options(without=("mode", "batch"), defaults={"model": "yolov8n", "amp": "off"}, notes=FIRST_DEVICE)
def ceiling(
    *,
    axes: dict[str, list[Any]],
    multiple_of: Annotated[int, typer.Option(metavar="N", help="Try only multiples of this batch.")] = 1,
    largest: Annotated[
        int, typer.Option("--max", metavar="N", help="The largest batch that is tried.")
    ] = DEFAULT_MAX_BATCH,
    memory_limit: Annotated[
        str, typer.Option(metavar="SIZE", help="Memory that a process may use, such as 4GiB; default: all of it.")
    ] = "",
    memory_sizes: Annotated[
        str, typer.Option(metavar="SIZES", help="Predict also the largest batch for these sizes of memory.")
    ] = MEMORY_SIZES,
    verify: Annotated[
        bool, typer.Option("--verify", help="Search within each of these sizes too, as far as the device has them.")
    ] = False,
    threads: Annotated[int, typer.Option(help="CPU threads; 0: the workload's own choice.")] = 0,
    results: Annotated[Path, typer.Option(help="Folder of the records.")] = Path("results"),
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """The largest batch that trains: for each model, device, precision and size.

    Each batch is tried in a fresh process that trains a few steps on images full of boxes, with the optimizer. On a CPU
    the process gets a memory limit, so that only it ends where memory runs out.

    Exit status: 0 found; 2 usage error; 3 stopped by Ctrl-C; 4 nothing was found.
    """
    from bench.cases.plan import PlannedRun
    from bench.ceiling.search import SearchRequest, recipe
    from bench.environments.cache_checks import check_usable
    from bench.environments.interpreter import inspect
    from bench.machine.fingerprint import devices, machine
    from bench.pytest_plugin.options import check_model, needs_network
    from bench.records.store import Store, new_run_name
    from bench.runner.launchers.local import open_launcher

    _check_range(multiple_of, largest)
    check_threads(threads, axes)
    limit = parse_bytes("memory-limit", memory_limit) if memory_limit else None
    sizes = [parse_bytes("memory-sizes", text) for text in memory_sizes.split(",") if text.strip()]
    interpreter = inspect(python, axes["model"])
    values = {"device": devices()[:1], **axes}
    for name in values["model"]:
        check_model(name, interpreter)
    cases = search_cases(values)
    for case in cases:
        _check_case(case, multiple_of, largest, limit)
    requests = [
        SearchRequest(case, granularity_for(multiple_of, case), largest, size, threads)
        for case in cases
        for size in dict.fromkeys([limit, *(available_sizes(sizes, case) if verify else [])])
    ]
    check_usable()
    store = Store(results, new_run_name(machine().fingerprint), new=True)
    say(_describe_plan(len(requests), memory_limit, limit))
    network = needs_network([PlannedRun(case, recipe(SearchRequest(case))) for case in cases])
    with terminal.doing("searching: a probe trains a few steps"):
        ceilings, stopped = _search_all(requests, open_launcher(interpreter, network), store, sizes)
    if not any(probe.fits for record in ceilings for probe in record.probes) and not any(
        is_known(record) for record in ceilings
    ):
        raise NothingMeasured("no ceiling was found: what is printed above says why.")
    say(f"records: {store.folder}")
    if stopped:
        say("stopped: unfinished searches are recorded as interrupted")
        raise typer.Exit(ExitCode.NOT_COMPARABLE)


USUAL_PROBES = 6
"""Number of probes of a usual search."""

USUAL_MINUTES = (1, 3)
"""Minutes of a usual search of a small model, from and to."""


def _describe_plan(searches: int, memory_limit: str, limit: int | None) -> str:
    """Say how much will be tried, about how long it takes, and within which memory limit."""
    low, high = (minutes * searches for minutes in USUAL_MINUTES)
    plan = f"{searches} search{'es' * (searches > 1)} of about {USUAL_PROBES} probes: {low} to {high} minutes"
    return plan if limit is None else f"{plan}; memory limit {memory_limit} = {format_rough_bytes(limit)}"


def _check_range(multiple_of: int, largest: int) -> None:
    """Refuse a range that contains no batch."""
    if multiple_of < 1:
        raise UsageError(f"multiple-of '{multiple_of}' is not allowed: use a whole number from 1.")
    if not 1 <= largest <= LARGEST:
        raise UsageError(f"max '{largest}' is not allowed: use a whole number from 1 to {LARGEST}.")
    if largest < multiple_of:
        raise UsageError(f"max '{largest}' is below --multiple-of {multiple_of}: no batch is left to try.")


def _check_case(case: Case, multiple_of: int, largest: int, limit: int | None) -> None:
    """Refuse a case without any batch to try."""
    if largest < (least := granularity_for(multiple_of, case)):
        raise UsageError(
            f"max '{largest}' is below {least}, the smallest batch of {case.device}: no batch is left to try."
        )
    if limit is not None:
        check_limit(limit, case)


def _search_all(
    requests: list[SearchRequest], launcher: Launcher, store: Store, sizes: list[int]
) -> tuple[list[Ceiling], bool]:
    """Run one search after another, and print the results; return them, and whether Ctrl-C stopped the searches."""
    ceilings: list[Ceiling] = []
    stopped = False
    try:
        for request in requests:
            search_one(request, launcher, store, ceilings, say)
    except KeyboardInterrupt:
        stopped = True
    finally:
        launcher.close()
        for record in ceilings:
            print(clean("\n".join(describe(record, sizes))))
        if problem := store.rescue():
            say(problem)
        store.discard()
    return ceilings, stopped
