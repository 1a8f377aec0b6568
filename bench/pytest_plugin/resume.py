"""``--resume``: the run that continues, and its records that need not be measured again."""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from bench import extensions
from bench.analysis.recorded_limits import measured_alike
from bench.cases.axes import axes
from bench.cases.model_argument import parse_model, split_files
from bench.cases.plan import PlannedRun
from bench.compare.calibration import RUN_PREFIX
from bench.environments.interpreter import Interpreter
from bench.errors import UsageError
from bench.machine.conditions import conditions
from bench.machine.description import Conditions
from bench.machine.fingerprint import machine
from bench.records import store
from bench.records.record import Record
from bench.records.requested_options import RequestedOptions
from bench.runner.launchers.local import Launcher
from bench.runner.measure import DatasetUnavailable, look_for_data
from bench.runner.run import is_unusable_device
from bench.worker.workloads.base import family_of, is_made

GetOption = Callable[[str], Any]
"""Returns the value of an option by its name."""


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


SELECTION = {"k": "keyword", "m": "markexpr"}
"""pytest's own options that select cases, by their names in its namespace."""

DEFAULTS: dict[str, Any] = {
    "profile": "quick",
    "data": "",
    "threads": "0",
    "python": "",
    "memory_limit": "",
    "multiple_of": "1",
    **dict.fromkeys(SELECTION, ""),
    **dict.fromkeys(("with_val", "compare_losses", "per_device", "energy"), False),
}
"""Options that decide what is measured, and how, apart from the axes: a run that goes on keeps its own."""

FREE: dict[str, Any] = {"processes": "", "target_ci": "", "phase_timeout": "", "epoch_images": "0", "epochs": "0"}
"""Options that a run keeps where no other value is given when it goes on."""


def requested_options(option: GetOption) -> RequestedOptions:
    """Return the options of a new run, to be kept for ``--resume``."""
    values = {name: option(name) or default for name, default in (DEFAULTS | FREE).items()}
    for name in ("data", "python"):  # a run may go on in another folder
        values[name] = os.path.abspath(values[name]) if os.path.exists(values[name]) else values[name]
    return RequestedOptions(axes=_axis_texts(option), options=values)


def with_kept_options(option: GetOption, kept: RequestedOptions | None, run: str) -> GetOption:
    """Return a getter of the options of a run that goes on: its own where none is given.

    Args:
        option: returns the value of an option that is given now.
        kept: the options of the run; None for a run that kept none.
        run: its name.

    Raises:
        UsageError: where an option contradicts those of the run.
    """
    if kept is None:
        return option
    given = requested_options(option)
    for name, default in DEFAULTS.items():
        if name in SELECTION and name not in kept.options:  # a run of an earlier version
            continue
        own, new = kept.options.get(name, default), given.options[name]
        if option(name) and new != own:
            flag = f"-{name}" if name in SELECTION else f"--{_dashed(name)}"
            shown = flag if isinstance(own, bool) else f"{flag} {_quoted(new)}"
            usual = own == default and name != "profile"
            before = f"without {flag}" if usual else f"with {flag} {_quoted(own)}"
            raise _contradiction(run, before, shown)
    for name, texts in given.axes.items():
        if set(texts) != set(kept.axes.get(name, ())):
            before = f"with --{_dashed(name)} {','.join(kept.axes[name])}" if name in kept.axes else ""
            raise _contradiction(run, before or f"without --{_dashed(name)}", f"--{_dashed(name)} {','.join(texts)}")
    own_options = {axis.name for axis in axes().values() if axis.option}

    def get(name: str) -> Any:
        if name == "axis":
            return [f"{axis}={','.join(texts)}" for axis, texts in kept.axes.items() if axis not in own_options]
        if name in own_options:
            return ",".join(kept.axes[name]) if name in kept.axes else None
        if name in FREE and option(name) not in ("", None, FREE[name]):
            return option(name)
        return kept.options[name] if name in kept.options else option(name)

    return get


def _quoted(value: Any) -> str:
    """Return a value as a shell reads it."""
    return shlex.quote(str(value))


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _contradiction(run: str, before: str, given: str) -> UsageError:
    return UsageError(f"run {run} was started {before}: leave out {given}, or start a new run without --resume.")


def _axis_texts(option: GetOption) -> dict[str, list[str]]:
    """Return the values of the axes that the user named, by axis, as text; files of models by their whole path."""
    texts = {axis.name: option(axis.name) for axis in axes().values() if axis.option and option(axis.name)}
    for given in option("axis"):
        name, _, text = given.partition("=")
        texts.setdefault(name.strip().replace("-", "_"), text)
    named = {}
    for name, text in texts.items():
        parts = split_files(text) if name == "model" else text.split(",")
        values = [part.strip() for part in parts if part.strip()]
        named[name] = [parse_model(value) for value in values] if name == "model" else values
    return named


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
        and not is_unusable_device(record)  # a driver may have been mended since
        and (plan.case, plan.recipe) == (record.case, record.recipe)
        and record.machine.is_same(machine())
        and record.environment == interpreter.environment_of(record.case)
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
