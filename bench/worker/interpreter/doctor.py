"""Backends and libraries of the measured interpreter: imports torch, and measures nothing."""

from __future__ import annotations

import importlib.util
import os
from typing import Any

from ..devices import kinds
from ..monitors import macos
from ..monitors.system import try_read
from ..text import one_line
from ..workloads import workloads
from . import info

METERS = ("pynvml", "zeus_apple_silicon")
"""Optional libraries to read a device's state and energy; a worker also measures without them."""

VARIABLES = (
    "ASCEND_RT_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "PYTORCH_ENABLE_MPS_FALLBACK",
    "PYTORCH_MPS_HIGH_WATERMARK_RATIO",
    "PYTORCH_MPS_LOW_WATERMARK_RATIO",
    "ZE_AFFINITY_MASK",
)
"""Environment variables that change what a backend does."""


def facts() -> dict[str, Any]:
    """Return everything that ``doctor`` judges; takes as long as importing torch.

    Returns:
        - ``environment``: result of :func:`.info.facts`.
        - ``import_error``: error of an import of torch or of a workload's packages, or empty.
        - ``backends``, without such an error: result of each device's ``probe_backend``, by kind.
        - ``gloo``, without such an error: whether torch has gloo.
        - ``meters``: those of :data:`METERS` that are installed.
        - ``variables``: those of :data:`VARIABLES` that are set.
        - ``weights``: names of weight files that are found without the network.
        - ``thermal``: level of thermal pressure on macOS.
    """
    report: dict[str, Any] = {
        "environment": info.facts(),
        "import_error": "",
        "meters": [name for name in METERS if importlib.util.find_spec(name) is not None],
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "weights": sorted({name for workload in workloads().values() for name in workload.weights()}),
        "thermal": try_read(macos.thermal),
    }
    try:
        import torch

        for workload in workloads().values():
            if not info.why_missing(workload):
                workload.check_imports()
    except Exception as error:  # a library that is missing, or was built for another system
        return {**report, "import_error": one_line(str(error)) or type(error).__name__}
    gloo = bool(torch.distributed.is_available() and torch.distributed.is_gloo_available())
    return {**report, "backends": {kind: device.probe_backend() for kind, device in kinds().items()}, "gloo": gloo}
