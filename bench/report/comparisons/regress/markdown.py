"""A live comparison as Markdown: for a pull request, and for the summary of a step of GitHub Actions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.compare.findings import ComparisonResult, Finding
from bench.records.comparison import SIDES
from bench.report import tables
from bench.report.comparisons.regress import words


def markdown(found: ComparisonResult, packages: str) -> str:
    """All that is said of a comparison, the conclusion first.

    Args:
        found: the comparison.
        packages: what differs between the environments, in one line.
    """
    parts = [
        f"### {tables.escaped(words.asked(found))}",
        f"**{tables.escaped(words.in_a_word(found))}**: {'<br>'.join(map(tables.escaped, words.conclusion(found)))}",
        _settings(found),
        _cases(found),
        _whole(found),
        _one_sided(found),
        *(_parts(finding) for finding in found.findings if words.shows_parts(finding)),
        _folded("What was compared", _list(f"{heading}: {text}" for heading, text in words.about(found, packages))),
        _folded("How it was judged", _list(words.method(found))),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[bool] = ()) -> str:
    return tables.markdown(columns, [list(row) for row in rows], right)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {tables.escaped(line)}" for line in lines)


def _folded(title: str, text: str) -> str:
    return f"<details>\n<summary>{tables.escaped(title)}</summary>\n\n{text.strip()}\n\n</details>"


def _settings(found: ComparisonResult) -> str:
    if not found.settings:
        return ""
    rows = [[one.key, words.value(one.base), words.value(one.head), words.where(one, found)] for one in found.settings]
    return f"**Settings that differ**\n\n{_table(('Setting', 'Base', 'Head', 'In'), rows)}"


def _cases(found: ComparisonResult) -> str:
    columns = ("Case", "Verdict", "Time", "Interval", "Pairs", "Base", "Head", "Peak memory")
    rows = [_row(finding) for finding in found.findings if finding.judged]
    return _table(columns, rows, [False, False, True, True, True, True, True, True]) if rows else ""


def _row(finding: Finding) -> list[str]:
    assert finding.judged, "only cases with a pair have a row"
    verdict = words.verdict(finding)
    seen = finding.judged.estimate
    memory = words.memory(finding)
    if words.shows_memory(finding):
        memory += f" ({words.memory_verdict(finding)})"
    return [
        "\n".join([finding.id, *words.notes(finding)]),
        tables.Own(f"**{verdict}**") if finding.judged.verdict.alarm else verdict,
        words.change(seen),
        words.interval(seen),
        words.pairs(finding),
        *(words.step(speed).replace(", ", "\n") for speed in (finding.base, finding.head) if speed),
        memory,
    ]


def _whole(found: ComparisonResult) -> str:
    if not found.several or found.overall is None:
        return ""
    seen = found.overall.estimate
    return (
        f"All cases together: **{found.overall.verdict}**, {words.change(seen)} ({words.interval(seen)}) in "
        f"{seen.pairs} rounds."
    )


def _one_sided(found: ComparisonResult) -> str:
    rows = [
        [one.id, words.verdict(one), *(words.ended(getattr(one.compared, side)) for side in SIDES)]
        for one in found.findings
        if not one.judged
    ]
    return f"**Not compared**\n\n{_table(('Case', 'How it stands', 'Base', 'Head'), rows)}" if rows else ""


def _parts(finding: Finding) -> str:
    """The parts of the step of a case."""
    rows = [
        [
            part.name,
            words.milliseconds(part.base),
            words.milliseconds(part.head),
            words.milliseconds(part.change, sign=True),
            words.of_change(finding, part),
        ]
        for part in finding.parts
    ]
    columns = ("Part of a step", "Base", "Head", "Change", "Of the change")
    return _folded(f"Where the time went: {finding.id}", _table(columns, rows, [False, True, True, True, True]))
