"""``python -m bench node``: one training case over several machines, started on each of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cases.device_kinds import machines, parse_device
from bench.cases.recipe import check_threads
from bench.cli.axis_options import axis_options
from bench.cli.io import say
from bench.errors import NothingMeasured, UsageError
from bench.formatting import parse_duration

if TYPE_CHECKING:  # --help does without what these import
    from bench.cases.plan import PlannedRun
    from bench.records.outcome import Outcome
    from bench.records.store import Store
    from bench.runner.launchers.local import Launcher
    from bench.runner.launchers.torchrun import Rendezvous


@axis_options(without=("mode", "device"), defaults={"model": "yolov8n", "amp": "off", "imgsz": "640"})
def node(
    device: Annotated[str, typer.Option(metavar="DEVICES", help="Machines and devices of each, such as 2x0+1.")],
    node_rank: Annotated[int, typer.Option(metavar="N", help="Number of this node; node 0 keeps the record.")],
    rdzv_endpoint: Annotated[str, typer.Option(metavar="HOST:PORT", help="Of node 0, to which the others connect.")],
    *,
    axes: dict[str, list[Any]],
    profile: Annotated[str, typer.Option(help="Profile whose window and warm-up are used.")] = "quick",
    threads: Annotated[int, typer.Option(help="CPU threads per rank; 0: the workload's own choice.")] = 0,
    phase_timeout: Annotated[str, typer.Option(metavar="TIME", help="End a case that hangs for so long.")] = "10m",
    results: Annotated[Path, typer.Option(help="Where node 0 writes the record.")] = Path("results"),
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """Train one case over several machines: start the same command on each, with its own --node-rank.

    The ranks are those of torch.distributed.run (torchrun), with its world size and ranks; every node generates
    its own dataset.

    Exit status: 0 measured, or took part; 2 usage error; 4 nothing was measured.
    """
    from bench.cases.plan import expand_grid
    from bench.cases.plan import profile as profile_of
    from bench.environments.cache_checks import check_usable
    from bench.environments.interpreter import inspect
    from bench.machine.fingerprint import machine as here
    from bench.pytest_plugin.options import check_model, needs_network
    from bench.records.outcome import Status
    from bench.records.store import Store, new_run_name
    from bench.runner.jobs import case_job
    from bench.runner.launchers.local import open_launcher, scratch_folder
    from bench.runner.launchers.torchrun import Rendezvous, unsupported_reason
    from bench.runner.measure import DatasetUnavailable, find_data, run_job

    where = parse_device(device)
    if machines(where) == 1:
        raise UsageError(f"device {where!r} is of one machine: write 2x{where} for two, or use pytest bench/ for one.")
    check_threads(threads, axes)
    values = {"mode": ["train"], **axes}
    if "batch" not in values:
        raise UsageError("there is no batch: name the images of a step over all devices together, as in --batch 64.")
    if several := next((name for name, axis_values in values.items() if len(axis_values) > 1), ""):
        raise UsageError(f"{several} has several values: a case over several machines has one of each axis.")
    limit = parse_duration(phase_timeout)
    meeting = Rendezvous.parse(rdzv_endpoint, node_rank, machines(where))
    interpreter = inspect(python, values["model"])
    check_model(values["model"][0], interpreter)
    [planned] = expand_grid(profile_of(profile), [where], values, threads=threads)
    job = case_job(planned, {"source": ""}, "")
    if refused := unsupported_reason(job.case, met=True):
        raise UsageError(refused.reason)
    check_usable()
    launcher = open_launcher(interpreter, needs_network([planned]))
    try:
        data = find_data(launcher, planned)
        say(f"{planned.case.id}: node {node_rank} of {machines(where)} connects to the others at {rdzv_endpoint}")
        if node_rank == 0:
            store = Store(results, new_run_name(here().fingerprint), new=True)
            outcome = _measure(launcher, planned, data, store, limit, meeting)
        else:
            with scratch_folder() as scratch:
                outcome = run_job(launcher, case_job(planned, data, scratch, meeting), limit).outcome
            if outcome.status is Status.MEASURED:
                say("took part: the record is on node 0")
    except DatasetUnavailable as error:
        raise NothingMeasured(error.outcome.reason) from error
    finally:
        launcher.close()
    if outcome.status is not Status.MEASURED:
        raise NothingMeasured(f"{outcome.status.value.replace('_', ' ')}: {outcome.reason}")


def _measure(
    launcher: Launcher, planned: PlannedRun, data: dict[str, Any], store: Store, limit: float, meeting: Rendezvous
) -> Outcome:
    """Measure the case on node 0, and write its record."""
    from bench.pytest_plugin.progress import rate
    from bench.runner.measure import Interrupted, measure

    try:
        record = measure(launcher, planned, data, store.run, limit, meeting)
    except Interrupted as stop:
        if stop.record is not None:
            store.save(stop.record)
        raise
    except BaseException:
        store.discard()
        raise
    problem = store.save(record)
    if (speed := rate(record)) is not None:
        print(f"{planned.case.id}: {speed:.3g} images/s")
        say(problem or f"record: {store.folder}")
    return record.outcome
