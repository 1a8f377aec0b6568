"""Where the packages come from that an interpreter imports, for its record: a distribution, a checkout, a folder."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from bench.environments.local_source import ELSEWHERE
from bench.records.record import Origin

RECORDED_AS = {"cv2": "opencv-python", "PIL": "pillow"}
"""Modules that stand in a record under another name than their own."""


class Imported(msgspec.Struct, frozen=True):
    """What an interpreter imports under a name, as the worker's ``identity`` module finds it."""

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
    """What an interpreter imports, by module, from what it told of itself."""
    return msgspec.convert(facts.get("imported", {}), dict[str, Imported])


def replaced(found: dict[str, Imported]) -> str:
    """Which packages are not as a distribution installed them, and where they are: sentences; empty where all are."""
    said = []
    for name, one in found.items():
        if one.source == "distribution" and one.edited:
            said.append(f"The files of {name} in {os.path.dirname(one.file)} were changed: install {name} again.")
        elif one.source != "distribution":
            remedy = f": take {one.by!r} out of PYTHONPATH to use the installed one" if one.by else ""
            said.append(f"{name} is imported from {one.file}{remedy}.")
    return " ".join(said)


def origins(found: dict[str, Imported]) -> dict[str, Origin]:
    """Origins of the packages that are not as a distribution installed them; asks git for the commit of a checkout."""
    return {RECORDED_AS.get(name, name): origin_of(one) for name, one in found.items() if not one.as_installed}


def origin_of(found: Imported) -> Origin:
    """Where one of them comes from."""
    if found.source == "distribution":
        return Origin(source="distribution", hash=found.hash, edited=True)
    folder, name = os.path.split(found.file)
    commit = said_by_git(folder, "rev-parse", "HEAD") if said_by_git(folder, "ls-files", "--", name) else ""
    if not commit:
        return Origin(source="path", hash=found.hash)
    changed = said_by_git(folder, "status", "--porcelain", "--untracked-files=all", "--", ".")
    return Origin(source="checkout", hash=found.hash, commit=commit[:12], edited=bool(changed))


def said_by_git(folder: str, *arguments: str) -> str:
    """What git answers on the checkout of a folder; empty where there is none, or no git.

    Whoever owns the checkout: its code is imported all the same.
    """
    command = ["git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C", folder, *arguments]
    variables = {name: value for name, value in os.environ.items() if name not in ELSEWHERE}
    try:
        done = subprocess.run(command, env=variables, capture_output=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode(errors="replace").strip()


def below(file: str, folder: Path) -> bool:
    """Whether a file is somewhere below a folder, links followed but for the file's own."""
    return Path(os.path.realpath(os.path.dirname(file))).is_relative_to(os.path.realpath(folder))
