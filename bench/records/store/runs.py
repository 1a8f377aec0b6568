"""Names of runs, and the runs in a results folder."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import UsageError
from bench.machine.description import Machine
from bench.records.store.reading import is_record, read

RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def new_run_name(machine: str, now: datetime | None = None) -> str:
    """Return a name that sorts by time: ``20261122-184512-3f9ac2`` (UTC, start of the machine's fingerprint)."""
    moment = now or datetime.now(UTC)
    return f"{moment:%Y%m%d-%H%M%S}-{machine[:6]}"


def check_new_run(results: Path, name: str) -> str:
    """Check the name that the user chose for a new run; empty without a choice."""
    if name and not RUN_NAME.fullmatch(name):
        raise UsageError(
            f"run {name!r} cannot be the name of a folder: use letters, digits, dots, dashes, underscores."
        )
    if name and (results / name).exists():
        raise UsageError(f"run {name!r} is in {results} already: choose another name, or go on with it by --resume.")
    return name


def runs(results: Path, machine: Machine | None = None) -> list[str]:
    """List the names of the runs in a results folder, oldest first; with ``machine`` only the runs of that machine."""
    if not results.is_dir():
        return []
    entries = []
    for folder in results.iterdir():
        own = [file for file in folder.glob("*.json") if is_record(file.name)] if folder.is_dir() else []
        first = min(own, default=None)
        records = read([first])[0] if first else []
        if records and (machine is None or machine.is_same(records[0].machine)):
            entries.append((records[0].started, folder.name))
    return [name for _, name in sorted(entries)]


def resolve_run(results: Path, name: str, machine: Machine | None = None) -> str:
    """Return the run that ``--resume`` names: for ``last``, the newest run of a machine."""
    known = runs(results, machine if name == "last" else None)
    if name == "last" and known:
        return known[-1]
    if not RUN_NAME.fullmatch(name) or name not in known:
        there = f"there are {', '.join(known[-5:])}" if known else "it has no runs"
        raise UsageError(f"run {name!r} is not in {results}: {there}.")
    return name
