"""What the measured interpreter tells of its backends: imports torch, and measures nothing."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

from ..devices import kinds
from ..monitors import macos
from ..monitors.system import try_read
from ..text import one_line
from ..workloads.ultralytics import isolation
from . import info

METERS = ("pynvml", "zeus_apple_silicon")
"""Libraries that let a worker read a device; without them it measures all the same, and less is told."""

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
    """All of it, for :mod:`bench.machine.doctor`; takes as long as importing torch.

    Returns:
        ``environment``: as :func:`.environment.facts` tells it. ``import_error``: why torch, torchvision or OpenCV
        cannot be imported, else empty, and then ``backends``: by kind what each device's ``probe_backend`` tells, and
        ``gloo``. ``meters``: those of :data:`METERS` that are installed. ``variables``: those of :data:`VARIABLES`
        that are set. ``weights``: names of weight files that are found without the network. ``thermal``: macOS' word
        for thermal pressure.
    """
    found: dict[str, Any] = {
        "environment": info.facts(),
        "import_error": "",
        "meters": [name for name in METERS if importlib.util.find_spec(name) is not None],
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "weights": weights(),
        "thermal": try_read(macos.thermal),
    }
    try:
        import torch

        load_torchvision()
        importlib.import_module("cv2")  # Ultralytics needs it; on servers it lacks libGL
    except Exception as error:  # a library that is missing, or was built for another system
        return {**found, "import_error": one_line(str(error)) or type(error).__name__}
    gloo = bool(torch.distributed.is_available() and torch.distributed.is_gloo_available())
    return {**found, "backends": {kind: device.probe_backend() for kind, device in kinds().items()}, "gloo": gloo}


def load_torchvision() -> None:
    """Load its library, which fails where it was built for another torch; to import all of it takes a second more."""
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None:
        raise ModuleNotFoundError("No module named 'torchvision'")
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    libraries = [file for place in places for file in sorted(place.glob("_C*"))]
    if not libraries:
        importlib.import_module("torchvision")
    for library in libraries:
        torch.ops.load_library(str(library))
    operators = torch.ops.torchvision
    operators.nms  # noqa: B018 - what Ultralytics needs of it; raises where it is not there
    # Its own check at import, which the library alone does not make.
    built, cuda = int(operators._cuda_version()), torch.version.cuda
    if built != -1 and cuda is not None and built // 1000 != int(cuda.split(".")[0]):
        raise RuntimeError(
            f"torchvision is built for CUDA {built // 1000}, and torch {torch.__version__} for CUDA {cuda}"
        )


def weights() -> list[str]:
    """Names of weight files in the working folder and in the folder of weights that the user set for Ultralytics."""
    places = [Path.cwd()]
    if "YOLO_CONFIG_DIR" in os.environ:
        os.environ.setdefault("YOLOPACE_USER_CONFIG", os.environ["YOLO_CONFIG_DIR"])
    chosen = isolation.user_settings().get("weights_dir")
    if isinstance(chosen, str) and chosen:
        places.append(Path(chosen))
    return sorted({file.name for place in places if place.is_dir() for file in place.glob("*.pt")})
