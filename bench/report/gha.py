"""The newest figures as JSON for github-action-benchmark, which keeps a history of them.

Set its tool to ``customBiggerIsBetter``: a list of objects with ``name``, ``unit``, ``value``,
``range`` and ``extra``.
"""

from __future__ import annotations

import json

import pandas as pd

from bench.analysis.metrics import RATE
from bench.analysis.table import newest_rows
from bench.report import labels


def render(table: pd.DataFrame) -> str:
    """Render images per second of the newest row of every measured case, with half its interval and its versions.

    A case has one entry per machine and recipe, whatever versions measured it. Its name stays the same over upgrades,
    so that the history covers them.
    """
    measured = newest_rows(table[table["mode"] != "ceiling"])
    newest = measured[measured["status"] == "measured"].sort_values("started", kind="stable")
    rows = {_name(row): row for row in labels.rows(newest)}
    return (
        json.dumps(
            [
                {
                    "name": name,
                    "unit": RATE.symbol,
                    "value": float(row["images_per_second"]),
                    **({"range": _half(row)} if labels.there(row["images_per_second_low"]) else {}),
                    "extra": _versions(row),
                }
                for name, row in sorted(rows.items())
            ],
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )


def _name(row: dict[str, object]) -> str:
    """Format the name of an entry: ``train-yolov8n-cpu-fp32-b4-i160 (machine 3f9ac2d41b07, recipe 0a1b2c3d4e5f)``."""
    case = str(row["id"]).rpartition("/")[2].partition("--p")[0]  # stable, whatever the file name adds
    return labels.to_one_line(f"{case} (machine {row['machine']}, recipe {row['recipe']})", 300)


def _versions(row: dict[str, object]) -> str:
    return labels.to_one_line(f"torch {row['torch']}, Ultralytics {row['ultralytics']}", 300)


def _half(row: dict[str, object]) -> str:
    half = (float(str(row["images_per_second_high"])) - float(str(row["images_per_second_low"]))) / 2
    return f"± {half:.4g}"
