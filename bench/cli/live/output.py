"""Results of a live comparison for other programs: the file of --json, and the summary of GitHub Actions."""

from __future__ import annotations

import os
from pathlib import Path

from bench.cli.io import say
from bench.errors import UsageError
from bench.records.store import write_whole
from bench.text import clean, encode


def check_file(file: Path | None) -> None:
    """Raise :class:`UsageError` for a file that could not be written at the end, since its folder is missing."""
    if file is not None and not file.absolute().parent.is_dir():
        raise UsageError(f"{file} cannot be written: there is no folder {file.absolute().parent}.")


def write_file(file: Path, text: str) -> None:
    """Write a result to the file that was asked for; raise :class:`UsageError` where that fails."""
    try:
        write_whole(file, encode(text))
    except OSError as error:
        raise UsageError(f"{file} cannot be written: {error.strerror or error}.") from error


def add_to_summary(markdown: str) -> None:
    """Add to the summary of a step, where GitHub Actions wants one."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with Path(summary).open("a", encoding="utf-8") as file:
                file.write(clean(markdown))
        except OSError as error:
            say(f"the summary of this step cannot be written: {error.strerror or error}")
