"""What this interpreter offers, without importing torch or ultralytics: versions, and the models known by name."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
from pathlib import Path
from typing import Any

from .model_names import sizes_in

ULTRALYTICS = ("ultralytics", "ultralytics-opencv-headless")
"""Distributions that install the package ``ultralytics``; their version numbers agree."""

FLOOR = {"ultralytics": (8, 3, 230), "torch": (2, 6)}
"""Oldest versions that can be measured: before them training on mps could be silently wrong (ultralytics#22181)."""

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


def release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: ``2.15.0+cu132`` is ``(2, 15, 0)``."""
    numbers = []
    for part in version.split("+")[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def why_unusable(versions: dict[str, str | None]) -> str:
    """One sentence on what is missing or too old, or an empty string."""
    for package, floor in FLOOR.items():
        found, wanted = versions.get(package), ".".join(map(str, floor))
        if found is None:
            return f"{package} is not installed for {sys.executable}: install {package}>={wanted} there."
        if release(found) < floor:
            return f"{package} {found} is older than {wanted}, the oldest that can be measured: upgrade it."
    return ""


def names_in(folder: Path, pattern: str) -> list[str]:
    """Names of the models or data sets that Ultralytics brings, without ``.yaml``: ``yolov8``, ``yolo11-seg``."""
    return sorted(path.stem for path in folder.glob(pattern))


def facts() -> dict[str, Any]:
    """Everything about the environment that can be known without importing what is measured."""
    ultralytics = next((version for name in ULTRALYTICS if (version := version_of(name))), None)
    spec = importlib.util.find_spec("ultralytics")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    versions = {"ultralytics": ultralytics, **{name: version_of(name) for name in RECORDED}}
    packages = {name: version for name, version in versions.items() if version is not None}
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "packages": packages,
        "models": names_in(folder / "cfg" / "models", "*/*.yaml") if folder else [],
        "sizes": sizes_in(folder / "cfg" / "models") if folder else {},
        "datasets": names_in(folder / "cfg" / "datasets", "*.yaml") if folder else [],
        "unusable": why_unusable(versions),
    }
