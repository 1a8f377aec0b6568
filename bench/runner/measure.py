"""Measure one case, from the request to its record."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench import extensions
from bench.cases import Case
from bench.cases.device_kinds import ranks
from bench.cases.plan import PlannedRun
from bench.environments import bytecode_cache, failure_causes
from bench.environments.package_origins import replaced
from bench.errors import UsageError
from bench.machine.conditions import conditions
from bench.machine.fingerprint import machine
from bench.machine.paths import calibration_folder
from bench.records import calibration
from bench.records.outcome import Outcome, Status
from bench.records.record import SCHEMA, Data, Durations, Phase, Record
from bench.records.steps import Steps
from bench.records.store import read_calibrations
from bench.records.thinning import thinned
from bench.runner.jobs import case_job, data_job, export_job, oom_kills, workload_facts
from bench.runner.launchers.local import Launcher, scratch_folder
from bench.runner.launchers.torchrun import Rendezvous, is_distributed, unsupported_reason
from bench.runner.worker_process import Worker, WorkerExited, WorkerOutputOverflow, WorkerTimeout
from bench.worker.message_json import ProtocolError
from bench.worker.protocol import (
    CaseJob,
    DataProvided,
    Event,
    Exported,
    Job,
    JobEnded,
    Measured,
    PhaseBegan,
    RestMeasured,
    SettingsRead,
)
from bench.worker.timing.precision import kinds_of

SETUP_LIMIT = 300.0
"""Seconds that set-up may take; scanning a large data set for the first time takes minutes."""

DATA_LIMIT = 7200.0
"""Seconds that providing a data set may take; one that Ultralytics fetches can be tens of gigabytes."""

EXPORT_LIMIT = 3600.0
"""Seconds that an export may take; an engine of a large model takes many minutes."""

REST_LIMIT = 3600.0
"""Seconds that validation and the saving of a checkpoint may take; a large set takes minutes on a CPU."""

Watch = Callable[[str], None]
"""Receives each phase of a job as it begins: ``setup``, ``warmup``, ``window``, ``checking``, ``rest``."""

PHASES = {
    "setup": "setting up",
    "warmup": "warming up",
    "window": "measuring",
    "checking": "checking",
    "rest": "validating",
}


EXPLAINED = (Status.UNSUPPORTED, Status.OUT_OF_MEMORY)
"""Outcomes whose reason may shorten a message; the log keeps the whole message."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with the worker's results so far; kept out of ``args``, which pytest would print at length."""

    def __init__(self, result: WorkerResult | None = None, record: Record | None = None) -> None:
        super().__init__()
        self.result = result
        self.record = record


class WorkerResult(msgspec.Struct):
    """The results of a worker; ``died`` is the phase in which it ended without reporting an outcome, else empty."""

    outcome: Outcome
    measured: dict[str, Any] = {}
    effective: dict[str, Any] = {}
    data: dict[str, Any] = {}
    export: dict[str, Any] = {}
    durations: Durations = Durations()
    worker_output: str = ""
    died: str = ""


class WorkerEvents:
    """The events of one worker so far."""

    def __init__(self) -> None:
        self.ended: JobEnded | None = None
        self._settings: dict[str, Any] = {}
        self._measured: Measured | None = None
        self._rest: RestMeasured | None = None
        self._data: DataProvided | None = None
        self._export: Exported | None = None

    def take(self, event: Event) -> None:
        """Store an event."""
        match event:
            case JobEnded():
                self.ended = event
            case SettingsRead():
                self._settings = event.settings
            case Measured():
                self._measured = event
            case RestMeasured():
                self._rest = event
            case DataProvided():
                self._data = event
            case Exported():
                self._export = event

    def result(self, outcome: Outcome, phase: str, costs: Durations) -> WorkerResult:
        """Return the worker's result; ``phase`` is the phase in which it ended."""
        measured = values_of(self._measured)
        if phase == "rest" and measured:  # whatever became of the rest, the steps were measured
            rest = self._rest or RestMeasured(failed=outcome.reason)
            outcome = Outcome(Status.MEASURED)
            measured["epoch_overhead"] = {
                **measured["epoch_overhead"],
                **{key: rest.values[key] for key in EPOCH_OVERHEAD if key in rest.values},
            }
            if rest.failed:
                measured["extra"] = {**measured["extra"], "rest": rest.failed}
        data = values_of(self._data)
        return WorkerResult(
            outcome=outcome,
            measured=measured,
            effective=self._settings,
            data={**data, **data.pop("details")} if data else {},
            export=self._export.details if self._export else {},
            durations=costs,
        )


def values_of(event: Event | None) -> dict[str, Any]:
    """Return the fields of an event by name; empty without an event."""
    return {name: value for name, value in vars(event).items() if name != "at"} if event is not None else {}


def ignore(phase: str) -> None:
    """Take no notice of a phase."""


def run_job(
    launcher: Launcher, job: Job, phase_limit: float, setup_limit: float | None = None, watch: Watch = ignore
) -> WorkerResult:
    """Run one job to its end; run it again where broken compiled files in the cache made it fail.

    Args and errors: see :func:`run_once`.
    """
    result = run_once(launcher, job, phase_limit, setup_limit, watch)
    output = f"{result.outcome.reason}\n{result.worker_output}"
    if result.outcome.status.broken and bytecode_cache.remove_broken_bytecode(output, launcher.interpreter.path):
        result = run_once(launcher, job, phase_limit, setup_limit, watch)
    return result


def run_once(
    launcher: Launcher, job: Job, phase_limit: float, setup_limit: float | None = None, watch: Watch = ignore
) -> WorkerResult:
    """Run one job once, whatever its outcome.

    Args:
        launcher: launcher of the environment.
        job: job for the worker.
        phase_limit: seconds that warm-up, window and checks may take each.
        setup_limit: seconds that set-up may take; :data:`SETUP_LIMIT` if None.
        watch: receives each phase as it begins.

    Raises:
        Interrupted: with the results so far; the worker is ended.
    """
    case = job if isinstance(job, CaseJob) else None
    distributed = is_distributed(job)
    several = distributed or (case is not None and case.single_process and ranks(case.case["device"]) > 1)
    if case and several and (why := unsupported_reason(case.case, bool(case.rendezvous), case.single_process)):
        return WorkerResult(outcome=why)
    kills = case.oom_kills if case else oom_kills()
    worker = launcher.start(job)
    events = WorkerEvents()
    reached: dict[str, float] = {}
    phase = "setup"
    extra = case.extra_seconds if case else 0.0
    limits = {
        "setup": (setup_limit or SETUP_LIMIT) + extra,
        "warmup": phase_limit + extra,
        "window": phase_limit,
        "checking": phase_limit,
        "rest": REST_LIMIT,
    }

    def to_result(outcome: Outcome) -> WorkerResult:
        costs = Durations(
            setup=_after(worker, reached.get("warmup")),
            warmup=_after(worker, reached.get("window")),
            total=round(time.monotonic() - worker.requested, 4),
        )
        worker_result = events.result(outcome, phase, costs)
        if worker_result.outcome.status.broken or worker_result.outcome.status in EXPLAINED:
            worker_result.worker_output = worker.output()
        return worker_result

    patience = 0.0
    result: WorkerResult | None = None
    try:
        while events.ended is None:
            event = worker.next_event(limits[phase])
            events.take(event)
            if isinstance(event, PhaseBegan):
                phase = event.name
                watch(phase)
                reached.setdefault(phase, event.at)  # a window that is measured again is no warm-up
        ended = events.ended
        patience = 5.0
        result = to_result(Outcome(Status(ended.status), explained(ended.status, ended.reason), tuple(ended.scope)))
        # Where one rank was killed, the others lose their connection, and may be the first to say so.
        if distributed and result.outcome.status is Status.FAILED and oom_kills() > kills:
            reason = f"The system ran out of memory while {PHASES[phase]} and killed a rank."
            result = to_result(Outcome(Status.OUT_OF_MEMORY, reason))
    except WorkerTimeout:
        result = to_result(Outcome(Status.TIMED_OUT, f"Still {PHASES[phase]} after {limits[phase]:g} s."))
    except WorkerOutputOverflow:
        result = to_result(Outcome(Status.FAILED, f"The worker printed without end while {PHASES[phase]}."))
    except ProtocolError as error:
        result = to_result(Outcome(Status.FAILED, f"What the worker reported cannot be read: {error}."))
    except WorkerExited as error:
        # With ranks the agent ends, after one of them was killed.
        if (error.code == -signal.SIGKILL or distributed) and oom_kills() > kills:
            reason = f"The system ran out of memory while {PHASES[phase]} and killed the worker."
            result = to_result(Outcome(Status.OUT_OF_MEMORY, reason))
        else:
            text = worker.output()
            last = "its last output is in the record" if text else "it printed nothing"
            unknown = f"{failure_causes.UNKNOWN}: {last}. {replaced(launcher.interpreter.imported)}".strip()
            cause = failure_causes.describe_early_exit(error.code, text) or unknown
            result = to_result(Outcome(Status.FAILED, f"The worker {error} while {PHASES[phase]}. {cause}"))
        result.died = phase
    except KeyboardInterrupt:
        raise Interrupted(to_result(Outcome(Status.INTERRUPTED, f"Stopped while {PHASES[phase]}."))) from None
    finally:
        try:
            worker.end(patience)
        except KeyboardInterrupt:  # the case is over: keep its result, and stop before the next
            worker.end(0.0)
            raise Interrupted(result) from None
    return result


def explained(status: str, reason: str) -> str:
    """Return a worker's reason for a failure, with a remedy added where a system problem is recognised."""
    remedy = failure_causes.recognised(reason) if status == Status.FAILED.value else ""
    return f"{reason} {remedy}" if remedy and remedy not in reason else reason


def _after(worker: Worker, moment: float | None) -> float | None:
    """Return the seconds from the request to a moment that the worker reported."""
    return None if moment is None else round(moment - worker.requested, 4)


class DatasetUnavailable(Exception):
    """Error for a case without a usable data set or export; ``outcome`` says why, ``log`` has the whole message."""

    def __init__(self, outcome: Outcome, log: str = "") -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
        self.log = log


def find_data(launcher: Launcher, planned: PlannedRun) -> dict[str, Any]:
    """Return a data set that the case can use, and make it if it is missing.

    Returns:
        The description by :func:`look_for_data`, and ``export`` where an exported model predicts.

    Raises:
        UsageError: where the user's own data set cannot be used.
        DatasetUnavailable: where it cannot be used for this case, or another error occurred.
    """
    data = look_for_data(launcher, planned)
    check_trainable(planned, data)
    return with_export(launcher, planned, data)


def with_export(launcher: Launcher, planned: PlannedRun, data: dict[str, Any]) -> dict[str, Any]:
    """Return the data of a case with its exported model as ``export``, which is made where the cache lacks it.

    A case that runs no export gets its data as they are.

    Raises:
        DatasetUnavailable: where the model cannot be exported.
    """
    if export_job(planned, data, "") is None:
        return data
    with scratch_folder() as scratch:
        job = export_job(planned, data, scratch)
        assert job is not None
        result = run_job(launcher, job, EXPORT_LIMIT, setup_limit=EXPORT_LIMIT)
    if result.outcome.status is not Status.MEASURED:
        outcome = result.outcome
        if outcome.status.broken:
            outcome = msgspec.structs.replace(outcome, reason=f"No export: {outcome.reason}")
        raise DatasetUnavailable(outcome, result.worker_output)
    return {**data, "export": result.export}


def check_trainable(planned: PlannedRun, data: dict[str, Any]) -> None:
    """Raise :class:`DatasetUnavailable` where a case trains on a data set without labels, which prediction can use."""
    if planned.case.mode == "train" and data.get("no_training"):
        raise DatasetUnavailable(Outcome(Status.UNSUPPORTED, data["no_training"], ("mode", "model")))


def look_for_data(launcher: Launcher, planned: PlannedRun) -> dict[str, Any]:
    """Return the data set of a case, whether or not the case can use it.

    Returns:
        ``source``, ``fingerprint`` and ``images``; for a user's data set also the result of the worker's
        ``user_data.inspect``.

    Raises:
        UsageError: where the user's own data set cannot be used at all.
        DatasetUnavailable: where models of this kind cannot use it, or another error occurred.
    """
    job = data_job(planned)
    if lacking := launcher.interpreter.why_lacking(planned.case.model):
        raise DatasetUnavailable(Outcome(Status.UNSUPPORTED, lacking, ("model",)))
    result = run_job(launcher, job, SETUP_LIMIT, setup_limit=DATA_LIMIT)
    if result.outcome.status is Status.UNSUPPORTED and result.outcome.scope:  # not for this model; others may go on
        raise DatasetUnavailable(result.outcome)
    if result.outcome.status in (Status.UNSUPPORTED, Status.SUBSTITUTED):  # the latter: another package was imported
        raise UsageError(result.outcome.reason)
    if result.outcome.status is not Status.MEASURED:
        raise DatasetUnavailable(
            msgspec.structs.replace(result.outcome, reason=f"No dataset: {result.outcome.reason}"),
            result.worker_output,
        )
    return result.data


def measure(
    launcher: Launcher,
    planned: PlannedRun,
    data: dict[str, Any],
    run: str,
    phase_limit: float,
    rendezvous: Rendezvous | None = None,
    watch: Watch = ignore,
) -> Record:
    """Measure one case in a fresh process, or in as many as it has devices.

    Args:
        launcher: of the environment.
        planned: the case.
        data: result of :func:`find_data`.
        run: name of the run.
        phase_limit: seconds that warm-up, window and checks may take each.
        rendezvous: where the ranks of several machines meet.
        watch: receives each phase as it begins.

    Raises:
        Interrupted: with the record of the interrupted case.
    """
    case, recipe = planned.case, planned.recipe
    started = datetime.now(UTC)
    before = conditions(launcher.interpreter.variables)

    def record(result: WorkerResult) -> Record:
        measured: dict[str, Any] = {key: result.measured[key] for key in MEASURED if key in result.measured}
        calibrated, _ = read_calibrations(calibration_folder(), machine())
        content = {
            "schema": SCHEMA,
            "run": run,
            "process": planned.process,
            "started": started.isoformat(timespec="seconds"),
            "case": case,
            "recipe": recipe,
            "outcome": result.outcome,
            "machine": machine(),
            "environment": launcher.interpreter.environment_of(case),
            "conditions": before,
            "calibration": calibration.summary_of(case, calibrated.calibrations),
            "effective": result.effective,
            "data": Data(Path(recipe.data).name, **{key: data[key] for key in OF_DATA if key in data}),
            "durations": result.durations,
            "worker_output": result.worker_output,
        }
        try:
            if "phases" in result.measured:
                steps = msgspec.convert(measured["steps"], Steps)
                measured["phases"] = msgspec.to_builtins(build_phases(result.measured["phases"], steps))
                measured["discarded"] = [discarded_window(window) for window in result.measured["discarded"]]
                measured["steps"] = msgspec.to_builtins(steps if needs_all_steps(case) else thinned(steps))
            measured["extra"] = {**measured.get("extra", {}), **workload_facts(case), **extensions.extra()}
            if launcher.interpreter.path != sys.executable:  # to measure it again, it has to be named
                measured["extra"]["python"] = launcher.interpreter.path
            return msgspec.convert({**msgspec.to_builtins(content), **measured}, Record)
        except (msgspec.MsgspecError, ValueError) as error:
            outcome = Outcome(Status.FAILED, f"What the worker reported cannot be read: {error}.")
            return msgspec.convert(msgspec.to_builtins({**content, "outcome": outcome}), Record)

    with scratch_folder() as scratch:
        try:
            return record(run_job(launcher, case_job(planned, data, scratch, rendezvous), phase_limit, watch=watch))
        except Interrupted as stop:
            raise Interrupted(record=record(stop.result) if stop.result else None) from None


def needs_all_steps(case: Case) -> bool:
    """Whether the record keeps every step: a further axis of the case asks for so many, for percentiles."""
    return any(axis.least(value) for axis, value in case.asked)


def discarded_window(window: dict[str, Any]) -> dict[str, Any]:
    """Return the reading of a discarded window, with its mean step in place of its steps."""
    steps = msgspec.convert(window["steps"], Steps)
    return {**{k: v for k, v in window.items() if k != "steps"}, "step_seconds": round(steps.step_seconds, 6)}


def build_phases(event: dict[str, Any], steps: Steps) -> dict[str, Phase]:
    """Build the phases of a record.

    Args:
        event: the worker's event: ``seconds`` of each phase in each step, ``method``, and ``optimizer``, the optimizer
            steps of a separate pass or None for phases of the window's own steps.
        steps: steps of the window.
    """
    kinds = steps.kinds
    if event["optimizer"] is not None:
        count = max(map(len, event["seconds"].values()), default=0)
        kinds = kinds_of(count, event["optimizer"], steps.accumulation_steps)
    return {part: Phase.over(seconds, kinds, event["method"]) for part, seconds in event["seconds"].items()}


EPOCH_OVERHEAD = ("validation", "validation_images", "checkpoint", "validation_memory")
"""Keys of the epoch overhead in a worker's event, apart from the epoch gap."""

OF_DATA = ("fingerprint", "images", "scheme", "left_out", "left_out_first")
"""Keys of a worker's description of a data set that a record keeps."""

MEASURED = ("steps", "memory", "device", "window", "discarded", "epoch_overhead", "checks", "extra", "energy")
"""Fields of a record that a worker fills in."""
