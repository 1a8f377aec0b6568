"""Findings of a live comparison: settings that differ, changes of speed and memory, cases that only one side can run.

They derive from the record alone (:mod:`bench.records.comparison`); the code that shows them computes nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from bench.analysis.noise import LOOKS
from bench.cases import Case
from bench.compare.estimator import pair_ratios
from bench.compare.memory import Peak, judge_memory, memory_ratios
from bench.compare.settings import Difference, setting_differences
from bench.compare.verdict import (
    FRESH_CONFIDENCE,
    Decision,
    Estimate,
    Verdict,
    confirm,
    estimate,
    holm,
    interim_decision,
    interim_look,
    judge,
    order_effect,
    overall,
    p_value,
    significant_cases,
)
from bench.errors import ExitCode
from bench.records.comparison import SIDES, CaseComparison, Comparison, Measurement, Pair
from bench.records.outcome import Status

DATA = "data"
"""Phase of a training step until its batch is there; measured by the stopwatch, not by a mark of the workload."""

REST = "rest"
"""Rest of a step after all measured phases."""

LEAST_REST = 0.01
"""Share of a step below which the rest is not worth a line."""


class Standing(StrEnum):
    """Whether a case could be compared."""

    COMPARED = "compared"
    BASE_ONLY = "base_only"
    HEAD_ONLY = "head_only"
    NEITHER = "neither"
    UNFINISHED = "unfinished"


class Conclusion(StrEnum):
    """A comparison in a word: the first of these that holds."""

    FALSE_ALARM = "false_alarm"
    SLOWER = "slower"
    CANNOT_RUN = "cannot_run"
    MORE_MEMORY = "more_memory"
    NOTHING_MEASURED = "nothing_measured"
    INCONCLUSIVE = "inconclusive"
    FASTER = "faster"
    RUNS_MORE = "runs_more"
    SAME = "same"


EXITS = {
    Conclusion.FALSE_ALARM: ExitCode.REGRESSION,
    Conclusion.SLOWER: ExitCode.REGRESSION,
    Conclusion.CANNOT_RUN: ExitCode.REGRESSION,
    Conclusion.MORE_MEMORY: ExitCode.REGRESSION,
    Conclusion.NOTHING_MEASURED: ExitCode.NOTHING_MEASURED,
    Conclusion.INCONCLUSIVE: ExitCode.NOT_COMPARABLE,
}
"""Exit codes by conclusion; all other conclusions exit with success."""


class Speed(msgspec.Struct, frozen=True):
    """One side of a case: seconds of the mean step, and images per second; geometric means over pairs."""

    seconds: float
    images_per_second: float


class Part(msgspec.Struct, frozen=True):
    """One part of a step on both sides, in seconds of the mean step; means over pairs.

    Attributes:
        name: name that the workload gives it, or :data:`DATA` or :data:`REST`.
        base, head: seconds.
        method: the clock, and the steps that it timed; empty for the rest.
    """

    name: str
    base: float
    head: float
    method: str

    @property
    def change(self) -> float:
        """Seconds by which it grew."""
        return self.head - self.base


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one case of a comparison.

    Attributes:
        compared: the recorded comparison of the case.
        standing: whether the case could be compared.
        judged: verdict on speed; None without a pair.
        interim, confirmation: estimates of the interim looks and of the fresh pairs; ``judged`` reports one of them.
        counted: pairs that the reported figure comes from.
        counts_every_step: whether every step counts, because the difference is in few steps (:func:`pair_ratios`).
        base, head: speeds in ``counted``.
        parts: phases of a step in ``counted``, the one that explains most of the change first.
        memory: peak memory; None where a side has no figure.
    """

    compared: CaseComparison
    standing: Standing
    judged: Decision | None = None
    interim: Estimate | None = None
    confirmation: Estimate | None = None
    counted: tuple[Pair, ...] = ()
    counts_every_step: bool = False
    base: Speed | None = None
    head: Speed | None = None
    parts: tuple[Part, ...] = ()
    memory: Peak | None = None

    @property
    def id(self) -> str:
        """ID of the case."""
        return self.compared.case.id

    @property
    def verdict(self) -> Verdict | None:
        """Verdict on speed; None without a pair."""
        return self.judged.verdict if self.judged else None

    @property
    def pairs(self) -> tuple[int, int]:
        """Number of pairs of the interim looks, and of the confirmation."""
        return len(self.compared.interim), len(self.compared.confirmation)

    @property
    def logs(self) -> list[float]:
        """``ln(head / base)`` of the pairs that the reported figure comes from."""
        return [self.log(pair) for pair in self.counted]

    def log(self, pair: Pair) -> float:
        """Return ``ln(head / base)`` of a pair by the selected estimator."""
        return pair.log_ratio_of_means if self.counts_every_step else pair.log

    @property
    def confirmed(self) -> bool:
        """Whether the reported figure comes from fresh pairs."""
        return bool(self.counted) and self.counted[0].confirmation

    @property
    def seconds(self) -> float:
        """Duration of all pairs in seconds."""
        return sum(pair.seconds for pair in self.compared.pairs)

    @property
    def retries(self) -> int:
        """Number of times that a pair of the case was measured again."""
        return sum(pair.retries for pair in self.compared.pairs)

    @property
    def interfered(self) -> int:
        """Number of counted pairs of the case that had interference."""
        return sum(bool(pair.interference) for pair in self.compared.pairs)

    @property
    def change(self) -> float | None:
        """Change of the mean step in seconds; None without a pair."""
        return self.head.seconds - self.base.seconds if self.base and self.head else None

    def share(self, part: Part) -> float | None:
        """Return a phase's share of the change of the step; None where the step did not change."""
        return part.change / self.change if self.change else None

    @property
    def undecided(self) -> bool:
        """Whether the case needs more measurements for a verdict."""
        if self.standing is Standing.NEITHER:
            # A case that cannot run on either side is the same on both; a case that broke on both says nothing.
            return any(ran.outcome.status.broken for ran in (self.compared.base, self.compared.head) if ran)
        return self.standing is Standing.UNFINISHED or self.verdict is Verdict.INCONCLUSIVE


class ComparisonResult(msgspec.Struct, frozen=True, kw_only=True):
    """The results of a comparison.

    Attributes:
        comparison: the recorded comparison.
        findings: one per case, in the order of the cases.
        overall: decision on the geometric mean of the cases in ``together``, or on a single case; None without a pair.
        order_effect: effect of being started second; None without a pair.
        settings: effective settings that differ, in the order of their reading.
        one_sided_settings: effective settings that only one side reports, so that a difference is unknown.
    """

    comparison: Comparison
    findings: tuple[Finding, ...]
    overall: Decision | None
    order_effect: Estimate | None
    settings: tuple[Difference, ...]
    one_sided_settings: tuple[Difference, ...]

    @property
    def judged(self) -> list[Finding]:
        """Cases that have a pair."""
        return [finding for finding in self.findings if finding.judged]

    def having(self, verdict: Verdict) -> list[Finding]:
        """Cases with a verdict on their speed."""
        return [finding for finding in self.findings if finding.verdict is verdict]

    def standing(self, *which: Standing) -> list[Finding]:
        """Return the cases with one of these standings."""
        return [finding for finding in self.findings if finding.standing in which]

    @property
    def together(self) -> list[Finding]:
        """Cases in the overall figure: those that reached their first interim look, or all where none did."""
        return _together(self.findings)

    @property
    def covers_several_cases(self) -> bool:
        """Whether the overall figure covers more than one case."""
        return len(self.together) > 1

    @property
    def heavier(self) -> list[Finding]:
        """Cases whose memory grew beyond the margin."""
        return [finding for finding in self.findings if finding.memory and finding.memory.verdict is Verdict.SLOWER]

    @property
    def undecided(self) -> list[Finding]:
        """Cases that need more measurements for a verdict."""
        return [finding for finding in self.findings if finding.undecided]

    @property
    def pairs(self) -> int:
        """Number of pairs of all cases."""
        return sum(len(finding.compared.pairs) for finding in self.findings)

    @property
    def retries(self) -> int:
        """Number of times that a pair of any case was measured again."""
        return sum(finding.retries for finding in self.findings)

    @property
    def interfered(self) -> int:
        """Number of counted pairs of all cases that had interference."""
        return sum(finding.interfered for finding in self.findings)

    @property
    def self_comparison(self) -> bool:
        """Whether both sides are the same environment, so that any difference found is a false alarm."""
        return self.comparison.self_comparison

    @property
    def conclusion(self) -> Conclusion:
        """The comparison in a word.

        More memory counts as a regression, and so does a case that head cannot run and base can. Undecided memory does
        not make the comparison inconclusive, because speed decides the number of pairs. Neither does the overall figure
        where each case is decided: it is not a separate case, and has no more pairs than the case with the fewest.
        Where only the overall figure is slower, no fresh pairs have confirmed it, and the comparison is inconclusive.
        """
        verdicts = {finding.verdict for finding in self.findings}
        together = self.overall is not None and self.overall.verdict is Verdict.SLOWER
        lighter = {finding.memory.verdict for finding in self.findings if finding.memory}
        if self.self_comparison and any(verdict is not None and verdict.alarm for verdict in verdicts | lighter):
            return Conclusion.FALSE_ALARM
        one_sided = self.standing(Standing.BASE_ONLY, Standing.HEAD_ONLY)
        holds = {
            Conclusion.SLOWER: Verdict.SLOWER in verdicts,
            Conclusion.CANNOT_RUN: bool(self.standing(Standing.BASE_ONLY)),
            Conclusion.MORE_MEMORY: bool(self.heavier),
            Conclusion.NOTHING_MEASURED: not self.judged and not one_sided,
            Conclusion.INCONCLUSIVE: bool(self.undecided) or together,
            Conclusion.FASTER: Verdict.FASTER in verdicts,
            Conclusion.RUNS_MORE: bool(one_sided),
        }
        return next((conclusion for conclusion, true in holds.items() if true), Conclusion.SAME)


def exit_code(result: ComparisonResult) -> ExitCode:
    """Return the exit code of the command."""
    return EXITS.get(result.conclusion, ExitCode.OK)


def evaluate(comparison: Comparison) -> ComparisonResult:
    """Evaluate a comparison, whether or not it is complete."""
    cases = comparison.cases
    margin = comparison.margin
    logs = {compared.case.id: pair_ratios(compared, margin).interim for compared in cases if compared.pairs}
    real = significant_cases(logs, margin)
    grown = holm({compared.case.id: p_value(memory_ratios(compared.pairs)[1]) for compared in cases if compared.pairs})
    findings = tuple(
        _finding(compared, comparison, compared.case.id in real, compared.case.id in grown) for compared in cases
    )
    return ComparisonResult(
        comparison=comparison,
        findings=findings,
        overall=_overall(_together(findings), margin),
        order_effect=order_effect([compared.pairs for compared in cases]),
        settings=setting_differences(cases, shared=True),
        one_sided_settings=setting_differences(cases, shared=False),
    )


def _finding(compared: CaseComparison, comparison: Comparison, real: bool, grown: bool) -> Finding:
    """Evaluate one case; ``real`` and ``grown``: whether its speed and its memory differ significantly."""
    figures = pair_ratios(compared, comparison.margin)
    logs, fresh = figures.interim, figures.confirmation
    judged = judge(logs, fresh, comparison.margin, real)
    if judged is None:
        return Finding(compared=compared, standing=_standing(compared))
    again = confirm(judged.alarm, fresh, comparison.margin) if judged.alarm and real else None
    confirming = again is not None and judged.estimate == again
    counted = tuple(pair for pair in compared.pairs if pair.confirmation is confirming)[: judged.estimate.pairs]
    interim = interim_decision(logs, comparison.margin, real)
    base, head = _speed([pair.base for pair in counted]), _speed([pair.head for pair in counted])
    return Finding(
        compared=compared,
        standing=Standing.COMPARED,
        judged=judged,
        interim=interim[1] if interim else interim_look(logs),
        confirmation=again or (estimate(fresh, FRESH_CONFIDENCE) if fresh else None),
        counted=counted,
        counts_every_step=figures.counts_every_step,
        base=base,
        head=head,
        parts=_parts(compared.case, counted, base, head),
        memory=judge_memory(compared.pairs, comparison.memory_margin, grown),
    )


def _standing(compared: CaseComparison) -> Standing:
    """Return the standing of a case without a pair."""
    ends = [ran.outcome.status if ran else None for ran in (compared.base, compared.head)]
    if None in ends or Status.INTERRUPTED in ends:
        return Standing.UNFINISHED
    base, head = (end is Status.MEASURED for end in ends)
    if base and head:
        return Standing.UNFINISHED
    return Standing.BASE_ONLY if base else Standing.HEAD_ONLY if head else Standing.NEITHER


def _together(findings: Iterable[Finding]) -> list[Finding]:
    """Return the cases in the overall figure: one that ended early would limit the others to its number of rounds."""
    judged = [finding for finding in findings if finding.judged]
    return [finding for finding in judged if len(finding.counted) >= LOOKS[0]] or judged


def _overall(findings: Sequence[Finding], margin: float) -> Decision | None:
    """Judge all cases as one, by the pairs that each case's own figure comes from.

    So an alarm that fresh pairs did not confirm is not raised again by the pairs that raised it.
    """
    if len(findings) == 1:
        return findings[0].judged
    return overall([finding.logs for finding in findings], margin)


def _speed(measured: Sequence[Measurement]) -> Speed:
    return Speed(
        statistics.geometric_mean(measurement.steps.step_seconds for measurement in measured),
        statistics.geometric_mean(measurement.steps.images_per_second for measurement in measured),
    )


def _parts(case: Case, pairs: Sequence[Pair], base: Speed, head: Speed) -> tuple[Part, ...]:
    """Return the phases that both sides have in every pair, and the rest of the step from :data:`LEAST_REST` on."""
    sides = [[_differences(case, getattr(pair, side)) for pair in pairs] for side in SIDES]
    every = [phases for side in sides for phases in side]
    parts = []
    for name in every[0]:
        if all(name in phases for phases in every):
            before, after = (statistics.fmean(phases[name][0] for phases in side) for side in sides)
            parts.append(Part(name, before, after, "; ".join(dict.fromkeys(phases[name][1] for phases in every))))
    rest = base.seconds - sum(part.base for part in parts), head.seconds - sum(part.head for part in parts)
    if parts and min(rest) >= 0 and max(rest[0] / base.seconds, rest[1] / head.seconds) >= LEAST_REST:
        parts.append(Part(REST, rest[0], rest[1], ""))
    way = 1 if head.seconds >= base.seconds else -1
    return tuple(sorted(parts, key=lambda part: -way * round(part.change, 9)))


def _differences(case: Case, measured: Measurement) -> dict[str, tuple[float, str]]:
    """Return the seconds of each phase in the mean step of one process, and the method of their measurement."""
    steps = measured.steps
    phases: dict[str, tuple[float, str]] = {}
    if case.mode == "train" and DATA not in measured.phases:
        waits = steps.data_wait[steps.warmup :]
        seconds = sum(weight * wait for weight, wait in zip(steps.weights, waits, strict=True))
        phases[DATA] = seconds, "host clock, wait for the next batch"
    for name, phase in measured.phases.items():
        mean = phase.mean(steps)
        if mean is not None:
            phases[name] = mean, phase.method
    return phases
