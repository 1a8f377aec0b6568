from __future__ import annotations

import json
import re

import pytest

from bench.compare.bisection import Bisection, Search, Side
from bench.records.comparison import CaseComparison
from bench.report import labels
from bench.report.comparisons import bisect
from bench.report.comparisons.rendering import render_json, render_markdown, render_text
from tests.builders import make_compared
from tests.report.comparisons.comparisons import HOSTILE
from tests.report.rows import SAME, SLOWER, UNSURE, against, lost, search

ENDS = "8.4.190 is slower than 8.4.185: it takes 5.1 % longer (5.0 to 5.2 %)."
RANGE = "It became slower after 8.4.186, with 8.4.187 or 8.4.188: 8.4.187 could not be measured."
CLOSE = "Inconclusive, and put on the nearer side: 8.4.186."


def as_text(search: Bisection) -> str:
    return render_text("bisect", bisect.context(search))


def markdown(search: Bisection) -> str:
    return render_markdown("bisect", bisect.context(search))


def as_json(search: Bisection) -> str:
    return render_json(bisect.context(search))


def ends(*cases: CaseComparison) -> Bisection:
    return Bisection(
        package="ultralytics", search=Search(("8.4.185", "8.4.186", "8.4.190")), ends=against(*cases) if cases else None
    )


def test_what_was_found_and_confirmed() -> None:
    assert bisect.conclusion(search(make_compared(*SLOWER))) == [
        ENDS,
        RANGE,
        "Compared with 8.4.186 itself, 8.4.188 takes 5.1 % longer (5.0 to 5.2 %): that confirms it.",
        CLOSE,
        "3 probes, 4 comparisons in all, measured in 7 min 36 s.",
    ]


@pytest.mark.parametrize(
    ("last", "sentence"),
    [
        (make_compared(*SAME), "takes as long (−0.5 to +0.5 %), which is same: that does not confirm it. It may have"),
        (make_compared(*UNSURE), "which is inconclusive, stopped after 2 pairs: that does not"),
        (make_compared(), "8.4.186 and 8.4.188 were not compared with each other, so that is not confirmed: no pair"),
        (lost(), "so that is not confirmed: head cannot run train-yolov8n-cpu-fp32-b4-i160: out of memory: No room."),
        (None, "8.4.186 and 8.4.188 were not compared with each other, so that is not confirmed."),
    ],
)
def test_what_is_not_confirmed_is_said(last: CaseComparison | None, sentence: str) -> None:
    lines = bisect.conclusion(search(last))
    assert lines[:2] == [ENDS, RANGE]
    assert sentence in lines[2]


def test_neighbours_are_reported_as_such() -> None:
    bisection = ends(make_compared(*SLOWER))
    bisection.search = bisection.search.with_result("8.4.186", Side.GOOD)
    assert "It became slower with 8.4.190: 8.4.186, the release before, is good." in bisect.conclusion(bisection)


def test_a_search_that_ended_early() -> None:
    bisection = ends(make_compared(*SLOWER))
    assert bisect.conclusion(bisection)[1] == (
        "The search ended early: 8.4.185 is good and 8.4.190 is bad, and 1 release between them was not probed."
    )


@pytest.mark.parametrize(
    ("bisection", "sentence"),
    [
        (ends(), "The ends were not compared: no pair was measured."),
        (ends(make_compared(error="base: it died.")), "The ends were not compared: base: it died."),
        (ends(lost()), "8.4.190 cannot be compared with 8.4.185, and a search goes by speed: head cannot run"),
        (ends(make_compared(*SAME)), "8.4.190 is not slower than 8.4.185: it takes as long (−0.5 to +0.5 %), so there"),
        (ends(make_compared([-0.05] * 4, [-0.05] * 8)), "8.4.190 is faster than 8.4.185, not slower: it takes 4.9 %"),
        (
            ends(make_compared(*UNSURE)),
            "Inconclusive: 8.4.190 takes as long (−76.3 to +322.0 %), against 8.4.185. A search needs",
        ),
    ],
)
def test_where_there_is_nothing_to_look_for(bisection: Bisection, sentence: str) -> None:
    assert bisect.conclusion(bisection)[0].startswith(sentence)
    verdict, line = as_text(bisection).splitlines()[:2]
    assert verdict.partition("  ")[0] == labels.status(bisection.answer.value).upper() and line.startswith(sentence)
    assert json.loads(as_json(bisection))["first_bad"] is None


def test_the_lines_of_a_search() -> None:
    lines = as_text(search(make_compared(*SLOWER))).splitlines()
    assert lines[:2] == ["FOUND  ultralytics 8.4.185 (good) to 8.4.190 (bad), 4 releases between", ENDS]
    start = lines.index("Compared with 8.4.185") + 1
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines[start : start + 4]]
    assert rows == [
        ["8.4.190", "bad", "slower", "takes 5.1 % longer (5.0 to 5.2 %)", "12 pairs"],
        ["8.4.188", "bad", "slower", "takes 5.1 % longer (5.0 to 5.2 %)", "12 pairs"],
        ["8.4.186", "good", "inconclusive", "takes as long (−76.3 to +322.0 %)", "2 pairs"],
        ["8.4.187", "broken"],
    ]
    assert lines[start + 4] == "8.4.187: It cannot be built: no space"


def test_a_probe_in_one_line() -> None:
    assert [bisect.brief(probe) for probe in search(None).probes] == [
        "8.4.188 is bad: it takes 5.1 % longer (5.0 to 5.2 %)",
        "8.4.186 is good: it takes as long (−76.3 to +322.0 %) (inconclusive: put on the nearer side)",
        "8.4.187 is skipped: It cannot be built: no space",
    ]


def test_json_tells_the_search_and_every_comparison() -> None:
    content = json.loads(as_json(search(make_compared(*SLOWER))))
    assert (content["verdict"], content["exit_code"]) == ("found", 1)
    assert (content["last_good"], content["between"], content["first_bad"]) == ("8.4.186", ["8.4.187"], "8.4.188")
    assert [(probe["release"], probe["side"], probe["close"]) for probe in content["probes"]] == [
        ("8.4.188", "bad", False),
        ("8.4.186", "good", True),
        ("8.4.187", "broken", False),
    ]
    assert content["probes"][2]["reason"] and content["probes"][2]["comparison"] is None
    assert content["ends"]["verdict"] == content["last"]["verdict"] == "slower"


def test_markdown_says_the_same() -> None:
    text = markdown(search(make_compared(*SLOWER)))
    assert text.startswith("### ultralytics 8.4.185 (good) to 8.4.190 (bad), 4 releases between\n\n**found**: ")
    assert "- 8.4.187 is skipped" in text and "ultralytics==8.4.185 → ultralytics==8.4.188" in text
    assert "### " in markdown(ends())


def test_hostile_text_is_text() -> None:
    bisection = search(make_compared(*SLOWER))
    probe = bisection.probes[2]
    bisection.probes = [*bisection.probes[:2], type(probe)(release="8.4.187", side=Side.BROKEN, reason=HOSTILE)]
    text = as_text(bisection)
    assert all(line.isprintable() for line in text.splitlines())
    summary = markdown(bisection)
    assert "<script>" not in summary and "@octocat" not in summary
