from __future__ import annotations

import re

from bench.compare.findings import evaluate
from bench.records.comparison import Comparison
from bench.report.comparisons.regress.context import context
from bench.report.comparisons.rendering import render_markdown
from bench.report.tables import escaped
from tests.builders import make_compared, make_comparison
from tests.report.comparisons.comparisons import HOSTILE, PACKAGES, eventful, hostile


def markdown(comparison: Comparison, packages: str = PACKAGES) -> str:
    return render_markdown("regress", context(evaluate(comparison), packages))


def table(text: str, heading: str) -> list[list[str]]:
    """Cells of the table that has this heading among its columns."""
    lines = text.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("|") and heading in line)
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([part.strip() for part in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def test_the_verdict_is_in_bold_at_the_top() -> None:
    text = markdown(eventful())
    first, _, second = text.splitlines()[:3]
    assert first == "### torch==2.14.1 → torch==2.15.0"
    assert second.startswith("**slower**: Head is slower in train-yolov8n-cpu-fp32-b4-i160: it takes 5.0 % longer")
    assert second.endswith("<br>The effective settings differ: optimizer SGD → MuSGD and mosaic 1 → 0.")


def test_a_row_a_case() -> None:
    rows = table(markdown(eventful()), "Verdict")
    assert rows[0] == ["Case", "Verdict", "Time", "Interval", "Pairs", "Base", "Head", "Peak memory"]
    counting = "of these pairs only 4 count: fresh ones, measured to confirm what the first 4 showed"
    assert rows[2][0] == f"train-yolov8n-cpu-fp32-b4-i160<br>{counting}"
    assert rows[2][1:5] == ["**slower**", "+5.0 %", "+4.8 to +5.1 %", "4 of 12 pairs count"]
    assert rows[2][5] == "250 ms per step<br>64.0 images/s"
    assert [row[1] for row in rows[2:]] == ["**slower**", "**faster**", "same", "inconclusive", "inconclusive"]
    assert rows[5][7] == "640 MiB → 720 MiB, +12.5 % (more)"


def test_settings_one_sided_cases_and_parts_are_there() -> None:
    text = markdown(eventful())
    assert ["mosaic", "1", "0", "train-yolov8n-cpu-fp32-b4-i160"] in table(text, "Setting")
    [_, _, first, second] = table(text, "How it stands")
    assert first[1] == "base alone can run it" and first[3].startswith("out of memory: Out of memory:")
    assert second[1:] == ["head alone can run it", "unsupported: No.", "runs"]
    assert text.count("<summary>Where the time went: ") == 2
    assert text.count("<details>") == text.count("</details>") == 4
    assert f"- Packages: {PACKAGES}" in text


def test_recorded_text_makes_neither_html_nor_markdown_nor_mentions() -> None:
    text = markdown(hostile(), HOSTILE)
    rest = re.sub(r"</?(details|summary)>|<br>", "", text)
    assert "<" not in rest and "\x1b" not in rest
    assert not re.search(r"(?<!\\)(!\[|\]\()", text)
    assert "@octocat" not in text and "`code`" not in text
    assert "\\*\\*bold\\*\\*" in text
    assert len({len(row) for row in table(text, "Verdict")}) == 1
    assert len({len(row) for row in table(text, "Setting")}) == 1


def test_plain_text_stays_as_it_is() -> None:
    for text in ("torch==2.14.1 → torch==2.15.0", "calibrated 2026-11-20", "+4.8 to +5.1 %", "a, b; c: d (e)."):
        assert escaped(text) == text


def test_without_a_pair_there_is_no_table_of_cases() -> None:
    text = markdown(make_comparison([make_compared()]))
    assert "**nothing measured**: No pair was measured" in text
    assert "| Verdict" not in text and "no pair was measured" in text
    assert "nan" not in text and "None" not in text
