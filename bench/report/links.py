"""Links of pages: to the documentation, and to the folders of runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

REPOSITORY = "https://github.com/OWNER/yolopace"
"""Address of the repository; a fork replaces OWNER here, in README.md and in docs/regress.yml."""


def docs(path: str = "") -> str:
    """Return the address of a page of the documentation, such as ``reference/report-page.md``; by default its start."""
    return f"{REPOSITORY}/blob/main/docs/{path or 'README.md'}"


def run_folders(runs: Iterable[str], results: Sequence[Path], output: Path) -> dict[str, str]:
    """Return relative links from a report to the folders of its runs, by the name of the run.

    A link names no folder above the working directory: the report may be sent to others. Runs that are not below it
    have none.

    Args:
        runs: names of runs.
        results: folders of runs, and folders that hold folders of runs.
        output: folder of the report.
    """
    here, page = Path.cwd().resolve(), output.resolve()
    if not page.is_relative_to(here):
        return {}
    links = {}
    for run in runs:
        places = (place for folder in results for place in (folder / run, folder) if place.name == run != "..")
        found = next((place.resolve() for place in places if place.is_dir()), None)
        if found is not None and found.is_relative_to(here):
            links[run] = quote(f"{Path(os.path.relpath(found, page)).as_posix()}/")
    return links
