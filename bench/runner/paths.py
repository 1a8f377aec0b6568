"""Where things live that can be made again: data sets, Ultralytics' settings, compiled Python, calibrations."""

from __future__ import annotations

import os
import platform
from pathlib import Path


def cache_folder() -> Path:
    """``$YOLOPACE_CACHE``, else the system's own place for caches."""
    if chosen := os.environ.get("YOLOPACE_CACHE"):
        return Path(chosen).expanduser().resolve()
    if platform.system() == "Darwin":
        return Path.home() / "Library" / "Caches" / "yolopace"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "yolopace"


def calibration_folder() -> Path:
    """Where calibrations of this machine are: they outlive its results, and every record carries what they found."""
    return cache_folder() / "calibration"
