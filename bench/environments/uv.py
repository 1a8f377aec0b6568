"""Run uv, which resolves, builds and installs, and read the reason of its failures."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.errors import UsageError

FILE = re.compile(r"file://[^\s`)]*/([^\s`)]+)")

ADDRESS = re.compile(r"`?\b[a-z][a-z0-9+.-]*://[^\s`)]+`?")

CAUSE = re.compile(r"^\s*(?:error:|cause:|[×├╰]─?▶?|Caused by:)\s*", re.MULTILINE)
"""Matches the beginning of a message of uv, in the form of this year's releases and of last year's."""

FETCH = re.compile(r"^\W*(?:(?:error|cause|Caused by): )?(?:Request failed|Failed to fetch)", re.MULTILINE)

BACKEND = re.compile(r"Call to `[^`]*` failed \(exit status: \d+\)")
"""Matches the message of uv where a project's own build fails; the build's reason is the last line before it."""

NO_SOLUTION = "No solution found when resolving dependencies"

FULL = re.compile(r"No space left on device|Dis[ck] quota exceeded")

MAKE_ROOM = "the disk is full, so make room on it or set YOLOPACE_CACHE to a folder on another one"


class ResolutionError(UsageError):
    """No releases satisfy the requirements: the resolver did its work, and this is its answer."""


def find_uv() -> list[str]:
    """Return uv's command: the one on PATH, else the module of this Python; raises :class:`UsageError` without."""
    if path := shutil.which("uv"):
        return [path]
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    raise UsageError("environments are built by uv, which is not here: install it (pip install uv), or put it on PATH.")


def call(arguments: Sequence[str], where: Path, failure: str, sent: str = "") -> str:
    """Run uv in a folder without a project, so that no project's settings apply.

    Args:
        arguments: without the command itself.
        where: that folder.
        failure: how the sentence on a failure begins: ``no environment can be made of torch==99``.
        sent: text for its standard input.

    Returns:
        Its standard output.

    Raises:
        ResolutionError: where its resolver found no solution.
        UsageError: where it failed in another way; both with its own reason.
    """
    # Only a build has something to say that its failure does not repeat.
    command = [*find_uv(), *([] if arguments[0] == "build" else ["--quiet"]), *arguments]
    variables = {**os.environ, "NO_COLOR": "1", "UV_NO_PROGRESS": "1"}
    done = subprocess.run(
        command,
        input=sent,
        cwd=where,
        env=variables,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        unsolvable = NO_SOLUTION in done.stderr and not FETCH.search(done.stderr)
        raise (ResolutionError if unsolvable else UsageError)(f"{failure}: {reason(done.stderr)}")
    return done.stdout


def reason(output: str) -> str:
    """Return the last cause that uv gave for a failure, in one line without addresses of package registries."""
    if FULL.search(output):
        return f"{MAKE_ROOM}."
    text = ADDRESS.sub("the package index", FILE.sub(r"\1", output.strip()))
    before, text = text[: max(text.rfind("\nerror:"), 0)], text[max(text.rfind("\nerror:"), 0) :].strip()
    text = re.split(r"\n\s*\n|\n\s*hint:", text)[0]
    last = " ".join(CAUSE.split(text)[-1].split()).rstrip("^ .") or "uv gave no reason"
    if BACKEND.fullmatch(last) and before.strip():
        last = before.strip().splitlines()[-1].strip().rstrip(".")
    unreachable = "the package index does not answer: " if FETCH.search(text) else ""
    return f"{unreachable}{last}."


def system_reason(error: OSError) -> str:
    """The system's reason for refusing a file or a folder, as the end of a sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{MAKE_ROOM}."
    return f"{error.strerror or error}."
