"""The newest figures as JSON for github-action-benchmark, which keeps a history of them.

Its tool is to be ``customBiggerIsBetter``: a list of objects with ``name``, ``unit``, ``value``,
``range`` and ``extra``.
"""

from __future__ import annotations

import json

import pandas as pd

from bench.analysis.metrics import RATE
from bench.analysis.table import latest
from bench.report import labels


def render(table: pd.DataFrame) -> str:
    """Images per second of the newest row of every measured case, with half its interval, and what it was run by."""
    measured = latest(table[table["mode"] != "ceiling"])
    rows = labels.rows(measured[measured["status"] == "measured"])
    names = [str(row["id"]).rpartition("/")[2] for row in rows]
    several = len({(row["machine"], row["torch"], row["ultralytics"], row["setup"]) for row in rows}) > 1
    return (
        json.dumps(
            [
                {
                    "name": f"{name} ({_where(row)})" if several or names.count(name) > 1 else name,
                    "unit": RATE.symbol,
                    "value": float(row["images_per_second"]),
                    **({"range": _half(row)} if labels.there(row["images_per_second_low"]) else {}),
                    "extra": _where(row),
                }
                for name, row in zip(names, rows, strict=True)
            ],
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )


def _where(row: dict[str, object]) -> str:
    return f"machine {row['machine']}, torch {row['torch']}, Ultralytics {row['ultralytics']}"


def _half(row: dict[str, object]) -> str:
    half = (float(str(row["images_per_second_high"])) - float(str(row["images_per_second_low"]))) / 2
    return f"± {half:.4g}"
