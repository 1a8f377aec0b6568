"""Training cases: one round is one whole step, waiting for data included."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.pytest_plugin import benchmark_bridge


@pytest.mark.benchmark(timer=benchmark_bridge.now)
def test_train(case_id: str, measure: Callable[[str], None]) -> None:
    """Measure one training case."""
    measure(case_id)
