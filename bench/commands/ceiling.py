"""``python -m bench ceiling``: the largest batch that trains here, and what it takes."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from bench.cases.axes import AXES, parse_values
from bench.cases.case import Case
from bench.commands.shared import say
from bench.durations import about
from bench.errors import Exit, NothingMeasured, WrongUse
from bench.sizes import parse_bytes, shown

if TYPE_CHECKING:  # --help does without what these import
    from bench.analysis.ceiling import Search
    from bench.records.ceiling import Ceiling, Probe
    from bench.runner.ceiling import Found, Question
    from bench.runner.launcher import Launcher

MOST = 1024
"""The largest batch that is tried where nobody says."""

CARDS = "8GiB,12GiB,16GiB,24GiB"


def ceiling(
    model: Annotated[str, typer.Option(help=AXES["model"].help)] = "yolov8n",
    device: Annotated[str, typer.Option(help=f"{AXES['device'].help}; default: the first here")] = "",
    amp: Annotated[str, typer.Option(help=AXES["amp"].help)] = "off",
    imgsz: Annotated[str, typer.Option(help=AXES["imgsz"].help)] = "",
    granularity: Annotated[int, typer.Option(help="Batches are multiples of it.")] = 1,
    most: Annotated[int, typer.Option(help="The largest batch that is tried.")] = MOST,
    memory_limit: Annotated[
        str, typer.Option(metavar="SIZE", help="What a process may take, such as 4GiB; default: what is there.")
    ] = "",
    cards: Annotated[
        str, typer.Option(metavar="SIZES", help="Say also what fits so much memory, by the line through the probes.")
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
    from bench.cases.matrix import Planned
    from bench.machine.fingerprint import devices, machine
    from bench.records.store import Store, new_run_name
    from bench.request import check_model, needs_network
    from bench.runner.ceiling import Question, recipe
    from bench.runner.interpreter import inspect
    from bench.runner.launcher import open_launcher

    if granularity < 1:
        raise WrongUse(f"granularity {granularity} is not allowed: use a whole number from 1.")
    most = AXES["batch"].parse(str(most))
    if most < granularity:
        raise WrongUse(f"most {most} is below the granularity {granularity}: no batch is left to try.")
    if threads < 0:
        raise WrongUse(f"threads {threads} is not allowed: use a whole number, or 0 for Ultralytics' own choice.")
    limit = parse_bytes("memory-limit", memory_limit) if memory_limit else None
    sizes = [parse_bytes("cards", text) for text in cards.split(",") if text.strip()]
    interpreter = inspect(python)
    values = {
        "model": parse_values(AXES["model"], model),
        "device": parse_values(AXES["device"], device) if device else devices()[:1],
        "amp": parse_values(AXES["amp"], amp),
    }
    for name in values["model"]:
        check_model(name, interpreter)
    cases = [
        Case(mode="ceiling", model=one, device=where, amp=precision, batch=0, imgsz=size)
        for where, one, precision in itertools.product(values["device"], values["model"], values["amp"])
        for size in (parse_values(AXES["imgsz"], imgsz) if imgsz else usual_sizes(where))
    ]
    if limit is not None:
        for case in cases:
            check_limit(limit, case)
    wanted = [
        (case, size) for case in cases for size in dict.fromkeys([limit, *(fitting(sizes, case) if verify else [])])
    ]
    store = Store(results, new_run_name(machine().fingerprint), new=True)
    found: list[Ceiling] = []
    stopped = False
    launcher = open_launcher(interpreter, needs_network([Planned(case, recipe(Question(case))) for case in cases]))
    try:
        for case, size in wanted:
            search_one(Question(case, granularity, most, size, threads), launcher, store.folder, found)
    except KeyboardInterrupt:
        stopped = True
    finally:
        launcher.close()
        for one in found:
            print("\n".join(told(one, sizes)))
        with contextlib.suppress(OSError):
            store.folder.rmdir()  # where nothing was written
    if not any(probe.fits for one in found for probe in one.probes) and not any(known(one) for one in found):
        raise NothingMeasured("no ceiling was found: what is printed above says why.")
    say(f"what was found: {store.folder}")
    if stopped:
        say("stopped: searches that were not over are marked as interrupted")
        raise typer.Exit(Exit.NOT_COMPARABLE)


def known(found: Ceiling) -> bool:
    """Whether the largest batch is known."""
    return found.outcome.status.value == "measured"


def check_limit(limit: int, case: Case) -> None:
    """Raise :class:`WrongUse` for a limit that nothing would hold a process to."""
    from bench.runner.ceiling import room
    from bench.runner.limits import enforced

    if case.device_kind == "cpu":
        if not enforced():
            raise WrongUse("memory-limit: this system keeps no such limit on the CPU; leave it out, or use Linux.")
        return
    there = room(case)
    if there is not None and limit > there:
        raise WrongUse(f"memory-limit {shown(limit)} is more than device {case.device} has: at most {shown(there)}.")


def usual_sizes(device: str) -> list[int]:
    """Image sizes of a device where nobody says: small ones on a CPU."""
    return [160, 320] if device == "cpu" else [320, 640]


def fitting(sizes: Sequence[int], case: Case) -> list[int]:
    """Those of some limits that the device has."""
    from bench.runner.ceiling import room

    there = room(case)
    return [size for size in sizes if there is None or size <= there]


def search_one(question: Question, launcher: Launcher, folder: Path, found: list[Ceiling]) -> None:
    """Search for one ceiling, and write it; one that Ctrl-C stops is written as far as it came.

    Raises:
        KeyboardInterrupt: after that.
    """
    from bench.analysis.ceiling import Search
    from bench.analysis.ceiling_of import tried
    from bench.records.ceiling import save
    from bench.records.outcome import Outcome, Status
    from bench.runner.ceiling import Found, find, provide_data, room
    from bench.runner.measure import NoData

    seen, started = Found(), datetime.now(UTC).isoformat(timespec="seconds")
    search, stop = Search(question.granularity, question.most), None
    say(f"{title(question.case)}: searching ...")
    try:
        data = provide_data(question, launcher)
        there = room(question.case)
        if question.limit is None and question.case.device_kind == "cpu":
            question = msgspec.structs.replace(question, limit=there)
        search = Search(question.granularity, question.most, question.limit or there)
        find(
            question,
            data,
            launcher.interpreter,
            lambda probes: search.next(tried(probes)),
            lambda probe: say(line(probe)),
            seen,
        )
    except NoData as error:
        seen.failed = Outcome(Status.FAILED, error.outcome.reason)
    except KeyboardInterrupt as pressed:
        seen.failed, stop = Outcome(Status.INTERRUPTED, "Stopped while searching."), pressed
    ceiling = summed(question, search, seen, launcher, started, folder.name)
    found.append(ceiling)
    try:
        save(folder, ceiling)
    except OSError as error:
        say(f"{folder} cannot be written: {error.strerror or error}")
    if stop is not None:
        raise stop


def summed(question: Question, search: Search, seen: Found, launcher: Launcher, started: str, run: str) -> Ceiling:
    """A ceiling, from its probes."""
    from bench.analysis.ceiling_of import edge, line_of
    from bench.machine.conditions import conditions
    from bench.machine.fingerprint import machine
    from bench.records.ceiling import Ceiling
    from bench.records.outcome import Outcome, Status
    from bench.runner.ceiling import recipe

    batch, ended_by = edge(search, seen.probes)
    return Ceiling(
        run=run,
        started=started,
        case=msgspec.structs.replace(question.case, batch=batch),
        recipe=recipe(question),
        outcome=seen.failed or Outcome(Status.MEASURED),
        ended_by="" if seen.failed else ended_by,
        machine=machine(),
        environment=launcher.interpreter.environment,
        conditions=conditions(),
        effective=seen.effective,
        granularity=question.granularity,
        most=question.most,
        limit_bytes=question.limit,
        limit_how=seen.limit_how,
        line=line_of(seen.probes),
        probes=seen.probes,
    )


def title(case: Case) -> str:
    """``yolov8n on cpu, AMP off, 160 px``."""
    return f"{case.model_name} on {case.device}, AMP {case.amp}, {case.imgsz} px"


def line(probe: Probe) -> str:
    """One probe in a line."""
    said = "trains" if probe.fits else probe.ended_by or f"{probe.outcome.status.value}: {probe.outcome.reason}"
    peak = f", peak {shown(probe.peak)}" if probe.peak else ""
    return f"  batch {probe.batch}: {said}{peak}  [{about(probe.seconds)}]"


def told(found: Ceiling, sizes: Sequence[int]) -> list[str]:
    """What was found, in a few lines."""
    from bench.analysis.ceiling import card_sizes
    from bench.analysis.ceiling_of import fit_of

    within = f" within {shown(found.limit_bytes)} ({found.limit_how})" if found.limit_bytes else ""
    if not known(found):
        largest = f" batch {found.case.batch} trains{within}, but" if found.case.batch else ""
        status = found.outcome.status.value.replace("_", " ")
        return [f"{title(found.case)}:{largest} {status}: {found.outcome.reason}"]
    if not found.case.batch:
        return [f"{title(found.case)}: not even batch {found.granularity} trains{within}"]
    seconds = sum(probe.seconds for probe in found.probes)
    why = "the largest that was asked for" if found.ended_by == "limit" else f"then {found.ended_by}"
    said = [
        f"{title(found.case)}: batch {found.case.batch} trains{within}; {why}; "
        f"{len(found.probes)} probes in {about(seconds)}"
    ]
    if found.line:
        memory = found.line
        grows = f"{shown(memory.base)} and {shown(memory.slope)} an image, within {shown(memory.residual)}"
        said.append(f"  memory of training itself: {grows}")
        batches = card_sizes(fit_of(memory), sizes, found.granularity)
        fits = [f"{batch} in {shown(size)}" for size, batch in zip(sizes, batches, strict=True)]
        if fits:
            said.append(f"  by that line: {', '.join(fits)}")
    return said
