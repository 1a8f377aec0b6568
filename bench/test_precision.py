"""The precision that was asked for: more processes where the interval is widest. Collected with --precision alone."""

from __future__ import annotations

from collections.abc import Callable


def test_precision(refine: Callable[[], None]) -> None:
    """Add processes until every measured case is known well enough, or the time budget ends."""
    refine()
