"""``--resume``: the run that continues, and its records that need not be measured again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from bench import extensions
from bench.analysis.recorded_limits import measured_alike
from bench.cases.plan import PlannedRun
from bench.compare.calibration import RUN_PREFIX
from bench.environments.interpreter import Interpreter
from bench.errors import UsageError
from bench.machine.conditions import conditions
from bench.machine.description import Conditions
from bench.machine.fingerprint import machine
from bench.records import store
from bench.records.record import Record
from bench.runner.launchers.local import Launcher
from bench.runner.measure import DatasetUnavailable, look_for_data
from bench.worker.workloads.base import family_of, is_made


def resumed_run(results: Path, name: str) -> str:
    """Return the name of the run that ``--resume`` names; empty where it names none.

    ``last`` is never a calibration, which has its own order.
    """
    if name == "last":
        runs = [run for run in store.runs(results, machine()) if not run.startswith(RUN_PREFIX)]
        if not runs:
            raise UsageError(f"run 'last' is not in {results}: there is none of this machine to go on with.")
        name = runs[-1]
    return store.resolve_run(results, name, machine()) if name else ""


def reusable(
    records: Iterable[Record], planned: Mapping[str, PlannedRun], launcher: Launcher, data_of: PlannedRun | None
) -> dict[str, Record]:
    """Return the earlier records that need not be measured again, by name.

    Args:
        records: of the run so far.
        planned: all processes by name.
        launcher: of the environment.
        data_of: a process whose data set all of them share.
    """
    interpreter = launcher.interpreter
    now = conditions(interpreter.variables)
    current = [record for record in records if _is_current(record, planned, interpreter, now)]
    if current and data_of and not is_made(data_of.recipe.data):  # a made data set is what its recipe says
        launcher.wait(family_of(data_of.case.model).name)
        with contextlib.suppress(DatasetUnavailable):  # then nothing else will be measured either
            data = look_for_data(launcher, data_of)
            current = [record for record in current if record.data is None or same_data(record, data)]
    return {record.name: record for record in current}


def _is_current(record: Record, planned: Mapping[str, PlannedRun], interpreter: Interpreter, now: Conditions) -> bool:
    """Whether recipe, machine, software, extensions, limits, variables and model are those of the record."""
    plan = planned.get(record.case.id)  # how many processes are asked for does not matter
    return (
        plan is not None
        and (plan.case, plan.recipe) == (record.case, record.recipe)
        and record.machine.is_same(machine())
        and record.environment == interpreter.environment
        and record.extra.get("extensions", {}) == extensions.digests()
        and measured_alike(record, now)
        and same_model(record)
    )


def same_data(record: Record, now: dict[str, Any]) -> bool:
    """Whether a record is of the user's data set as it is now.

    A fingerprint does not read large images: a data set with an image that changed since counts as another.
    """
    assert record.data is not None
    same = (record.data.scheme, record.data.fingerprint) == (now.get("scheme", 1), now["fingerprint"])
    return same and datetime.fromisoformat(record.started).timestamp() + 1 >= now.get("newest", 0.0)


def same_model(record: Record) -> bool:
    """Whether the model's file, where it has one, did not change since the record."""
    model = Path(record.case.model)
    try:
        changed = model.stat().st_mtime if model.is_absolute() else 0.0
    except OSError:  # a missing file is an error where the model is loaded
        changed = 0.0
    return datetime.fromisoformat(record.started).timestamp() + 1 >= changed
