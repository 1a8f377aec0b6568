"""Migrate decoded files of older versions to the newest schema, in memory; the files themselves never change.

Each kind of file has its own schema number. A step migrates a decoded file from one number to the next; the first
line of its docstring is the history of the format. Newer numbers are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.errors import BenchError

Raw = dict[str, Any]
"""A decoded JSON object."""

RECORD, CEILING, COMPARISON, CALIBRATION, TUNE = KINDS = ("record", "ceiling", "comparison", "calibration", "tune")


class Unreadable(BenchError):
    """Error for a file that this version cannot read as one of its kind."""


def _means_of_phases(raw: Raw) -> Raw:
    """Record 2: several processes of a case, modelled windows; phases are means; losses are among the checks."""
    migrated = dict(raw)
    migrated["phases"] = {
        name: {**phase, "seconds": [sum(phase["seconds"]) / len(phase["seconds"])]}
        for name, phase in raw.get("phases", {}).items()
        if phase["seconds"]
    }
    extra = dict(raw.get("extra", {}))
    if "loss" in extra:
        migrated["checks"] = {"loss": extra.pop("loss")}
    return {**migrated, "extra": extra}


def _renamed(raw: Raw, names: dict[str, str], **changed: Callable[[Any], Any]) -> Raw:
    """Return an object with renamed keys; ``changed`` has a function per new key whose value changes; None stays."""
    renamed = {names.get(key, key): value for key, value in raw.items()}
    return renamed | {key: change(renamed[key]) for key, change in changed.items() if renamed.get(key) is not None}


def _each(change: Callable[[Raw], Raw]) -> Callable[[Any], Any]:
    """Return a function that changes every object in a list, or every value of an object."""

    def changed(raw: Any) -> Any:
        return [change(entry) for entry in raw] if isinstance(raw, list) else {key: change(raw[key]) for key in raw}

    return changed


def _recipe(raw: Raw) -> Raw:
    return _renamed(raw, {"pins": "overrides"})


def _outcome(raw: Raw) -> Raw:
    return _renamed(raw, {"axes": "scope"})


def _effective(raw: Raw) -> Raw:
    return _renamed(
        raw,
        {
            "threads_between": "interop_threads",
            "threads_cv2": "opencv_threads",
            "fills_memory": "fill_uninitialized_memory",
            "optimizer_kernel": "optimizer_impl",
            "own_ranks": "spawns_ddp",
        },
    )


def _steps(raw: Raw) -> Raw:
    names = {
        "cycle": "accumulation_steps",
        "timed_cycle": "timed_accumulation_steps",
        "interludes": "epoch_gaps",
        "dropped": "warmup_discarded",
    }
    return _renamed(raw, names)


def _window(raw: Raw) -> Raw:
    names = {
        "others_share": "other_processes_cpus",
        "cpu_wait_share": "run_delay_share",
        "disturbed": "interference",
    }
    return _renamed(raw, names)


def _figure(raw: Raw) -> Raw:
    return _renamed(raw, {"how": "method"})


def _record_by_terms(raw: Raw) -> Raw:
    """Record 3: keys are the field's terms, such as epoch_overhead, durations, overrides, interference and method."""
    names = {"apart": "epoch_overhead", "noise": "calibration", "costs": "durations", "log": "worker_output"}
    return _renamed(
        raw,
        names,
        recipe=_recipe,
        outcome=_outcome,
        effective=_effective,
        steps=_steps,
        phases=_each(_figure),
        memory=_each(_figure),
        energy=lambda energy: _renamed(energy, {"how": "method", "of": "scope"}),
        window=_window,
        discarded=_each(_window),
        epoch_overhead=lambda overhead: _renamed(
            overhead, {"turn": "epoch_gap_seconds"}, validation_memory=_each(_figure)
        ),
        calibration=lambda calibration: _renamed(calibration, {"sd": "stdev"}),
        extra=lambda extra: _renamed(extra, {"settled_by": "skipped_because_of"}),
    )


def _ceiling_by_terms(raw: Raw) -> Raw:
    """Ceiling 2: keys are the field's terms: max_batch, memory_fit, stop_reason; ``predicted`` ends a search."""

    def stop_reason(text: str) -> str:
        return "predicted" if text == "foretold" else text

    def probe(raw: Raw) -> Raw:
        names = {"ended_by": "stop_reason", "base": "baseline_bytes"}
        return _renamed(raw, names, outcome=_outcome, memory=_each(_figure))

    names = {
        "ended_by": "stop_reason",
        "most": "max_batch",
        "limit_how": "limit_method",
        "limit_asked": "limit_requested",
        "line": "memory_fit",
    }
    return _renamed(
        raw,
        names,
        recipe=_recipe,
        outcome=_outcome,
        effective=_effective,
        stop_reason=stop_reason,
        probes=_each(probe),
    )


def _comparison_by_terms(raw: Raw) -> Raw:
    """Comparison 2: keys are the field's terms, such as exclude_newer, block_steps, retries, confirmation, error."""

    def side(raw: Raw) -> Raw:
        return _renamed(raw, {}, outcome=_outcome, effective=_effective)

    def measurement(raw: Raw) -> Raw:
        return _renamed(raw, {}, steps=_steps, phases=_each(_figure), memory=_each(_figure))

    def pair(raw: Raw) -> Raw:
        names = {
            "turn": "block_steps",
            "within": "interleaved_within_steps",
            "redone": "retries",
            "died": "worker_failures",
            "fresh": "confirmation",
            "disturbed": "interference",
        }
        return _renamed(raw, names, base=measurement, head=measurement)

    def case(raw: Raw) -> Raw:
        names = {"alone": "sequential_reason", "trouble": "error"}
        return _renamed(raw, names, recipe=_recipe, base=side, head=side, plan=_steps, pairs=_each(pair))

    return _renamed(raw, {"newer": "exclude_newer"}, cases=_each(case))


def _calibration_by_terms(raw: Raw) -> Raw:
    """Calibration 2: keys are the field's terms: stdev, pair_stdev, order_effect, order_effect_half_width."""

    def processes(raw: Raw) -> Raw:
        return _renamed(raw, {"sd": "stdev", "pair_sd": "pair_stdev", "disturbed": "interfered"})

    def pairs(raw: Raw) -> Raw:
        return _renamed(raw, {"sd": "stdev", "slot": "order_effect", "slot_half": "order_effect_half_width"})

    return _renamed(raw, {}, calibrations=_each(processes), lockstep=_each(pairs))


STEPS: dict[str, tuple[Callable[[Raw], Raw], ...]] = {
    RECORD: (_means_of_phases, _record_by_terms),
    CEILING: (_ceiling_by_terms,),
    COMPARISON: (_comparison_by_terms,),
    CALIBRATION: (_calibration_by_terms,),
    TUNE: (),
}
"""By kind: the steps from schema 1 on, each to the next number. A step does not change the object that it gets."""

NEWEST = {kind: 1 + len(steps) for kind, steps in STEPS.items()}
"""Newest schema number of each kind of file."""


def migrate(kind: str, raw: Any) -> Raw:
    """Return a decoded file as the newest schema of its kind has it.

    Raises:
        Unreadable: for a file that is not of its kind, that a newer version wrote, or whose fields are not those of
            its number.
    """
    schema = raw.get("schema") if isinstance(raw, dict) else None
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise Unreadable(f"it is no {kind}: it has no schema number")
    if schema > NEWEST[kind]:
        raise Unreadable(
            f"a newer yolopace wrote it (schema {schema}, this one knows {NEWEST[kind]}): upgrade yolopace"
        )
    migrated = dict(raw)
    try:
        for step in STEPS[kind][schema - 1 :]:
            migrated = step(migrated)
    except (AttributeError, TypeError, KeyError, ValueError) as error:
        raise Unreadable("its fields are not those of its schema number") from error
    return {**migrated, "schema": NEWEST[kind]}
