"""``python -m bench ceiling``: the largest batch that trains here, and what it takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cases.axes import find_axis
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
from bench.cli.axis_options import FIRST_DEVICE, axis_options
from bench.cli.io import say
from bench.errors import ExitCode, NothingMeasured, UsageError
from bench.formatting import parse_bytes
from bench.text import clean

if TYPE_CHECKING:  # --help does without what these import
    from bench.records.ceiling import Ceiling

CARDS = "8GiB,12GiB,16GiB,24GiB"


@axis_options(without=("mode", "batch"), defaults={"model": "yolov8n", "amp": "off"}, notes=FIRST_DEVICE)
def ceiling(
    *,
    axes: dict[str, list[Any]],
    granularity: Annotated[int, typer.Option(help="Batches are multiples of it.")] = 1,
    most: Annotated[int, typer.Option(help="The largest batch that is tried.")] = DEFAULT_MAX_BATCH,
    memory_limit: Annotated[
        str, typer.Option(metavar="SIZE", help="What a process may take, such as 4GiB; default: what is there.")
    ] = "",
    cards: Annotated[
        str, typer.Option(metavar="SIZES", help="Predict also the largest batch for so much memory.")
    ] = CARDS,
    verify: Annotated[
        bool, typer.Option("--verify", help="Search under each of these limits too, as far as the device has them.")
    ] = False,
    threads: Annotated[int, typer.Option(help="CPU threads; 0: as many as Ultralytics takes.")] = 0,
    results: Annotated[Path, typer.Option(help="Where what was found goes.")] = Path("results"),
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """The largest batch that trains: for each model, device, precision and size.

    Each batch is tried in a fresh process that trains a few steps on images full of boxes, with the optimizer. On a CPU
    the process is held to a limit, so that only it ends where memory does.

    Exit status: 0 found; 2 wrong use; 3 stopped by Ctrl-C; 4 nothing was found.
    """
    from bench.cases.plan import PlannedRun
    from bench.ceiling.search import SearchRequest, recipe
    from bench.environments.cache_checks import check_usable
    from bench.environments.interpreter import inspect
    from bench.machine.fingerprint import devices, machine
    from bench.pytest_plugin.options import check_model, needs_network
    from bench.records.store import Store, new_run_name
    from bench.runner.launchers.local import open_launcher

    if granularity < 1:
        raise UsageError(f"granularity {granularity} is not allowed: use a whole number from 1.")
    most = find_axis("batch").parse(str(most))
    if most < granularity:
        raise UsageError(f"most {most} is below the granularity {granularity}: no batch is left to try.")
    check_threads(threads, axes)
    limit = parse_bytes("memory-limit", memory_limit) if memory_limit else None
    sizes = [parse_bytes("cards", text) for text in cards.split(",") if text.strip()]
    interpreter = inspect(python)
    values = {"device": devices()[:1], **axes}
    for name in values["model"]:
        check_model(name, interpreter)
    cases = search_cases(values)
    for case in cases:
        if most < (least := granularity_for(granularity, case)):
            raise UsageError(
                f"most {most} is below {least}, the smallest batch of {case.device}: no batch is left to try."
            )
        if limit is not None:
            check_limit(limit, case)
    wanted = [
        (case, size)
        for case in cases
        for size in dict.fromkeys([limit, *(available_sizes(sizes, case) if verify else [])])
    ]
    check_usable()
    store = Store(results, new_run_name(machine().fingerprint), new=True)
    found: list[Ceiling] = []
    stopped = False
    launcher = open_launcher(
        interpreter, needs_network([PlannedRun(case, recipe(SearchRequest(case))) for case in cases])
    )
    try:
        for case, size in wanted:
            question = SearchRequest(case, granularity_for(granularity, case), most, size, threads)
            search_one(question, launcher, store, found, say)
    except KeyboardInterrupt:
        stopped = True
    finally:
        launcher.close()
        for one in found:
            print(clean("\n".join(describe(one, sizes))))
        if problem := store.rescue():
            say(problem)
        store.discard()
    if not any(probe.fits for one in found for probe in one.probes) and not any(is_known(one) for one in found):
        raise NothingMeasured("no ceiling was found: what is printed above says why.")
    say(f"what was found: {store.folder}")
    if stopped:
        say("stopped: searches that were not over are marked as interrupted")
        raise typer.Exit(ExitCode.NOT_COMPARABLE)
