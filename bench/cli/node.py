"""``python -m bench node``: one training case over several machines, started on each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cases.device_kinds import machines, parse_device
from bench.cases.recipe import check_threads
from bench.cli.axis_options import axis_options
from bench.cli.io import say
from bench.errors import NothingMeasured, UsageError
from bench.formatting import parse_duration


@axis_options(without=("mode", "device"), defaults={"model": "yolov8n", "amp": "off", "imgsz": "640"})
def node(
    device: Annotated[str, typer.Option(metavar="DEVICES", help="Machines and devices of each, such as 2x0+1.")],
    machine: Annotated[int, typer.Option(metavar="NUMBER", help="Which of them this is, from 0; 0 keeps the record.")],
    meet: Annotated[str, typer.Option(metavar="HOST:PORT", help="Of machine 0, where all of them meet.")],
    *,
    axes: dict[str, list[Any]],
    profile: Annotated[str, typer.Option(help="Whose window and warm-up are taken.")] = "quick",
    threads: Annotated[int, typer.Option(help="CPU threads of each rank; 0: as many as Ultralytics takes.")] = 0,
    phase_limit: Annotated[str, typer.Option(metavar="TIME", help="End a case that hangs for so long.")] = "10m",
    results: Annotated[Path, typer.Option(help="Where machine 0 writes the record.")] = Path("results"),
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """Train one case over several machines: start the same command on each, with its own --machine.

    The ranks are those of torch.distributed.run (torchrun), with its world size and ranks; made data are made on each.

    Exit status: 0 measured, or took part; 2 wrong use; 4 nothing was measured.
    """
    from bench.cases.plan import expand_grid
    from bench.cases.plan import profile as profile_of
    from bench.environments.cache_checks import check_usable
    from bench.environments.interpreter import inspect
    from bench.machine.fingerprint import machine as here
    from bench.pytest_plugin.options import check_model, needs_network
    from bench.pytest_plugin.progress import rate
    from bench.records.outcome import Status
    from bench.records.store import Store, new_run_name
    from bench.runner.launchers.local import open_launcher, scratch_folder
    from bench.runner.launchers.torchrun import Rendezvous, unsupported_reason
    from bench.runner.measure import DatasetUnavailable, Interrupted, case_job, find_data, measure, run_job

    where = parse_device(device)
    if machines(where) == 1:
        raise UsageError(f"device {where!r} is of one machine: write 2x{where} for two, or use pytest bench/ for one.")
    check_threads(threads, axes)
    values = {"mode": ["train"], **axes}
    if "batch" not in values:
        raise UsageError("there is no batch: name the images of a step over all devices together, as in --batch 64.")
    if several := next((name for name, found in values.items() if len(found) > 1), ""):
        raise UsageError(f"{several} has several values: a case over several machines has one of each axis.")
    limit = parse_duration(phase_limit)
    meeting = Rendezvous.parse(meet, machine, machines(where))
    interpreter = inspect(python)
    check_model(values["model"][0], interpreter)
    [planned] = expand_grid(profile_of(profile), [where], values, threads=threads)
    job = case_job(planned, {"yaml": ""}, "")
    if refused := unsupported_reason(job["case"], met=True):
        raise UsageError(refused.reason)
    check_usable()
    launcher = open_launcher(interpreter, needs_network([planned]))
    try:
        data = find_data(launcher, planned)
        say(f"{planned.case.id}: machine {machine} of {machines(where)} meets the others at {meet}")
        if machine == 0:
            store = Store(results, new_run_name(here().fingerprint), new=True)
            try:
                record = measure(launcher, planned, data, store.run, limit, meeting)
            except Interrupted as stop:
                if stop.record is not None:
                    store.save(stop.record)
                raise
            except BaseException:
                store.discard()
                raise
            trouble = store.save(record)
            outcome = record.outcome
            if outcome.status is Status.MEASURED:
                print(f"{planned.case.id}: {rate(record):.3g} images/s")
                say(trouble or f"record: {store.folder}")
        else:
            with scratch_folder() as scratch:
                outcome = run_job(launcher, case_job(planned, data, scratch, meeting), limit).outcome
            if outcome.status is Status.MEASURED:
                say("took part: the record is on machine 0")
    except DatasetUnavailable as error:
        raise NothingMeasured(error.outcome.reason) from error
    finally:
        launcher.close()
    if outcome.status is not Status.MEASURED:
        raise NothingMeasured(f"{outcome.status.value.replace('_', ' ')}: {outcome.reason}")
