"""Libraries and weight files that Ultralytics needs, as they are installed."""

from __future__ import annotations

import importlib
import importlib.util
import os
from pathlib import Path

from . import isolation


def check() -> None:
    """Load the libraries that Ultralytics needs besides torch; raise the error of the first that fails."""
    load_torchvision()
    importlib.import_module("cv2")  # on servers it lacks libGL


def load_torchvision() -> None:
    """Load torchvision's library, which fails where it was built for another torch.

    Importing all of torchvision would take a second more.
    """
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
    operators.nms  # noqa: B018 - the operator that Ultralytics needs; raises where it is missing
    # torchvision's own check at import, which loading the library alone does not make.
    built, cuda = int(operators._cuda_version()), torch.version.cuda
    if built != -1 and cuda is not None and built // 1000 != int(cuda.split(".")[0]):
        raise RuntimeError(
            f"torchvision is built for CUDA {built // 1000}, and torch {torch.__version__} for CUDA {cuda}"
        )


def weights() -> list[str]:
    """Return the names of weight files in the working folder and in the user's own folder of weights of Ultralytics."""
    places = [Path.cwd()]
    if "YOLO_CONFIG_DIR" in os.environ:
        os.environ.setdefault("YOLOPACE_USER_CONFIG", os.environ["YOLO_CONFIG_DIR"])
    chosen = isolation.user_settings().get("weights_dir")
    if isinstance(chosen, str) and chosen:
        places.append(Path(chosen))
    return sorted({file.name for place in places if place.is_dir() for file in place.glob("*.pt")})
