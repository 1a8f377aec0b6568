"""What runs, against what was asked: the one mechanism that keeps a number from wearing a false label.

There is no table of Ultralytics versions here. A workload reads its settings off the live trainer or predictor; what
differs from the case, from an override of the recipe or from what follows of them ends the case. What nobody asked for
(TF32, memory format, threads of a library) is recorded and compared with nothing. ``docs/effective.md`` lists it all.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import Any

from .devices import Device, case_name, ranks
from .interpreter.variables import chosen
from .rejection import CaseRejected
from .text import one_line, shorten
from .workloads.ultralytics.model_names import size_read

AXES = ("device", "amp", "batch", "imgsz")
"""The axes that Ultralytics may change; ``model`` either loads or fails."""

SCOPE = {
    "device": ("device",),
    "amp": ("mode", "device", "amp"),
    "imgsz": ("mode", "model", "imgsz"),
    "batch": (),
}
"""Which fields of a case settle whether an axis is honoured."""

HINTS = {
    ("amp", "on"): "Ultralytics offers no mixed precision here",
    ("amp", "bf16"): "Ultralytics offers no bfloat16 here",
    ("imgsz", None): "sizes are rounded up to a multiple of the model's stride",
    ("batch", None): "the data set has fewer images than one batch",
    ("cache", "False"): "Ultralytics reads .npy files that lie beside images in place of them; delete them",
    ("integrations", None): "callbacks that talk to something run between the steps",
    ("weights", None): "Ultralytics renames what it is asked for",
    ("scale", None): "the size in the name is not that of the model: rename the file",
    ("channels", None): "the network has to take the channels of the data set",
    ("classes", None): "the network has to have the classes of the data set",
    ("workers", None): "on cpu and mps Ultralytics loads images in the training process, elsewhere by no more workers "
    "than a card has processors and an epoch has batches",
    ("cache", "ram"): "Ultralytics leaves the cache out where it would not fit twice into free memory",
    ("cache", "disk"): "Ultralytics leaves the cache out where the disk has too little room",
    ("compile", None): "torch.compile needs a C++ compiler, and Triton on a GPU",
    ("channels_last", "on"): "Ultralytics trains with channels_last on CUDA alone",
    ("architecture", None): "a yaml file in the working folder goes before Ultralytics' own of that name",
}
"""What to say of a substitution, by setting and what was asked; None stands for whatever was asked."""

Derived = Callable[[dict[str, Any], dict[str, Any]], Any]

DERIVED: dict[str, tuple[tuple[str, ...], Derived]] = {
    # Once the ramp of the warm-up is over; Ultralytics lowers it for a run that has fewer batches than one cycle.
    "accumulate": (("nbs",), lambda case, overrides: max(round(overrides["nbs"] / case["batch"]), 1)),
    # fp16 without it would be another training; bf16 needs none.
    "loss_scaling": ((), lambda case, overrides: case["amp"] == "on"),
    # An epoch without the moving average of the weights is cheaper than what users get.
    "ema": ((), lambda case, overrides: True),
    # Rectangular batches come in one order; it is shuffling that makes reading images cost what it costs.
    "shuffle": (("rect",), lambda case, overrides: not overrides["rect"]),
    # Where it compiles, Ultralytics drops the last batch of an epoch if it is smaller, which is then no other shape.
    "drop_last": (("compile",), lambda case, overrides: None if overrides["compile"] else False),
    "compiled": (("compile",), lambda case, overrides: bool(overrides["compile"])),
    # A first call compiles, allocates and chooses kernels: it may not be one that is timed.
    "warmed_up": ((), lambda case, overrides: True),
    # Each rank would train by itself, at the speed of one.
    "ranks": ((), lambda case, overrides: ranks(case["device"])),
    # The size of a yaml file with sizes, as the name asks for it; a file may be called anything.
    "scale": ((), lambda case, overrides: size_read(case["model"]) or None),
    "integrations": ((), lambda case, overrides: []),
    "weights": ((), lambda case, overrides: "from file" if case["model"].endswith(".pt") else "random"),
    "architecture": ((), lambda case, overrides: _architecture(case["model"])),
}
"""Settings that follow from what was asked: by name, the overrides it takes and what has to run (None: anything)."""

LONGEST_WARNING = 300
MOST_WARNINGS = 3
"""A few say enough, and a record stays small."""

MAY_CHANGE = ("accumulate",)
"""What a workload itself lowers while it measures, where the real cycle is too long for the window."""


def explain(name: str, asked: Any, runs: Any) -> str:
    """One sentence on a substitution."""
    why = HINTS.get((name, str(asked))) or HINTS.get((name, None))
    return f"{name} {_said(asked)} was asked, {name} {_said(runs)} would run" + (f": {why}." if why else ".")


def _said(value: Any) -> str:
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def expected(case: dict[str, Any], overrides: dict[str, Any]) -> dict[str, Any]:
    """Return what each setting has to be: these overrides, and what follows from them and the case."""
    follow = {
        name: rule(case, overrides)
        for name, (needs, rule) in DERIVED.items()
        if all(override in overrides for override in needs)
    }
    return {**overrides, **{name: value for name, value in follow.items() if value is not None}}


def _architecture(model: str) -> str | None:
    """A yaml file may be Ultralytics' own or the user's: whoever names one takes what is found."""
    if model.endswith((".yaml", ".yml")):
        return None
    return "from weights" if model.endswith(".pt") else "of Ultralytics"


def compare(
    case: dict[str, Any],
    overrides: dict[str, Any],
    effective: dict[str, Any],
    asked: Sequence[dict[str, Any]] = (),
) -> None:
    """Raise :class:`CaseRejected` with status ``substituted`` where ``effective`` differs from what was asked.

    Axes come first: where one was changed, other settings follow it, and need no mention. A setting that this
    Ultralytics does not know is None, and is not compared.

    Args:
        case: fixed axes by name.
        overrides: arguments of Ultralytics that the recipe and the further axes fix.
        effective: what runs.
        asked: further axes of the case: ``axis``, its value as ``text``, the ``setting`` that shows it, and the
            ``value`` that this has to have.
    """
    changed = [axis for axis in AXES if effective[axis] != case[axis]]
    if changed:
        scope = SCOPE[changed[0]] if len(changed) == 1 else ()
        raise CaseRejected("substituted", " ".join(explain(a, case[a], effective[a]) for a in changed), scope)
    _compare_further(asked, effective)
    wanted = {name: value for name, value in expected(case, overrides).items() if name not in _settings(asked)}
    changed = [name for name in wanted if effective.get(name) is not None and effective[name] != wanted[name]]
    if changed:
        raise CaseRejected("substituted", " ".join(explain(name, wanted[name], effective[name]) for name in changed))


def _settings(asked: Sequence[dict[str, Any]]) -> set[str]:
    """Settings and arguments that further axes decide."""
    return {one[key] for one in asked for key in ("axis", "setting")}


def _compare_further(asked: Sequence[dict[str, Any]], effective: dict[str, Any]) -> None:
    """Raise :class:`CaseRejected` where a further axis is not what runs, or cannot be read back."""
    for one in asked:
        if effective.get(one["setting"]) is None:
            reason = f"{one['axis']} {one['text']} was asked, and what runs cannot be read back."
            raise CaseRejected("unsupported", reason, ("mode", one["axis"]))
    changed = [one for one in asked if effective[one["setting"]] != one["value"]]
    if changed:
        said = (explain(one["axis"], one["text"], _as_text(effective[one["setting"]])) for one in changed)
        raise CaseRejected("substituted", " ".join(said))


def _as_text(value: Any) -> Any:
    """A setting as its axis spells it."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def check_unchanged(before: dict[str, Any], now: dict[str, Any], ignore: tuple[str, ...] = MAY_CHANGE) -> None:
    """Raise :class:`CaseRejected` with status ``invalid`` where a setting changed while it was measured.

    Args:
        before: read back before the clock started.
        now: read back after the window, before the workload tidied up.
        ignore: settings that may change.
    """
    known = [name for name in now if name not in ignore and before.get(name) is not None and now[name] is not None]
    changed = [name for name in known if now[name] != before[name]]
    if changed:
        said = ", ".join(f"{name} from {_said(before[name])} to {_said(now[name])}" for name in changed).rstrip(".")
        raise CaseRejected("invalid", f"Settings changed while they were measured: {said}.")


def device_name(device: Any, wanted: Device) -> str:
    """Return a ``torch.device`` the way a case names it: ``cpu``, ``xpu:1``, and for cuda the index alone.

    Args:
        device: read off the live trainer or predictor.
        wanted: the device of the case, or this process's of several; what it is asked for by is translated back to the
            name.
    """
    found = case_name(device)
    return wanted.name if found == wanted.own else found


def torch_settings() -> dict[str, Any]:
    """Settings of the process that change speed; the keys are the same on every machine, None where unknown."""
    import cv2
    import torch
    from torch.utils import deterministic

    nnpack = getattr(torch._C, "_get_nnpack_enabled", None)
    fills = torch.are_deterministic_algorithms_enabled() and deterministic.fill_uninitialized_memory
    return {
        "threads": torch.get_num_threads(),
        "interop_threads": torch.get_num_interop_threads(),
        "opencv_threads": cv2.getNumThreads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "fill_uninitialized_memory": fills,
        "cudnn_deterministic": torch.backends.cudnn.deterministic,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_tf32": torch.backends.cudnn.allow_tf32,
        "matmul_tf32": torch.backends.cuda.matmul.allow_tf32,
        "matmul_precision": torch.get_float32_matmul_precision(),
        "mkldnn": bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled),
        "nnpack": bool(torch.backends.nnpack.is_available() and nnpack()) if nnpack else None,
        "warnings": list(_heard()),
        "mps_fallback": os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK", "0"),
        "variables": chosen(os.environ),
    }


class _WarningRecorder(logging.Handler):
    """Keeps the warnings that Ultralytics logs: a substitution on the way that shows nowhere else is said there."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first few, one line each."""
        if len(self.heard) < MOST_WARNINGS:
            said = one_line(record.getMessage(), 10_000)
            said = said.removeprefix("WARNING").lstrip(" \N{WARNING SIGN}\N{VARIATION SELECTOR-16}")
            self.heard.append(shorten(said, LONGEST_WARNING))


def _heard() -> list[str]:
    """Warnings since this was called for the first time."""
    logger = logging.getLogger("ultralytics")
    ears = [handler for handler in logger.handlers if isinstance(handler, _WarningRecorder)]
    if not ears:
        ears = [_WarningRecorder()]
        logger.addHandler(ears[0])
    return ears[0].heard


def channels_last(model: Any) -> bool:
    """Whether the 4D parameters of a model lie in channels_last order (1x1 kernels lie in both: left out)."""
    import torch

    kernels = [p for p in model.parameters() if p.dim() == 4 and p.shape[-1] > 1 and p.shape[1] > 1]
    return bool(kernels) and all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
