"""``yolopace tune``: the fastest settings for a model, its data and this machine, proven against the present ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from bench.cases.axes import fixed_axes
from bench.cli import terminal
from bench.cli.axis_options import FIRST_DEVICE, axis_options
from bench.cli.io import Epochs, say, whole_epochs
from bench.errors import ExitCode, UsageError
from bench.formatting import format_rough_duration, parse_duration, parse_percent

if TYPE_CHECKING:  # --help does without what these import
    from bench.cases.case import Case
    from bench.environments.interpreter import Interpreter
    from bench.records.record import Record
    from bench.records.tune import Tuning
    from bench.tune.service import TuneRequest

ALTERNATIVE = ("amp", "batch")
"""Fixed axes with one value, or with several that are searched: the first one is the present one."""

SINGLE = tuple(name for name in fixed_axes() if name not in ALTERNATIVE)
"""Axes that are not searched: each has one value."""

TRAIN_BATCH, PREDICT_BATCH, SIZE = 16, 1, 640
"""Ultralytics' defaults."""

MOST_COMBINATIONS = 20_000
"""Largest number of combinations of a search."""


@axis_options(notes=FIRST_DEVICE)
def tune(
    *,
    axes: dict[str, list[Any]],
    data: Annotated[str, typer.Option(help="Your data yaml; default: a generated dataset.")] = "",
    present: Annotated[
        str,
        typer.Option(
            metavar="NAME=VALUE,...", help="Your own settings, such as workers=8,batch=16; default: Ultralytics'."
        ),
    ] = "",
    allow: Annotated[
        str,
        typer.Option(metavar="NAMES", help="Search these too, which change what is learned: batch,amp,deterministic."),
    ] = "",
    time_budget: Annotated[str, typer.Option(metavar="TIME", help="Time for search and proof, such as 10m.")] = "10m",
    margin: Annotated[
        str,
        typer.Option(metavar="PERCENT", help="A smaller gain counts as none; default: what calibrate found, or 3%."),
    ] = "",
    threads: Annotated[int, typer.Option(help="CPU threads of all settings; 0: Ultralytics' own choice.")] = 0,
    epochs: Epochs = 0,
    epoch_images: Annotated[int, typer.Option(help="Images per epoch; 0: those of --data, else COCO's 118,287.")] = 0,
    seed: Annotated[str, typer.Option(metavar="TEXT", help="Seed of the order; default: the name of the run.")] = "",
    results: Annotated[Path, typer.Option(help="Folder of the records.")] = Path("results"),
    reports: Annotated[Path, typer.Option(help="Folder of the page.")] = Path("reports"),
    json: Annotated[
        Optional[Path],  # noqa: UP045 - typer reads it
        typer.Option(metavar="FILE", help="Write the answer as JSON to this file too."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the newest search with these arguments.")] = False,
    python: Annotated[str, typer.Option(help="The interpreter to measure.")] = "",
) -> None:
    """The fastest settings for your model, data and machine, proven against the present ones.

    By default it searches settings that do not change what is learned. Values of further axes, such as --workers 0,4 or
    --axis threads=1,2, replace them. A search starts from the records of earlier ones.

    Exit status: 0 a faster setting is proven, or the present ones are the best; 2 usage error; 3 not proven; 4 nothing
    was measured.
    """
    from bench.cli.live.output import add_to_summary, check_file, write_file
    from bench.environments.cache_checks import check_usable
    from bench.environments.interpreter import inspect
    from bench.pytest_plugin.options import check_model, find_data, needs_network
    from bench.records.store import read_tunings
    from bench.report import tuning as rendered
    from bench.runner.launchers.local import open_launcher
    from bench.tune.answer import answer
    from bench.tune.measurer import Planner
    from bench.tune.service import begin
    from bench.tune.service import tune as search

    check_file(json)
    check_usable()
    count = whole_epochs(epochs)
    interpreter = inspect(python, axes.get("model", [""]))
    request = _request(axes, present, allow, find_data(data, interpreter), threads, seed)
    case = request.space.present
    check_model(case.model, interpreter)
    request = _with_options(request, time_budget, margin, epoch_images)
    tuning = begin(request, _launcherless(interpreter), say)
    if resume:
        known = [old for old in read_tunings([results])[0] if old.same_question(tuning)] if results.is_dir() else []
        if not known:
            raise UsageError(f"{results} holds no search of these settings on this machine: leave --resume out.")
        tuning = _continued(known[-1], tuning)
    say(_describe_plan(request, case))
    planned = Planner.for_space(request.space, request.data, threads).plan(case)
    launcher = open_launcher(interpreter, needs_network([planned]))
    launcher.prepare()
    try:
        with terminal.doing("measuring the present settings"):
            kept = search(
                request,
                tuning,
                launcher,
                results,
                say=say,
                on_pair=_say_pair(tuning),
                watch=terminal.LIVE.update,
                usable=_is_usable,
            )
    finally:
        launcher.close()
    full = kept.rescue()
    if full:
        say(full)
    terminal.show(rendered.render_text(tuning, count))
    say(f"records: {kept.folder}")
    if json is not None:
        write_file(json, rendered.render_json(tuning, count))
    add_to_summary(rendered.render_markdown(tuning, count))
    say(f"page: {_write_page(tuning, results, reports, epoch_images, count)}")
    raise typer.Exit(ExitCode.WRONG_USE if full else answer(tuning).exit_code)


def _request(axes: dict[str, list[Any]], present: str, allow: str, data: str, threads: int, seed: str) -> TuneRequest:
    """Return what is searched.

    Raises:
        UsageError: for settings that cannot be searched, and where none is left to search.
    """
    from bench.cases.axes import find_axis
    from bench.cases.recipe import check_threads
    from bench.machine.limits import usable_processors
    from bench.records.tune import NotTried
    from bench.tune import space as spaces
    from bench.tune.search import untried_axes
    from bench.tune.service import TuneRequest

    for name in SINGLE:
        if len(axes.get(name, ())) > 1:
            raise UsageError(f"{name} has several values: tune searches the settings of one case, so name one {name}.")
    allowed, own = spaces.check_allowed(allow), spaces.parse_present(present)
    check_threads(threads, [*axes, *own])
    case, searched = _present_case(axes, own), {}
    for name, values in axes.items():
        if name in SINGLE or (name in ALTERNATIVE and len(values) == 1):
            continue
        find_axis(name).check_mode(case.mode)
        searched[name] = [value for value in values if value != case.value(name)]
    left_out: list[NotTried] = []
    if not searched or set(searched) <= set(ALTERNATIVE):
        usual, reasons = spaces.default_values(case, allowed, usable_processors(), threads)
        searched = {**{name: [v for v in vs if v != case.value(name)] for name, vs in usual.items()}, **searched}
        left_out = untried_axes(reasons, searched)
    searched = {name: values for name, values in searched.items() if values}
    space = spaces.Space(case, searched)
    if not searched:
        raise UsageError("no setting is left to search: name values that differ from the present ones, by --axis.")
    if space.size > MOST_COMBINATIONS:
        raise UsageError(f"{space.size:,} combinations are too many to search: name fewer values.")
    return TuneRequest(
        space=space,
        present_named=bool(own),
        left_out=left_out,
        data=data,
        threads=threads,
        budget=1.0,
        seed=seed,
    )


def _with_options(request: TuneRequest, time_budget: str, margin: str, epoch_images: int) -> TuneRequest:
    """Return a request with budget, margin and epoch."""
    import msgspec

    if epoch_images < 0:
        raise UsageError(f"epoch-images '{epoch_images}' is not allowed: use a whole number above 0.")
    return msgspec.structs.replace(
        request,
        budget=parse_duration(time_budget),
        margin=parse_percent("margin", margin) if margin else None,
        epoch_images=epoch_images,
    )


def _present_case(axes: dict[str, list[Any]], own: dict[str, Any]) -> Case:
    """Return the case with the present settings: named by the user, by an option with one value, or the defaults."""
    from bench.cases.availability import why_unavailable
    from bench.cases.axes import find_axis
    from bench.cases.case import Case
    from bench.machine.fingerprint import devices
    from bench.worker.workloads.base import family_of, own_name

    mode = axes.get("mode", ["train"])[0]
    model = axes.get("model", ["yolov8n"])[0]
    natural = family_of(model).natural_values(own_name(model))
    values = {
        "mode": mode,
        "model": model,
        "device": axes.get("device", devices()[:1])[0],
        "amp": "on" if mode == "train" else "off",
        "batch": TRAIN_BATCH if mode == "train" else PREDICT_BATCH,
        "imgsz": natural.get("imgsz", [SIZE])[0],
        **{name: axes[name][0] for name in (*ALTERNATIVE, "imgsz") if name in axes},
        **own,
    }
    if twice := next((name for name in own if name in (*SINGLE, *ALTERNATIVE) and name in axes), None):
        raise UsageError(f"{twice} is named twice: by --{twice} and by --present.")
    for name in own:
        find_axis(name).check_mode(mode)
    case = Case.of(values)
    if "amp" not in axes and "amp" not in own and why_unavailable(case):
        case = Case.of({**values, "amp": "off"})
    return case


def _launcherless(interpreter: Interpreter) -> Any:
    """Return an object with an interpreter: nothing is started before the question is known."""
    from bench.runner.launchers.local import SpawnLauncher

    return SpawnLauncher(interpreter)


def _continued(known: Tuning, question: Tuning) -> Tuning:
    """Return a stopped search that continues, with the new budget and margin."""
    known.budget, known.winner, known.complete, known.needed = question.budget, None, False, 0.0
    known.margin, known.margin_from = question.margin, question.margin_from
    if known.proof is not None:
        known.proof.margin = question.margin
    return known


def _describe_plan(request: TuneRequest, case: Case) -> str:
    """Say what is searched, and within which time."""
    from bench.tune.space import settings_text

    values = "; ".join(
        f"{name} {', '.join(settings_text({name: value}).partition('=')[2] for value in values)}"
        for name, values in request.space.values.items()
    )
    return (
        f"searching {request.space.size} combinations in {format_rough_duration(request.budget)}: {values}; "
        f"against {case.id}"
    )


def _say_pair(tuning: Tuning) -> Any:
    """Return a function that says a line for every pair of the proof."""
    from bench.cli.live.pairs import pair_line
    from bench.records.comparison import CaseComparison

    def say_pair(compared: CaseComparison, problem: str) -> None:
        text = problem or ("" if compared.both_runnable else "not on both sides")
        say(text or f"winner against present: {pair_line(compared, tuning.margin)}")

    return say_pair


def _is_usable(record: Record) -> bool:
    """Whether an earlier record is of the model's file as it is now."""
    from bench.pytest_plugin.resume import same_model

    return same_model(record)


def _write_page(tuning: Tuning, results: Path, reports: Path, epoch_images: int, epochs: int) -> Path:
    """Write the page of the run."""
    from bench.cli.io import epoch, with_calibrations
    from bench.records import store
    from bench.report.page import Inputs, write
    from bench.report.plots import rendering

    records, complaints = store.read([results / tuning.run])
    inputs = Inputs(
        records=with_calibrations(records),
        tunings=[tuning],
        epoch_images=epoch(epoch_images or tuning.epoch_images),
        epochs=epochs,
        complaints=complaints,
    )
    with rendering.in_parallel():
        return write(inputs, reports / tuning.run)
