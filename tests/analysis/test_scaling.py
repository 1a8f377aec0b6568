"""Several devices against one: with the same batch on each, and with the same over all of them."""

from __future__ import annotations

import pytest

from bench.analysis.scaling import COLUMNS, efficiencies
from bench.analysis.table import frame
from bench.cases.axes import fixed_axes
from bench.records.record import Record
from tests.builders import make_case, make_environment, make_record, make_steps


def run(device: str, batch: int, seconds: float, **changes: object) -> Record:
    steps = make_steps([seconds, seconds * 1.01, seconds * 0.99, seconds], images=batch)
    return make_record(case=make_case(device=device, batch=batch), steps=steps, **changes)


def test_both_ways_of_adding_devices() -> None:
    # One card: 16 images in 0.1 s, 32 in 0.18 s. Two: 32 in 0.11 s.
    table = efficiencies(frame([run("0", 16, 0.1), run("0", 32, 0.18), run("0+1", 32, 0.11)]))
    rows = {row["scaling"]: row for row in table.to_dict("records")}
    assert set(rows) == {"each", "total"}
    assert rows["each"]["speedup"] == pytest.approx(2 * 0.1 / 0.11)
    assert rows["each"]["efficiency"] == pytest.approx(0.1 / 0.11)
    assert rows["total"]["efficiency"] == pytest.approx(0.18 / 0.11 / 2)
    assert all(row["devices"] == 2 and row["batch"] == 32 for row in rows.values())
    assert rows["each"]["efficiency_low"] < rows["each"]["efficiency"] < rows["each"]["efficiency_high"]


def test_any_of_the_cards_may_be_the_one() -> None:
    table = efficiencies(frame([run("1", 16, 0.1), run("0+1", 32, 0.1)]))
    assert table["efficiency"].tolist() == [pytest.approx(1.0)]
    assert efficiencies(frame([run("2", 16, 0.1), run("0+1", 32, 0.1)])).empty


def test_machines_count_too() -> None:
    table = efficiencies(frame([run("0", 16, 0.1), run("2x0+1", 64, 0.2)]))
    assert table["devices"].tolist() == [4]
    assert table["efficiency"].tolist() == [pytest.approx(0.5)]


def test_other_software_is_no_counterpart() -> None:
    other = run("0", 16, 0.1, environment=make_environment(torch="2.9.0"))
    table = efficiencies(frame([other, run("0+1", 32, 0.1)]))
    assert table.empty
    assert list(table.columns) == [*fixed_axes(), *COLUMNS]


def test_one_device_alone_is_no_scaling() -> None:
    assert efficiencies(frame([run("0", 16, 0.1), run("0", 32, 0.1)])).empty
