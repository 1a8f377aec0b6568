"""What this interpreter offers, without importing torch or ultralytics: versions, and the models known by name."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path
from typing import Any

from ..workloads.ultralytics.model_names import sizes_in
from .identity import DISTRIBUTIONS, Unidentified, identify, release
from .variables import chosen

FLOOR = {"ultralytics": (8, 3, 230), "torch": (2, 6)}
"""Oldest versions that can be measured: before them training on mps could be silently wrong (ultralytics#22181)."""

OLDEST = (3, 10)
"""The oldest Python that can be measured."""

RECORDED = (
    "torch",
    "torchvision",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "pillow",
    "triton",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
)


def version_of(distribution: str) -> str | None:
    """Installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def why_unusable(versions: dict[str, str | None]) -> str:
    """One sentence on what is missing or too old, or an empty string."""
    if sys.version_info < OLDEST:
        has, wanted = platform.python_version(), ".".join(map(str, OLDEST))
        return f"Python {has} of {sys.executable} is older than {wanted}, the oldest that can be measured: use another."
    for package, floor in FLOOR.items():
        found, wanted = versions.get(package), ".".join(map(str, floor))
        if found is None:
            return f"{package} is not installed for {sys.executable}: install {package}>={wanted} there."
        if not release(found):
            return (
                f"{package} states {found!r} as its version, which is no number: {package}>={wanted} can be measured."
            )
        if release(found) < floor:
            return f"{package} {found} is older than {wanted}, the oldest that can be measured: upgrade it."
    return ""


def names_in(folder: Path, pattern: str) -> list[str]:
    """Names of the models or data sets that Ultralytics brings, without ``.yaml``: ``yolov8``, ``yolo11-seg``."""
    return sorted(path.stem for path in folder.glob(pattern))


def facts() -> dict[str, Any]:
    """Everything about the environment that can be known without importing what is measured."""
    found: dict[str, dict[str, Any]] = {}
    unusable = ""
    for name in DISTRIBUTIONS:
        try:
            one = identify(name)
        except Unidentified as error:
            unusable = unusable or str(error)
            continue
        if one is not None:
            found[name] = one
    packages = versions(found)
    folder = Path(found["ultralytics"]["file"]).parent if "ultralytics" in found else None
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "packages": packages,
        "imported": found,
        "models": names_in(folder / "cfg" / "models", "*/*.yaml") if folder else [],
        "sizes": sizes_in(folder / "cfg" / "models") if folder else {},
        "datasets": names_in(folder / "cfg" / "datasets", "*.yaml") if folder else [],
        "unusable": unusable or why_unusable({name: packages.get(name) for name in FLOOR}),
        "variables": chosen(os.environ),
    }


def versions(found: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Versions by distribution, of what is imported; Ultralytics has one name whichever distribution brought it.

    Args:
        found: by module what :func:`.identity.identify` gave.
    """
    known = {name: version_of(name) for name in RECORDED}
    for module, names in DISTRIBUTIONS.items():
        if module in found and (module in ("ultralytics", "torch", "torchvision") or found[module]["source"] == "path"):
            known.update(dict.fromkeys(names))
            known[names[0]] = found[module]["version"]
        elif module in ("torch", "torchvision"):
            known[module] = None
    order = ("ultralytics", *RECORDED)
    return {name: version for name in order if (version := known.get(name)) is not None}
