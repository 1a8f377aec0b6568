"""Origins of the packages that an interpreter imports, for its record: a distribution, a checkout or a folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from bench.environments.local_source import GIT_LOCATION_VARIABLES
from bench.records.record import Origin

RECORDED_AS = {"cv2": "opencv-python", "PIL": "pillow"}
"""Distributions of modules whose name differs from theirs."""


class Imported(msgspec.Struct, frozen=True):
    """An import of an interpreter under a name, as the worker's ``identity`` module finds it."""

    file: str
    version: str
    source: str
    installed: str = ""
    edited: bool = False
    hash: str = ""
    stated: str = ""
    git: str = ""
    by: str = ""

    @property
    def as_installed(self) -> bool:
        """Whether it is what a distribution installed."""
        return self.source == "distribution" and not self.edited

    @property
    def place(self) -> str:
        """Its file, with the entry of PYTHONPATH that leads to it."""
        return f"{self.file} (by the entry {self.by!r} of PYTHONPATH)" if self.by else self.file


def imported(facts: dict[str, Any]) -> dict[str, Imported]:
    """Return the imports of an interpreter by module, from its facts."""
    return msgspec.convert(facts.get("imported", {}), dict[str, Imported])


def replaced(imports: dict[str, Imported]) -> str:
    """Return sentences on packages that are not as a distribution installed them, and where they are; else empty."""
    sentences = []
    for name, package in imports.items():
        if package.source == "distribution" and package.edited:
            sentences.append(
                f"The files of {name} in {os.path.dirname(package.file)} were changed: install {name} again."
            )
        elif package.source != "distribution":
            remedy = f": take {package.by!r} out of PYTHONPATH to use the installed one" if package.by else ""
            sentences.append(f"{name} is imported from {package.file}{remedy}.")
    return " ".join(sentences)


def origins(imports: dict[str, Imported]) -> dict[str, Origin]:
    """Origins of the packages that are not as a distribution installed them; asks git for the commit of a checkout."""
    return {
        RECORDED_AS.get(name, name): origin_of(package) for name, package in imports.items() if not package.as_installed
    }


def origin_of(package: Imported) -> Origin:
    """Return the origin of an imported package."""
    if package.source == "distribution":
        return Origin(source="distribution", hash=package.hash, edited=True)
    folder, name = os.path.split(package.file)
    commit = git_output(folder, "rev-parse", "HEAD") if git_output(folder, "ls-files", "--", name) else ""
    if not commit:
        return Origin(source="path", hash=package.hash)
    changed = git_output(folder, "status", "--porcelain", "--untracked-files=all", "--", ".")
    return Origin(source="checkout", hash=package.hash, commit=commit[:12], edited=bool(changed))


def git_output(folder: str, *arguments: str) -> str:
    """Return the output of git on the checkout of a folder; empty without a checkout or without git.

    Whoever owns the checkout: its code is imported all the same.
    """
    command = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", folder, *arguments]
    variables = {name: value for name, value in os.environ.items() if name not in GIT_LOCATION_VARIABLES}
    try:
        done = subprocess.run(command, env=variables, capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace").strip()


def below(file: str, folder: Path) -> bool:
    """Whether a file is somewhere below a folder, links followed but for the file's own."""
    return Path(os.path.realpath(os.path.dirname(file))).is_relative_to(os.path.realpath(folder))
