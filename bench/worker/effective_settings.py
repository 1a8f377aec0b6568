"""Compare effective settings with requested ones, the one mechanism that keeps false labels off figures.

There is no table of library versions here. A workload reads its settings back from the live trainer or predictor. A
setting that differs from the case, from an override of the recipe or from their consequences ends the case. Settings
that were not requested (TF32, memory format, threads of a library) are recorded and not compared.
``docs/reference/effective.md`` lists them all.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .devices import Device, case_name
from .interpreter.variables import chosen
from .protocol import RequestedAxis
from .rejection import CaseRejected
from .text import one_line, shorten
from .workloads import Workload

AXES = ("device", "amp", "batch", "imgsz")
"""Axes that a library may change; ``model`` either loads or fails."""

LONGEST_WARNING = 300
MOST_WARNINGS = 3
"""Maximum number of recorded warnings per logger, so that a record stays small."""


def explain(hints: Mapping[tuple[str, str | None], str], name: str, requested: Any, effective: Any) -> str:
    """Return a sentence on a substitution.

    Args:
        hints: hints of the workload.
        name: name of the axis or setting.
        requested: value that was asked for.
        effective: value that would run.
    """
    why = hints.get((name, str(requested))) or hints.get((name, None))
    text = f"{name} {_text(requested)} requested, {name} {_text(effective)} would run"
    return text + (f": {why}." if why else ".")


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def expected(workload: Workload, case: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return the required settings of a case: the overrides, and the settings that follow from case and overrides."""
    derived = {
        name: rule(case, overrides)
        for name, (needs, rule) in workload.derived.items()
        if all(key in overrides for key in needs)
    }
    return {**overrides, **{name: value for name, value in derived.items() if value is not None}}


def compare(
    workload: Workload,
    case: dict[str, Any],
    overrides: dict[str, Any],
    effective: dict[str, Any],
    asked: Sequence[RequestedAxis] = (),
    case_hints: Mapping[tuple[str, str | None], str] | None = None,
) -> None:
    """Raise :class:`CaseRejected` with status ``substituted`` where ``effective`` differs from what was requested.

    Axes are compared first: where one differs, other settings follow from it and are not mentioned. A setting that
    this version of the library does not have (None) is not compared.

    Args:
        workload: workload of the case.
        case: its fixed axes by name.
        overrides: library arguments that the recipe and the further axes fix.
        effective: settings that were read back.
        asked: further axes of the case.
        case_hints: explanations that this process found; they go before those of the workload.
    """
    hints = {**workload.hints, **(case_hints or {})}
    changed = [axis for axis in AXES if effective[axis] != case[axis]]
    if changed:
        axes = workload.scope[changed[0]] if len(changed) == 1 else ()
        text = " ".join(explain(hints, axis, case[axis], effective[axis]) for axis in changed)
        raise CaseRejected("substituted", text, axes)
    _compare_further(hints, asked, effective)
    decided = {name for requested in asked for name in (requested.axis, requested.setting)}
    wanted = {name: value for name, value in expected(workload, case, overrides).items() if name not in decided}
    changed = [name for name in wanted if effective.get(name) is not None and effective[name] != wanted[name]]
    if changed:
        text = " ".join(explain(hints, name, wanted[name], effective[name]) for name in changed)
        raise CaseRejected("substituted", text)


def _compare_further(
    hints: Mapping[tuple[str, str | None], str], asked: Sequence[RequestedAxis], effective: dict[str, Any]
) -> None:
    """Raise :class:`CaseRejected` where a further axis differs from what runs, or cannot be read back."""
    for requested in asked:
        if effective.get(requested.setting) is None:
            reason = f"{requested.axis} {requested.text} requested, and what runs cannot be read back."
            raise CaseRejected("unsupported", reason, ("mode", requested.axis))
    changed = [requested for requested in asked if effective[requested.setting] != requested.value]
    if changed:
        texts = (
            explain(hints, requested.axis, requested.text, _as_axis(effective[requested.setting]))
            for requested in changed
        )
        raise CaseRejected("substituted", " ".join(texts))


def _as_axis(value: Any) -> Any:
    """Return a setting as its axis spells it."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def check_unchanged(before: dict[str, Any], now: dict[str, Any], ignore: Sequence[str] = ()) -> None:
    """Raise :class:`CaseRejected` with status ``invalid`` where a setting changed while it was measured.

    Args:
        before: read back before the clock started.
        now: read back after the window, before the workload tidied up.
        ignore: settings that may change.
    """
    known = [name for name in now if name not in ignore and before.get(name) is not None and now[name] is not None]
    changed = [name for name in known if now[name] != before[name]]
    if changed:
        text = ", ".join(f"{name} from {_text(before[name])} to {_text(now[name])}" for name in changed).rstrip(".")
        raise CaseRejected("invalid", f"Settings changed while they were measured: {text}.")


def device_name(device: Any, wanted: Device) -> str:
    """Return a ``torch.device`` the way a case names it: ``cpu``, ``xpu:1``, and for cuda the index alone.

    Args:
        device: device of the live trainer or predictor.
        wanted: device of the case, as this process has it; its name in this process is translated back to its name in
            the case.
    """
    name = case_name(device)
    return wanted.name if name == wanted.local_name else name


def torch_settings(loggers: Sequence[str] = ()) -> dict[str, Any]:
    """Return settings of the process that change speed; the keys are the same on every machine, None where unknown.

    Args:
        loggers: names of loggers whose warnings are recorded, from the first call on.
    """
    import torch
    from torch.utils import deterministic

    nnpack = getattr(torch._C, "_get_nnpack_enabled", None)
    fills = torch.are_deterministic_algorithms_enabled() and deterministic.fill_uninitialized_memory
    opencv = sys.modules.get("cv2")
    return {
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "opencv_threads": opencv.getNumThreads() if opencv is not None else None,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "fill_uninitialized_memory": fills,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_tf32": torch.backends.cudnn.allow_tf32,
        "matmul_tf32": torch.backends.cuda.matmul.allow_tf32,
        "matmul_precision": torch.get_float32_matmul_precision(),
        "mkldnn": bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled),
        "nnpack": bool(torch.backends.nnpack.is_available() and nnpack()) if nnpack else None,
        "warnings": [text for name in loggers for text in _recorder(name).texts],
        "mps_fallback": os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK", "0"),
        "variables": chosen(os.environ),
    }


class _WarningRecorder(logging.Handler):
    """Handler that keeps the first warnings of a library: they often mention a substitution that shows nowhere else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first :data:`MOST_WARNINGS` warnings, one line each."""
        if len(self.texts) < MOST_WARNINGS:
            text = one_line(record.getMessage(), 10_000)
            text = text.removeprefix("WARNING").lstrip(" \N{WARNING SIGN}\N{VARIATION SELECTOR-16}")
            self.texts.append(shorten(text, LONGEST_WARNING))


def _recorder(name: str) -> _WarningRecorder:
    """Return the recorder of a logger; the first call adds it."""
    logger = logging.getLogger(name)
    recorder = next((handler for handler in logger.handlers if isinstance(handler, _WarningRecorder)), None)
    if recorder is None:
        recorder = _WarningRecorder()
        logger.addHandler(recorder)
    return recorder


def channels_last(model: Any) -> bool:
    """Whether the 4D parameters of a model lie in channels_last order (1x1 kernels lie in both: left out)."""
    import torch

    kernels = [p for p in model.parameters() if p.dim() == 4 and p.shape[-1] > 1 and p.shape[1] > 1]
    return bool(kernels) and all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)


def optimizer_kernel(optimizer: Any) -> str | None:
    """Return the optimizer's implementation: ``fused``, ``foreach`` or ``loop``; None where that is unknown."""
    group = optimizer.param_groups[0]
    if group.get("fused"):
        return "fused"
    if "foreach" not in group:
        return None
    if group["foreach"] is not None:
        return "foreach" if group["foreach"] else "loop"
    try:
        from torch.optim.optimizer import _default_to_fused_or_foreach  # torch itself calls it at every step
    except ImportError:
        return None
    foreach = _default_to_fused_or_foreach(group["params"], differentiable=False, use_fused=False)[1]
    return "foreach" if foreach else "loop"
