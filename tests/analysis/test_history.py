from __future__ import annotations

import pandas as pd
import pytest

from bench.analysis.history import Change, change_since
from bench.analysis.table import frame
from bench.records.record import Record
from tests.builders import make_environment, make_machine, make_recipe, make_record
from tests.report.conftest import timed

HERE = make_machine(id="aaaaaaaaaaaa")


def at(rate: float, day: int, **changes: object) -> Record:
    """A record of about so many images per second in the run of a day."""
    fields = {"machine": HERE, "run": f"run-{day}", "started": f"2026-11-{day:02}T02:51:01+00:00"}
    return timed(rate, 16, **(fields | changes))


def last_change(*records: Record) -> Change | None:
    """The change of the last record."""
    table = frame(records)
    return change_since(table, table.iloc[-1].to_dict())


def test_a_figure_is_compared_with_the_newest_earlier_run() -> None:
    change = last_change(at(90.0, 20), at(69.6, 25), at(37.9, 29))
    assert change is not None
    assert (change.run, change.started[:10], change.clear) == ("run-25", "2026-11-25", True)
    assert change.share == pytest.approx(37.9 / 69.6 - 1)


def test_an_old_record_of_this_machine_counts() -> None:
    assert last_change(at(69.6, 25, machine=make_machine()), at(37.9, 29)) is not None


def test_intervals_that_overlap_are_no_clear_change() -> None:
    change = last_change(at(40.0, 25), at(40.1, 29))
    assert change is not None and not change.clear


def test_a_figure_without_an_interval_is_no_clear_change() -> None:
    table = frame([at(69.6, 25), at(37.9, 29)])
    table.loc[0, ["images_per_second_low", "images_per_second_high"]] = None
    change = change_since(table, table.iloc[1].to_dict())
    assert change is not None and not change.clear


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "run-29"},
        {"started": "2026-11-30T00:00:00+00:00"},
        {"machine": make_machine(id="bbbbbbbbbbbb")},
        {"environment": make_environment("2.15.0")},
        {"recipe": make_recipe(window_steps=99)},
        {"imgsz": 640},
    ],
)
def test_only_the_same_case_machine_and_software_in_an_earlier_run_counts(changes: dict[str, object]) -> None:
    assert last_change(at(69.6, 25, **changes), at(37.9, 29)) is None


def test_nothing_is_said_of_what_was_not_measured() -> None:
    failed = make_record(status="failed", run="run-29", started="2026-11-29T00:00:00+00:00", machine=HERE)
    assert last_change(at(69.6, 25), failed) is None
    assert last_change(make_record(status="failed", run="run-25", machine=HERE), at(37.9, 29)) is None


def test_further_axes_belong_to_the_case() -> None:
    first, second = at(69.6, 25), at(37.9, 29)
    table = frame([first, second])
    assert isinstance(table, pd.DataFrame)
    table["workers"] = [0, 4]
    table = table[[*table.columns[:7], "workers", *table.columns[7:-1]]]
    assert change_since(table, table.iloc[1].to_dict()) is None
