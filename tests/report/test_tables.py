from __future__ import annotations

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest

from bench.analysis.metrics import RATE
from bench.analysis.table import COLUMNS, frame
from bench.errors import UsageError
from bench.records.record import Record
from bench.report import labels, tables
from bench.report.tables import Own, escaped, markdown, render


def test_csv_has_every_column_and_leaves_missing_values_empty(records: list[Record]) -> None:
    rows = list(csv.DictReader(io.StringIO(render(frame(records), "csv"))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(records)
    assert rows[2]["status"] == "out_of_memory"
    assert all(rows[2][key] == "" for key in ("images_per_second", "seconds_per_epoch", "peak_memory_bytes", "threads"))


def test_csv_numbers_survive_to_the_last_digit(records: list[Record]) -> None:
    table = frame(records)
    rows = list(csv.DictReader(io.StringIO(render(table, "csv"))))
    assert float(rows[0]["images_per_second"]) == table["images_per_second"].iloc[0]
    assert rows[0]["batch"] == "4"


def test_json_is_a_list_of_rows_with_null_for_missing(records: list[Record]) -> None:
    rows = json.loads(render(frame(records), "json"))
    assert [row["status"] for row in rows][:3] == ["measured", "measured", "out_of_memory"]
    assert rows[2]["images_per_second"] is None
    assert rows[2]["threads"] is None
    assert rows[0]["threads"] == 7
    assert isinstance(rows[0]["images_per_second_low"], float)


@pytest.mark.parametrize("block", [1, 2, 5_000])
def test_json_is_that_of_the_standard_library_in_any_block(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BLOCK", block)
    table = pd.DataFrame(
        {
            "whole": pd.array([1, None, 3], dtype="Int64"),
            "number": [0.1, float("nan"), 1e300],
            "text": ['a "b",\n c\td', "\x00\x1b[31mü\x1b[0m, null", None],
            "odd\n{name}": [True, False, None],
        }
    )
    rows = [
        {"whole": 1, "number": 0.1, "text": 'a "b",\n c\td', "odd\n{name}": True},
        {"whole": None, "number": None, "text": "ü, null", "odd\n{name}": False},
        {"whole": 3, "number": 1e300, "text": None, "odd\n{name}": None},
    ]
    assert render(table.assign(cache="ram"), "json") == (
        json.dumps([{**row, "cache": "ram"} for row in rows], indent=1, ensure_ascii=False) + "\n"
    )


def test_md_shows_units_and_a_dash_for_missing(records: list[Record]) -> None:
    table = frame(records)[["batch", "reason", "images_per_second", "seconds_per_epoch_low", "peak_memory_bytes"]]
    lines = render(table, "md").splitlines()
    assert len(lines) == 2 + len(records)
    first = [cell.strip() for cell in lines[2].strip("|").split("|")]
    assert first[0] == "4"
    assert first[2] == "20.0"
    assert " h " in first[3] and first[4] == "1.15 GiB"
    oom = [cell.strip() for cell in lines[4].strip("|").split("|")]
    assert oom[2:] == ["—", "—", "—"]


def test_md_cells_make_neither_columns_nor_html(records: list[Record]) -> None:
    nasty = render(frame(records)[["status", "reason"]], "md").splitlines()[7]
    assert "a \\| b" in nasty
    assert "<script>" not in nasty and "&lt;script&gt;" in nasty


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("![chip](https://example.org/x.png)", "!\\[chip\\](https://example.org/x.png)"),
        ("*a* **b** `c` ~~d~~ $e$", "\\*a\\* \\*\\*b\\*\\* \\`c\\` \\~\\~d\\~\\~ \\$e\\$"),
        ("_a_ seconds_per_epoch", "\\_a\\_ seconds_per_epoch"),
        ("__a__ b__c", "\\_\\_a\\_\\_ b\\_\\_c"),
        ("# heading #2", "\\# heading #2"),
        ("a\\| b", "a\\\\\\| b"),
        ("thanks @octocat", "thanks @\N{ZERO WIDTH SPACE}octocat"),
    ],
)
def test_text_makes_no_markdown(text: str, safe: str) -> None:
    assert escaped(text) == safe
    assert f"| {safe} " in markdown(["Chip"], [[text]])


def test_markdown_of_our_own_stays_as_it_is() -> None:
    assert "| **slower** " in markdown(["Verdict"], [[Own("**slower**")]])


@pytest.mark.parametrize("format", ["csv", "md", "json"])
def test_nothing_missing_is_ever_nan_or_zero(records: list[Record], format: str) -> None:
    text = render(frame(records[2:3]), format)
    assert "nan" not in text.lower().replace("finance", "")
    assert "<NA>" not in text and "None" not in text


@pytest.mark.parametrize("format", ["csv", "md", "json"])
def test_an_empty_frame_is_text_too(format: str) -> None:
    text = render(frame([]), format)
    assert text.endswith("\n")
    assert json.loads(text) == [] if format == "json" else "images_per_second" in text


def test_an_unknown_format_is_wrong_use(records: list[Record]) -> None:
    with pytest.raises(UsageError, match="csv, md, json"):
        render(frame(records), "xlsx")


@pytest.mark.parametrize(
    ("ends", "decimals"),
    [([(90.0, 110.0), (80.0, 120.0)], 0), ([(98.0, 102.0), (80.0, 120.0)], 1), ([(99.99, 100.01), (90.0, 110.0)], 2)],
)
def test_a_column_of_intervals_has_one_number_of_decimals(ends: list[tuple[float, float]], decimals: int) -> None:
    lows, highs = zip(*ends, (float("nan"), float("nan")), strict=True)
    assert labels.spread_decimals(lows, highs) == decimals
    texts = [labels.spread(RATE, (low + high) / 2, low, high, decimals) for low, high in ends]
    assert {len(text.split()[1].partition(".")[2]) for text in texts} == {decimals}


def test_rows_are_values_of_python() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [True, False], "c": [0.5, float("nan")], "d": ["x", np.float64(1.5)]})
    first, second = labels.rows(frame)
    assert first == {"a": 1, "b": True, "c": 0.5, "d": "x"}
    assert [type(value) for value in second.values()] == [int, bool, float, float]


def test_a_size_below_one_mib_is_not_shown_as_0() -> None:
    show = labels.bytes_alike([480 * 2**10, 3 * 2**20])
    assert [show(value) for value in (480 * 2**10, 3 * 2**20, 0)] == ["480 KiB", "3 MiB", "0 MiB"]
