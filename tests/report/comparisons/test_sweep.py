from __future__ import annotations

import itertools
import json
import math
import re
from pathlib import Path

import pytest

from bench.compare.findings import Standing
from bench.compare.sweep import Entry, Point, Series, Sweep
from bench.compare.verdict import Estimate, Verdict
from bench.errors import UsageError
from bench.records.comparison import SideOutcome
from bench.records.outcome import Outcome, Status
from bench.report.comparisons.rendering import render_html, render_json, render_markdown, render_text, write_page
from bench.report.comparisons.sweep import conclusion, plots
from bench.report.comparisons.sweep.context import context
from bench.report.links import REPOSITORY
from bench.report.plots import Plot, style
from tests.builders import make_case, make_compared
from tests.report.comparisons.comparisons import HOSTILE
from tests.report.conftest import breakable
from tests.report.rows import SAME, SLOWER, UNSURE, against, eventful, flipped, hostile, lost, row
from tests.report.test_page import Reader

CASE = "train-yolov8n-cpu-fp32-b4-i160"


def as_text(sweep: Sweep) -> str:
    return render_text("sweep", context(sweep))


def markdown(sweep: Sweep, drawn: tuple[Plot, ...] = ()) -> str:
    return render_markdown("sweep", context(sweep), drawn)


def as_json(sweep: Sweep) -> str:
    return render_json(context(sweep))


def html(sweep: Sweep, drawn: tuple[Plot, ...]) -> str:
    return render_html("sweep", context(sweep), drawn)


def write(sweep: Sweep, folder: Path) -> Path:
    return write_page("sweep", context(sweep), plots.draw(sweep), folder)


def newest(*cases: object) -> Sweep:
    """A row of two."""
    return row(Entry(release="8.4.190", result=against(*cases)))  # type: ignore[arg-type]


# words


@pytest.mark.parametrize(
    ("sweep", "lines"),
    [
        (newest(make_compared(*SAME)), ["8.4.190 is as fast as 8.4.185: any difference is below 3.0 %."]),
        (
            newest(make_compared(*SLOWER)),
            [
                "Ultralytics is slower since 8.4.190, the last of these releases: against 8.4.185, 8.4.190 takes 5.1 % "
                "longer (5.0 to 5.2 %)."
            ],
        ),
        (
            newest(make_compared(*UNSURE)),
            ["Inconclusive: 8.4.190 takes as long (−76.3 to +322.0 %), against 8.4.185."],
        ),
        (newest(lost()), ["No release was compared: the speed is unknown."]),
        (row(), ["No release was compared: the speed is unknown."]),
    ],
)
def test_a_row_in_plain_words(sweep: Sweep, lines: list[str]) -> None:
    assert conclusion.conclusion(sweep) == lines


def test_settings_come_before_speed_and_what_is_not_known_is_said() -> None:
    assert conclusion.conclusion(eventful()) == [
        "The effective settings differ between 8.4.185 and 8.4.190: optimizer SGD → MuSGD.",
        "Ultralytics is slower since 8.4.190, the last of these releases: against 8.4.185, 8.4.190 takes 5.1 % longer "
        "(5.0 to 5.2 %). Inconclusive right before it: 8.4.187, 8.4.188 and 8.4.189. The change may have begun there.",
    ]


def test_a_slower_release_in_between_is_reported() -> None:
    sweep = row(
        Entry(release="8.4.186", result=against(make_compared(*SLOWER))),
        Entry(release="8.4.187", result=against(make_compared(*SAME))),
    )
    assert conclusion.conclusion(sweep) == [
        "8.4.187 is as fast as 8.4.185: any difference is below 3.0 %.",
        "Before that, of the time per step: 8.4.186 slower (+5.1 %).",
    ]


def test_a_newest_release_that_cannot_run_is_reported_first() -> None:
    sweep = row(
        Entry(release="8.4.189", result=against(make_compared(*SLOWER, batch=4))),
        Entry(release="8.4.190", result=against(lost())),
    )
    first, second = conclusion.conclusion(sweep)
    assert first == f"8.4.190, the newest: it cannot run {CASE} (out of memory: No room)."
    assert second.startswith("Ultralytics is slower since 8.4.189")


def test_slower_only_over_all_cases_is_reported_so() -> None:
    cases = [make_compared([0.029, 0.031, 0.03, 0.031] * 3, batch=batch) for batch in (4, 8)]
    [line] = conclusion.conclusion(newest(*cases))
    assert line.endswith("over all cases together.")


def test_of_several_cases_each_is_named() -> None:
    sweep = newest(flipped(), make_compared(*SLOWER, batch=8), make_compared(*SAME, batch=2))
    assert "takes 5.1 % longer (5.0 to 5.2 %) in train-yolov8n-cpu-fp32-b4-i160 and takes 5.1 %" in as_text(sweep)


def test_the_notes_of_a_release() -> None:
    entries = eventful().entries
    assert [conclusion.notes(entry, eventful()) for entry in entries[:2]] == [[], []]
    assert conclusion.notes(entries[2], eventful()) == ["The environment of 8.4.187 cannot be built: no space"]
    assert conclusion.notes(entries[4], eventful()) == [f"it cannot run {CASE} (out of memory: No room)"]
    assert conclusion.notes(entries[5], eventful()) == [
        "the effective settings differ: optimizer SGD → MuSGD",
        "of these pairs only 4 count: fresh ones, measured to confirm what the first 4 showed",
        "most of it in backward (+5.10 ms per step, 40 % of the change)",
    ]


def test_a_release_in_one_line() -> None:
    assert [conclusion.brief(entry) for entry in eventful().others] == [
        "8.4.186 is same: it takes as long (−0.5 to +0.5 %)",
        "8.4.187 is not compared: The environment of 8.4.187 cannot be built: no space",
        "8.4.188 is inconclusive: it takes as long (−76.3 to +322.0 %)",
        f"8.4.189 is not compared: it cannot run {CASE} (out of memory: No room)",
        "8.4.190 is slower: it takes 5.1 % longer (5.0 to 5.2 %)",
    ]


# text, Markdown, JSON


def test_the_lines_of_a_row() -> None:
    lines = as_text(eventful()).splitlines()
    start = lines.index(CASE)
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines[start + 1 : start + 7]]
    assert [cells[:2] for cells in rows] == [
        ["8.4.185", "first"],
        ["8.4.186", "same"],
        ["8.4.187", "not compared"],
        ["8.4.188", "inconclusive"],
        ["8.4.189", "cannot run"],
        ["8.4.190", "slower"],
    ]
    assert rows[0][2:] == ["64.0 images/s", "18 pairs"]
    assert rows[5][2:] == ["60.9 images/s", "+5.1 %", "+5.0 to +5.2 %", "4 of 12 pairs count"]
    assert any(line.split() == ["Pinned", "torch==2.15.0,", "torchvision==0.30.0"] for line in lines)
    assert lines[:3] == ["SLOWER  ultralytics 8.4.185 to 8.4.190", *conclusion.conclusion(eventful())]


def test_several_cases_have_a_line_for_all_of_them() -> None:
    text = as_text(newest(flipped(), make_compared(*SLOWER, batch=8)))
    assert "All cases together\n  8.4.190  slower  takes 5.1 % longer" in text


def test_hostile_text_steers_no_terminal() -> None:
    text = as_text(hostile())
    assert "\x1b" not in text and all(line.isprintable() for line in text.splitlines())


def test_markdown_says_the_same() -> None:
    text = markdown(eventful())
    assert text.startswith("### ultralytics 8.4.185 to 8.4.190\n\n**slower**: The effective settings differ")
    assert "| 8.4.190 " in text and "**slower**" in text and "+5.1 %" in text
    assert "- 8.4.187: The environment of 8.4.187 cannot be built: no space" in text
    assert "![" not in text


def test_hostile_markdown_makes_no_markup() -> None:
    text = markdown(hostile(), tuple(plots.draw(hostile())))
    assert "<script>" not in text and "@octocat" not in text and "![x](http" not in text


def test_json_holds_every_comparison_and_the_plot() -> None:
    content = json.loads(as_json(eventful()))
    assert [release["verdict"] for release in content["releases"]] == [
        None,
        "same",
        "not_compared",
        "inconclusive",
        "cannot_run",
        "slower",
    ]
    assert (content["first"], content["since"], content["exit_code"]) == ("8.4.185", "8.4.190", 1)
    assert content["releases"][5]["comparison"]["cases"][0]["ratio"] == pytest.approx(math.exp(0.04975))
    [throughput] = content["throughput"]
    assert (throughput["first"]["images_per_second"], throughput["first"]["pairs"]) == (pytest.approx(64.0), 18)
    assert throughput["releases"][1]["images_per_second"] is None
    last = throughput["releases"][4]
    assert last["images_per_second_low"] < last["images_per_second"] < last["images_per_second_high"]
    assert json.loads(as_json(row()))["exit_code"] == 4


# plot


def series(*points: Point) -> Series:
    return Series(make_case(), 50.0, 8, points)


def test_the_plot_has_every_release_and_its_data() -> None:
    [plot] = plots.draw(eventful())
    assert plot.key == "throughput" and "currentColor" in plot.svg
    assert [cells[:2] for cells in plot.rows] == [
        ("8.4.185", "first"),
        ("8.4.186", "same"),
        ("8.4.187", "not compared"),
        ("8.4.188", "inconclusive"),
        ("8.4.189", "cannot run"),
        ("8.4.190", "slower"),
    ]
    assert "its level: the geometric mean over its 18 pairs" in plot.caption
    assert "the margin of" in plot.caption and "A cross stands for a release without a figure." in plot.caption
    assert "8.4.190 " in plot.alt and plot.alt.endswith(".")


def test_nothing_measured_is_nothing_drawn() -> None:
    assert plots.draw(row()) == plots.draw(newest(lost())) == []


def test_a_drawing_is_the_same_bytes_twice() -> None:
    first, second = (plots.draw(eventful())[0] for _ in range(2))
    assert (first.svg, first.png) == (second.svg, second.png)


def test_all_figures_and_the_margin_are_within_the_axis() -> None:
    drawn = series(
        Point(release="1", verdict=Verdict.SLOWER, estimate=Estimate(0.3, 0.01, 8), rate=37.0, low=36.7, high=37.4),
        Point(release="2", verdict=Verdict.INCONCLUSIVE, estimate=Estimate(0.0, 9.0, 2), rate=50.0, low=0.01, high=4e5),
        Point(release="3", verdict=Verdict.INCONCLUSIVE, estimate=Estimate(-0.01, math.inf, 1), rate=50.5),
        Point(release="4"),
    )
    with style.styled():
        axes = plots.figure(drawn, eventful()).axes[0]
    low, high = axes.get_ylim()
    assert 15 < low < 37.0 and 51.5 < high < 120, "an interval out of all proportion is cut"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["8.4.185", "1", "2", "3", "4"]


def test_marks_tell_verdicts_apart_and_point_where_throughput_went() -> None:
    points = [
        Point(release=verdict, verdict=verdict, estimate=Estimate(0.0, 0.01, 4), rate=50.0, low=49.0, high=51.0)
        for verdict in Verdict
    ]
    with style.styled():
        axes = plots.figure(series(*points), eventful()).axes[0]
    marks = [(line.get_color(), line.get_marker()) for line in axes.get_lines() if line.get_marker() in set("v^os")]
    assert len({colour for colour, _ in marks}) == len({marker for _, marker in marks}) == 4
    assert [marker for _, marker in marks[:2]] == ["v", "^"], "slower points down, faster up"


@pytest.mark.parametrize("count", [2, 7, 8, 28, 90])
def test_versions_have_room(count: int) -> None:
    points = [
        Point(release=f"8.4.{n}", verdict=Verdict.SAME, estimate=Estimate(0.0, 0.01, 4), rate=50.0, low=49.0, high=51.0)
        for n in range(1, count)
    ]
    with style.styled():
        figure = plots.figure(series(*points), eventful())
        figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].get_xticklabels()]
    assert figure.axes[0].get_xticklabels()[-1].get_text() == f"8.4.{count - 1}"
    assert len(boxes) <= plots.MOST
    assert all(box.x1 < other.x0 for box, other in itertools.pairwise(boxes))


# page


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("sweep") / "new" / "folder"
    assert write(eventful(), output) == output / "index.html"
    return output


def test_all_files_are_there_and_nothing_else(folder: Path) -> None:
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert names == {"index.html", "sweep.md", "plots/throughput.svg", "plots/throughput.png"}
    assert "](plots/throughput.png)" in (folder / "sweep.md").read_text()


def test_the_page_needs_no_other_file_and_no_script(folder: Path) -> None:
    page = breakable((folder / "index.html").read_text())
    reader = Reader(page)
    assert reader.open == [] and reader.tags.count("svg") == 1
    assert not {"script", "link", "iframe", "img", "object"} & set(reader.tags)
    assert all(address.startswith(("#", REPOSITORY)) for address in reader.addresses)
    assert not re.search(r"@import|url\((?!#)", page)
    assert len(reader.ids) == len(set(reader.ids))


def test_the_page_says_what_it_must_in_order(folder: Path) -> None:
    page = breakable((folder / "index.html").read_text())
    order = [
        "ultralytics 8.4.185 to 8.4.190</h1>",
        '<span class="verdict is-slower">Slower.</span> The effective settings differ',
        "Ultralytics is slower since 8.4.190",
        "Throughput over releases <a",
        "times its level",
        "Releases <a",
        "first",
        "inconclusive",
        "+5.1 %",
        "What else to know",
        "cannot be built: no space",
        "What was compared",
        "torch==2.15.0, torchvision==0.30.0",
        "3.0 % (calibrated 2026-11-20)",
        "How it was judged",
        "Every comparison with all of its steps",
    ]
    place = 0
    for text in order:
        place = page.index(text, place)
    assert not re.search(r">\s*(nan|inf|None|NaT)\s*<", page)


@pytest.mark.filterwarnings("error")
def test_hostile_text_is_text(tmp_path: Path) -> None:
    page = write(hostile(), tmp_path).read_text()
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert Reader(page).open == []
    assert "<script>" not in (tmp_path / "sweep.md").read_text()


@pytest.mark.parametrize(
    ("sweep", "sentence"),
    [
        (row(), "No release was compared"),
        (row(base="", entries=(Entry(release="1", reason="No."), Entry(release="2", reason="No."))), "Not compared."),
        (newest(make_compared([0.05])), "one pair gives no interval"),
        (newest(make_compared(error="base: it died")), "base: it died"),
        (newest(flipped(), lost()), "out of memory: No room"),
    ],
)
def test_whatever_there_is_has_a_page(sweep: Sweep, sentence: str) -> None:
    page = html(sweep, ())
    assert sentence in page and Reader(page).open == []
    assert not re.search(r">\s*(nan|inf|None)\b", page)
    assert sentence in f"{as_text(sweep)} Not compared."


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="cannot be written to"):
        write(eventful(), tmp_path / "taken")


def test_a_case_that_only_the_first_release_cannot_run_is_reported() -> None:
    won = make_compared(base=SideOutcome(outcome=Outcome(Status.FAILED, HOSTILE)), head=SideOutcome(), batch=8)
    sweep = newest(make_compared(*SAME), won)
    assert sweep.newest.result and sweep.newest.result.standing(Standing.HEAD_ONLY)
    assert "the first release cannot run train-yolov8n-cpu-fp32-b8-i160" in as_text(sweep)
