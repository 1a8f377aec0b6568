"""Does ``regress`` find what is there, and nothing else? Whole comparisons with effects that were planted.

Beside each of them the usual way: one run of base, then one of head, and their medians compared at 5 %.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from bench.cases.case import parse_case
from bench.cases.plan import PlannedRun, expand_grid, profile
from bench.compare.estimator import pair_ratios, pending_cases
from bench.compare.findings import Finding, evaluate
from bench.compare.pairs import PairInputs, measured, run_single
from bench.compare.scheduler import PairScheduler
from bench.compare.start import begin
from bench.compare.verdict import Verdict, estimate
from bench.environments.builder import PreparedEnvironment, provide
from bench.environments.interpreter import Interpreter, inspect
from bench.environments.resolver import resolve
from bench.environments.specification import Specification
from bench.errors import UsageError
from bench.formatting import format_rough_duration
from bench.machine.fingerprint import machine
from bench.records.comparison import COMPARISON, Comparison
from bench.records.record import Environment
from bench.records.store import encoded, new_run_name, read_comparison, write_whole
from bench.runner.launchers.local import Launcher, open_launcher
from bench.runner.measure import find_data
from bench.selfcheck.check import Check
from bench.selfcheck.planted_environment import COPIES, FLOOR, Planted, prepare

Sides = tuple[PreparedEnvironment, PreparedEnvironment]
"""Base and head."""

CASE = "train-yolov8n-cpu-fp32-b4-i160"

USUAL = 0.05
"""By how much medians of two runs have to differ for the usual way to call it a difference."""


class Effect(msgspec.Struct, frozen=True):
    """Something that is planted in head.

    Attributes:
        name: of the option.
        share: of the mean step; 0 for a copy of base.
        where: in which part, a key of :data:`bench.selfcheck.planted_environment.WHERE`.
        margin: of the comparison, as a share.
        comparisons: at most so many of them; 0: as many as were asked for.
        goal: what is to come of it.
    """

    name: str
    share: float
    where: str
    margin: float
    goal: str
    comparisons: int = 0


EFFECTS = {
    effect.name: effect
    for effect in (
        Effect("none", 0.0, "forward", 0.01, "none slower or faster; ≤ 1 % after 8 pairs"),
        Effect("+5%", 0.05, "forward", 0.03, "slower in 19 of 20"),
        Effect("+2%", 0.02, "forward", 0.01, "slower in 15 of 20"),
        Effect("optimizer", 0.05, "optimizer", 0.03, "slower, by the optimizer", 3),
        Effect("data", 0.05, "data", 0.03, "slower, by data", 3),
    )
}


class Beside(msgspec.Struct, frozen=True):
    """What is known of one whole comparison beside its pairs.

    Attributes:
        planted: seconds by which the mean step of head is longer.
        usual: logarithm of the ratio of medians by the usual way.
        seconds: that it took, importing torch on both sides included; the usual way apart.
    """

    planted: float
    usual: float
    seconds: float


ROUNDING = 1e-9
"""Of logarithms: pairs that are all alike, as only made ones are, have an interval of no width."""


class Trial(msgspec.Struct, frozen=True):
    """One whole comparison.

    Attributes:
        finding: of its one case.
        planted: logarithm of the ratio that was planted, over the mean step of base in this comparison.
        half: half the width of the 95 % interval of its first eight pairs; None with fewer.
        usual, seconds: see :class:`Beside`.
    """

    finding: Finding
    planted: float
    half: float | None
    usual: float
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether its interval holds what was planted."""
        judged = self.finding.judged
        return judged is not None and abs(judged.estimate.log - self.planted) <= judged.estimate.half + ROUNDING


def trial(comparison: Comparison, beside: Beside) -> Trial:
    """A whole comparison and what is known beside it."""
    [finding] = evaluate(comparison).findings
    logs = pair_ratios(comparison.cases[0], comparison.margin).interim[:8]
    return Trial(
        finding=finding,
        planted=math.log1p(beside.planted / finding.base.seconds) if finding.base else math.nan,
        half=estimate(logs).half if len(logs) == 8 else None,
        usual=beside.usual,
        seconds=beside.seconds,
    )


BESIDE = "beside.json"
"""Beside the comparison in its folder; where it is missing, the comparison did not come to its end."""


def kept_trials(folder: Path, effect: Effect, environment: Environment) -> dict[int, Trial]:
    """All whole comparisons of an effect that an earlier sitting left, by their numbers.

    Raises:
        WrongUse: where one cannot be read, or is of another machine or other versions, or was measured otherwise.
    """
    recipe = planned_case().recipe.fingerprint
    found = {}
    for file in sorted(folder.glob(f"{effect.name}-[0-9]*/{BESIDE}")):
        try:
            beside = msgspec.json.decode(file.read_bytes(), type=Beside)
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            raise UsageError(f"{file} cannot be read: {error}. Remove its folder to measure that one again.") from error
        comparison = read_comparison(file.parent)
        other = comparison.base.environment
        same = (other.torch, other.ultralytics) == (environment.torch, environment.ultralytics)
        if not same or comparison.machine.fingerprint != machine().fingerprint:
            raise UsageError(f"{file.parent} is of another machine or other versions: keep these in another folder.")
        if comparison.margin != effect.margin or comparison.cases[0].recipe.fingerprint != recipe:
            raise UsageError(f"{file.parent} was measured in another way: keep these in another folder.")
        found[int(file.parent.name.removeprefix(f"{effect.name}-"))] = trial(comparison, beside)
    return found


def chosen(text: str) -> list[Effect]:
    """Effects by their names; raises :class:`UsageError` for one that does not exist."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in EFFECTS:
            raise UsageError(f"effect {name!r} is unknown: use some of {','.join(EFFECTS)}.")
    return [EFFECTS[name] for name in dict.fromkeys(names)] or list(EFFECTS.values())


def checks(
    interpreter: Interpreter, effects: Sequence[Effect], comparisons: int, keep: Path | None, say: Callable[[str], None]
) -> Iterator[Check]:
    """Plant every effect, compare as often as was asked for, and say what came of it.

    Args:
        interpreter: its versions of torch and Ultralytics are installed anew, twice, and twice more to be patched.
        effects: what is planted.
        comparisons: of each, where it does not say how many; those that are in ``keep`` count.
        keep: a folder where every comparison is kept; None: nowhere.
        say: gets a line for each comparison.

    Raises:
        WrongUse: where the environments cannot be built.
    """
    environment = interpreter.environment
    torch = environment.torch.partition("+")[0]
    specification = Specification.parse(f"ultralytics=={environment.ultralytics},torch=={torch}")
    sides = provide(specification, "", say), provide(specification, "", say, copy=1)
    resolved = resolve(specification)
    patched = prepare(resolved, say, COPIES[0]), prepare(resolved, say, COPIES[1])
    slower = patch(sides[0], patched[0], "floor"), patch(sides[1], patched[1], "planted")
    planned = planned_case()
    step = 0.0
    for effect in effects:
        known = kept_trials(keep, effect, environment) if keep else {}
        trials = list(known.values())
        count = min(comparisons, effect.comparisons or comparisons)
        free = (number for number in itertools.count(1) if number not in known)
        try:
            for number in itertools.islice(free, max(count - len(known), 0)):
                if effect.share and not step:
                    step = mean_step(sides[0], planned) + FLOOR
                seconds = effect.share * step
                patched[0].plant(effect.where, FLOOR)
                patched[1].plant(effect.where, FLOOR + seconds)
                with place(keep, effect, number) as folder:
                    found = compare(effect, slower if effect.share else sides, planned, seconds, folder, say)
                if effect.share and found.finding.base:
                    step = found.finding.base.seconds
                trials.append(found)
                say(f"{effect.name} {len(trials)}/{count}: {line(found)}")
        finally:
            for one in patched:
                one.plant("forward", 0.0)
            if trials:
                yield from scored(effect, trials)


def planned_case() -> PlannedRun:
    """The case that is compared, with its recipe."""
    case = parse_case(CASE)
    [planned] = expand_grid(profile("regress"), [case.device], {name: [value] for name, value in case.values.items()})
    return planned


def patch(side: PreparedEnvironment, patched: Planted, key: str) -> PreparedEnvironment:
    """A side that runs in a patched copy."""
    return msgspec.structs.replace(side, interpreter=inspect(patched.python), key=key)


@contextlib.contextmanager
def place(keep: Path | None, effect: Effect, number: int) -> Iterator[Path]:
    """A folder for one comparison: one that stays, or one that does not."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="yolopace-") as passing:
            yield Path(passing)
        return
    folder = keep / f"{effect.name}-{number:03}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (COMPARISON, BESIDE):  # of one that did not come to its end
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written to: {error.strerror or error}.") from error
    yield folder


def mean_step(base: PreparedEnvironment, planned: PlannedRun) -> float:
    """Seconds of the mean step of base, to plant a share of it."""
    launcher = open_launcher(base.interpreter)
    try:
        data = find_data(launcher, planned)
        return measured(
            run_single(PairInputs((launcher, launcher), planned, (data, data)), 0).measured
        ).steps.step_seconds
    finally:
        launcher.close()


def compare(
    effect: Effect, sides: Sides, planned: PlannedRun, planted: float, folder: Path, say: Callable[[str], None]
) -> Trial:
    """One whole comparison, and beside it the usual way."""
    name = f"selfcheck-{new_run_name(machine().fingerprint)}"
    comparison = begin(sides, [planned], name, "", effect.margin, 0.02, say)
    launchers = open_launcher(sides[0].interpreter), open_launcher(sides[1].interpreter)
    try:
        seconds = run(comparison, launchers, folder)
        usual = in_sequence(launchers, planned)
    finally:
        for launcher in launchers:
            launcher.close()
    beside = Beside(planted, usual, seconds)
    write_whole(folder / BESIDE, encoded(beside))
    return trial(comparison, beside)


def run(comparison: Comparison, launchers: tuple[Launcher, Launcher], folder: Path) -> float:
    """Measure until all is decided; the seconds that it took."""
    began = time.monotonic()
    PairScheduler(comparison, launchers, folder, pending_cases, lambda compared, said: None).run()
    return time.monotonic() - began


def in_sequence(launchers: tuple[Launcher, Launcher], planned: PlannedRun) -> float:
    """The usual way: a run of base, then one of head; the logarithm of the ratio of their medians."""
    data = [find_data(launcher, planned) for launcher in launchers]
    pairing = PairInputs(launchers, planned, (data[0], data[1]))
    medians = [statistics.median(measured(run_single(pairing, number).measured).steps.window) for number in (0, 1)]
    return math.log(medians[1] / medians[0])


def line(trial: Trial) -> str:
    """One comparison in a line."""
    judged = trial.finding.judged
    said = (
        f"{judged.verdict} {judged.estimate.log * 100:+.2f} ± {judged.estimate.half * 100:.2f} %"
        if judged
        else "no pair"
    )
    half = f", ± {trial.half * 100:.2f} % after 8 pairs" if trial.half is not None else ""
    looks, fresh = trial.finding.pairs
    return (
        f"{said} (planted {trial.planted * 100:+.2f} %){half}, {looks} + {fresh} pairs in "
        f"{format_rough_duration(trial.seconds)}; "
        f"the usual way {trial.usual * 100:+.1f} %"
    )


def scored(effect: Effect, trials: Sequence[Trial]) -> Iterator[Check]:
    """What came of all comparisons of an effect."""
    count = len(trials)
    words = [trial.finding.verdict for trial in trials]
    said = {verdict: words.count(verdict) for verdict in Verdict if verdict in words}
    figure = ", ".join(f"{verdict} {times} of {count}" for verdict, times in said.items())
    seconds = [trial.seconds for trial in trials]
    pairs = [sum(trial.finding.pairs) for trial in trials]
    title = f"{effect.share * 100:g} % planted in {effect.where}" if effect.share else "The same against its copy"
    middle = f"median {statistics.median(pairs):g} pairs, {format_rough_duration(statistics.median(seconds))}"
    how = f"margin {effect.margin * 100:g} %; {middle}, at most {format_rough_duration(max(seconds))}"
    if effect.share:
        logs = [trial.finding.judged.estimate.log - trial.planted for trial in trials if trial.finding.judged]
        holds = sum(trial.holds for trial in trials)
        figure += f"; the interval holds what was planted in {holds} of {count}"
        how += f"; found {round(statistics.fmean(logs) * 100, 2) + 0.0:+.2f} % beside what was planted"
    if effect.where != "forward":
        named = sum(bool(trial.finding.parts) and largest(trial.finding) == effect.where for trial in trials)
        figure += f"; that part grew most in {named} of {count}"
    yield Check(title, figure, effect.goal, how)
    halves = [trial.half for trial in trials if trial.half is not None]
    if not effect.share and halves:
        within = sum(half <= 0.01 for half in halves)
        yield Check(
            "Half the 95 % interval of eight such pairs",
            f"median {statistics.median(halves) * 100:.2f} %, at most 1 % in {within} of {len(halves)}",
            "≤ 1 %",
            f"from {min(halves) * 100:.2f} to {max(halves) * 100:.2f} %",
        )
    least = math.log1p(USUAL)
    slower = sum(trial.usual > least for trial in trials)
    faster = sum(trial.usual < -least for trial in trials)
    sizes = sorted(math.expm1(trial.usual) * 100 for trial in trials)
    yield Check(
        f"{title}, the usual way",
        f"slower {slower} of {count}, faster {faster} of {count}",
        "",
        f"a run of base, then one of head, medians at {USUAL * 100:g} %; from {sizes[0]:+.1f} to {sizes[-1]:+.1f} %",
    )


def largest(finding: Finding) -> str:
    """The part of a step that grew most."""
    return max(finding.parts, key=lambda part: part.change).name
