"""Paths of the cache: data sets, environments, Ultralytics' settings, compiled Python, calibrations."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from bench.errors import UsageError

VARIABLE = "YOLOPACE_CACHE"
"""The environment variable that moves the cache."""


def home_folder() -> Path | None:
    """Return the user's home; None where HOME is not set and the system has no entry for the user."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def cache_folder() -> Path:
    """Return ``$YOLOPACE_CACHE``, else the system's folder for caches: an absolute path that need not exist.

    Raises:
        UsageError: where it is undefined, as for a user without a home.
    """
    if chosen := os.environ.get(VARIABLE, "").strip():
        try:
            return Path(chosen).expanduser().resolve()
        except (RuntimeError, OSError) as error:  # the home of a user that the system does not know, a loop of links
            why = str(error).rstrip(".")
            raise UsageError(
                f"{VARIABLE} {chosen!r} cannot be resolved ({why}): set it to the absolute path of another folder."
            ) from error
    home = home_folder()
    if platform.system() == "Darwin" and home is not None:
        return home.absolute() / "Library" / "Caches" / "yolopace"
    # The specification of XDG says that a relative path is to be ignored.
    if os.path.isabs(caches := os.environ.get("XDG_CACHE_HOME", "")):
        return Path(caches) / "yolopace"
    if home is None:
        raise UsageError(
            f"no place for the cache: HOME is not set, and the system has no entry for user {os.getuid()}: "
            f"set {VARIABLE} to a folder that this user can write to."
        )
    return home.absolute() / ".cache" / "yolopace"


def calibration_folder() -> Path:
    """Return the folder of calibrations: they outlive results, and every record carries its calibration."""
    return cache_folder() / "calibration"
