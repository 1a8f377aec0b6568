"""Further processes for ``--target-ci``; collected with that option alone, and not chosen by -k.

This is a test so that pytest measures, shows and times these processes as it does cases. It has to run after all cases,
whatever chose them: ``bench/pytest_plugin/selection.py`` moves it to the end of the session and keeps -k and the like
from dropping it.
"""

from __future__ import annotations

from collections.abc import Callable


def test_target_ci(refine: Callable[[], None]) -> None:
    """Add processes until the interval of every case is narrow enough, or the time budget ends."""
    refine()
