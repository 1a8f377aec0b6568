"""What training and prediction share: finding the model, and saying well why there is none."""

from __future__ import annotations

import difflib
import os

from ..environment import facts
from ..refusal import Refused


def model_file(name: str) -> str:
    """The file that Ultralytics is given: ``yolov8n`` means its yaml file, so random weights; a file stays itself.

    Raises:
        Refused: where a file is named that does not exist and Ultralytics knows no such model.
    """
    file = name if name.endswith((".pt", ".yaml", ".yml")) else f"{name}.yaml"
    if os.path.exists(file):
        return file
    if not file.endswith(".pt"):
        from ultralytics.utils.checks import check_yaml

        if not check_yaml(_family(file), hard=False):
            known = difflib.get_close_matches(name, facts()["models"], n=3, cutoff=0.5)
            hint = f" (close: {', '.join(known)})" if known else ""
            raise Refused("unsupported", f"model {name}: this Ultralytics has no such model{hint}.", axes=("model",))
    return file


def _family(file: str) -> str:
    """``yolov8n.yaml`` is scale n of ``yolov8.yaml``."""
    import re

    return re.sub(r"(\d+)([nslmx])(.+)?$", r"\1\3", file)
