"""Trials: whole comparisons with a planted effect, each with a sequential comparison of the same environments."""

from __future__ import annotations

import contextlib
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from bench.cases.case import parse_case
from bench.cases.plan import PlannedRun, expand_grid, profile
from bench.compare.estimator import pair_ratios, pending_cases
from bench.compare.findings import Finding, evaluate
from bench.compare.pairs import PairInputs, measured, run_single
from bench.compare.scheduler import PairScheduler
from bench.compare.start import begin
from bench.compare.verdict import estimate
from bench.environments.builder import PreparedEnvironment
from bench.errors import UsageError
from bench.machine.fingerprint import machine
from bench.records.comparison import COMPARISON, Comparison
from bench.records.record import Environment
from bench.records.store import encoded, new_run_name, read_comparison, write_whole
from bench.runner.launchers.local import Launcher, open_launcher
from bench.runner.measure import find_data
from bench.selfcheck.effects import Effect

Sides = tuple[PreparedEnvironment, PreparedEnvironment]
"""Base and head."""

CASE = "train-yolov8n-cpu-fp32-b4-i160"

FACTS = "trial.json"
"""The file of a trial's facts; it is written last, so that a folder without it is of a trial that was stopped."""

ROUNDING = 1e-9
"""Rounding error of logarithms: pairs that are all equal, as only simulated ones are, have an interval of no width."""


class TrialFacts(msgspec.Struct, frozen=True):
    """The facts of a trial that its comparison does not hold.

    Attributes:
        planted: seconds by which the mean step of head is longer.
        sequential: logarithm of the ratio of medians of one run each.
        seconds: time of the comparison, with importing torch on both sides and without the sequential runs.
    """

    planted: float
    sequential: float = msgspec.field(name="usual")
    seconds: float


class Trial(msgspec.Struct, frozen=True):
    """One whole comparison.

    Attributes:
        finding: of its one case.
        planted: logarithm of the ratio that was planted, over the mean step of base in this comparison.
        half: half the width of the 95 % interval of its first eight pairs; None with fewer.
        sequential, seconds: see :class:`TrialFacts`.
    """

    finding: Finding
    planted: float
    half: float | None
    sequential: float
    seconds: float

    @property
    def holds(self) -> bool:
        """Whether the interval contains what was planted."""
        judged = self.finding.judged
        return judged is not None and abs(judged.estimate.log - self.planted) <= judged.estimate.half + ROUNDING

    @classmethod
    def of(cls, comparison: Comparison, facts: TrialFacts) -> Trial:
        """Evaluate a comparison."""
        [finding] = evaluate(comparison).findings
        logs = pair_ratios(comparison.cases[0], comparison.margin).interim[:8]
        return cls(
            finding=finding,
            planted=math.log1p(facts.planted / finding.base.seconds) if finding.base else math.nan,
            half=estimate(logs).half if len(logs) == 8 else None,
            sequential=facts.sequential,
            seconds=facts.seconds,
        )


def planned_case() -> PlannedRun:
    """Return the case of all trials, with its recipe."""
    case = parse_case(CASE)
    [planned] = expand_grid(profile("regress"), [case.device], {name: [value] for name, value in case.values.items()})
    return planned


def compare(
    effect: Effect, sides: Sides, planned: PlannedRun, planted: float, folder: Path, say: Callable[[str], None]
) -> Trial:
    """Measure one trial: a whole comparison, then a sequential one.

    Args:
        effect: that was planted.
        sides: the environments.
        planned: the case.
        planted: seconds that were planted in the mean step of head.
        folder: of the trial.
        say: receives lines of progress.
    """
    name = f"selfcheck-{new_run_name(machine().fingerprint)}"
    comparison = begin(sides, [planned], name, "", effect.margin, 0.02, say)
    launchers = open_launcher(sides[0].interpreter), open_launcher(sides[1].interpreter)
    try:
        began = time.monotonic()
        PairScheduler(comparison, launchers, folder, pending_cases, lambda compared, text: None).run()
        seconds = time.monotonic() - began
        sequential = compare_in_sequence(launchers, planned)
    finally:
        for launcher in launchers:
            launcher.close()
    facts = TrialFacts(planted=planted, sequential=sequential, seconds=seconds)
    write_whole(folder / FACTS, encoded(facts))
    return Trial.of(comparison, facts)


def compare_in_sequence(launchers: tuple[Launcher, Launcher], planned: PlannedRun) -> float:
    """Measure a run of base, then one of head; return the logarithm of the ratio of their medians."""
    data = [find_data(launcher, planned) for launcher in launchers]
    inputs = PairInputs(launchers, planned, (data[0], data[1]))
    medians = [statistics.median(measured(run_single(inputs, side).measured).steps.window) for side in (0, 1)]
    return math.log(medians[1] / medians[0])


def mean_step(base: PreparedEnvironment, planned: PlannedRun) -> float:
    """Measure the seconds of the mean step of base, a share of which is planted."""
    launcher = open_launcher(base.interpreter)
    try:
        data = find_data(launcher, planned)
        inputs = PairInputs((launcher, launcher), planned, (data, data))
        return measured(run_single(inputs, 0).measured).steps.step_seconds
    finally:
        launcher.close()


@contextlib.contextmanager
def trial_folder(keep: Path | None, effect: Effect, number: int) -> Iterator[Path]:
    """Make the folder of one trial: below ``keep``, or a temporary one."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="yolopace-") as passing:
            yield Path(passing)
        return
    folder = keep / f"{effect.name}-{number:03}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in (COMPARISON, FACTS):  # of a trial that was stopped
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written to: {error.strerror or error}.") from error
    yield folder


def kept_trials(folder: Path, effect: Effect, environment: Environment) -> dict[int, Trial]:
    """Read the trials of an effect that an earlier selfcheck completed, by their numbers.

    Raises:
        UsageError: for one that cannot be read, is of another machine or other versions, or has another recipe.
    """
    recipe = planned_case().recipe.fingerprint
    trials = {}
    for file in sorted(folder.glob(f"{effect.name}-[0-9]*/{FACTS}")):
        try:
            facts = msgspec.json.decode(file.read_bytes(), type=TrialFacts)
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            raise UsageError(f"{file} cannot be read: {error}. Remove its folder to measure that one again.") from error
        comparison = read_comparison(file.parent)
        other = comparison.base.environment
        same = (other.torch, other.ultralytics) == (environment.torch, environment.ultralytics)
        if not same or not comparison.machine.is_same(machine()):
            raise UsageError(f"{file.parent} is of another machine or other versions: keep these in another folder.")
        if comparison.margin != effect.margin or comparison.cases[0].recipe.fingerprint != recipe:
            raise UsageError(f"{file.parent} was measured in another way: keep these in another folder.")
        trials[int(file.parent.name.removeprefix(f"{effect.name}-"))] = Trial.of(comparison, facts)
    return trials
