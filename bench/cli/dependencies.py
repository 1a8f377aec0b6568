"""Check that installed packages are as new as this suite needs."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

NAME = "yolopace"


def requirements() -> list[str]:
    """Return the requirements of the suite: from ``pyproject.toml`` of a checkout, else from the installed metadata."""
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
    """Name a package that is older than required, in one sentence; empty if all are new enough.

    Pre-releases and builds of a version count as that version.
    """
    try:  # it may be missing itself, where a package was installed without its requirements
        from packaging.requirements import Requirement
        from packaging.version import Version
    except ModuleNotFoundError:
        return "packaging is missing: python -m pip install packaging."
    for requirement in map(Requirement, requirements()):
        name, bounds = requirement.name, requirement.specifier
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # whoever imports it says so
            continue
        if not bounds.contains(Version(version).base_version):
            needed = f"{name}{bounds}"
            return f"{name} {version} is too old, {needed} is needed: python -m pip install '{needed}'."
    return ""
