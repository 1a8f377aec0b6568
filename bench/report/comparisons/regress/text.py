"""A live comparison as lines for the terminal; whoever calls it prints them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.compare.findings import ComparisonResult, Finding, Standing
from bench.formatting import format_duration
from bench.records.comparison import SIDES
from bench.report import labels
from bench.report.comparisons.regress import words

INDENT = "    "

TAKES = len("head takes 99.9 % less time (−99.9 to +99.9 %)")
"""Room for a change in words."""


def told(found: ComparisonResult, packages: str) -> str:
    """All that is said of a comparison, the conclusion last.

    Args:
        found: the comparison.
        packages: what differs between the environments, in one line.

    Returns:
        Lines without a newline at the end. What was recorded cannot steer the terminal: it has lost its control
        characters.
    """
    lines = [words.asked(found), *_columns([[heading, text] for heading, text in words.about(found, packages)])]
    if found.settings:
        lines += ["", "settings that differ"]
        lines += _columns([[words.setting(one), f"in {words.where(one, found)}"] for one in found.settings])
    lines += ["", *_cases(found)]
    if found.several and found.overall:
        seen = found.overall.estimate
        lines.append(f"all cases together: {found.overall.verdict}: head {words.takes(seen)}, in {seen.pairs} rounds")
    if found.unshared:
        keys = dict.fromkeys(one.key for one in found.unshared)
        lines.append(f"settings that only one side tells: {', '.join(keys)}")
    lines += [text for text in (words.slot(found), words.redone(found)) if text]
    lines += ["", *words.conclusion(found)]
    return "\n".join(map(labels.plain, lines))


def line(finding: Finding, width: int = 0) -> str:
    """One case in one line: ``train-…  slower  head takes 4.9 % longer (4.1 to 5.7 %)  4 + 8 pairs  1 min 24 s``.

    Args:
        finding: of the case.
        width: of the longest id, so that verdicts stand below each other.
    """
    name = f"{finding.id:<{width}}"
    if finding.judged is None:
        return labels.plain(f"{name}  {words.verdict(finding)}")
    takes = f"head {words.takes(finding.judged.estimate)}"
    cost = f"{words.pairs(finding):<12}  {format_duration(finding.seconds)}"
    return labels.plain(f"{name}  {words.verdict(finding):<12}  {takes:<{TAKES}}  {cost}")


def _cases(found: ComparisonResult) -> list[str]:
    width = max((len(finding.id) for finding in found.findings), default=0)
    return [text for finding in found.findings for text in (line(finding, width), *_beneath(finding))]


def _beneath(finding: Finding) -> list[str]:
    """Lines below a case: notes, both sides, parts of the step, memory, and how it ended where it could not be run."""
    lines = [f"{INDENT}{note}" for note in words.notes(finding)]
    if finding.standing in (Standing.BASE_ONLY, Standing.HEAD_ONLY, Standing.NEITHER):
        lines += [f"{INDENT}{side}: {words.ended(getattr(finding.compared, side))}" for side in SIDES]
    if finding.verdict is not None and finding.verdict.alarm:
        speeds = zip(SIDES, (finding.base, finding.head), strict=True)
        lines += [f"{INDENT}{side}: {words.step(speed)}" for side, speed in speeds if speed]
    if words.shows_parts(finding):
        rows = [
            [
                part.name,
                f"{words.milliseconds(part.base)} {words.ARROW} {words.milliseconds(part.head)}",
                words.milliseconds(part.change, sign=True),
                f"{share} of the change" if (share := words.of_change(finding, part)) else "",
            ]
            for part in finding.parts
        ]
        lines += [f"{INDENT}{text}" for text in _columns(rows)]
    if finding.memory and words.shows_memory(finding):
        ends = words.interval(finding.memory.estimate)
        lines.append(f"{INDENT}peak memory: {words.memory_verdict(finding)}: {words.memory(finding)} ({ends})")
    return lines


def _columns(rows: Sequence[Iterable[str]]) -> list[str]:
    """Rows of cells as indented lines whose columns stand below each other."""
    cells = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        ("  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in cells
    ]
