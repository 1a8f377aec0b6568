"""Run the smoke profile in one environment after another, to see what runs with which Ultralytics and torch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.cases.plan import expand_grid, profile
from bench.compat.environment_run import EnvironmentRun
from bench.environments.builder import check_path, install, open_built
from bench.environments.resolver import oldest, resolve
from bench.environments.specification import Specification
from bench.environments.uv import find_uv
from bench.errors import BenchError
from bench.machine.fingerprint import devices
from bench.records.store import Store
from bench.runner.estimate import Estimator
from bench.runner.launchers.local import open_launcher
from bench.runner.run import Run
from bench.worker.protocol import TORCH_FLOOR
from bench.worker.workloads.base import workloads

ULTRALYTICS = (workloads()["ultralytics"].requires[0].version, "8.4.0", "8.4.60", "8.4.120", "8.4.155")
"""Releases besides the newest one: the oldest that can be measured, and four on the way, months apart."""

TORCH = f"torch>={'.'.join(map(str, TORCH_FLOOR))}"
"""Requirement whose oldest version that installs is tried."""

Say = Callable[[str], None]


def specifications(exclude_newer: str = "") -> list[Specification]:
    """Return the environments of the default table: each release with the newest torch, both ends with the oldest too.

    Args:
        exclude_newer: see :func:`bench.environments.resolver.resolve`.

    Raises:
        UsageError: where no torch installs here, or the package index does not answer.
    """
    newest = resolve(Specification.parse("ultralytics"), exclude_newer).ultralytics
    torch = oldest(TORCH, exclude_newer)
    with_newest = [Specification((f"ultralytics=={version}",)) for version in (*ULTRALYTICS, newest)]
    corners = [Specification((f"ultralytics=={version}", f"torch=={torch}")) for version in (ULTRALYTICS[0], newest)]
    return [*with_newest, *corners]


def run(
    wanted: Sequence[Specification],
    results: Path,
    say: Say,
    exclude_newer: str = "",
    values: dict[str, list[Any]] | None = None,
) -> Iterator[EnvironmentRun]:
    """Measure the smoke profile in every environment, each as a separate run; a repeated one only once.

    An environment that breaks loses only its own row; the others go on.

    Args:
        wanted: the environments.
        results: folder for the runs, ``compat-ULTRALYTICS-TORCH``.
        say: called with each progress message.
        exclude_newer: see :func:`bench.environments.resolver.resolve`.
        values: of axes, in place of the profile's.

    Raises:
        UsageError: where there is no uv, or results cannot be written.
        KeyboardInterrupt: after the results of the current environment were yielded.
    """
    find_uv()
    check_path()
    visited: set[str] = set()
    planned = expand_grid(profile("smoke"), devices(), values or {})
    for number, specification in enumerate(wanted, 1):
        say(f"[{number}/{len(wanted)}] {specification}")
        try:
            resolved = resolve(specification, exclude_newer, say)
            if resolved.key in visited:
                say("  that is the same environment as one before")
                continue
            visited.add(resolved.key)
            launcher = open_launcher(open_built(install(resolved, say), resolved))
        except BenchError as error:
            say(f"  {error}")
            yield EnvironmentRun(str(specification), [], str(error))
            continue
        store = Store(results, f"compat-{resolved.ultralytics}-{resolved.torch}", new=True)
        cases = Run(planned, store, launcher, Estimator())
        stopped: KeyboardInterrupt | None = None
        try:
            with contextlib.closing(launcher):
                failure = measure(cases, say)
        except KeyboardInterrupt as stop:
            failure, stopped = "It was stopped.", stop
        finally:
            if trouble := store.rescue():
                say(f"  {trouble}")
            if not cases.records:
                store.discard()
        yield EnvironmentRun(f"{resolved.ultralytics} with torch {resolved.torch}", cases.records, failure)
        if stopped is not None:
            raise stopped


def measure(cases: Run, say: Say) -> str:
    """Measure cases in one environment until it proves unusable; return one sentence on why, or an empty string."""
    try:
        for plan in cases.planned:
            outcome = cases.measure(plan).outcome
            say(f"  {plan.case.id}: {outcome.status.value.replace('_', ' ')}")
    except BenchError as error:
        say(f"  {error}")
        return str(error)
    return ""
