"""Ceilings, where ``--mode ceiling`` asks for them: one round is one batch that was tried in a fresh process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.pytest_plugin import benchmark_bridge


@pytest.mark.benchmark(timer=benchmark_bridge.now)
def test_ceiling(ceiling_id: str, search: Callable[[str], None]) -> None:
    """Search for the largest batch that trains."""
    search(ceiling_id)
