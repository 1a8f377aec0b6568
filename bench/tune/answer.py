"""The answer of a search for the fastest settings: a verdict, a gain with its interval, and times per epoch."""

from __future__ import annotations

import math
import statistics
from enum import StrEnum
from typing import Any

import msgspec

from bench.compare.estimator import pending_cases
from bench.compare.findings import evaluate
from bench.compare.verdict import MOST_PAIRS, Decision, Estimate
from bench.compare.verdict import Verdict as SpeedVerdict
from bench.errors import ExitCode
from bench.formatting import format_duration, format_rough_duration, format_share
from bench.records.comparison import Comparison
from bench.records.tune import Tried, Tuning, changes
from bench.tune.space import settings_text

DRIFT = 0.10
"""Change of the machine's speed over a search, a share, that the answer mentions."""


class Verdict(StrEnum):
    """Verdict of a search."""

    SET = "set"
    KEEP = "keep"
    NOT_PROVEN = "not proven"


class Gain(msgspec.Struct, frozen=True):
    """How many times as fast the winner is as the present settings; without ends where there is no interval."""

    ratio: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, estimate: Estimate) -> Gain:
        """Return the gain of an estimate of ``ln(time of the winner / time of the present settings)``."""
        if not math.isfinite(estimate.half):
            return cls(1 / estimate.ratio)
        return cls(1 / estimate.ratio, 1 / estimate.high, 1 / estimate.low)

    @property
    def text(self) -> str:
        """``1.42 times as fast (95 % interval 1.36 to 1.48)``."""
        return self.over("")

    def over(self, name: str) -> str:
        """Return the text with what it is compared with: ``1.42 times as fast as the defaults (...)``."""
        ends = "no interval" if self.low is None else f"95 % interval {self.low:.2f} to {self.high:.2f}"
        return f"{self.ratio:.2f} times as fast{f' as {name}' if name else ''} ({ends})"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What to set.

    Attributes:
        verdict: whether a change is proven.
        settings: values that differ from the present settings, by axis; empty to keep those.
        gain: over the present settings; None where nothing was compared.
        sentence: the verdict in one sentence.
        reasons: further sentences.
        before, after: seconds per image with the present settings and with the winner; None where unknown.
        pairs: number of pairs of the proof.
        budget_needed: seconds that a search would need at least; 0 where it lacked no time.
    """

    verdict: Verdict
    settings: dict[str, Any]
    gain: Gain | None = None
    sentence: str
    reasons: list[str] = []
    before: float | None = None
    after: float | None = None
    pairs: int = 0
    budget_needed: float = 0.0

    @property
    def exit_code(self) -> ExitCode:
        """Exit code of the command."""
        return ExitCode.NOT_COMPARABLE if self.verdict is Verdict.NOT_PROVEN else ExitCode.OK


def present_name(tuning: Tuning) -> str:
    """Return how sentences call the present settings."""
    return "the present settings" if tuning.present_named else "the defaults"


def answer(tuning: Tuning) -> Answer:
    """Return the answer of a search, whether or not it is complete."""
    winner = tuning.winner or tuning.present
    settings, name = changes(tuning.present, winner), present_name(tuning)
    decision, pairs = judged(tuning.proof)
    gain = Gain.of(decision.estimate) if decision is not None else _searched_gain(tuning)
    before = _seconds_before(tuning)
    after = before / gain.ratio if before is not None and gain is not None and settings else before
    text = settings_text(settings)
    reasons = [*_drift(tuning), *tuning.notes]
    known: dict[str, Any] = {"settings": settings, "gain": gain, "before": before, "after": after, "pairs": pairs}
    if decision is not None and decision.verdict is SpeedVerdict.FASTER and gain is not None:
        known |= {"verdict": Verdict.SET, "sentence": f"{text}: {gain.over(name)}."}
        return Answer(**known, reasons=reasons + _incomplete(tuning))
    margin = format_share(tuning.margin)
    if decision is not None and decision.verdict in (SpeedVerdict.SAME, SpeedVerdict.SLOWER) and gain is not None:
        sentence = f"{name}: nothing that was tried is faster by {margin} or more."
        closest = f"The closest, {text}, is {gain.text}."
        known |= {"settings": {}, "gain": None, "after": before}
        return _kept(tuning, known, sentence, [closest, *reasons])
    if not settings and tuning.winner is not None:
        sentence = f"{name}: nothing that was tried is faster by {margin} or more."
        return _kept(tuning, known | {"gain": None}, sentence, [*_next_best(tuning), *reasons])
    needed = _budget_needed(tuning, decision)
    known |= {"verdict": Verdict.NOT_PROVEN, "budget_needed": needed}
    if tuning.winner is None:
        return Answer(**known, sentence="nothing was decided.", reasons=[*_why_undecided(tuning, needed), *reasons])
    speed = f", {gain.over(name)}" if gain is not None else ""
    sentence = f"{text} is the fastest so far{speed}."
    if decision is not None and decision.note:
        reasons.insert(0, f"In pairs: {decision.note}.")
    return Answer(**known, sentence=sentence, reasons=[*_why_undecided(tuning, needed), *reasons])


def _kept(tuning: Tuning, known: dict[str, Any], sentence: str, reasons: list[str]) -> Answer:
    """Return the answer that the present settings are the best, or are so far."""
    if tuning.complete and not tuning.stopped:
        return Answer(**known, verdict=Verdict.KEEP, sentence=sentence, reasons=reasons)
    needed = _budget_needed(tuning, None)
    return Answer(
        **known,
        verdict=Verdict.NOT_PROVEN,
        sentence=f"so far nothing is faster than {present_name(tuning)} by {format_share(tuning.margin)} or more.",
        reasons=[*_why_undecided(tuning, needed), *reasons],
        budget_needed=needed,
    )


def judged(proof: Comparison | None) -> tuple[Decision | None, int]:
    """Return the decision of a proof, and its number of pairs; None without a pair."""
    if proof is None:
        return None, 0
    result = evaluate(proof)
    return result.findings[0].judged, result.pairs


def _searched_gain(tuning: Tuning) -> Gain | None:
    """Return the gain of the winner by the estimates of the search."""
    row = next((row for row in tuning.tried if row.case == tuning.winner), None)
    if row is None or row.log is None or row.half is None or row.case == tuning.present:
        return None
    return Gain(math.exp(-row.log), math.exp(-row.log - row.half), math.exp(-row.log + row.half))


def _seconds_before(tuning: Tuning) -> float | None:
    """Return the seconds per image with the present settings: of the pairs, else of the search."""
    pairs = tuning.proof.cases[0].pairs if tuning.proof is not None else []
    if pairs:
        return math.exp(statistics.fmean(-math.log(pair.base.steps.images_per_second) for pair in pairs))
    row = next((row for row in tuning.tried if row.case == tuning.present), None)
    return row.seconds_per_image if row is not None else None


def _next_best(tuning: Tuning) -> list[str]:
    """Say how fast the best other settings were in the search."""
    rows = [row for row in tuning.tried if row.case != tuning.present and row.log is not None]
    if not rows:
        return ["No other settings gave a figure."]
    row: Tried = rows[0]
    assert row.log is not None, "rows without an estimate are left out"
    gain = Gain(math.exp(-row.log), math.exp(-row.log - (row.half or 0)), math.exp(-row.log + (row.half or 0)))
    return [f"The closest, {settings_text(changes(tuning.present, row.case))}, is {gain.text} in the search."]


def _drift(tuning: Tuning) -> list[str]:
    if tuning.drift < DRIFT:
        return []
    return [
        f"The machine changed its speed by {format_share(tuning.drift)} during the search; settings were compared only "
        "with others that were measured at about the same time."
    ]


def _incomplete(tuning: Tuning) -> list[str]:
    if not tuning.needed:
        return []
    lacking = format_rough_duration(tuning.needed)
    return [f"The time did not suffice for all settings: about {lacking} more may show faster ones."]


def _why_undecided(tuning: Tuning, needed: float) -> list[str]:
    """Say why there is no proof, and what would help."""
    if tuning.stopped:
        return ["It was stopped: --resume continues with what was measured."]
    failed = next((row for row in tuning.tried if row.case == tuning.present and row.status != "measured"), None)
    if tuning.winner is None and failed is not None:
        return [f"The present settings give no figure ({failed.status.replace('_', ' ')}): {failed.reason}"]
    compared = tuning.proof.cases[0] if tuning.proof is not None else None
    if compared is not None and compared.error:
        return [f"The pairs ended early: {compared.error}"]
    if compared is not None and not compared.both_runnable:
        sides = [side.outcome.reason for side in (compared.base, compared.head) if side is not None]
        return [f"The pairs did not run: {next(filter(None, sides), 'unknown reason')}"]
    if needed:
        return [
            f"The time budget of {format_duration(tuning.budget)} was too small to decide: it would take about "
            f"{format_rough_duration(needed)} in all. --resume continues with what was measured."
        ]
    return [
        f"The pairs scatter too much to decide at a margin of {format_share(tuning.margin)}: use a quieter machine, "
        "or a larger --margin."
    ]


def _budget_needed(tuning: Tuning, decision: Decision | None) -> float:
    """Return the seconds that search and proof would take at least; 0 where they lacked no time."""
    if tuning.proof is None:
        return tuning.seconds + tuning.needed + tuning.reserve if tuning.needed else 0.0
    pairs = tuning.proof.cases[0].pairs
    if not pairs or not pending_cases(tuning.proof):
        return 0.0
    each = statistics.fmean(pair.seconds for pair in pairs)
    needed = decision.estimate.pairs_needed(tuning.margin) if decision is not None and len(pairs) > 1 else None
    more = max(min(needed or 8, MOST_PAIRS), 8) - len(pairs)
    return tuning.seconds + max(more, 4) * each + tuning.needed
