"""Prediction cases: one round is one whole call on a batch of images."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.pytest_plugin import benchmark_bridge


@pytest.mark.benchmark(timer=benchmark_bridge.now)
def test_predict(case_id: str, measure: Callable[[str], None]) -> None:
    """Measure one prediction case."""
    measure(case_id)
