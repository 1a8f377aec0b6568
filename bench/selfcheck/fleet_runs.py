"""Real agents on this machine against a local run of the same cases: wall time, and records field by field."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import extensions
from bench.cases.device_kinds import HOST
from bench.errors import UsageError
from bench.records import store
from bench.selfcheck import waiting_workload
from bench.selfcheck.check import Check
from bench.text import one_line

OPTIONS = ("--profile", "quick", "--model", "wait10", "--device", HOST, "--amp", "off", "--mode", "train")

BATCHES, SIZES = (1, 2, 4), (32, 64, 96, 128)
"""Axes of the 12 cases."""

MAY_DIFFER = (
    "run",
    "started",
    r"durations\..*",
    r"steps\.(seconds|data_wait|optimizer|epoch_gaps|warmup|warmup_discarded|whole\..*)",
    r"phases\..*\.seconds",
    r"memory\..*\.bytes",
    r"checks\.(loss|mean_loss|gradient_norm)\b.*",
    r"conditions\.(load|memory_available_bytes|swap_used_bytes)",
    "discarded",
    r"epoch_overhead\..*_seconds",
    r"window\..*",
)
"""Fields in which two records of one case may differ: the machine's name in the run's, times and figures."""


def checks(agents: int, say: Callable[[str], None]) -> Iterator[Check]:
    """Yield the wall time of so many agents, and how many of their records equal those of a local run.

    Raises:
        UsageError: where a run does not measure all of its cases.
    """
    cases = len(BATCHES) * len(SIZES)
    with tempfile.TemporaryDirectory(prefix="yolopace-fleet-") as folder:
        results = Path(folder)
        say(f"{cases} cases by a local run, by one agent, and by {agents} agents")
        alone = _seconds("run", results, "alone", "--reports", str(results / "reports"))
        single = _seconds("fleet", results, "single", "--local", "1")
        together = _seconds("fleet", results, "together", "--local", str(agents))
        local = _records(results / "alone")
        members = [_records(results / "together" / f"local{number}") for number in range(1, agents + 1)]
    how = f"{agents} agents on this machine of {os.cpu_count()} cores; {cases} cases each, whose steps wait"
    for title, seconds in (("a local run with its page", alone), ("a fleet of one agent", single)):
        figure = f"{together:.1f} s / {seconds:.1f} s = {together / seconds:.2f}"
        yield Check(f"Wall time of a fleet over {title}", figure, f"at most {seconds * 1.05 + 2:.1f} s", how)
    yield equal_records(local, members)


def _seconds(command: str, results: Path, run: str, *options: str) -> float:
    """Return the wall time of a command that measures all cases."""
    axes = ("--batch", ",".join(map(str, BATCHES)), "--imgsz", ",".join(map(str, SIZES)))
    places = ("--results", str(results), "--run", run, extensions.OPTION, str(Path(waiting_workload.__file__)))
    root = str(Path(waiting_workload.__file__).resolve().parents[2])
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "bench", command, *options, *OPTIONS, *axes, *places],
        cwd=root,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    seconds = time.monotonic() - began
    if done.returncode:
        raise UsageError(f"{command} ended with {done.returncode}: {one_line((done.stderr or done.stdout)[-400:])}")
    return seconds


def _records(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the records of a folder as they were written, by name."""
    return {path.stem: json.loads(path.read_bytes()) for path in store.files([folder]) if path.parent == folder}


def equal_records(local: Mapping[str, Any], members: Sequence[Mapping[str, Any]]) -> Check:
    """Return how many records of members equal the local ones, and the fields that differ."""
    allowed, others, equal = set(), set(), 0
    for records in members:
        for name in sorted({*local, *records}):
            differing = set(differences(local.get(name), records.get(name)))
            forbidden = {field for field in differing if not _may_differ(field)}
            allowed |= differing - forbidden
            others |= forbidden
            equal += not forbidden
    total = sum(len({*local, *records}) for records in members)
    goal = "all, but for time, machine name and figures"
    how = f"fields that differ: {', '.join(_shortened(allowed))}"
    wrong = f"; should not: {', '.join(sorted(others))}" if others else ""
    return Check("Records that equal a local run's", f"{equal} of {total}{wrong}", goal, how)


def differences(left: Any, right: Any, place: str = "") -> Iterator[str]:
    """Yield the places in which two values of JSON differ; lists are compared whole."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in {**left, **right}:
            inside = f"{place}.{key}" if place else str(key)
            if key in left and key in right:
                yield from differences(left[key], right[key], inside)
            else:
                yield f"{inside} (missing)"
    elif left != right:
        yield place or "the whole record"


def _may_differ(field: str) -> bool:
    return any(re.fullmatch(pattern, field) for pattern in MAY_DIFFER)


def _shortened(fields: Iterable[str]) -> list[str]:
    """Return the first parts of fields, once each."""
    return list(dict.fromkeys(field.partition(".")[0] for field in sorted(fields)))
