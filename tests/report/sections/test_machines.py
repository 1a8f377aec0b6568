"""Machines in one plot: a mark for each, named by what tells it from the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.analysis.table import frame, newest_rows
from bench.records.record import Record
from bench.report.inputs import Inputs
from bench.report.page import write
from bench.report.plots import Plot, machines, style
from bench.report.sections import cross_machine
from bench.report.sections.cross_machine import Shared
from tests.builders import make_environment, make_machine
from tests.report.conftest import timed


def compare_machines(records: list[Record]) -> Shared:
    [shared] = cross_machine.shared(newest_rows(frame(records)))
    return shared


def on(cpu: str, fingerprint: str, rate: float, batch: int = 4, **changes: Any) -> Record:
    return timed(rate, batch, machine=make_machine(fingerprint=fingerprint, cpu=cpu), run=fingerprint, **changes)


def box(rate: float, batch: int = 4, **changes: Any) -> Record:
    return on("AMD EPYC", "aaaaaaaaaaaa", rate, batch, **changes)


def mac(rate: float, batch: int = 4, **changes: Any) -> Record:
    return on("Apple M4", "bbbbbbbbbbbb", rate, batch, device="mps", **changes)


def test_a_row_for_each_case_that_both_have_and_a_mark_for_each_machine() -> None:
    [plot] = compare_machines([box(20.0), box(25.0, 16), box(30.0, 64), mac(80.0), mac(100.0, 16)]).plots
    assert plot.key == "machines-1"
    assert plot.columns == ("Case", "Machine", "Throughput", "95 % interval")
    assert [row[2] for row in plot.rows] == ["20.0 images/s", "80.0 images/s", "25.0 images/s", "100 images/s"]
    assert [row[1] for row in plot.rows[:2]] == ["AMD EPYC, 8 cores · cpu", "Apple M4, 8 cores · mps"]
    assert all(row[3] != "—" for row in plot.rows)
    assert "AMD EPYC, 8 cores · cpu 20.0 images/s to 25.0 images/s" in plot.alt
    for text in ("AMD EPYC, 8 cores · cpu", "Apple M4, 8 cores · mps", "batch 16", "Throughput (images/s)"):
        assert text in plot.svg


@pytest.mark.parametrize(("rate", "logarithmic"), [(80.0, False), (2000.0, True)])
def test_far_faster_machines_get_a_logarithmic_axis(rate: float, logarithmic: bool) -> None:
    [plot] = compare_machines([box(20.0), mac(rate)]).plots
    assert ("log scale" in plot.svg) is logarithmic


def test_machines_of_one_kind_are_distinguished_by_versions_or_fingerprints() -> None:
    twin = on("AMD EPYC", "cccccccccccc", 22.0)
    newer = make_environment(torch="2.16.0")
    plot = compare_machines([box(20.0), msgspec.structs.replace(twin, environment=newer)]).plots[0]
    assert "torch 2.16.0" in plot.rows[1][1] and "torch 2.16.0" not in plot.rows[0][1]
    plot = compare_machines([box(20.0), twin]).plots[0]
    assert [row[1][-9:] for row in plot.rows] == ["ID aaaaaa", "ID cccccc"]


def test_long_names_of_one_chip_are_still_distinguished() -> None:
    long = "NVIDIA GeForce RTX 4090 Laptop Something Edition with a name that never ends"
    twins = [on(long, fingerprint, 20.0) for fingerprint in ("aaaaaaaaaaaa", "aaaaaabbbbbb")]
    plot = compare_machines(twins).plots[0]
    assert len({row[1] for row in plot.rows}) == 2


def test_many_cases_and_many_machines_are_several_panels() -> None:
    cases = [box(20.0 + size, imgsz=32 * size) for size in range(1, 20)]
    cases += [mac(90.0 + size, imgsz=32 * size) for size in range(1, 20)]
    plots = compare_machines(cases).plots
    assert [plot.key for plot in plots] == ["machines-1-1", "machines-1-2"]
    assert sum(len(plot.rows) for plot in plots) == 2 * 19
    many = [on(f"CPU {n}", f"{n:012x}", 20.0 + n) for n in range(style.SERIES + 2)]
    plots = compare_machines(many).plots
    assert [len(plot.rows) for plot in plots] == [style.SERIES, 2]


def test_training_and_prediction_stand_in_tables_and_plots_of_their_own() -> None:
    records = [box(20.0), mac(80.0), box(60.0, mode="predict"), mac(200.0, mode="predict")]
    plots = [plot for shared in cross_machine.shared(newest_rows(frame(records))) for plot in shared.plots]
    assert [plot.key for plot in plots] == ["machines-1", "machines-2"]
    assert [plot.rows[0][0].partition(" · ")[0] for plot in plots] == ["Training", "Prediction"]


def test_without_an_interval_there_is_a_mark_and_no_bar() -> None:
    row = {"images_per_second": 20.0, "images_per_second_low": float("nan"), "images_per_second_high": float("nan")}
    case = {"mode": "train", "model": "yolov8n", "imgsz": 160, "batch": 4, "amp": "off"}
    [plot] = machines.plots([case], [machines.Series("a", {0: row})], 1)
    assert isinstance(plot, Plot) and plot.rows[0][2:] == ("20.0 images/s", "—")
    assert "bars" not in plot.caption


def test_a_very_wide_interval_leaves_room_for_the_others() -> None:
    case = {"mode": "train", "model": "yolov8n", "imgsz": 160, "batch": 4, "amp": "off"}
    sure = {"images_per_second": 20.0, "images_per_second_low": 19.0, "images_per_second_high": 21.0}
    wide = {"images_per_second": 25.0, "images_per_second_low": 1.0, "images_per_second_high": 900.0}
    series = [machines.Series("a", {0: sure}), machines.Series("b", {0: wide})]
    with style.styled():
        low, high = machines.figure([case], series).axes[0].get_xlim()
    assert low == 0 and high < 45
    assert "cut where they leave the axis" in machines.caption(series)
    assert "cut where they leave the axis" not in machines.caption(series[:1])
    slow = {"images_per_second": 0.5, "images_per_second_low": 0.001, "images_per_second_high": 0.6}
    with style.styled():
        low, high = machines.figure([case], [*series, machines.Series("c", {0: slow})]).axes[0].get_xlim()
    assert low > 0.2 and high < 60
    low_alone = machines.Series("c", {0: {**slow, "images_per_second_high": 0.55}})
    assert "cut where they leave the axis" in machines.caption([series[0], low_alone])


def test_the_report_has_it_above_the_machines(tmp_path: Path) -> None:
    write(Inputs(records=[box(20.0), mac(80.0)], epoch_images=1000), tmp_path)
    assert (tmp_path / "plots" / "machines-1.svg").is_file() and (tmp_path / "plots" / "machines-1.png").is_file()
    page = (tmp_path / "index.html").read_text()
    assert page.index("Throughput of 1 case by machine") < page.index('id="machine-1"')
    assert "](plots/machines-1.png)" in (tmp_path / "report.md").read_text()


def test_only_the_versions_that_differ_are_named() -> None:
    records = [box(20.0), box(22.0, environment=make_environment(torch="2.16.0"))]
    assert compare_machines([*records, mac(80.0)]).columns == (
        "torch 2.14.1 · AMD EPYC, 8 cores · cpu",
        "torch 2.16.0 · AMD EPYC, 8 cores · cpu",
        "torch 2.14.1 · Apple M4, 8 cores · mps",
    )
