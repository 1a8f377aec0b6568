"""Scores of trials: how often a planted effect was found, and how far off its estimate was."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from bench.compare.findings import Finding
from bench.compare.verdict import Verdict
from bench.formatting import format_rough_duration
from bench.selfcheck.check import Check
from bench.selfcheck.effects import Effect
from bench.selfcheck.trials import Trial

SEQUENTIAL_MARGIN = 0.05
"""Share by which the medians of two runs in sequence have to differ to be called different."""


def trial_line(trial: Trial) -> str:
    """Describe one trial in a line."""
    judged = trial.finding.judged
    verdict = "no pair"
    if judged:
        verdict = f"{judged.verdict} {judged.estimate.log * 100:+.2f} ± {judged.estimate.half * 100:.2f} %"
    half = f", ± {trial.half * 100:.2f} % after 8 pairs" if trial.half is not None else ""
    looks, fresh = trial.finding.pairs
    return (
        f"{verdict} (planted {trial.planted * 100:+.2f} %){half}, {looks} + {fresh} pairs in "
        f"{format_rough_duration(trial.seconds)}; "
        f"the usual way {trial.sequential * 100:+.1f} %"
    )


def scored(effect: Effect, trials: Sequence[Trial]) -> Iterator[Check]:
    """Score all trials of an effect."""
    yield _verdicts(effect, trials)
    halves = [trial.half for trial in trials if trial.half is not None]
    if not effect.share and halves:
        within = sum(half <= 0.01 for half in halves)
        yield Check(
            "Half the 95 % interval of eight such pairs",
            f"median {statistics.median(halves) * 100:.2f} %, at most 1 % in {within} of {len(halves)}",
            "≤ 1 %",
            f"from {min(halves) * 100:.2f} to {max(halves) * 100:.2f} %",
        )
    yield _sequential(effect, trials)


def _verdicts(effect: Effect, trials: Sequence[Trial]) -> Check:
    """Score the verdicts of the comparisons."""
    count = len(trials)
    verdicts = [trial.finding.verdict for trial in trials]
    counts = {verdict: verdicts.count(verdict) for verdict in Verdict if verdict in verdicts}
    figure = ", ".join(f"{verdict} {times} of {count}" for verdict, times in counts.items())
    seconds = [trial.seconds for trial in trials]
    pairs = [sum(trial.finding.pairs) for trial in trials]
    middle = f"median {statistics.median(pairs):g} pairs, {format_rough_duration(statistics.median(seconds))}"
    how = f"margin {effect.margin * 100:g} %; {middle}, at most {format_rough_duration(max(seconds))}"
    if effect.share:
        errors = [trial.finding.judged.estimate.log - trial.planted for trial in trials if trial.finding.judged]
        holds = sum(trial.holds for trial in trials)
        figure += f"; the interval holds what was planted in {holds} of {count}"
        how += f"; found {round(statistics.fmean(errors) * 100, 2) + 0.0:+.2f} % more than was planted"
    if effect.where != "forward":
        named = sum(bool(trial.finding.parts) and largest(trial.finding) == effect.where for trial in trials)
        figure += f"; that part grew most in {named} of {count}"
    return Check(effect.title, figure, effect.goal, how)


def _sequential(effect: Effect, trials: Sequence[Trial]) -> Check:
    """Score what two runs in sequence say of the same environments."""
    count, least = len(trials), math.log1p(SEQUENTIAL_MARGIN)
    slower = sum(trial.sequential > least for trial in trials)
    faster = sum(trial.sequential < -least for trial in trials)
    sizes = sorted(math.expm1(trial.sequential) * 100 for trial in trials)
    return Check(
        f"{effect.title}, the usual way",
        f"slower {slower} of {count}, faster {faster} of {count}",
        "",
        f"a run of base, then one of head, medians at {SEQUENTIAL_MARGIN * 100:g} %; "
        f"from {sizes[0]:+.1f} to {sizes[-1]:+.1f} %",
    )


def largest(finding: Finding) -> str:
    """Return the phase that grew most."""
    return max(finding.parts, key=lambda part: part.change).name
