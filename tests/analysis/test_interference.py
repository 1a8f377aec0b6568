"""Interference in a few words."""

from __future__ import annotations

import pytest

from bench.analysis.interference import summarize


@pytest.mark.parametrize(
    ("phrases", "text"),
    [
        ([], ""),
        (
            [
                "others used 1.71 of the machine's 2 processors",
                "a thread waited 37.0 % of the time for a processor; others used 1.85 processors",
                "a thread waited 36.5 % of the time for a processor; others used 1.66 processors",
            ],
            "other processes: 1.9 of 2 cores",
        ),
        (["its one thread waited 9.5 % of the time for a processor"], "waited 9.5 % of the time for a core"),
        (["the hypervisor took 3.1 % of the machine's time"], "hypervisor: 3.1 % of the time"),
        (["a CPU quota held the process back"] * 2, "a CPU quota held the process back"),
    ],
)  # fmt: skip
def test_one_fact_is_said_once(phrases: list[str], text: str) -> None:
    assert summarize(phrases, 2) == text
