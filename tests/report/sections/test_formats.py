"""The sections on formats and on latency, from made records."""

from __future__ import annotations

import math
import random
from pathlib import Path

import msgspec
import pytest

from bench.analysis.formats import compared
from bench.analysis.table import frame
from bench.records.record import Phase, Record, Window
from bench.report import page
from bench.report.inputs import Inputs, MachineInputs
from bench.report.sections import formats, latency
from tests.builders import make_case, make_record, make_steps

EXTRA = {
    "load_seconds": 0.25,
    "first_call_seconds": 0.5,
    "export": {"format": "onnx", "seconds": 8.0, "bytes": 12_700_000, "made": True, "arguments": {}, "packages": {}},
    "parity": {"relative_l2": 1.25e-5, "limit": 1e-4, "box_p99_px": 0.009},
}


def calls(count: int, seconds: float, seed: int = 0) -> list[float]:
    draw = random.Random(seed)
    return [seconds * math.exp(0.1 * draw.gauss(0, 1)) for _ in range(count)]


def predicted(further: dict[str, object], seconds: float, count: int = 400, **changes: object) -> Record:
    case = make_case(mode="predict", batch=1, further=tuple(sorted(further.items())))
    phases = {"forward": Phase([seconds / 2], "steps of the window")}
    return make_record(case=case, steps=make_steps(calls(count, seconds), images=1), phases=phases, **changes)


RECORDS = [
    predicted({}, 0.02),
    predicted({"format": "onnx"}, 0.01, extra=EXTRA),
    predicted({"format": "openvino"}, 0.008, extra={"export": "broken", "parity": {"relative_l2": True}}),
    make_record(),
]


def machine(records: list[Record]) -> MachineInputs:
    table = frame(records)
    inputs = Inputs(records=records, epoch_images=1000)
    return MachineInputs(table, inputs, key=records[0].machine.key)


def test_formats_are_compared_with_the_own_format() -> None:
    table = compared(frame(RECORDS))
    assert table["format"].tolist() == ["pt", "onnx", "openvino"]
    assert table["over_own"].tolist()[1:] == pytest.approx([2.0, 2.5], rel=0.001)
    assert math.isnan(table["over_own"].iloc[0]) and math.isnan(table["forward_over_own"].iloc[0])
    assert table["forward_over_own"].tolist()[1:] == pytest.approx([2.0, 2.5])
    assert (table["over_own_low"] < table["over_own"]).tolist() == [False, True, True]


def test_without_the_own_format_there_is_no_ratio() -> None:
    table = compared(frame(RECORDS[1:3]))
    assert table["format"].tolist() == ["onnx", "openvino"]
    assert table["over_own"].isna().all() and table["forward_over_own"].isna().all()
    other = predicted({}, 0.02, machine=make_record().machine, run="b")
    assert compared(frame([other, make_record()])).empty, "nothing was exported"


def test_table_of_speeds() -> None:
    table = formats.build_speed(machine(RECORDS))
    assert table is not None
    rows = {row[1]: row for row in table.rows}
    assert list(rows) == ["pt", "onnx", "openvino"]
    assert rows["pt"][3:5] == ("—", "—")
    assert rows["onnx"][3] == "2.00×" and " to " in rows["onnx"][4]
    assert (rows["onnx"][5], rows["onnx"][6]) == ("5.00 ms", "2.00×")
    assert rows["onnx"][0] == "yolov8n"
    assert table.note.startswith("Every row: cpu · amp off · ") and "format" not in table.note.partition(". ")[0]


def test_a_row_names_what_the_others_do_not_share() -> None:
    case = make_case(mode="predict", batch=1, amp="bf16", further=(("format", "openvino"),))
    reduced = msgspec.structs.replace(predicted({}, 0.005), case=case)
    table = formats.build_speed(machine([*RECORDS, reduced]))
    assert table is not None
    assert {row[0] for row in table.rows} == {"amp off", "amp bf16"}
    assert "amp" not in table.note.partition(". ")[0]


def test_a_ratio_of_interference_says_so() -> None:
    window = Window(wall_seconds=1.0, cpu_seconds=1.0, involuntary_switches=0, processors=2, interference=["others"])
    records = [RECORDS[0], predicted({"format": "onnx"}, 0.01, window=window)]
    table = formats.build_speed(machine(records))
    assert table is not None and [row[3] for row in table.rows] == ["—", "2.00× (interfered)"]


def test_table_of_costs_bears_what_a_record_may_hold() -> None:
    table = formats.build_costs(machine(RECORDS))
    assert table is not None
    rows = {row[1]: row for row in table.rows}
    assert rows["onnx"][4:8] == ("12.1 MiB", "8.00 s", "250 ms", "500 ms")
    assert rows["onnx"][3] != "—" and rows["pt"][2:8] == ("—",) * 6 == rows["openvino"][2:8]


def test_without_exports_and_long_windows_there_is_no_section() -> None:
    short = machine([predicted({}, 0.02, count=12), make_record()])
    assert formats.build_speed(short) is None and formats.build_costs(short) is None
    assert latency.build(short) is None
    assert latency.build(machine([make_record()])) is None


def test_table_of_latency() -> None:
    table = latency.build(machine([predicted({}, 0.02, count=700), predicted({"scenario": "single"}, 0.02, count=40)]))
    assert table is not None and len(table.plots) == 1
    long, short = table.rows
    assert long[1] == "700" and all(" to " in cell for cell in long[2:5])
    assert short[1] == "40" and " to " in short[2]
    assert short[3:5] == ("— needs 64 calls", "— needs 662 calls")
    assert long[5].endswith(" ms") and short[5] == "—"
    assert float(long[5].split()[0]) > float(long[3].split()[0]), "a queue has a longer tail"


def test_a_server_is_measured_and_not_modelled() -> None:
    further = {"scenario": "server", "arrival_rate": 5}
    table = latency.build(machine([predicted(further, 0.02)]))
    assert table is not None and table.rows[0][5] == "—"


def test_many_cases_are_drawn_in_two_figures() -> None:
    records = [predicted({"threads": number}, 0.02, count=64) for number in range(1, 20)]
    table = latency.build(machine(records))
    assert table is not None and len(table.rows) == 19
    assert [plot.key for plot in table.plots] == ["latency", "latency-2"]
    assert [len(plot.rows) for plot in table.plots] == [6, 6]


def test_both_come_to_the_page(tmp_path: Path) -> None:
    html = page.write(Inputs(records=RECORDS, epoch_images=1000), tmp_path).read_text(encoding="utf-8")
    for text in ("Formats against each other", "What a format costs", "Latency of a call", "Which format?"):
        assert text in html
    assert (tmp_path / "plots" / "latency.svg").exists()
    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "#### Latency of a call" in markdown
