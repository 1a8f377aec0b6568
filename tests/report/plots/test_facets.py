"""Panels of the page other than tables and lines: ceilings, precision, upgrades, maps, parts of a step, machines."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from bench.analysis.speedup import speedups
from bench.analysis.table import frame, newest_rows
from bench.errors import UsageError
from bench.records.comparison import SideOutcome
from bench.records.outcome import Outcome, Status
from bench.records.record import Data, Memory, Phase
from bench.records.store import Store, read_comparisons
from bench.report import commands, gha
from bench.report.page import FORMATS, Inputs, parse_formats, write
from bench.report.plots import api, facets, heatmap, phases, style
from bench.report.plots import ceiling as plots_of_ceilings
from bench.report.plots.plot import View
from bench.report.sections import ceilings, cross_machine, live_comparisons, mixed_precision, scaling
from tests.builders import (
    GIB,
    make_ceiling,
    make_compared,
    make_comparison,
    make_environment,
    make_machine,
    make_recipe,
    make_record,
)
from tests.report.conftest import small_run, timed, written
from tests.report.test_page import Reader

SLOWER = [0.05, 0.051, 0.049, 0.05], [0.0495, 0.0505, 0.0498, 0.0502] * 2


def grown() -> list:
    """Two models at two batches on one device, the second twice as fast at the larger batch."""
    return [
        timed(rate, batch, model=model)
        for model, rates in (("yolov8n", (20.0, 21.0)), ("yolo11n", (20.0, 40.0)))
        for batch, rate in zip((4, 8), rates, strict=True)
    ] + [
        timed(30.0, 16, model="yolov8n"),
        make_record(model="yolo11n", batch=16, status="out_of_memory", reason="Full."),
    ]


def view(records: list) -> View:
    table = newest_rows(frame(records))
    return View(table, speedups(table, {"batch": 4}), {"batch": 4})


def test_a_map_has_a_number_or_a_word_in_every_cell_and_knows_what_is_unclear() -> None:
    [part] = heatmap.parts(view(grown()).speedups)
    grid = heatmap.grid(part, view(grown()).table)
    assert heatmap.is_map(part)
    assert (grid.rows, grid.columns) == (("yolov8n", "yolo11n"), ("batch 8", "batch 16"))
    assert grid.cells[1, 0].ratio == pytest.approx(2.0, rel=0.01) and not grid.cells[1, 0].unclear
    assert grid.cells[1, 1].word == "out of memory"
    assert "from 1.05× (yolov8n · batch 8) to 2.00× (yolo11n · batch 8)" in heatmap.alt(grid, "batch 4")
    with style.styled():
        texts = [text.get_text() for text in heatmap.figure(grid).axes[0].texts]
    assert sorted(texts) == ["1.05×", "1.50×", "2.00×", "out of memory"]


def test_cells_without_significance_are_hatched_and_interfered_ones_have_a_sign() -> None:
    cells = heatmap.Cell(1.2, 1.1, 1.3, interfered=True), heatmap.Cell(1.05, 0.9, 1.2), heatmap.Cell(1.4)
    grid = heatmap.Map("x", ("a",), ("b", "c", "d"), {(0, place): cell for place, cell in enumerate(cells)})
    assert [cell.unclear for cell in cells] == [False, True, True]
    with style.styled():
        axes = heatmap.figure(grid).axes[0]
    assert [patch.get_hatch() for patch in axes.patches if patch.get_hatch()] == ["///", "///"]
    assert [text.get_text() for text in axes.texts] == ["1.20× †", "1.05×", "1.40×"]


def test_one_row_of_ratios_stays_bars() -> None:
    [part] = heatmap.parts(view(small_run()[:2]).speedups)
    assert not heatmap.is_map(part)


def with_parts(**changes: object):
    record = timed(20.0, 4, **changes)
    parts = {"forward": 0.05, "backward": 0.09, "optimizer": 0.01}
    return msgspec.structs.replace(record, phases={name: Phase([s], "host clock") for name, s in parts.items()})


def test_the_cpu_has_a_panel_of_its_own_beside_an_accelerator() -> None:
    records = [with_parts(), with_parts(device="0")]
    table = frame(records)
    keys = [plot.key for plot in phases.plots(View(table, speedups(table, {}), {}))]
    assert len(keys) == 2 and keys[1] == "steps-train-cpu"
    both = frame([with_parts(), with_parts(device="cpu+cpu")])
    assert len(phases.plots(View(both, speedups(both, {}), {}))) == 1


def test_phases_of_a_step_and_the_rest_add_up_to_it() -> None:
    table = frame([with_parts()])
    [row] = phases.rows(table)
    split = phases.split(row)
    assert sum(split.values()) == pytest.approx(row["step_seconds"] / 4)
    assert split["forward"] == pytest.approx(0.05 / 4)
    assert split[phases.REST] > 0
    [plot] = phases.plots(View(table, speedups(table, {}), {}))
    assert "45% backward" in plot.alt
    assert plot.columns[-8:-6] == ("Time per step", "Time per image") and plot.rows[0][-8:-6] == ("200 ms", "50.0 ms")
    assert len(plot.rows[0]) == len(plot.columns)


def test_no_parts_no_panel() -> None:
    table = frame([timed(20.0, 4), timed(90.0, 4, mode="predict")])
    assert phases.plots(View(table, speedups(table, {}), {})) == []


def test_a_ceiling_says_what_ended_it_what_it_was_held_to_and_what_fits_a_card() -> None:
    section = ceilings.section([make_ceiling(24)])
    assert section is not None
    [row] = section.rows
    assert row.cells == ("yolov8n · 160 px", "24", "4 GiB", "3.50 GiB", "128 MiB")
    assert section.note.startswith("On cpu, amp off. Each of ")
    assert row.under == "then out of memory"
    assert section.columns[-4:] == ("In 8 GiB", "In 12 GiB", "In 16 GiB", "In 24 GiB")
    assert row.cards == ("≈ 60", "≈ 92", "≈ 124", "≈ 188"), "predictions look like predictions"
    assert "control group" in section.note
    [plot] = section.plots
    assert plot.rows[-1] == ("160 px", "4 GiB", "25", "—", "out of memory")
    assert "up to batch 24 within 4 GiB, 128 MiB per image" in plot.alt


def test_a_ceiling_that_was_tried_under_a_card_s_limit_stands_for_the_line() -> None:
    section = ceilings.section([make_ceiling(24), make_ceiling(57, limit=8 * GIB)])
    assert section is not None
    assert [row.cards[0] for row in section.rows] == ["57, tried", "57, tried"]


@pytest.mark.parametrize(
    ("changes", "batch", "why"),
    [
        ({"stop_reason": "limit"}, "at least 24", "no larger one was tried"),
        ({"stop_reason": "predicted"}, "24", "the next one is predicted to need clearly more"),
        ({"stop_reason": "swap"}, "24", "then it swaps"),
        ({"granularity": 8}, "24", "then out of memory, in steps of 8"),
    ],
)
def test_no_ceiling_claims_more_than_was_tried(changes: dict, batch: str, why: str) -> None:
    ceiling = make_ceiling(24, **changes)
    assert (ceilings.batch(ceiling), ceilings.why(ceiling)) == (batch, why)


def test_what_was_recorded_ends_no_block_of_commands() -> None:
    hostile = make_record(recipe=make_recipe(data="a\n```\n<script>.yaml"))
    comparison_ = make_comparison([make_compared(*SLOWER)])
    comparison_.base = msgspec.structs.replace(comparison_.base, asked="a\n```\nb")
    lines = [
        *commands.commands([hostile]),
        *commands.regress_commands([comparison_]),
        *commands.ceiling_commands([make_ceiling()]),
    ]
    assert len(lines) == 3 and not any("\n" in line for line in lines)
    assert lines[1].startswith("python -m bench regress --base 'a ``` b' --head torch==2.15.0 --case train-")


def test_of_several_searches_the_newest_that_found_something_counts() -> None:
    old, new = make_ceiling(20), make_ceiling(24, started="2026-11-23T10:00:00+00:00")
    other = make_ceiling(12, limit=None)
    assert ceilings.newest([old, new, other]) == [new, other]


def test_a_machine_of_which_only_a_ceiling_is_known_has_a_section(tmp_path: Path) -> None:
    html = written([], tmp_path, ceilings=[make_ceiling(24)])
    assert "yolov8n · cpu · amp off · 160 px trains up to batch 24 within 4 GiB (--memory-limit)." in html
    assert "python -m bench ceiling --model yolov8n --device cpu --amp off --imgsz 160 --memory-limit 4096MiB" in html
    assert "How to read the intervals" not in html
    assert "within 4 GiB (--memory-limit), then out of memory" in html
    assert (tmp_path / "plots" / "ceiling-yolov8n-cpu.png").is_file()
    rows = (tmp_path / "cases.csv").read_text().splitlines()
    assert len(rows) == 2 and ",ceiling," in rows[1]
    assert Reader(html).open == []


def test_a_ceiling_within_what_was_free_is_one_question_whatever_was_free() -> None:
    old = make_ceiling(20, limit=15 * GIB, limit_requested=False)
    new = make_ceiling(24, limit=16 * GIB, limit_requested=False, started="2026-11-23T10:00:00+00:00")
    assert ceilings.newest([old, new]) == [new]
    assert ceilings.within(new) == "16 GiB, what was free"
    asked = make_ceiling(24, limit=16 * GIB)
    assert ceilings.newest([new, asked]) == [new, asked]


def test_ceilings_of_several_versions_or_steps_are_distinguished(tmp_path: Path) -> None:
    newer = {"environment": make_environment("2.15.0"), "started": "2026-11-23T10:00:00+00:00"}
    searches = [make_ceiling(24), make_ceiling(30, **newer), make_ceiling(16, granularity=8)]
    section = ceilings.section(searches)
    assert section is not None
    assert {row.cells[0] for row in section.rows} == {
        "yolov8n · 160 px, torch 2.14.1, Ultralytics 8.4.100, steps of 1",
        "yolov8n · 160 px, torch 2.15.0, Ultralytics 8.4.100, steps of 1",
        "yolov8n · 160 px, torch 2.14.1, Ultralytics 8.4.100, steps of 8",
    }
    assert "torch 2.15.0, Ultralytics 8.4.100 · steps of 1 up to batch 30" in section.plots[0].alt
    under = make_ceiling(57, limit=8 * GIB, **newer)
    cards = ceilings.section([make_ceiling(24), under])
    assert cards is not None and cards.rows[0].cards[0] == "≈ 60", "tried with other versions only"
    assert "torch 2.15.0" in written([], tmp_path, ceilings=searches).split("</h2>")[1].split("</p>")[0]


def test_a_batch_that_did_not_train_is_drawn_though_no_line_says_how_high() -> None:
    lines = plots_of_ceilings.lines_of([make_ceiling(24, memory_fit=None)])
    with style.styled():
        axes = plots_of_ceilings.figure(lines).axes[0]
    [cross] = [line for line in axes.lines if line.get_marker() == "x"]
    assert list(cross.get_xdata()) == [25]
    least = plots_of_ceilings.alt(plots_of_ceilings.lines_of([make_ceiling(24, stop_reason="limit")]))
    assert "up to at least batch 24" in least


def on_card(rate: float, amp: str, gib: float):
    figure = Memory(int(gib * GIB), "torch.cuda.max_memory_allocated")
    return timed(rate, 16, device="0", amp=amp, memory={"allocated": figure})


def test_mixed_precision_is_compared_in_time_memory_and_batch(tmp_path: Path) -> None:
    records = [on_card(100.0, "off", 10.0), on_card(160.0, "on", 6.0)]
    pair = [make_ceiling(24, device="0"), make_ceiling(45, device="0", amp="on")]
    panel = mixed_precision.panel([newest_rows(frame(records))], pair)
    assert panel is not None
    [row] = panel.rows
    assert row[0] == "Training · yolov8n · cuda:0 · batch 16 · 160 px"
    assert row[1] == "1.60×" and row[3:] == ("37.5 % less", "10.00 GiB", "6.00 GiB", "40.0 % less")
    assert panel.columns[3:] == ("Time", "Memory off", "Memory on", "Memory")
    newer = [msgspec.structs.replace(record, environment=make_environment("2.15.0")) for record in records]
    both = mixed_precision.panel([newest_rows(frame(records)), newest_rows(frame(newer))], [])
    assert both is not None
    assert [row[0].partition(", ")[2] for row in both.rows] == [
        f"torch {torch}, Ultralytics 8.4.100" for torch in ("2.14.1", "2.15.0")
    ]
    assert panel.batches == [("yolov8n · cuda:0 · amp on · 160 px · within 4 GiB", "24", "45", "1.88×")]
    assert "Is AMP worth it?" in written(records, tmp_path, ceilings=pair)


def test_several_devices_are_compared_with_one(tmp_path: Path) -> None:
    records = [timed(100.0, 16, device="0"), timed(110.0, 32, device="0"), timed(180.0, 32, device="0+1")]
    panel = scaling.panel([newest_rows(frame(records))])
    assert panel is not None
    case = "Training · yolov8n · cuda:0+1 · amp off · batch 32 · 160 px"
    assert [row[:3] for row in panel.rows] == [
        (f"{case}\nagainst one device with the same batch on each device", "1.80×", "90.0 %"),
        (f"{case}\nagainst one device with the same batch over all devices", "1.64×", "81.8 %"),
    ]
    assert all(" % to " in row[3] for row in panel.rows)
    assert "100 % is linear scaling" in panel.note
    text = written(records, tmp_path)
    assert "Several devices against one" in text and "81.8 %" in text
    assert '<span class="under">against one device with the same batch over all devices</span>' in text
    assert "#### Several devices against one" in (tmp_path / "report.md").read_text()
    newer = [msgspec.structs.replace(record, environment=make_environment("2.15.0")) for record in records]
    both = scaling.panel([newest_rows(frame(records)), newest_rows(frame(newer))])
    assert both is not None and ", torch 2.15.0, Ultralytics 8.4.100\n" in both.rows[2][0]


def test_one_device_alone_has_no_panel() -> None:
    assert scaling.panel([newest_rows(frame(small_run()))]) is None


def test_memory_that_was_got_in_different_ways_is_not_compared() -> None:
    other = make_record(device="0", amp="on", memory={"process": Memory(GIB, "VmHWM")})
    panel = mixed_precision.panel([newest_rows(frame([on_card(100.0, "off", 10.0), other]))], [])
    assert panel is not None and panel.rows[0][-3:] == ("—", "—", "—")


def test_without_both_there_is_no_panel() -> None:
    assert mixed_precision.panel([newest_rows(frame(small_run()))], [make_ceiling()]) is None


def test_upgrades_have_a_line_each_and_one_plot(tmp_path: Path) -> None:
    slower = make_comparison([make_compared(*SLOWER, batch=4)])
    same = make_comparison(
        [make_compared([0.002, -0.003, 0.001, -0.001], batch=4)], run="b", started="2026-11-23T00:00:00+00:00"
    )
    section = live_comparisons.section([same, slower])
    assert section is not None
    assert [line.verdict for line in section.lines] == ["slower", "same"]
    assert section.lines[0].cells[:3] == ("torch==2.14.1", "torch==2.15.0", "slower")
    assert section.lines[0].cells[3].startswith("+5.") or section.lines[0].cells[3].startswith("+4.")
    [plot] = section.plots
    assert plot.key == "upgrade-change" and len(plot.rows) == 2
    html = written([], tmp_path, comparisons=[same, slower])
    assert "is-slower" in html and "nothing was timed by itself" in html
    assert (tmp_path / "plots" / "upgrade-change.png").is_file()


def test_what_one_side_cannot_run_is_shown_without_a_pair(tmp_path: Path) -> None:
    refused = Outcome(Status.UNSUPPORTED, "model yolo26n: this Ultralytics has no such model.")
    compared = make_compared(base=SideOutcome(outcome=refused), head=SideOutcome(), model="yolo26n")
    (tmp_path / "a").mkdir()
    Store.at(tmp_path / "a").save(make_comparison([compared], run="a"))
    for source in (tmp_path, tmp_path / "a", tmp_path / "a" / "comparison.json"):
        comparisons, complaints = read_comparisons([source])
        assert len(comparisons) == 1 and not complaints
    section = live_comparisons.section(comparisons)
    assert section is not None
    [line] = section.lines
    assert line.cells[-1] == "0" and "yolo26n" in line.sentence
    assert "yolo26n" in written([], tmp_path / "out", comparisons=comparisons)


def test_other_margins_are_other_plots() -> None:
    strict = make_comparison([make_compared(*SLOWER, batch=4)], margin=0.01, run="c")
    section = live_comparisons.section([make_comparison([make_compared(*SLOWER, batch=4)]), strict])
    assert section is not None and [plot.key for plot in section.plots] == ["upgrade-1-change", "upgrade-2-change"]


def test_other_recipes_are_other_plots() -> None:
    longer = make_recipe(window_steps=96)
    comparisons = [
        make_comparison([make_compared(*SLOWER, batch=4)]),
        make_comparison([make_compared(*SLOWER, recipe=longer)]),
    ]
    section = live_comparisons.section(comparisons)
    assert section is not None and [plot.key for plot in section.plots] == ["upgrade-1-change", "upgrade-2-change"]


def other_machine(rate: float, batch: int, **changes: object):
    machine = make_machine(fingerprint="a1b2c3d4e5f6", cpu="Apple M4")
    return timed(rate, batch, machine=machine, run="b", **changes)


def test_machines_stand_side_by_side_where_they_measured_the_same(tmp_path: Path) -> None:
    records = [timed(20.0, 4), timed(25.0, 16), other_machine(80.0, 4, device="mps")]
    [shared] = cross_machine.shared(newest_rows(frame(records)))
    [line] = shared.lines
    assert line.case == "yolov8n · 160 px · batch 4 · amp off"
    assert [best for _, _, best in line.cells] == [False, True]
    assert shared.columns[1].startswith("Apple M4") and "mps" in shared.columns[1]
    assert line.cells[1][1].startswith("80.0 images/s (78.9 to ")
    assert "Side by side: training" in written(records, tmp_path)


def test_a_figure_keeps_its_flag_next_to_another_machine() -> None:
    slow = other_machine(8.0, 4)
    assert slow.window is not None
    loud = msgspec.structs.replace(
        slow, window=msgspec.structs.replace(slow.window, interference=["the machine swapped"])
    )
    [shared] = cross_machine.shared(newest_rows(frame([timed(20.0, 4), loud])))
    assert shared.lines[0].cells[1][1].endswith(" †")
    assert [name for _, name, _ in shared.legend] == ["interfered"]
    assert "- † Interfered: " in shared.markdown()


def test_other_files_under_one_name_never_stand_side_by_side() -> None:
    def data(print_: str, name: str) -> Data:
        return Data(name=name, fingerprint=print_, images=8)

    def shared(name: str) -> int:
        mine = make_recipe(data=name)
        records = [
            timed(20.0, 4, recipe=mine, data=data("aaaaaaaaaaaa", name)),
            other_machine(80.0, 4, recipe=mine, data=data("bbbbbbbbbbbb", name)),
        ]
        return len(cross_machine.shared(newest_rows(frame(records))))

    assert (shared("mine.yaml"), shared("coco-like")) == (0, 1), "what is made on the spot is what its recipe says"


def test_other_recipes_never_stand_side_by_side() -> None:
    longer = msgspec.structs.replace(make_record().recipe, window_steps=96)
    records = [timed(20.0, 4), other_machine(80.0, 4, recipe=longer)]
    assert cross_machine.shared(newest_rows(frame(records))) == []


def test_formats_are_what_is_written(tmp_path: Path) -> None:
    inputs = Inputs(records=small_run()[:1], epoch_images=1000)
    assert write(inputs, tmp_path / "a", ("csv",)).name == "cases.csv"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["cases.csv"]
    assert write(inputs, tmp_path / "b", ("md",)).name == "report.md"
    assert {path.suffix for path in (tmp_path / "b" / "plots").iterdir()} == {".png"}
    assert write(inputs, tmp_path / "c", FORMATS).name == "index.html"
    assert (tmp_path / "c" / "gha.json").is_file()
    assert parse_formats(" html, csv ,html") == ("html", "csv")
    with pytest.raises(UsageError, match="format 'pdf' is unknown: use html, md, csv, svg, png, gha"):
        parse_formats("html,pdf")


def test_json_for_github_action_benchmark() -> None:
    table = frame([timed(20.0, 4), timed(25.0, 4), make_record(batch=64, status="failed", reason="No.")])
    [entry] = json.loads(gha.render(table))
    assert entry["name"].startswith("train-yolov8n-cpu-fp32-b4-i160 (machine 3f9ac2d41b07, recipe ")
    assert (entry["unit"], round(entry["value"])) == ("images/s", 25)
    assert entry["range"].startswith("± ") and "torch 2.14.1" in entry["extra"]
    newer = timed(30.0, 4, environment=make_environment("2.15.0"), started="2026-11-23T10:00:00+00:00")
    [upgraded] = json.loads(gha.render(frame([timed(20.0, 4), newer])))
    assert (upgraded["name"], round(upgraded["value"])) == (entry["name"], 30), "its history goes over the upgrade"
    elsewhere = json.loads(gha.render(frame([timed(20.0, 4), other_machine(9.0, 4)])))
    assert len({each["name"] for each in elsewhere}) == 2


def test_a_run_that_goes_on_reloads_its_page(tmp_path: Path) -> None:
    html = written([timed(20.0, 4)], tmp_path, live="Still measuring: 1 of 3 so far.")
    assert 'http-equiv="refresh" content="10"' in html and "1 of 3 so far" in html
    assert "http-equiv" not in written([timed(20.0, 4)], tmp_path)


def test_the_table_is_in_the_page(html: str, folder: Path) -> None:
    import base64
    import re

    link = re.search(r'download="cases.csv" href="data:text/csv;charset=utf-8;base64,([^"]+)"', html)
    assert link and base64.b64decode(link[1]) == (folder / "cases.csv").read_bytes()


def test_a_cell_leads_to_how_it_was_measured(html: str) -> None:
    anchor = "train-yolov8n-cpu-amp-off-batch-4-160-px"
    assert f'href="#{anchor}"' in html
    details = html[html.index(f'id="{anchor}"') :].partition("</li>")[0]
    assert "1 process, 8 steps; ran as requested, threads" in details
    assert "title=" not in html.split("<body>")[1], "a tooltip is out of reach of touch and keyboard"


@pytest.mark.parametrize("name", ["throughput", "memory", "steps", "speedup"])
def test_plots_are_a_library(name: str) -> None:
    table = newest_rows(frame([with_parts(), msgspec.structs.replace(with_parts(), case=timed(1.0, 8).case)]))
    figure = getattr(api, name)(table)
    assert figure.axes[0].get_title(loc="left").startswith("Training · yolov8n")


def test_the_library_says_what_it_cannot_draw() -> None:
    table = newest_rows(frame([timed(20.0, 4), timed(25.0, 16), timed(90.0, 16, mode="predict")]))
    assert api.throughput(table, panel=1).axes
    for wrong, match in (
        (lambda: api.throughput(table, panel=2), "panel 2: Throughput has 2"),
        (lambda: api.metric(table, "speed"), "metric 'speed' is unknown"),
        (lambda: api.energy(table), "nothing to draw of Images for each joule"),
        (lambda: api.scaling(table), "nothing to draw of scaling"),
        (lambda: api.ceiling([]), "0 lines have a peak"),
        (
            lambda: api.throughput(newest_rows(frame([timed(20.0, 4), other_machine(9.0, 4)]))),
            "the rows differ in machine",
        ),
        (
            lambda: api.throughput(
                newest_rows(frame([timed(20.0, 4), timed(9.0, 8, recipe=make_recipe(overrides={}))]))
            ),
            "the rows differ in overrides_hash",
        ),
        (
            lambda: api.ceiling([make_ceiling(24), make_ceiling(machine=make_machine(fingerprint="a1b2c3d4e5f6"))]),
            "the ceilings differ in machine",
        ),
    ):
        with pytest.raises(UsageError, match=match):
            wrong()
    assert api.ceiling([make_ceiling(24), make_ceiling(12, imgsz=320)]).axes


def test_a_long_title_breaks_between_its_values() -> None:
    assert facets.folded("yolov8n · cpu · 320 px", 30) == "yolov8n · cpu · 320 px"
    assert facets.folded("yolov8n · cpu · 320 px", 15) == "yolov8n · cpu\n320 px"
