"""One case, from the request to its record."""

from __future__ import annotations

import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench import extensions
from bench.cases.plan import PlannedRun
from bench.environments import bytecode_cache, failure_causes
from bench.environments.package_origins import replaced
from bench.errors import UsageError
from bench.machine.conditions import conditions
from bench.machine.fingerprint import machine
from bench.machine.paths import cache_folder, calibration_folder
from bench.records import calibration
from bench.records.outcome import Outcome, Status
from bench.records.record import SCHEMA, Data, Durations, Phase, Record, Steps, kinds_of
from bench.records.store import read_calibrations
from bench.runner.launchers.local import Launcher, scratch_folder
from bench.runner.launchers.torchrun import Rendezvous, is_distributed, unsupported_reason
from bench.runner.worker_process import Worker, WorkerExited, WorkerOutputOverflow, WorkerTimeout

SETUP_LIMIT = 300.0
"""Seconds that set-up may take; scanning a large data set for the first time takes minutes."""

DATA_LIMIT = 7200.0
"""Seconds that providing a data set may take; one that Ultralytics fetches can be tens of gigabytes."""

VAL_STEPS = 16
"""Length of a made validation set, in training batches, where validation is timed; Ultralytics doubles its batch."""

REST_LIMIT = 3600.0
"""Seconds that validation and the saving of a checkpoint may take; a large set takes minutes on a CPU."""

PHASES = {"setup": "setting up", "warmup": "warming up", "window": "measuring", "rest": "validating"}


EXPLAINED = (Status.UNSUPPORTED, Status.OUT_OF_MEMORY)
"""Outcomes whose reason may stand for a longer message, which the log has whole."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C, with what had come out of the worker until then; pytest would print an argument at length."""

    def __init__(self, seen: WorkerResult | None = None, record: Record | None = None) -> None:
        super().__init__()
        self.seen = seen
        self.record = record


class WorkerResult(msgspec.Struct):
    """What came out of a worker; ``died`` is the phase in which it ended without a word of its own, else empty."""

    outcome: Outcome
    measured: dict[str, Any] = {}
    effective: dict[str, Any] = {}
    data: dict[str, Any] = {}
    durations: Durations = Durations()
    worker_output: str = ""
    died: str = ""


def run_job(
    launcher: Launcher, job: dict[str, Any], phase_limit: float, setup_limit: float | None = None
) -> WorkerResult:
    """Run one job to its end; once more where broken compiled files in the cache were why it failed.

    Args and errors: see :func:`run_once`.
    """
    seen = run_once(launcher, job, phase_limit, setup_limit)
    said = f"{seen.outcome.reason}\n{seen.worker_output}"
    if seen.outcome.status.broken and bytecode_cache.forget(said, launcher.interpreter.path):
        seen = run_once(launcher, job, phase_limit, setup_limit)
    return seen


def run_once(
    launcher: Launcher, job: dict[str, Any], phase_limit: float, setup_limit: float | None = None
) -> WorkerResult:
    """Run one job to its end, whatever that is.

    Args:
        launcher: of the environment.
        job: see ``bench/worker/tasks.py``.
        phase_limit: seconds that warm-up and window may take each.
        setup_limit: seconds that set-up may take; :data:`SETUP_LIMIT` if None.

    Raises:
        Interrupted: with what was seen so far; the worker is ended.
    """
    together = is_distributed(job)
    if together and (why := unsupported_reason(job["case"], bool(job.get("meeting")))):
        return WorkerResult(outcome=why)
    worker = launcher.start(job)
    events: dict[str, dict[str, Any]] = {}
    reached: dict[str, float] = {}
    phase = "setup"
    extra = float(job.get("extra_seconds", 0.0))
    limits = {
        "setup": (setup_limit or SETUP_LIMIT) + extra,
        "warmup": phase_limit + extra,
        "window": phase_limit,
        "rest": REST_LIMIT,
    }

    def seen(outcome: Outcome) -> WorkerResult:
        said = events.get
        measured, epoch_overhead = dict(said("measured", {})), dict(said("epoch_overhead", {}))
        if phase == "rest" and measured:  # whatever became of the rest, the steps were measured
            failed = epoch_overhead.pop("failed", "" if epoch_overhead else outcome.reason)
            outcome = Outcome(Status.MEASURED)
            measured["epoch_overhead"] = {
                **measured["epoch_overhead"],
                **{key: epoch_overhead[key] for key in EPOCH_OVERHEAD if key in epoch_overhead},
            }
            if failed:
                measured["extra"] = {**measured["extra"], "rest": failed}
        return WorkerResult(
            outcome=outcome,
            measured=measured,
            effective=said("effective", {}).get("settings", {}),
            data=said("data", {}),
            durations=Durations(
                setup=_after(worker, reached.get("warmup")),
                warmup=_after(worker, reached.get("window")),
                total=round(time.monotonic() - worker.requested, 4),
            ),
            worker_output=worker.output() if outcome.status.broken or outcome.status in EXPLAINED else "",
        )

    patience = 0.0
    result: WorkerResult | None = None
    try:
        while "ended" not in events:
            event = worker.next_event(limits[phase])
            events[event["event"]] = event
            if event["event"] == "phase":
                phase = event["name"]
                reached.setdefault(phase, event["at"])  # a window that is measured again is no warm-up
        ended = events["ended"]
        patience = 5.0
        result = seen(
            Outcome(Status(ended["status"]), explained(ended["status"], ended["reason"]), tuple(ended["scope"]))
        )
        # Where one rank was killed, the others lose their connection, and may be the first to say so.
        if together and result.outcome.status is Status.FAILED and oom_kills() > job.get("oom_kills", 0):
            reason = f"The system ran out of memory while {PHASES[phase]} and killed a rank."
            result = seen(Outcome(Status.OUT_OF_MEMORY, reason))
    except WorkerTimeout:
        result = seen(Outcome(Status.TIMED_OUT, f"Still {PHASES[phase]} after {limits[phase]:g} s."))
    except WorkerOutputOverflow:
        result = seen(Outcome(Status.FAILED, f"The worker printed without end while {PHASES[phase]}."))
    except WorkerExited as error:
        # Of ranks it is the agent that ends, after it has seen one of them killed.
        if (error.code == -signal.SIGKILL or together) and oom_kills() > job.get("oom_kills", 0):
            reason = f"The system ran out of memory while {PHASES[phase]} and killed the worker."
            result = seen(Outcome(Status.OUT_OF_MEMORY, reason))
        else:
            text = worker.output()
            last = "its last output is in the record" if text else "it printed nothing"
            unknown = f"{failure_causes.UNKNOWN}: {last}. {replaced(launcher.interpreter.imported)}".strip()
            cause = failure_causes.of_end(error.code, text) or unknown
            result = seen(Outcome(Status.FAILED, f"The worker {error} while {PHASES[phase]}. {cause}"))
        result.died = phase
    except KeyboardInterrupt:
        raise Interrupted(seen(Outcome(Status.INTERRUPTED, f"Stopped while {PHASES[phase]}."))) from None
    finally:
        try:
            worker.end(patience)
        except KeyboardInterrupt:  # the case is over: keep what came of it, and stop before the next
            worker.end(0.0)
            raise Interrupted(result) from None
    return result


def explained(status: str, reason: str) -> str:
    """A worker's reason for a failure, with the remedy where the cause is one that the system has."""
    remedy = failure_causes.recognised(reason) if status == Status.FAILED.value else ""
    return f"{reason} {remedy}" if remedy and remedy not in reason else reason


def _after(worker: Worker, moment: float | None) -> float | None:
    """Seconds from the request to a moment that the worker told."""
    return None if moment is None else round(moment - worker.requested, 4)


def oom_kills() -> int:
    """How many processes the kernel has killed for want of memory since it started; 0 where it does not tell."""
    try:
        for line in Path("/proc/vmstat").read_text(encoding="utf-8").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return 0


MADE, MADE_DENSE = "coco-like", "coco-like-dense"
"""Data sets that are made, by the names that a recipe calls them."""


class DatasetUnavailable(Exception):
    """There is no data set to measure a case on; ``outcome`` says why, and ``log`` has the whole message."""

    def __init__(self, outcome: Outcome, log: str = "") -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
        self.log = log


def find_data(launcher: Launcher, planned: PlannedRun) -> dict[str, Any]:
    """The data set of a case, which can be used for it; made if it is not there yet.

    Returns:
        What :func:`look_for_data` gives.

    Raises:
        WrongUse: where the user's own cannot be used.
        NoData: where it cannot be used for this case, or something else went wrong.
    """
    data = look_for_data(launcher, planned)
    check_trainable(planned, data)
    return data


def check_trainable(planned: PlannedRun, data: dict[str, Any]) -> None:
    """Raise :class:`DatasetUnavailable` where a case trains on a data set without labels, which prediction can use."""
    if planned.case.mode == "train" and data.get("no_training"):
        raise DatasetUnavailable(Outcome(Status.UNSUPPORTED, data["no_training"], ("mode",)))


def look_for_data(launcher: Launcher, planned: PlannedRun) -> dict[str, Any]:
    """The data set of a case, whether or not the case can use it.

    Returns:
        ``yaml``, ``fingerprint`` and ``images``; of a user's own also what the worker's ``user_data.inspect`` gives.

    Raises:
        WrongUse: where the user's own cannot be used at all.
        NoData: where something else went wrong.
    """
    recipe = planned.recipe
    if recipe.data in (MADE, MADE_DENSE):
        wanted: dict[str, Any] = {
            "root": str(cache_folder() / "data"),
            "images": planned.case.batch * recipe.data_steps,
            "val_images": planned.case.batch * VAL_STEPS if recipe.with_val else 0,
            "seed": recipe.data_seed,
            "dense": recipe.data == MADE_DENSE,
        }
    else:
        wanted = {"yaml": recipe.data, "root": str(cache_folder() / "data")}
    seen = run_job(launcher, {"kind": "data", "data": wanted}, SETUP_LIMIT, setup_limit=DATA_LIMIT)
    if seen.outcome.status in (Status.UNSUPPORTED, Status.SUBSTITUTED):  # the latter: another package was imported
        raise UsageError(seen.outcome.reason)
    if seen.outcome.status is not Status.MEASURED:
        raise DatasetUnavailable(
            msgspec.structs.replace(seen.outcome, reason=f"No data set: {seen.outcome.reason}"), seen.worker_output
        )
    return {key: value for key, value in seen.data.items() if key not in ("event", "at")}


def case_job(
    planned: PlannedRun, data: dict[str, Any], scratch: str, meeting: Rendezvous | None = None
) -> dict[str, Any]:
    """What a worker is told of a case.

    Args:
        planned: the case.
        data: what :func:`find_data` gave.
        scratch: a folder of its own.
        meeting: where other machines are met.
    """
    case, recipe = planned.case, planned.recipe
    return {
        "kind": "case",
        "case": msgspec.to_builtins(case),
        "overrides": {**recipe.overrides, **case.arguments},
        "threads": recipe.threads,
        "asked": [
            {
                "axis": axis.name,
                "text": axis.text(value),
                "arguments": list(axis.arguments(value)),
                "setting": axis.setting,
                "value": axis.expected(value),
            }
            for axis, value in case.asked
        ],
        "window": {
            "warmup_seconds": recipe.warmup_seconds,
            "window_steps": recipe.window_steps,
            "window_seconds": recipe.window_seconds,
        },
        "with_val": recipe.with_val,
        "compare_losses": recipe.compare_losses,
        "energy": recipe.energy,
        "data": data["yaml"],
        "scratch": scratch,
        "meeting": msgspec.to_builtins(meeting),
        "oom_kills": oom_kills(),
        "extra_seconds": sum(axis.extra_seconds(value) for axis, value in case.asked),
        **{key: changed for axis, value in case.asked for key, changed in axis.job(value).items()},
    }


FEW_STEPS = {
    "warmup_seconds": 0.0,
    "warmup_steps": 3,
    "window_steps": 2,
    "window_seconds": 0.0,
    "short_cycle": 2,
    "settled_after": 1,
    "only_whole": False,
}
"""Five steps. All run the optimizer where a batch is so large that every step of training does, else two do: so there
are steps that hold the optimizer's state, and where training has them, steps that hold gradients while they go forward.
More steps find a higher peak now and then, by up to 3 % (docs/devices.md)."""

LOSS_SCALE = 1024.0
"""Of mixed precision: from the usual one the first steps overflow, and a step that is skipped allocates nothing."""


def probe_job(planned: PlannedRun, data: dict[str, Any], scratch: str) -> dict[str, Any]:
    """The job of a worker that trains no longer than it takes to see what training does."""
    few = {"window": FEW_STEPS, "separate_pass": False, "memory_before": True, "loss_scale": LOSS_SCALE, "mend": False}
    return {**case_job(planned, data, scratch), **few}


def measure(
    launcher: Launcher,
    planned: PlannedRun,
    data: dict[str, Any],
    run: str,
    phase_limit: float,
    meeting: Rendezvous | None = None,
) -> Record:
    """Measure one case in a fresh process, or in as many as it has devices.

    Args:
        launcher: of the environment.
        planned: the case.
        data: what :func:`find_data` gave.
        run: name of the run.
        phase_limit: seconds that warm-up and window may take each.
        meeting: where other machines are met.

    Raises:
        Interrupted: with the record of the interrupted case.
    """
    case, recipe = planned.case, planned.recipe
    started = datetime.now(UTC)
    before = conditions(launcher.interpreter.variables)

    def record(seen: WorkerResult) -> Record:
        measured: dict[str, Any] = {key: seen.measured[key] for key in MEASURED if key in seen.measured}
        calibrated, _ = read_calibrations(calibration_folder(), machine().fingerprint)
        content = {
            "schema": SCHEMA,
            "run": run,
            "process": planned.process,
            "started": started.isoformat(timespec="seconds"),
            "case": case,
            "recipe": recipe,
            "outcome": seen.outcome,
            "machine": machine(),
            "environment": launcher.interpreter.environment,
            "conditions": before,
            "calibration": calibration.summary_of(case, calibrated.calibrations),
            "effective": seen.effective,
            "data": Data(Path(recipe.data).name, **{key: data[key] for key in OF_DATA if key in data}),
            "durations": seen.durations,
            "worker_output": seen.worker_output,
        }
        try:
            if "phases" in seen.measured:
                steps = msgspec.convert(measured["steps"], Steps)
                measured["phases"] = msgspec.to_builtins(build_phases(seen.measured["phases"], steps))
                measured["discarded"] = [discarded_window(window) for window in seen.measured["discarded"]]
            measured["extra"] = {**measured.get("extra", {}), **extensions.extra()}
            if launcher.interpreter.path != sys.executable:  # to measure it again, it has to be named
                measured["extra"]["python"] = launcher.interpreter.path
            return msgspec.convert({**msgspec.to_builtins(content), **measured}, Record)
        except (msgspec.MsgspecError, ValueError) as error:
            outcome = Outcome(Status.FAILED, f"What the worker reported cannot be read: {error}.")
            return msgspec.convert(msgspec.to_builtins({**content, "outcome": outcome}), Record)

    with scratch_folder() as scratch:
        try:
            return record(run_job(launcher, case_job(planned, data, scratch, meeting), phase_limit))
        except Interrupted as stop:
            raise Interrupted(record=record(stop.seen) if stop.seen else None) from None


def discarded_window(window: dict[str, Any]) -> dict[str, Any]:
    """A window that was measured again: its reading with its mean step, in place of its steps."""
    steps = msgspec.convert(window["steps"], Steps)
    return {**{k: v for k, v in window.items() if k != "steps"}, "step_seconds": round(steps.step_seconds, 6)}


def build_phases(seen: dict[str, Any], steps: Steps) -> dict[str, Phase]:
    """Phases from what a worker saw: ``seconds`` of each part in each step, ``how``, and the ``optimizer`` steps.

    The latter are None where the parts are those of the window.
    """
    kinds = steps.kinds
    if seen["optimizer"] is not None:
        count = max(map(len, seen["seconds"].values()), default=0)
        kinds = kinds_of(count, seen["optimizer"], steps.accumulation_steps)
    return {part: Phase.over(seconds, kinds, seen["method"]) for part, seconds in seen["seconds"].items()}


EPOCH_OVERHEAD = ("validation", "validation_images", "checkpoint", "validation_memory")
"""What a worker tells of the rest of an epoch, after its steps."""

OF_DATA = ("fingerprint", "images", "scheme", "left_out", "left_out_first")
"""What a record keeps of what a worker tells of a data set."""

MEASURED = ("steps", "memory", "device", "window", "discarded", "epoch_overhead", "checks", "extra", "energy")
"""Parts of a record that a worker fills in."""
