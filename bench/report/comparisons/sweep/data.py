"""A row of releases as JSON, for programs: raw numbers, and null for what is not known."""

from __future__ import annotations

import json
from typing import Any

from bench.compare.sweep import Entry, Series, Sweep
from bench.report.comparisons.regress import data
from bench.report.comparisons.sweep import words
from bench.text import cleaned

SCHEMA = 2
"""Raise it when a key goes or changes its meaning."""


def as_json(found: Sweep) -> str:
    """All that is said of a row, as text that ends with a newline; each comparison as ``regress`` writes it."""
    content = {
        "schema": SCHEMA,
        "run": found.run,
        "package": found.package,
        "held": list(found.held),
        "first": found.base or None,
        "verdict": found.newest.pace.value,
        "exit_code": int(found.exit_code),
        "since": found.since.release if found.since else None,
        "conclusion": " ".join(words.conclusion(found)),
        "seconds": found.seconds,
        "releases": [_release(entry, found) for entry in found.entries],
        "throughput": [_throughput(series) for series in found.series],
    }
    return json.dumps(cleaned(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _release(entry: Entry, found: Sweep) -> dict[str, Any]:
    first = entry.release == found.base
    return {
        "release": entry.release,
        "verdict": None if first else entry.pace.value,
        "notes": words.notes(entry, found),
        "comparison": json.loads(data.as_json(entry.found)) if entry.found else None,
    }


def _throughput(series: Series) -> dict[str, Any]:
    """Images per second; of the first release without an interval, since the others' are of the ratio to it."""
    return {
        "case": series.case.id,
        "first": {"images_per_second": series.level, "pairs": series.pairs},
        "releases": [
            {
                "release": point.release,
                "images_per_second": point.rate,
                "images_per_second_low": point.low,
                "images_per_second_high": point.high,
            }
            for point in series.points
        ],
    }
