"""Axes of prediction that say how requests come: MLPerf's scenarios, and the rate of arrivals."""

from __future__ import annotations

from typing import Any

from bench.cases.axes import Axis, order_of, register
from bench.cases.ultralytics_axes import choice
from bench.errors import UsageError

SCENARIOS = ("single", "multi", "offline", "server")
"""One image after the other; a batch at once; a long list of images; requests that arrive at random."""

ONE_IMAGE = ("single", "server")
"""Scenarios of one image per request."""

CALLS = {"single": 64, "multi": 662, "server": 662}
"""Least calls of a window: MLPerf's for the 90th percentile of ``single``, and for the 99th of the others."""

LIST_BATCHES = 64
"""Batches of different images that a scenario goes through again and again."""

MOST_SECONDS = 120
"""Seconds after which a window of a scenario ends, with however many calls it has."""

PREDICT = ("predict",)


def parse_rate(text: str) -> int | float:
    """Read a rate of arrivals, in requests per second."""
    try:
        rate = float(f"{float(text):g}")  # as an id writes it
        rate = int(rate) if rate.is_integer() else rate
    except ValueError:
        rate = 0.0
    if not 0.001 <= rate <= 100_000:
        raise UsageError(f"arrival_rate {text!r} is not allowed: use requests per second, such as 5 or 0.5.")
    return rate


def least(scenario: str) -> dict[str, int]:
    """Return the least values of fields of the recipe in a scenario."""
    calls = {"window_steps": CALLS[scenario]} if scenario in CALLS else {}
    return {**calls, "data_steps": LIST_BATCHES, "most_seconds": MOST_SECONDS}


def defaults(scenario: str) -> dict[str, Any]:
    """Return the batch of a scenario of one image per request."""
    return {"batch": 1} if scenario in ONE_IMAGE else {}


register(
    Axis(
        "scenario",
        "Scenario",
        choice("scenario", dict.fromkeys(SCENARIOS)),
        "single,multi,offline,server: how images come, with MLPerf's meanings",
        order=order_of(SCENARIOS),
        modes=PREDICT,
        setting="scenario",
        least=least,
        defaults=defaults,
        requires={"server": "arrival_rate"},
    )
)
register(
    Axis(
        "arrival_rate",
        "Arrival rate",
        parse_rate,
        "requests per second of scenario server, such as 5,10",
        text=lambda rate: f"{rate:g}",
        order=float,
        numeric=True,
        modes=PREDICT,
        setting="arrival_rate",
        needs={"scenario": "server"},
        step_seconds=lambda rate: 1 / rate,
    )
)
