"""The words for a live comparison: changes, verdicts, facts and the conclusion, each in one place.

Nothing here is escaped: it holds names, reasons and values of settings as they were recorded, and each rendering spares
them in its own way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bench.analysis.intervals import CONFIDENCE
from bench.analysis.noise import LOOK_CONFIDENCE, LOOKS
from bench.compare.findings import ComparisonResult, Conclusion, Difference, Finding, Part, Speed, Standing
from bench.compare.verdict import FRESH_CONFIDENCE, FRESH_LOOKS, LEVEL, Estimate, Verdict
from bench.formatting import MINUS, format_bytes, format_change, format_duration, format_fixed_percent, format_share
from bench.records.comparison import SIDES, EnvironmentSide, Pair, SideOutcome
from bench.records.outcome import Status
from bench.report import labels
from bench.report.sections import provenance, settings

ARROW = "\N{RIGHTWARDS ARROW}"

NAMED = 3
"""Things that a sentence names; of more it says how many there are."""

MEMORY = {Verdict.SLOWER: "more", Verdict.FASTER: "less"}
"""What a verdict is called where it is on memory."""

STANDS = {
    Standing.BASE_ONLY: "base alone can run it",
    Standing.HEAD_ONLY: "head alone can run it",
    Standing.NEITHER: "neither side can run it",
    Standing.UNFINISHED: "no pair was measured",
}


def tick(percent: float) -> str:
    """``+2.5 %`` on an axis, with all its digits."""
    return f"{MINUS if percent < 0 else '+' if percent else ''}{abs(percent):,.10g} %"


def of_log(log: float) -> str:
    """``+4.9 %`` of the logarithm of a ratio."""
    return format_change(math.expm1(log))


def change(seen: Estimate) -> str:
    """``+4.9 %``: of the time, or of memory."""
    return format_change(seen.ratio - 1)


def interval(seen: Estimate) -> str:
    """``+4.1 to +5.7 %``; empty where one pair tells none, and words where all pairs are alike, as memory can be."""
    if round(seen.half, 6) == 0:
        return "alike in all pairs"
    return f"{_bare(format_change(seen.low - 1))} to {format_change(seen.high - 1)}" if math.isfinite(seen.half) else ""


def takes(seen: Estimate) -> str:
    """``takes 4.9 % longer (4.1 to 5.7 %)``, ``takes 3.2 % less time (2.5 to 3.9 %)``, ``takes as long (...)``."""
    value = seen.ratio - 1
    ends = interval(seen) or "one pair tells no interval"
    if format_share(value) == format_share(0):
        return f"takes as long ({ends})"
    if not seen.holds_nothing:
        low, high = sorted((abs(seen.low - 1), abs(seen.high - 1)))
        ends = f"{_bare(format_share(low))} to {format_share(high)}"
    return f"takes {format_share(value)} {'longer' if value > 0 else 'less time'} ({ends})"


def _bare(percent: str) -> str:
    return percent.removesuffix(" %")


def pairs(finding: Finding) -> str:
    """``4 + 8 pairs``: those of the looks, and fresh ones where there are any."""
    looks, fresh = finding.pairs
    return f"{looks} + {fresh} pairs" if fresh else labels.count(looks, "pair")


def counted(finding: Finding) -> str:
    """``4 + 8``: the same for a column of numbers."""
    return pairs(finding).rpartition(" ")[0]


def verdict(finding: Finding) -> str:
    """``slower``, and how it stands with a case that has no verdict."""
    return finding.verdict.value if finding.verdict else STANDS[finding.standing]


def peaks(finding: Finding) -> str:
    """``640 MiB → 720 MiB``; empty where it is not known."""
    peak = finding.memory
    return f"{format_bytes(peak.base)} {ARROW} {format_bytes(peak.head)}" if peak else ""


def memory(finding: Finding) -> str:
    """``640 MiB → 720 MiB, +12.5 %``; empty where it is not known."""
    return f"{peaks(finding)}, {change(finding.memory.estimate)}" if finding.memory else ""


def memory_verdict(finding: Finding) -> str:
    """``more``, ``less``, ``same``, ``inconclusive``; empty where it is not known."""
    return MEMORY.get(finding.memory.verdict, finding.memory.verdict.value) if finding.memory else ""


def shows_memory(finding: Finding) -> bool:
    """Whether its memory is worth a word: where it is not the same, and more than one pair says so."""
    peak = finding.memory
    return peak is not None and peak.verdict is not Verdict.SAME and math.isfinite(peak.estimate.half)


def milliseconds(seconds: float, sign: bool = False) -> str:
    """``+4.82 ms``: two decimals, so that figures of one step stand below each other."""
    text = f"{abs(seconds) * 1e3:,.2f} ms"
    if not sign:
        return text
    return f"{MINUS if seconds < 0 else '+'}{text}"


def step(speed: Speed) -> str:
    """``131 ms a step, 30.5 images/s``."""
    return f"{format_duration(speed.seconds)} a step, {labels.rate(speed.images_per_second)}"


def of_change(finding: Finding, part: Part) -> str:
    """``82 %``, where a part changed the way the step did; else nothing."""
    found = finding.share(part)
    return format_fixed_percent(found) if found is not None and found >= 0.005 else ""


def shows_parts(finding: Finding) -> bool:
    """Whether the parts of its step are worth showing: where it became slower or faster."""
    return bool(finding.parts) and finding.verdict is not None and finding.verdict.alarm


def notes(finding: Finding) -> list[str]:
    """What there is to know of a case beside its figures, each a clause."""
    compared = finding.compared
    found = [finding.judged.note] if finding.judged and finding.judged.note else []
    if finding.whole:
        found.append("what differs is in few of its steps, so every step counts")
    if finding.verdict is Verdict.INCONCLUSIVE and finding.judged and math.isfinite(finding.judged.estimate.half):
        found.append(f"it would be the same at a margin of {format_share(finding.judged.estimate.decidable)}")
    if compared.sequential_reason:
        found.append(f"its processes ran one after the other: {compared.sequential_reason}")
    if compared.error:
        found.append(f"it went no further: {compared.error}")
    return found


def ended(ran: SideOutcome | None) -> str:
    """How a case ended on one side: ``out of memory: tried to allocate 9 GiB``."""
    if ran is None:
        return "not known"
    if ran.outcome.status is Status.MEASURED:
        return "runs"
    return f"{labels.status(ran.outcome.status.value)}: {ran.outcome.reason}"


def setting(difference: Difference) -> str:
    """``mosaic 1.0 → 0.0``."""
    return f"{difference.key} {value(difference.base)} {ARROW} {value(difference.head)}"


def value(seen: Any) -> str:
    """The value of a setting; one that a side does not know is an em dash."""
    return settings.said(seen)


def where(difference: Difference, found: ComparisonResult) -> str:
    """``all cases``, or the ids of those in which a setting differs."""
    return "all cases" if len(difference.cases) == len(found.findings) else ", ".join(difference.cases)


def asked(found: ComparisonResult) -> str:
    """``torch==2.14.1 → torch==2.15.0``, ``torch==2.14.1 against itself``."""
    comparison = found.comparison
    if found.self_comparison and comparison.base.asked == comparison.head.asked:
        return f"{comparison.base.asked} against itself"
    return f"{comparison.base.asked} {ARROW} {comparison.head.asked}"


def software(side: EnvironmentSide) -> str:
    """``Python 3.12.4 · torch 2.14.1 · Ultralytics 8.4.100``."""
    seen = side.environment
    found = (("Python", seen.python), ("torch", seen.label("torch")), ("Ultralytics", seen.label("ultralytics")))
    return " · ".join(f"{name} {version}" for name, version in found if version)


def about(found: ComparisonResult, packages: str) -> list[tuple[str, str]]:
    """What was compared, where and when: headings with their text.

    Args:
        found: the comparison.
        packages: what differs between the environments, in one line.
    """
    comparison = found.comparison
    spent = f" in {format_duration(comparison.seconds)}" if comparison.seconds else ""
    lines = [
        ("Base", f"{comparison.base.asked}: {software(comparison.base)}"),
        ("Head", f"{comparison.head.asked}: {software(comparison.head)}"),
        ("Packages", packages),
        ("Left out", f"releases after {comparison.exclude_newer}" if comparison.exclude_newer else ""),
        ("Machine", comparison.machine.title),
        ("Conditions", provenance.conditions([comparison.conditions])),
        ("Variables", provenance.variables([comparison.conditions])),
        (
            "Margin",
            f"{format_share(comparison.margin)} ({comparison.margin_from}); peak memory "
            f"{format_share(comparison.memory_margin)}",
        ),
        ("Measured", f"{comparison.started[:10]}, {labels.count(found.pairs, 'pair')}{spent}"),
        ("Run", comparison.run),
    ]
    return [(heading, text) for heading, text in lines if text]


class Figure(msgspec.Struct, frozen=True):
    """A big figure: what it is, its value, the verdict on it, and what else to know."""

    title: str
    value: str
    verdict: str
    more: str


def figures(found: ComparisonResult) -> list[Figure]:
    """What stands first: speed, memory where it changed most, and cases that head cannot run; those that there are."""
    figures = []
    if found.overall:
        seen = found.overall.estimate
        title = f"Time per step, {len(found.together)} cases together" if found.several else "Time per step"
        more = [interval(seen) or "one pair tells no interval"]
        if found.several:
            kinds = [(one.value, len(found.having(one))) for one in Verdict]
            more.append(", ".join(f"{count} {name}" for name, count in kinds if count))
        figures.append(Figure(title, change(seen), found.overall.verdict.value, "; ".join(more)))
    known = [(one.memory, one) for one in found.findings if one.memory]
    if known:
        peak, most = max(known, key=lambda item: (item[0].verdict.alarm, abs(item[0].estimate.log)))
        title = "Peak memory, greatest change" if len(known) > 1 else "Peak memory"
        more = [peaks(most), *([most.id] if len(known) > 1 else [])]
        figures.append(Figure(title, change(peak.estimate), memory_verdict(most), "; ".join(more)))
    cannot = found.standing(Standing.BASE_ONLY)
    if cannot:
        figures.append(Figure("Cases that head cannot run", str(len(cannot)), "", _some([one.id for one in cannot])))
    return figures


def in_a_word(found: ComparisonResult) -> str:
    """``slower``, ``cannot run``, ``more memory``, ``same``: see :class:`bench.compare.findings.Conclusion`."""
    return labels.status(found.conclusion.value)


def conclusion(found: ComparisonResult) -> list[str]:
    """The comparison in plain words, a line each: what runs, speed, memory, what cannot run, what is not decided."""
    lines = [_settings(found), _speed(found), _memory(found), _one_sided(found), _open(found)]
    return [line for line in lines if line]


def _settings(found: ComparisonResult) -> str:
    if not found.settings:
        return ""
    return f"What runs is not the same: {_some([setting(one) for one in found.settings])}."


def _speed(found: ComparisonResult) -> str:
    """What is said of speed, in a sentence or two."""
    judged, margin = found.judged, format_share(found.comparison.margin)
    if not judged:
        return "No pair was measured: nothing is said of speed."
    slower, faster = found.having(Verdict.SLOWER), found.having(Verdict.FASTER)
    said = []
    if found.self_comparison:
        said.append("Both sides are the same thing.")
        if found.conclusion is Conclusion.FALSE_ALARM:
            said.append(
                "A difference was found all the same: a false alarm. Fewer than one in a hundred comparisons has one "
                "by chance: where it happens again, do not trust comparisons on this machine."
            )
    said += [_alarm("slower", slower, found), _alarm("faster", faster, found)]
    whole = found.overall
    if found.several and whole and whole.verdict.alarm and not found.having(whole.verdict):
        said.append(f"No case by itself is {whole.verdict}, but all together are: head {takes(whole.estimate)}.")
    same = found.having(Verdict.SAME)
    if same:
        every = len(same) == len(judged)
        which = "" if len(judged) == 1 else f" in {'all ' if every else ''}{_of(same, judged, every)}"
        if every and found.self_comparison:
            said.append(f"No difference of {margin} or more was found{which}.")
        else:
            said.append(f"Head is as fast as base{which}: any difference is below {margin}.")
    return " ".join(part for part in said if part)


def _alarm(word: str, cases: Sequence[Finding], found: ComparisonResult) -> str:
    seen = [finding.judged.estimate for finding in cases if finding.judged]
    if not seen:
        return ""
    if len(seen) == 1:
        where = "" if len(found.judged) == 1 else f" in {cases[0].id}"
        return f"Head is {word}{where}: it {takes(seen[0])}."
    least, *_, most = sorted((one.ratio - 1 for one in seen), key=abs)
    by = f"{_bare(format_share(least))} to {format_share(most)} {'longer' if most > 0 else 'less time'}"
    return f"Head is {word} in {_of(cases, found.judged)}: it takes {by}."


def _memory(found: ComparisonResult) -> str:
    said = []
    for verdict, word in MEMORY.items():
        cases = [one for one in found.findings if one.memory and one.memory.verdict is verdict]
        if cases:
            some = [f"{change(one.memory.estimate)} in {one.id}" for one in cases if one.memory]
            said.append(f"It needs {word} memory: {_some(some)}.")
    return " ".join(said)


def _one_sided(found: ComparisonResult) -> str:
    said = []
    for standing, words in ((Standing.BASE_ONLY, "Head cannot run"), (Standing.HEAD_ONLY, "Only head can run")):
        cases = found.standing(standing)
        if cases:
            said.append(f"{words} {_some([f'{one.id} ({_why(one)})' for one in cases])}.")
    return " ".join(said)


def _why(finding: Finding) -> str:
    """In a word how a case ended on the side that cannot run it."""
    ends = [ran.outcome.status for ran in (finding.compared.base, finding.compared.head) if ran]
    return labels.listing(labels.status(end.value) for end in ends if end is not Status.MEASURED)


def _open(found: ComparisonResult) -> str:
    """Which cases are not decided, and what would decide them."""
    cases = found.undecided
    if not cases or found.conclusion is Conclusion.NOTHING_MEASURED:
        return ""
    known = [one for one in cases if one.judged and math.isfinite(one.judged.estimate.half)]
    if len(found.findings) == 1 and known and known[0].judged:
        seen = known[0].judged.estimate
        same = format_share(seen.decidable)
        return f"It is not decided: head {takes(seen)}; it would be the same at a margin of {same}."
    return f"Not decided: {_some([one.id for one in cases])}."


def _of(cases: Sequence[Finding], all_: Sequence[Finding], every: bool = False) -> str:
    return labels.count(len(cases), "case") if every else f"{len(cases)} of {labels.count(len(all_), 'case')}"


def _some(parts: Sequence[str]) -> str:
    """``a, b and c``; ``a, b and 7 more``."""
    shown = list(parts) if len(parts) <= NAMED else [*parts[: NAMED - 1], f"{len(parts) - NAMED + 1} more"]
    return labels.listing(shown)


def slot(found: ComparisonResult) -> str:
    """What it does to a process to be started second, in a sentence; empty without a pair."""
    seen = found.order_effect
    if seen is None:
        return ""
    first = sum(pair.head_first for one in found.findings for pair in one.compared.pairs)
    balance = f"head was started first in {first} of {labels.count(found.pairs, 'pair')}"
    if not math.isfinite(seen.half):
        return f"What it costs to be started second cannot be told from so few; {balance}."
    text = f"To be started second costs {change(seen)} ({interval(seen)}); {balance}."
    if seen.holds_nothing:
        return text
    return f"{text} {'That cancels out.' if 2 * first == found.pairs else 'That does not quite cancel out.'}"


def redone(found: ComparisonResult) -> str:
    """How many pairs were begun anew or disturbed, in a sentence; empty where none was."""
    if not found.retries and not found.interfered:
        return ""
    parts = []
    died = [text for finding in found.findings for pair in finding.compared.pairs for text in pair.worker_failures]
    if died:
        each = " and ".join(f"{sum(text.startswith(side) for text in died)} of {side}" for side in SIDES)
        parts.append(f"Processes that died, for which their pairs were begun anew: {each} (the last one: {died[-1]})")
    if found.retries - len(died) > 0:
        parts.append(
            f"Pairs that something disturbed were begun anew, {labels.count(found.retries - len(died), 'time')} in all."
        )
    if found.interfered:
        many = f"{found.interfered} of {labels.count(found.pairs, 'pair')}"
        parts.append(f"Disturbed to the end, and counted all the same: {many}.")
    return " ".join(parts)


MEANS = "the ratio of its two mean steps."

STEPS_BESIDE = (
    "by how much longer a step of head takes than the one of base that ran beside it. The middle half of those "
    "differences counts, and of steps that run the optimizer, and the ones after them, all do. Where what differs is "
    "in few steps, which that would not see, the ratio of the two mean steps counts, and the case says so. Times of "
    "base and head are of mean steps."
)


def figure(pairs: Iterable[Pair]) -> str:
    """What number a pair gives."""
    return STEPS_BESIDE if any(pair.block_steps == 1 for pair in pairs) else MEANS


def method(found: ComparisonResult) -> list[str]:
    """How it was judged, a paragraph each."""
    comparison = found.comparison
    alone = [one.id for one in found.findings if one.compared.sequential_reason]
    pairs = [pair for one in found.findings for pair in one.compared.pairs]
    turn = "a few layers of the model" if any(pair.interleaved_within_steps for pair in pairs) else "some steps"
    turns = (
        f"A pair is two fresh processes, one of each side, that take turns: one runs {turn} while the other sleeps, "
        "so that what disturbs the machine disturbs both. Whose turn is first is drawn by lot, and every second round "
        "goes the other way; in half of the pairs head is started first. A pair gives one number: "
    )
    turns += figure(pairs)
    bound = {tuple(pair.processors) for pair in pairs if pair.processors}
    if bound:
        which = f", {labels.listing(map(str, *bound))}" if len(bound) == 1 else ""
        turns += f" Both are bound to the same processors{which}."
    if alone:
        turns += f" Where memory does not hold both they run one after the other: {_some(alone)}."
    looks = (
        f"There are up to three looks, after {labels.listing(map(str, LOOKS))} pairs, each with an interval of "
        f"{format_fixed_percent(LOOK_CONFIDENCE, 2)} by Student's t over the pairs: all three together miss the truth "
        "in one of "
        f"twenty cases. A case is the same if its interval lies within ± {format_share(comparison.margin)} (margin: "
        f"{comparison.margin_from}); it is slower or faster if the interval leaves out 0 and the change is at least "
        "the margin, so that a true change of just the margin is found in about a third of all cases. All else is "
        "inconclusive."
    )
    alarm = (
        f"An alarm has to stand against the number of cases ({labels.count(len(found.judged), 'case')} with pairs; "
        f"Holm's rule at {format_fixed_percent(LEVEL)}), and fresh pairs have to confirm it: {FRESH_LOOKS[0]}, or "
        f"{FRESH_LOOKS[1]} "
        "where those do not decide. Their figure alone is then reported, with an interval of "
        f"{format_fixed_percent(FRESH_CONFIDENCE, 2)} ({format_fixed_percent(CONFIDENCE)} over both looks): pairs "
        "that raise an alarm tend to "
        "overstate it."
    )
    memory = (
        "Peak memory is compared over all pairs of a case in the same way, with Holm's rule and without fresh pairs; "
        f"its margin is {format_share(comparison.memory_margin)}. Where it is not decided the conclusion stays as it "
        "is, "
        "since the number of pairs is planned for speed."
    )
    whole = (
        "All cases together are the geometric mean of their ratios: the mean over the cases in each round of pairs "
        "that all of them have, and an interval over the rounds. A case that ended before its first look is left out."
    )
    paragraphs = [turns, looks, alarm, memory, *([whole] if found.several else []), slot(found), redone(found)]
    return [text for text in paragraphs if text]
