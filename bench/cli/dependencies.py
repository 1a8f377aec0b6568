"""Whether the packages that this suite needs are as new as it needs them."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from pathlib import Path

NAME = "yolopace"

BOUND = re.compile(r"([A-Za-z0-9._-]+)\s*\(?>=\s*([0-9.]+)\)?\s*(?:;.*)?")
"""A requirement with a lower bound, such as ``typer>=0.16``."""


def requirements() -> list[str]:
    """What the suite requires: as the ``pyproject.toml`` of a checkout has it, else the installed metadata."""
    try:
        text = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
        project = tomllib.loads(text)["project"]
        if project["name"] == NAME:
            return list(project["dependencies"])
    except (OSError, ValueError, KeyError):
        pass
    try:
        return importlib.metadata.requires(NAME) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def outdated() -> str:
    """One sentence on an installed package that is older than required, or an empty string."""
    for requirement in requirements():
        found = BOUND.fullmatch(requirement.strip())
        if not found:
            continue
        name, bound = found.groups()
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # whoever imports it says so
            continue
        if _numbers(version) < _numbers(bound):
            return f"{name} {version} is too old, {name}>={bound} is needed: python -m pip install '{name}>={bound}'."
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version, without zeros at its end: ``2.2.0rc1`` is ``(2, 2)``."""
    release = re.match(r"[0-9]+(\.[0-9]+)*", version)
    numbers = [int(part) for part in release[0].split(".")] if release else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
