"""A row of releases as Markdown: for a pull request, and for the summary of a step of GitHub Actions."""

from __future__ import annotations

from bench.compare.sweep import Series, Sweep
from bench.report import labels, tables
from bench.report.comparisons.sweep import words
from bench.report.plots.plot import Plot

COLUMNS = ("Release", "Verdict", "Time per step", "Interval", "Throughput", "Interval", "Pairs")
RIGHT = (False, False, True, True, True, True, True)


def markdown(found: Sweep, drawn: tuple[Plot, ...] = ()) -> str:
    """All that is said of a row, the conclusion first.

    Args:
        found: the row.
        drawn: plots that lie in ``plots/`` beside it; none where it is shown elsewhere.
    """
    newest = found.newest
    conclusion = "<br>".join(map(tables.escaped, words.conclusion(found)))
    parts = [
        f"### {tables.escaped(words.title(found))}",
        f"**{tables.escaped(words.stands(newest, found))}**: {conclusion}",
        *(f"![{tables.escaped(plot.alt)}](plots/{plot.key}.png)\n\n{tables.escaped(plot.caption)}" for plot in drawn),
        *(_table(series, found) for series in found.series),
        _list([f"{release}: {note}" for release, notes in words.noted(found) for note in notes]),
        _folded("What was compared", _list([f"{heading}: {text}" for heading, text in words.about(found)])),
        _folded("How it was judged", _list(words.method(found))),
    ]
    return "\n\n".join(part.strip("\n") for part in parts if part) + "\n"


def _table(series: Series, found: Sweep) -> str:
    rows = [[found.base, words.FIRST, *[labels.NONE] * 2, labels.rate(series.level), labels.NONE, str(series.pairs)]]
    for point in series.points:
        said = words.verdict(point, found)
        rows.append(
            [
                point.release,
                tables.Own(f"**{said}**") if point.verdict and point.verdict.alarm else said,
                words.change(point),
                words.interval(point),
                words.rate(point),
                words.ends(point),
                words.pairs(series, point, found),
            ]
        )
    return f"**{tables.escaped(series.case.id)}**\n\n{tables.markdown(COLUMNS, rows, RIGHT)}"


def _list(lines: list[str]) -> str:
    return "\n".join(f"- {tables.escaped(line)}" for line in lines)


def _folded(title: str, text: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{text.strip()}\n\n</details>"
