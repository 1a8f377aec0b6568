"""Two recorded runs as text: what is said, and that every line says how it is to be read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from bench.cases.axes import fixed_axes
from bench.compare.recorded_runs import RunComparison, compare_runs
from bench.machine.description import Conditions
from bench.records.record import Memory, Record
from bench.report.comparisons import recorded_runs_brief
from bench.report.comparisons.recorded_runs import COLUMNS, longer, render, summary
from tests.builders import GIB, make_environment, make_machine, make_recipe, make_record, make_steps
from tests.report.conftest import NASTY, timed

OTHER = make_machine(fingerprint="a1b2c3d4e5f6", gpus=["NVIDIA H200 (139 GiB)"])


def runs(**changes: Any) -> tuple[list[Record], list[Record]]:
    """Two runs with some of everything; ``changes`` are those of the second one."""
    a = [
        timed(20.0, 4, run="before"),
        timed(25.0, 16, run="before"),
        timed(25.0, 8, run="before"),
        timed(25.0, 32, run="before"),
        make_record(batch=64, status="out_of_memory", reason="Out of memory: tried to allocate 9 GiB.", run="before"),
    ]
    b = [
        timed(10.0, 4, run="after", **changes),
        timed(25.0, 16, run="after", **changes),
        timed(25.0, 8, run="after", recipe=make_recipe(window_steps=64), **changes),
        make_record(batch=32, status="failed", reason=NASTY, run="after", **changes),
        make_record(batch=64, status="failed", reason="It died.", run="after", **changes),
    ]
    return a, b


@pytest.fixture
def comparison() -> RunComparison:
    return compare_runs(*runs(environment=make_environment("2.15.0"), conditions=Conditions(governor="powersave")))


@pytest.fixture
def elsewhere() -> RunComparison:
    return compare_runs(*runs(machine=OTHER))


def test_machines_of_one_type_are_named_with_their_ids() -> None:
    a, b = runs(machine=make_machine(id="bbbbbbbbbbbb"))
    a = [msgspec.structs.replace(record, machine=make_machine(id="aaaaaaaaaaaa")) for record in a]
    text = render(compare_runs(a, b), "md")
    assert all(f"{make_machine().title} · ID {short}" in text.splitlines()[0] for short in ("aaaaaa", "bbbbbb"))
    assert f"on {make_machine().cpu} · ID bbbbbb" in text


def section(text: str, start: str) -> list[str]:
    """Cells of the rows of the table below a line."""
    lines = text[text.index(start) :].splitlines()
    table = [line for line in lines[1:] if line.startswith("|") or (line.startswith("#") and line != start)]
    rows = table[2 : next((i for i, line in enumerate(table) if line.startswith("#")), None)]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def test_the_summary_comes_first_and_says_once_that_nothing_was_interleaved(comparison: RunComparison) -> None:
    text = render(comparison, "md")
    heading, _, lead = text.splitlines()[:3]
    assert heading == "# Two recorded runs: B compared with A"
    assert lead.startswith(
        "**B is 2.00× slower in 1 of 2 cases and not clearly different in 1 of 2 cases.** The runs were recorded at "
        "different times, not interleaved: a difference may be machine drift. `yolopace regress` interleaves"
    )
    assert text.count("not interleaved") == 1
    assert len(section(text, "## Cases")) == 2


def test_the_heading_says_that_machines_are_never_tested(elsewhere: RunComparison) -> None:
    text = render(elsewhere, "md")
    heading = text.splitlines()[0]
    assert heading.endswith(": different machines, never tested")
    assert all(side.machine.title in heading for side in (elsewhere.a, elsewhere.b))
    assert section(text, "## Cases")[0][3] == "0.500×"
    header = text[text.index("## Cases") :].splitlines()[2]
    assert "95 % interval" not in header and "Speed, B over A" in header
    assert "historical" not in text and "regress" not in text


def run_of(rates: Sequence[float], run: str, **changes: Any) -> list[Record]:
    return [timed(rate, 2**place, run=run, **changes) for place, rate in enumerate(rates)]


@pytest.mark.parametrize(
    ("rates", "sentence"),
    [
        ((10.0, 8.0, 5.0), "B is 2.00 to 4.00× slower in all 3 cases."),
        ((40.0, 16.0, 20.0), "B is 1.25× slower in 1 of 3 cases, 2.00× faster in 1 of 3 cases and not clearly "
         "different in 1 of 3 cases."),
        ((20.0, 20.0, 20.0), "B is not clearly different in all 3 cases."),
    ],
)  # fmt: skip
def test_the_summary_covers_every_case(rates: Sequence[float], sentence: str) -> None:
    assert summary(compare_runs(run_of([20.0] * 3, "a"), run_of(rates, "b"))) == sentence


def test_the_summary_of_one_case_names_it_and_of_none_is_empty() -> None:
    assert summary(compare_runs(run_of([20.0], "a"), run_of([10.0], "b"))) == (
        "B is 2.00× slower in train-yolov8n-cpu-fp32-b1-i160."
    )
    short = make_record(batch=1, steps=make_steps([0.5, 0.5], images=1), run="b")
    assert summary(compare_runs(run_of([20.0], "a"), [short])) == (
        "1 case without an interval: measure with --processes 5."
    )
    assert summary(compare_runs(run_of([20.0], "a"), [timed(20.0, 64, run="b")])) == ""


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_terminal_gets_the_summary_what_differs_and_lines_that_fit(comparison: RunComparison, width: int) -> None:
    lines = recorded_runs_brief.render(comparison, width).splitlines()
    assert lines[0].startswith("B is 2.00× slower in 1 of 2 cases")
    assert "Differs: torch 2.14.1 → 2.15.0" in lines
    rows = [line for line in lines if line.startswith("  ")]
    assert len(rows) == 3 and max(map(len, rows)) <= width
    assert rows[1].split()[0] == "4" and "2.00× slower" in rows[1]
    assert width == 40 or rows[1].split()[1:3] == ["20.0", "10.0"]
    assert "not clear" in rows[2]
    assert any(line.startswith("Intervals are 95 %, within one process") for line in lines)
    assert any(
        line.startswith("One side only: train-yolov8n-cpu-fp32-b32-i160: A 25.0 images/s, B failed") for line in lines
    )
    assert all(line.isprintable() for line in lines)


def test_a_terminal_gets_no_interval_of_different_machines(elsewhere: RunComparison) -> None:
    text = recorded_runs_brief.render(elsewhere, 80)
    assert "2.00× slower" in text and "Interval" not in text


def test_names_of_machines_and_runs_make_no_html() -> None:
    machine = make_machine(fingerprint="a1b2c3d4e5f6", cpu="<b>CPU</b>")
    text = render(compare_runs([timed(20.0, 4, run="a")], [timed(20.0, 4, run="<i>b</i>", machine=machine)]), "md")
    assert "&lt;b&gt;CPU" in text.splitlines()[0] and "&lt;i&gt;b" in text
    assert "<b>" not in text and "<i>" not in text


def test_what_differs_comes_before_any_speed(comparison: RunComparison) -> None:
    text = render(comparison, "md")
    assert text.index("## What differs") < text.index("images/s")
    assert section(text, "## What differs between A and B") == [
        ["torch", "2.14.1", "2.15.0", "—"],
        ["governor", "performance", "powersave", "—"],
    ]


def test_where_nothing_differs_it_says_so() -> None:
    text = render(compare_runs([timed(20.0, 4, run="a")], [timed(20.0, 4, run="b")]), "md")
    assert "Nothing that was recorded, except the hour." in text


def with_channels_last(record: Record) -> Record:
    return msgspec.structs.replace(record, effective={**record.effective, "channels_last": True})


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        (range(6), "all cases"),
        (range(5), "all of training"),
        ([5], "all of prediction"),
        ([1, 5], "train-yolov8n-cpu-fp32-b2-i160, predict-yolov8n-cpu-fp32-b1-i160"),
        ([0, 1, 2, 3], "4 of 6 cases"),
    ],
)
def test_settings_name_the_cases_in_which_they_differ(changed: list[int], where: str) -> None:
    cases = [("train", 1), ("train", 2), ("train", 4), ("train", 8), ("train", 16), ("predict", 1)]
    a, b = ([timed(20.0, batch, mode=mode, run=run) for mode, batch in cases] for run in "ab")
    b = [with_channels_last(record) if place in changed else record for place, record in enumerate(b)]
    rows = section(render(compare_runs(a, b), "md"), "## What differs between A and B")
    assert rows == [["channels_last", "no", "yes", where]]


def test_a_line_has_both_figures_the_ratio_and_its_interval(comparison: RunComparison) -> None:
    case, a, b, ratio, interval, memory = section(render(comparison, "md"), "## Cases")[0]
    assert case == "train-yolov8n-cpu-fp32-b4-i160"
    assert a.startswith("200 ms, 20.0 images/s") and b.startswith("400 ms, 10.0 images/s")
    assert ratio == "2.000×"
    low, high = (float(end.rstrip("×")) for end in interval.split(", ")[0].split(" to "))
    assert 1.8 < low < 2.0 < high < 2.2
    assert interval.endswith(", within one process, widened for drift")
    assert memory == "1.15 GiB → 1.15 GiB, 1.000×"


def test_memory_got_in_two_ways_has_no_ratio() -> None:
    sides = [{"process": Memory(bytes_, how)} for bytes_, how in ((GIB, "one way"), (2 * GIB, "another"))]
    a, b = ([timed(20.0, 4, run=run, memory=memory)] for run, memory in zip("ab", sides, strict=True))
    assert section(render(compare_runs(a, b), "md"), "## Cases")[0][5] == "1.00 GiB → 2.00 GiB"


def test_what_is_not_compared_is_listed_with_why(comparison: RunComparison) -> None:
    text = render(comparison, "md")
    assert section(text, "## Not comparable") == [["train-yolov8n-cpu-fp32-b8-i160", "window_steps 12 vs 64"]]
    [[case, a, b]] = section(text, "## Measured on one side only")
    assert (case, a) == ("train-yolov8n-cpu-fp32-b32-i160", "25.0 images/s")
    assert b.startswith("failed: RuntimeError: &lt;script&gt;") and "a \\| b" in b
    assert "Measured on neither side: 1 case (1 out of memory in A, failed in B)." in text


def test_a_case_that_a_side_does_not_have() -> None:
    text = render(compare_runs([timed(20.0, 4, run="a")], [timed(20.0, 8, run="b")]), "md")
    assert [row[1:] for row in section(text, "## Measured on one side only")] == [
        ["20.0 images/s", "no record"],
        ["no record", "20.0 images/s"],
    ]
    assert "## Cases" not in text and "## What differs" not in text


def test_csv_is_a_line_a_case_with_all_digits(comparison: RunComparison) -> None:
    rows = list(csv.DictReader(io.StringIO(render(comparison, "csv"))))
    assert tuple(rows[0]) == ("case", *fixed_axes(), *COLUMNS[1:])
    assert [row["standing"] for row in rows] == [
        "historical, no verdict",
        "historical, no verdict",
        "not comparable",
        "measured in A only",
        "measured on neither side",
    ]
    first = comparison.cases[0]
    assert first.ratio is not None and first.a is not None
    assert float(rows[0]["time_ratio"]) == first.ratio.point
    assert float(rows[0]["time_ratio_low"]) == first.ratio.low
    assert float(rows[0]["a_seconds_per_step"]) == first.a.seconds
    assert (rows[0]["a_torch"], rows[0]["b_torch"]) == ("2.14.1", "2.15.0")
    assert rows[2]["differences"] == "window_steps 12 vs 64"
    assert rows[2]["time_ratio"] == rows[3]["time_ratio"] == rows[3]["b_images_per_second"] == ""
    assert (rows[3]["b_status"], rows[3]["b_reason"]) == ("failed", NASTY)


def test_json_says_all_that_the_page_says(comparison: RunComparison) -> None:
    content = json.loads(render(comparison, "json"))
    assert (content["label"], content["a"]["runs"], content["b"]["runs"]) == (
        "historical, no verdict",
        ["before"],
        ["after"],
    )
    assert content["differs"][0] == {"what": "torch", "a": ["2.14.1"], "b": ["2.15.0"]}
    assert [tuple(case) for case in content["cases"]] == [("case", *fixed_axes(), *COLUMNS[1:])] * 5
    assert content["cases"][0]["time_ratio"] == pytest.approx(2.0)
    assert content["cases"][0]["batch"] == 4
    assert content["cases"][3]["time_ratio"] is None


@pytest.mark.parametrize("format", ["md", "csv", "json"])
def test_nothing_missing_is_ever_nan_or_none(comparison: RunComparison, elsewhere: RunComparison, format: str) -> None:
    for run_comparison in (comparison, elsewhere):
        text = render(run_comparison, format)
        assert text.endswith("\n")
        assert "nan" not in text.lower() and "None" not in text and "inf" not in text.replace("info", "")


def test_csv_and_json_of_different_machines_have_no_interval_of_a_ratio(elsewhere: RunComparison) -> None:
    for case in json.loads(render(elsewhere, "json"))["cases"]:
        assert (case["time_ratio_low"], case["time_ratio_high"], case["interval_kind"]) == (None, None, None)
    [row, *_] = csv.DictReader(io.StringIO(render(elsewhere, "csv")))
    assert (row["standing"], row["time_ratio_low"]) == ("different machines, never tested", "")
    assert float(row["speed_ratio"]) == pytest.approx(0.5)


def test_how_much_longer_in_words(comparison: RunComparison) -> None:
    text = longer(comparison.cases[0])
    assert text.startswith("train-yolov8n-cpu-fp32-b4-i160 takes 100 % longer (8")
    assert text.endswith(" %, within one process, widened for drift)")


def test_the_kinds_of_intervals_are_explained(comparison: RunComparison) -> None:
    assert "It is widened for the drift of a machine from window to window." in render(comparison, "md")
    a, b = ([timed(20.0, 4, run=run, process=number) for number in (1, 2)] for run in "ab")
    text = render(compare_runs(a, b), "md")
    assert "its interval is between them" in text and "An interval of one process" not in text
    assert "2 processes" in section(text, "## Cases")[0][1]
