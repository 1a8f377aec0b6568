"""Ceilings, where ``--mode ceiling`` asks for them: one round is one batch that was tried in a fresh process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench import replay


@pytest.mark.benchmark(timer=replay.now)
def test_ceiling(ceiling_id: str, search: Callable[[str], None]) -> None:
    """Search for the largest batch that trains."""
    search(ceiling_id)
