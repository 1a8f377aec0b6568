"""What runs, against what was asked: the one mechanism that keeps a number from wearing a false label.

There is no table of Ultralytics versions here. A workload reads its settings off the live trainer or predictor; what
differs on an axis of the case ends the case.
"""

from __future__ import annotations

import os
from typing import Any

from .devices import Device
from .refusal import Refused

VARIABLES = ("OMP_", "KMP_", "MKL_", "OPENBLAS_", "MALLOC_", "LD_PRELOAD", "NVIDIA_TF32", "PYTORCH_", "CUBLAS_")
"""How environment variables begin that change the speed of torch or of memory allocation."""

AXES = ("device", "amp", "batch", "imgsz")
"""The axes that Ultralytics may change; ``model`` either loads or fails."""

DECIDED_BY = {
    "device": ("device",),
    "amp": ("mode", "device", "amp"),
    "imgsz": ("mode", "model", "imgsz"),
    "batch": (),
}
"""Which fields of a case settle whether an axis is honoured."""

REMEDY = {
    ("amp", "on"): "Ultralytics offers no mixed precision here",
    ("amp", "bf16"): "Ultralytics offers no bfloat16 here",
    ("imgsz", None): "sizes are rounded up to a multiple of the model's stride",
    ("batch", None): "the data set has fewer images than one batch",
}


def explain(axis: str, asked: Any, runs: Any) -> str:
    """One sentence on a substitution."""
    why = REMEDY.get((axis, asked)) or REMEDY.get((axis, None))
    return f"{axis} {asked} was asked, {axis} {runs} would run" + (f": {why}." if why else ".")


def compare(case: dict[str, Any], effective: dict[str, Any]) -> None:
    """Raise :class:`Refused` with status ``substituted`` where ``effective`` differs from ``case`` on an axis."""
    changed = [axis for axis in AXES if effective[axis] != case[axis]]
    if not changed:
        return
    axes = DECIDED_BY[changed[0]] if len(changed) == 1 else ()
    raise Refused("substituted", " ".join(explain(a, case[a], effective[a]) for a in changed), axes)


def device_name(device: Any, wanted: Device) -> str:
    """A ``torch.device`` the way a case names it: ``cpu``, ``mps``, and for cuda the index alone.

    Args:
        device: read off the live trainer or predictor.
        wanted: the device of the case; what it is asked for by is translated back to its name.
    """
    found = str(device.index or 0) if device.type == "cuda" else str(device.type)
    return wanted.name if found == wanted.asked else found


def torch_settings() -> dict[str, Any]:
    """Process-wide settings of torch that change speed."""
    import torch

    return {
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cudnn_tf32": torch.backends.cudnn.allow_tf32,
        "matmul_tf32": torch.backends.cuda.matmul.allow_tf32,
        "mps_fallback": os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK", "0"),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith(VARIABLES)},
    }


def channels_last(model: Any) -> bool:
    """Whether the 4D parameters of a model lie in channels_last order (1x1 kernels lie in both: left out)."""
    import torch

    kernels = [p for p in model.parameters() if p.dim() == 4 and p.shape[-1] > 1 and p.shape[1] > 1]
    return bool(kernels) and all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
