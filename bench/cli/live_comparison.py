"""What ``regress``, ``sweep`` and ``bisect`` share: which cases, both environments, and pairs with a line for each."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import msgspec
import typer

from bench.cases.case import parse_case
from bench.cases.device_kinds import device_kind
from bench.cases.plan import PlannedRun, expand_grid, profile
from bench.cases.recipe import check_threads
from bench.cli.io import say
from bench.errors import UsageError
from bench.formatting import format_log_ratio, format_rough_duration
from bench.text import clean, encode

if TYPE_CHECKING:  # --help does without what these import
    from bench.compare.scheduler import Wanted
    from bench.environments.builder import PreparedEnvironment
    from bench.environments.interpreter import Interpreter
    from bench.environments.specification import Specification
    from bench.records.comparison import CaseComparison, Comparison

Cases = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads it
    typer.Option("--case", metavar="ID", help="A case such as train-yolov8n-cpu-fp32-b4-i160; may be repeated."),
]
DataSet = Annotated[str, typer.Option(help="An Ultralytics data yaml; default: a made set.")]
Threads = Annotated[int, typer.Option(help="CPU threads; 0: as many as Ultralytics takes.")]
Margin = Annotated[
    str,
    typer.Option(metavar="PERCENT", help="A smaller difference counts as none; default: what calibrate found, or 3%."),
]
Newer = Annotated[str, typer.Option("--exclude-newer", metavar="DATE", help="Leave out all releases after this date.")]
Budget = Annotated[str, typer.Option(metavar="TIME", help="Begin no pair that would end later, such as 10m.")]
Results = Annotated[Path, typer.Option(help="Where what was measured goes.")]
Reports = Annotated[Path, typer.Option(help="Where the page goes.")]
Json = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads it
    typer.Option(metavar="FILE", help="Write what was found there too."),
]

Resume = Annotated[bool, typer.Option("--resume", help="Go on with the newest one of these arguments.")]


class Choice(msgspec.Struct, frozen=True):
    """The cases that were asked for, by their ids or by axes; those of profile ``regress`` where nothing was.

    Attributes:
        values: by axis.
        ids: of cases.
        data: see :class:`bench.cases.recipe.Recipe`.
        threads: see :class:`bench.cases.recipe.Recipe`.
        single: whether an axis of which nothing is said has but the first of its values.
    """

    values: dict[str, list[Any]]
    ids: tuple[str, ...]
    data: str
    threads: int
    single: bool = False

    @classmethod
    def parse(
        cls, ids: list[str] | None, values: dict[str, list[Any]], data: str, threads: int, single: bool = False
    ) -> Choice:
        """Check all that can be checked before an environment is there.

        Raises:
            WrongUse: where something is no case, or cases are given in both ways.
        """
        if ids and values:
            raise UsageError(f"name cases by --case or by --{next(iter(values))} and the like, not by both.")
        check_threads(threads, values)
        return cls(values, tuple(parse_case(text).id for text in ids or ()), data, threads, single)

    def planned(self, interpreters: list[Interpreter]) -> list[PlannedRun]:
        """The cases with their recipes.

        Args:
            interpreters: one of which at least has to know a model or a data set that goes by a name.

        Raises:
            WrongUse: where none does.
        """
        from bench.machine.fingerprint import devices
        from bench.pytest_plugin.options import check_model, find_data

        data = any_of(lambda interpreter: find_data(self.data, interpreter), interpreters)
        if self.ids:
            plans = []
            for case in dict.fromkeys(map(parse_case, self.ids)):
                values = {name: [value] for name, value in case.values.items()}
                plans += expand_grid(profile("regress"), [case.device], values, data, self.threads)
        elif self.single:
            chosen, plans = profile("regress"), []
            for device in self.values.get("device", devices()[:1]):
                usual = {axis: values[:1] for axis, values in chosen.axes(device_kind(device)).items()}
                plans += expand_grid(chosen, [], {**usual, **self.values, "device": [device]}, data, self.threads)
        else:
            plans = expand_grid(profile("regress"), devices()[:1], self.values, data, self.threads)
        for model in dict.fromkeys(plan.case.model for plan in plans):
            any_of(functools.partial(check_model, model), interpreters)
        return plans


def any_of(question: Callable[[Interpreter], Any], interpreters: list[Interpreter]) -> Any:
    """The first answer of some interpreters; the error of the last one where none has an answer."""
    for interpreter in interpreters[:-1]:
        with contextlib.suppress(UsageError):
            return question(interpreter)
    return question(interpreters[-1])


def provide_both(
    base: Specification, head: Specification, exclude_newer: str
) -> tuple[PreparedEnvironment, PreparedEnvironment]:
    """Both environments; where they would be one and the same, head is a copy that was installed separately."""
    from bench.environments.builder import provide

    first = provide(base, exclude_newer, say)
    second = provide(head, exclude_newer, say)
    if (first.interpreter.path, first.key) == (second.interpreter.path, second.key):
        say("base and head are the same: whatever differs between them is noise, or an error of yolopace")
        second = provide(head, exclude_newer, say, copy=1)
    return first, second


def own_folder(comparison: Comparison, results: Path, name: str) -> Path:
    """A folder that is this comparison's alone; its run is called by it."""
    from bench.records.store import Store

    store = Store(results, name, new=True)
    comparison.run = store.run
    return store.folder


def measure(
    comparison: Comparison,
    sides: tuple[PreparedEnvironment, PreparedEnvironment],
    folder: Path,
    budget: float | None = None,
    wanted: Wanted | None = None,
) -> bool:
    """Measure pairs until all is decided, a line for each; whether that was stopped by Ctrl-C.

    Args:
        comparison: is added to, and written after every pair.
        sides: the environments.
        folder: where it is written.
        budget: seconds, or None.
        wanted: what is still to measure, where that is not what it takes to decide.
    """
    try:
        cut = take_pairs(comparison, sides, folder, budget, wanted)
    except KeyboardInterrupt:
        say("stopped: --resume goes on with what was measured")
        return True
    if cut:
        say(f"the time budget is over with {cut} case(s) undecided: --resume goes on")
    return False


def take_pairs(
    comparison: Comparison,
    sides: tuple[PreparedEnvironment, PreparedEnvironment],
    folder: Path,
    budget: float | None = None,
    wanted: Wanted | None = None,
) -> int:
    """The same; how many cases the time budget left undecided.

    Raises:
        KeyboardInterrupt: after what is known was written.
        WrongUse: where an environment or the data cannot be used at all.
    """
    from bench.compare.estimator import pending_cases
    from bench.compare.scheduler import PairScheduler
    from bench.pytest_plugin.options import needs_network
    from bench.runner.launchers.local import open_launcher

    network = needs_network([PlannedRun(one.case, one.recipe) for one in comparison.cases])
    with contextlib.ExitStack() as stack:
        launchers = [open_launcher(side.interpreter, network) for side in sides]
        for launcher in launchers:
            stack.enter_context(contextlib.closing(launcher))
        regress = PairScheduler(
            comparison,
            (launchers[0], launchers[1]),
            folder,
            wanted or pending_cases,
            progress(comparison),
            budget=budget,
        )
        try:
            regress.run()
        finally:
            if lost := regress.rescue():
                say(lost)
    return regress.cut


def progress(comparison: Comparison) -> Callable[[CaseComparison, str], None]:
    """What is said of every pair."""
    width = max(len(one.case.id) for one in comparison.cases)

    def told(compared: CaseComparison, trouble: str) -> None:
        name = f"{compared.case.id:<{width}}"
        if trouble:
            say(f"{name}  {trouble}")
        elif not compared.both:
            say(f"{name}  not on both sides")
        else:
            say(f"{name}  {pair_line(compared, comparison.margin)}")

    return told


def pair_line(compared: CaseComparison, margin: float) -> str:
    """``pair 3: +0.8 %; so far +0.2 ± 1.1 %  (7 s)``: how much longer head took."""
    from bench.compare.estimator import pair_ratios
    from bench.compare.verdict import estimate

    pair, figures = compared.pairs[-1], pair_ratios(compared, margin)
    logs = figures.confirmation if pair.confirmation else figures.interim
    line = f"{'fresh pair' if pair.confirmation else 'pair'} {len(logs)}: head {format_log_ratio(logs[-1])} %"
    if len(logs) > 1:
        seen = estimate(logs)
        line += f"; so far {format_log_ratio(seen.log)} ± {seen.half * 100:.1f} %"
    marks = [*(["one after the other"] if not pair.lockstep else []), *pair.interference]
    if pair.retries:
        marks.insert(0, f"measured anew {pair.retries} time{'s' if pair.retries > 1 else ''}")
    return f"{line}  [{'; '.join([format_rough_duration(pair.seconds), *marks])}]"


def check_file(file: Path | None) -> None:
    """Raise :class:`UsageError` where a file that is to be written at the end has no folder."""
    if file is not None and not file.absolute().parent.is_dir():
        raise UsageError(f"{file} cannot be written: there is no folder {file.absolute().parent}.")


def write_file(file: Path, text: str) -> None:
    """Write what was found where it was asked for; raises :class:`UsageError` where that cannot be."""
    from bench.records.store import write_whole

    try:
        write_whole(file, encode(text))
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}.") from error


def add_to_summary(markdown: str) -> None:
    """Add to the summary of a step, where GitHub Actions wants one."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(clean(markdown))
        except OSError as error:
            say(f"the summary of this step cannot be written: {error.strerror or error}")
