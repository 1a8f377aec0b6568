from __future__ import annotations

import ast
import csv
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench import report
from bench.cases.model_labels import show_together
from bench.errors import NothingMeasured, UsageError
from bench.records.outcome import Outcome, Status
from bench.records.record import CalibrationSummary, Record, Window
from bench.report.links import REPOSITORY
from bench.report.page import Inputs, gather, keep_units, unbroken, whole_options, write
from tests.analysis.test_reference import at
from tests.builders import make_ceiling, make_environment, make_machine, make_recipe, make_record
from tests.report.conftest import NASTY, other_run, timed, written

VOID = {"meta", "br", "img", "link", "input", "hr"}


class Reader(HTMLParser):
    """Collects tags, ids and addresses, and checks that tags close in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href", "data", "srcset"):
                self.addresses.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"


def test_all_files_are_there_and_nothing_else(folder: Path) -> None:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    plots = [name for name in names if name.startswith("plots/")]
    assert [name for name in names if name not in plots] == ["cases.csv", "index.html", "report.md", "share.png"]
    assert {Path(name).suffix for name in plots} == {".svg", ".png"}
    assert "plots/speedup-train.svg" in plots


def test_the_page_needs_no_other_file_and_no_script(html: str) -> None:
    page = Reader(html)
    assert page.open == []
    assert page.tags.count("svg") == 6
    assert not {"script", "link", "iframe", "img", "object"} & set(page.tags)
    assert all(address.startswith(("#", "data:text/csv;", REPOSITORY)) for address in page.addresses)
    assert not re.search(r"@import|url\((?!#)", html)
    assert "prefers-color-scheme: dark" in html


def test_ids_are_unique_and_links_lead_somewhere(html: str) -> None:
    page = Reader(html)
    assert len(page.ids) == len(set(page.ids))
    targets = [address[1:] for address in page.addresses if address.startswith("#")] + re.findall(
        r"url\(#([^)]+)\)", html
    )
    assert targets and set(targets) <= set(page.ids)


def test_a_nasty_reason_is_text(html: str, folder: Path) -> None:
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert "<b>the end</b>" not in html and "&lt;b&gt;the end&lt;/b&gt;" in html
    assert NASTY not in (folder / "report.md").read_text()


def test_inline_plots_take_the_ink_of_the_page(html: str) -> None:
    svg = html[html.index("<svg") : html.index("</svg>")]
    assert "currentColor" in svg
    assert 'role="img"' in svg and 'aria-label="Throughput against batch' in svg


def test_the_page_says_what_it_must(html: str) -> None:
    for text in (
        "yolov8n trains at 25.0 images/s",
        "<h1>AMD EPYC 7R13 Processor: yolov8n trains at 25.0 images/s (160 px)</h1>",
        "<title>yolov8n on AMD EPYC 7R13 Processor: 25.0 images/s · yolopace</title>",
        '<meta property="og:image" content="share.png">',
        "One COCO epoch at 160 px: 1 h 19 min",
        "Batch 16 is 25 % faster than batch 4",
        "yolo train model=yolov8n.pt data=your-data.yaml imgsz=160 batch=16 device=cpu amp=False",
        "118,287 (COCO)",
        "without validation and checkpoints",
        "one pass over 118,287 images (COCO train2017)",
        "★",
        "± is the 95 % interval within one process, widened for drift",
        "How fast is it?",
        "Which batch, and does it fit?",
        "How to read this page",
        "It is widened for the drift of a machine from window to window.",
        "Tables and plots show the newest measured row of a case",
        "&#39;auto&#39; depends on the length of the run",
        "coco-like 9b1f4e0c7a23",
        "bad.json is left out",
        "pytest bench/ --benchmark-only",
        "20261122-184512-3f9ac2",
        "torch 2.14.1",
        "governor performance",
    ):
        assert text in html, text
    assert not re.search(r">\s*(nan|None|NaT|&lt;NA&gt;)\s*<", html)


def test_cases_hold_seconds_times_rate_is_images(folder: Path) -> None:
    rows = list(csv.DictReader((folder / "cases.csv").read_text().splitlines()))
    measured = [row for row in rows if row["status"] == "measured"]
    assert len(rows) == 7 and len(measured) == 3
    for row in measured:
        images = float(row["seconds_per_epoch"]) * float(row["images_per_second"])
        assert images == pytest.approx(int(row["epoch_images"]), rel=1e-12)


def test_markdown_shows_pictures_that_exist(folder: Path) -> None:
    text = (folder / "report.md").read_text()
    pictures = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)", text)
    assert len(pictures) == 6
    assert all(alt.endswith(".") and (folder / file).is_file() for alt, file in pictures)


def test_writing_twice_gives_the_same_bytes(folder: Path, records: list[Record], tmp_path: Path) -> None:
    written(records, tmp_path, complaints=["bad.json is left out: it is no record."])
    for path in folder.rglob("*.*"):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


@pytest.mark.usefixtures("no_plots")
def test_one_case_alone(tmp_path: Path) -> None:
    html = written([timed(20.0, 4)], tmp_path, epoch_images=1000)
    assert "1,000 images at 160 px: 50.0 s" in html
    assert "faster than batch" not in html and "Not measured" not in html
    assert "COCO train2017" not in html


def repeated(rate: float, number: int, **changes: object) -> Record:
    return timed(rate, 4, process=number, **changes)


@pytest.mark.usefixtures("no_plots")
def test_only_the_kinds_of_interval_that_are_on_the_page_are_explained(tmp_path: Path) -> None:
    several = [repeated(20.0, 1), repeated(20.4, 2), repeated(19.8, 3)]
    noise = CalibrationSummary(
        stdev=0.02, processes=9, calibrated="2026-11-22", case="x", torch="2.14.1", ultralytics="8.4.100"
    )
    texts = {
        "between": "does not cover another hour or a warmer machine",
        "widened": "noise floor from the calibration",
        "drifting": "widened for the drift",
        "within": "Another process,",
    }
    for records, kinds, sentence in (
        (several, {"between"}, "95 % interval between processes"),
        (
            [timed(25.0, 16, calibration=noise)],
            {"widened"},
            "95 % interval within one process, widened by calibration",
        ),
        ([timed(25.0, 16)], {"drifting"}, "95 % interval within one process, widened for drift"),
        ([timed(25.0, 16, device="mps")], {"within"}, "95 % interval within one process"),
        ([*several, timed(25.0, 16)], {"between", "drifting"}, "95 % interval, between processes where there were"),
    ):
        html = written(records, tmp_path)
        assert {kind for kind, text in texts.items() if text in html} == kinds
        assert sentence in html and sentence in (tmp_path / "report.md").read_text()


@pytest.mark.usefixtures("no_plots")
def test_names_that_puzzle_are_explained_where_they_occur() -> None:
    def explained(batch: int = 1, **changes: Any) -> set[str]:
        page = gather(Inputs(records=[timed(20.0, 1), timed(20.0, batch, **changes)], epoch_images=1000))
        return {term for term, _ in page.reading} & {"cpu+cpu", "Scenario"}

    assert explained(batch=4) == set()
    assert explained(device="cpu+cpu") == {"cpu+cpu"}
    assert explained(mode="predict", further=(("scenario", "single"),)) == {"Scenario"}


def test_an_interval_is_rounded_alike_in_its_card_and_in_its_table(tmp_path: Path) -> None:
    records = [at(20, (1.0, 1.04, 0.97) * 8), at(10, (1.0, 1.0001, 0.9999) * 8, batch=4)]
    html = written(records, tmp_path)
    card = html[html.index('<small class="spread">') :].partition(">")[2].partition("<")[0]
    assert card.startswith("±") and html.count(card) >= 2


@pytest.mark.usefixtures("no_plots")
def test_several_processes_are_one_cell_that_says_how_many(tmp_path: Path) -> None:
    html = written([repeated(20.0, 1), repeated(20.4, 2), repeated(19.8, 3)], tmp_path, epoch_images=1000)
    assert html.count('class="time"') == 1
    assert ">48.0 s to 51.8 s, 3 processes<" in html
    assert "1 of 1 measured" in html
    assert "95 % interval 19.3 to 20.8, between 3 processes" in html
    assert "48.0 s to 51.8 s, 3 processes" in (tmp_path / "report.md").read_text()


@pytest.mark.usefixtures("no_plots")
def test_marks_are_signs_after_the_figure_with_a_legend_of_those_that_are_used(tmp_path: Path) -> None:
    window = Window(
        wall_seconds=1.0, cpu_seconds=1.0, involuntary_switches=0, processors=2, interference=["steal <3> %"]
    )
    html = written([timed(20.0, 4, window=window), timed(25.0, 16)], tmp_path, epoch_images=1000)
    assert html.count('aria-label="interfered">†</sup>') == 1
    assert html.count('class="legend"') == 1
    assert "Interfered: Other processes, the hypervisor, a CPU quota" in html
    assert "‡" not in html and "Data bound:" not in html
    assert "interfered (steal &lt;3&gt; %)" in html, "who points at the cell, or reads the first figures, sees by what"
    assert Reader(html).open == []
    text = (tmp_path / "report.md").read_text()
    assert "50.0 s†" in text and "- † Interfered: Other processes" in text
    assert "†" not in written([timed(25.0, 16)], tmp_path)


@pytest.mark.usefixtures("no_plots")
def test_a_noisy_headline_has_a_warning_in_both_texts(tmp_path: Path) -> None:
    window = Window(wall_seconds=1.0, cpu_seconds=1.0, involuntary_switches=0, processors=2, interference=["steal 3 %"])
    warning = "The figures of training are probably too slow: steal 3 %."
    html = written([timed(10.0, 4, window=window), timed(25.0, 16, window=window)], tmp_path)
    assert f"<strong>{warning}</strong> Close other programs, and measure again." in html
    assert f"> **Warning: {warning}**" in (tmp_path / "report.md").read_text()
    assert 'class="caution"' not in written([timed(10.0, 4, window=window), timed(25.0, 16)], tmp_path)


@pytest.mark.usefixtures("no_plots")
def test_a_page_that_goes_on_or_has_no_figure_names_no_picture(tmp_path: Path) -> None:
    html = written([timed(20.0, 4)], tmp_path, live="Still measuring.")
    html += written([make_record(status="failed")], tmp_path)
    assert "og:image" not in html and not (tmp_path / "share.png").exists()


@pytest.mark.usefixtures("no_plots")
def test_the_time_of_a_training_that_the_user_describes(tmp_path: Path) -> None:
    html = written([timed(20.0, 4)], tmp_path, epoch_images=2000, epochs=90)
    assert '<p class="total">≈ 2 h 30 min</p>\n<p>2,000 images, 90 epochs.</p>' in html
    assert "**≈ 2 h 30 min** for 2,000 images, 90 epochs." in (tmp_path / "report.md").read_text()


@pytest.mark.usefixtures("no_plots")
def test_a_repeat_that_failed_is_listed_with_its_log(tmp_path: Path) -> None:
    failed = make_record(
        batch=4, process=2, status="failed", reason="ValueError: not again.", worker_output="the last words"
    )
    html = written([timed(20.0, 4), failed], tmp_path)
    assert "yolov8n · cpu · amp off · batch 4 · 160 px, process 2" in html
    assert "the last words" in html and "¶" in html
    assert "1 of 1 measured" in html
    assert ">1 process of a measured case<" in html and ">1 case<" not in html
    assert "**Failed**, 1 process of a measured case: " in (tmp_path / "report.md").read_text()


@pytest.mark.usefixtures("no_plots")
def test_a_repeat_that_was_stopped_is_not_listed(tmp_path: Path) -> None:
    stopped = make_record(batch=4, process=2, status="interrupted", reason="Stopped while measuring.")
    assert "Not measured" not in written([timed(20.0, 4), stopped], tmp_path)


@pytest.mark.usefixtures("no_plots")
def test_several_processes_are_in_the_command_that_measures_them_again(tmp_path: Path) -> None:
    assert "--imgsz 160 --processes 3</pre>" in written([repeated(20.0, n) for n in (1, 2, 3)], tmp_path)
    assert "--imgsz 160</pre>" in written([timed(20.0, 4)], tmp_path)


@pytest.mark.usefixtures("no_plots")
def test_ways_of_measuring_have_their_own_tables_and_modes_do_not(tmp_path: Path) -> None:
    records = [timed(20.0, 4), timed(90.0, 4, mode="predict")]
    html = written(records, tmp_path)
    assert html.count('class="pivot"') == 2 and "measured by rule" not in html
    html = written([*records, timed(22.0, 4, run="old", recipe=make_recipe(version=1))], tmp_path)
    assert html.count('class="pivot"') == 3
    assert ">measured by rule 1 of yolopace <a" in html and ">measured by rule 2 of yolopace <a" in html
    overrides = {**make_recipe().overrides, "optimizer": "AdamW"}
    html = written([*records, timed(22.0, 4, run="old", recipe=make_recipe(overrides=overrides))], tmp_path)
    assert html.count('class="pivot"') == 3
    assert html.count(">other fixed settings (") == 1
    assert "yolov8n trains at 22.0 images/s" in html


def test_no_measured_case_is_a_page_of_reasons(records: list[Record], tmp_path: Path) -> None:
    html = written(records[2:6], tmp_path)
    assert "Nothing was measured" in html and "0 of 4 measured" in html
    assert "tried to allocate 9 GiB" in html
    assert "<svg" not in html
    assert "yolo11n · cpu · amp off · batch 4 · 160 px" in html


def test_two_machines_stand_one_after_another(records: list[Record], tmp_path: Path) -> None:
    html = written([records[0], records[2], *other_run()], tmp_path)
    assert Reader(html).ids.count("machine-2") == 1
    assert html.index('id="machine-1"') < html.index('id="machine-2"')
    assert "shown, not tested" in html
    assert "Best speed-up" not in html, "machines are not compared"
    assert html.count("<svg") == 4 and Reader(html).open == []
    assert {path.name[:6] for path in (tmp_path / "plots").iterdir()} == {"m1-v1-", "m2-v1-"}


def twin(digit: str, **changes: object) -> Record:
    """A record of one of several machines of one type."""
    return timed(20.0, 4, machine=make_machine(id=digit * 12), run=digit, **changes)


@pytest.mark.usefixtures("no_plots")
def test_two_machines_of_one_type_are_two_whose_names_differ(tmp_path: Path) -> None:
    html = written([twin("a"), twin("b")], tmp_path)
    cpu = make_machine().cpu
    assert f"{cpu} · ID aaaaaa" in html and f"{cpu} · ID bbbbbb" in html
    assert "machine-2" in Reader(html).ids
    assert "shown, not tested" in html
    for text in (f"Machine type: {make_machine().fingerprint}", f"Machine ID: {'a' * 12}", f"Machine ID: {'b' * 12}"):
        assert text in (tmp_path / "report.md").read_text()


@pytest.mark.usefixtures("no_plots")
def test_old_results_stand_with_those_of_the_one_machine_of_their_type(tmp_path: Path) -> None:
    html = written([timed(20.0, 8), twin("a")], tmp_path, ceilings=[make_ceiling()])
    assert "machine-2" not in Reader(html).ids and "ID aaaaaa" not in html
    assert "Largest batch that trains" in html


@pytest.mark.usefixtures("no_plots")
def test_two_versions_on_one_machine_have_their_own_tables(tmp_path: Path) -> None:
    html = written([timed(20.0, 4), timed(22.0, 4, environment=make_environment("2.15.0"))], tmp_path)
    assert ">torch 2.14.1 <a" in html
    assert ">torch 2.15.0 <a" in html
    assert html.count('class="pivot"') == 2


def test_no_record_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NothingMeasured):
        write(Inputs(records=[], epoch_images=1000), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("no_plots")
def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(UsageError, match=r"the report cannot be written to .*taken"):
        write(Inputs(records=[timed(20.0, 4)], epoch_images=1000), tmp_path / "taken")
    assert (tmp_path / "taken").read_text() == "mine"


def test_the_report_imports_nothing_heavy_starts_nothing_and_prints_nothing() -> None:
    for file in Path(report.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert not name.startswith(("torch", "ultralytics", "matplotlib.pyplot", "subprocess")), (file, name)
            assert not (isinstance(node, ast.Name) and node.id == "print"), file


def test_a_case_in_a_narrow_place_breaks_between_its_parts_alone() -> None:
    assert unbroken("yolov8n · amp off · <b>batch 16</b>") == (
        "yolov8n\N{NO-BREAK SPACE}· amp\N{NO-BREAK SPACE}off\N{NO-BREAK SPACE}· "
        "&lt;b&gt;batch\N{NO-BREAK SPACE}16&lt;/b&gt;"
    )


def test_two_files_of_one_name_are_distinguished_everywhere(tmp_path: Path) -> None:
    models = ["/data/run1/weights/best.pt", "/data/run2/weights/best.pt", "yolov8n"]
    records = [timed(20.0 + number, batch, model=model) for number, model in enumerate(models) for batch in (4, 16)]
    records += [make_record(model=model, batch=64, status="failed", reason=f"No {model}.") for model in models]
    write(Inputs(records=records, epoch_images=1000), tmp_path / "out", ("html", "md", "csv", "svg", "gha"))
    with (tmp_path / "out" / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = ["run1/weights/best.pt", "run2/weights/best.pt", "yolov8n"]
    assert list(dict.fromkeys(row["model"] for row in rows)) == names
    for name in ("index.html", "report.md", "plots/throughput-train.svg"):
        text = (tmp_path / "out" / name).read_text().replace("\\", "")
        assert all(f"{run}/weights/best.pt" in text for run in ("run1", "run2")), name
    page = (tmp_path / "out" / "index.html").read_text()
    assert f"--model {','.join(models)} --device" in page
    assert "best.pt_" in (tmp_path / "out" / "gha.json").read_text(), "a history keeps the name of its case"


def test_a_baseline_may_be_a_file_by_the_end_of_its_path() -> None:
    from bench.analysis.speedup import named, parse_baseline

    show_together(["/data/run1/best.pt", "/data/run2/best.pt"])
    records = [timed(20.0, 4, model=f"/data/run{number}/best.pt") for number in (1, 2)]
    assert named(parse_baseline("model=run2/best.pt"), records) == {"model": records[1].case.model_label}


def test_recorded_text_never_takes_the_place_of_a_plot(records: list[Record], tmp_path: Path) -> None:
    mark = '<svg place="0"></svg>'
    failed = msgspec.structs.replace(records[0], outcome=Outcome(Status.FAILED, f"it ended with {mark}."))
    path = write(Inputs(records=[failed, *records[1:]], epoch_images=1000), tmp_path)
    page = path.read_text(encoding="utf-8")
    assert "it ended with &lt;svg place=" in page
    assert mark not in page and "<svg place=" not in page


def test_a_number_stays_with_its_unit_outside_of_commands_and_plots() -> None:
    html = "<style>a 5 px</style><p>95 % in 3 min 20 s</p><pre>--x 5 px</pre><svg><text>5 GiB</text></svg>12 images/s"
    kept = keep_units(html).replace("\N{NO-BREAK SPACE}", "~")
    assert kept == html.replace("95 %", "95~%").replace("3 min 20 s", "3~min 20~s").replace("12 im", "12~im")


def test_every_heading_below_the_top_has_an_id_and_the_contents_lead_to_the_questions(html: str) -> None:
    body = html[html.index("<main>") :]
    bare = re.findall(r"<h[3-5](?![^>]* id=)[^>]*>(.*?)</h", body)
    assert bare == []
    contents = html[html.index('class="contents"') :].partition("</nav>")[0]
    assert re.findall(r'href="#([^"]+)"', contents)[:2] == ["speed", "batch"]
    assert 'href="#how-to-read"' in contents


def test_data_of_plots_and_details_have_names_of_their_own(html: str) -> None:
    summaries = re.findall(r"<summary>(.*?)</summary>", html)
    assert len(summaries) == len(set(summaries)), "who tabs through them hears which is which"


def test_undecided_claims_are_not_on_the_page(html: str) -> None:
    assert "not testable here" not in html and "Common claims, checked" not in html


def test_options_of_a_sentence_stay_on_one_line() -> None:
    assert whole_options("Use --processes 5 or --with-val: <b>a--b</b>.") == (
        'Use <span class="whole">--processes 5</span> or <span class="whole">--with-val</span>: '
        "&lt;b&gt;a--b&lt;/b&gt;."
    )
