"""A metric, a section and a plot, each of one file of this folder, come to the table and the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.analysis import metrics
from bench.analysis.metrics import METRICS, Metric
from bench.analysis.table import COLUMNS, frame
from bench.errors import UsageError
from bench.records.record import Record
from bench.records.store import read
from bench.report import page, plots, sections, tables
from bench.report.inputs import Inputs
from bench.report.plots import PLOTS
from bench.report.sections import SECTIONS, Section
from tests.extension import toy_metric, toy_plot, toy_section

EXAMPLE = Path("results/examples/linux-cpu-160px")
CASE = "train-yolov8n-cpu-fp32-b4-i160"


@pytest.fixture(scope="module")
def records() -> list[Record]:
    example_records, _ = read([EXAMPLE / f"{CASE}.json", EXAMPLE / "train-yolo11n-cpu-amp-b4-i160.json"])
    return example_records


@pytest.fixture
def registered() -> Iterator[None]:
    for toy in (toy_metric, toy_section, toy_plot):
        toy.register()
    yield
    metrics.unregister(toy_metric.KEY)
    sections.unregister(toy_section.KEY)
    plots.unregister(toy_plot.plots)


def test_a_metric_is_a_column_of_the_table(records: list[Record], registered: None) -> None:
    table = frame(records)
    assert list(table.columns) == [*COLUMNS, toy_metric.KEY]
    measured = table[table["status"] == "measured"]
    assert (
        0 < measured[toy_metric.KEY].item() == toy_metric.step_spread(records[[r.case.id for r in records].index(CASE)])
    )
    assert table.loc[table["status"] != "measured", toy_metric.KEY].isna().all()
    assert " %" in tables.render(measured[["id", toy_metric.KEY]], "md"), "shown in its unit"
    assert toy_metric.KEY in tables.render(table, "csv").splitlines()[0]


def test_a_section_and_a_plot_come_to_the_page(records: list[Record], registered: None, tmp_path: Path) -> None:
    html = page.write(Inputs(records=records, epoch_images=1000), tmp_path).read_text(encoding="utf-8")
    assert html.index(toy_plot.TITLE) < html.index(toy_section.TITLE) < html.index('<h3 id="settings"')
    assert f'<th scope="row">{CASE}</th><td class="number">38</td>' in html
    assert {f"{toy_plot.KEY}.svg", f"{toy_plot.KEY}.png"} <= {file.name for file in (tmp_path / "plots").iterdir()}
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert f"#### {toy_section.TITLE}" in markdown and f"(plots/{toy_plot.KEY}.png)" in markdown
    assert toy_metric.KEY in (tmp_path / "cases.csv").read_text(encoding="utf-8")


def test_nothing_is_left_of_them(records: list[Record]) -> None:
    assert toy_metric.KEY not in METRICS and list(frame(records).columns) == list(COLUMNS)
    assert toy_section.KEY not in {section.key for section in SECTIONS} and toy_plot.plots not in PLOTS


def test_a_key_that_is_taken_is_refused() -> None:
    with pytest.raises(UsageError, match="metric 'step_seconds' is registered already"):
        metrics.register(Metric("step_seconds", "Again", metrics.SECONDS, "lower"))
    with pytest.raises(UsageError, match="section 'ceilings' is registered already"):
        sections.register(Section("ceilings", "Again", toy_section.build))
    with pytest.raises(UsageError, match="section 'nowhere' is unknown: use headline, tuning, provenance,"):
        sections.register(Section("new", "New", toy_section.build), before="nowhere")
