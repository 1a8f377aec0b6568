"""What training and prediction share: finding the model, and saying well why there is none."""

from __future__ import annotations

import difflib
import os

from ..environment import facts, family
from ..refusal import Refused

DETECTION_HEADS = ("Detect", "v10Detect")
"""Last layers of the models that Ultralytics' detection trainer and predictor are made for."""


def model_file(name: str) -> str:
    """The file that Ultralytics is given: ``yolov8n`` means its yaml file, so random weights; a file stays itself.

    Raises:
        Refused: where a file is named that does not exist and Ultralytics knows no such model.
    """
    file = name if name.endswith((".pt", ".yaml", ".yml")) else f"{name}.yaml"
    if not os.path.exists(file) and not file.endswith(".pt"):
        from ultralytics.utils.checks import check_yaml

        if not check_yaml(family(file), hard=False) and not check_yaml(file, hard=False):
            known = difflib.get_close_matches(name, facts()["models"], n=3, cutoff=0.5)
            hint = f" (close: {', '.join(known)})" if known else ""
            raise Refused("unsupported", f"model {name}: this Ultralytics has no such model{hint}.", axes=("model",))
    check_head(name, file)
    return file


def check_head(name: str, file: str) -> None:
    """Refuse a model that is no plain detection model: run as one, it would give a speed of something else.

    Raises:
        Refused: for segmentation, pose, classification, RT-DETR and the like.
    """
    if file.endswith(".pt"):
        from ultralytics import YOLO

        head = type(YOLO(file).model.model[-1]).__name__
    else:
        from ultralytics.nn.tasks import yaml_model_load

        head = str(yaml_model_load(file)["head"][-1][2])
    if head not in DETECTION_HEADS:
        reason = f"model {name}: its last layer is {head}, and only detection models can be measured yet."
        raise Refused("unsupported", reason, axes=("model",))
