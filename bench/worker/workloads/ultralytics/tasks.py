"""Table of Ultralytics' tasks, which share one trainer class and one predictor class.

A new task is a new entry, with a module that makes its data. Everything that differs between tasks is in the table.
"""

from __future__ import annotations

import importlib
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COCO_TRAIN, COCO_POSE_TRAIN, DOTA_TRAIN, IMAGENET_TRAIN = 118_287, 56_599, 1_411, 1_281_167
"""Training images of COCO 2017, of its images with keypoints, of DOTA v1 and of ImageNet-1k.

The numbers are those of Ultralytics' own ``coco.yaml``, ``coco-pose.yaml``, ``DOTAv1.yaml`` and ``ImageNet.yaml``.
"""

OWN_NETWORKS = ("resnet18", "vit_b_16")
"""Networks of torchvision that Ultralytics trains as classification models, from yaml files of this suite."""

NETWORKS = Path(__file__).with_name("networks")
"""Folder of the yaml files of :data:`OWN_NETWORKS`."""


@dataclass(frozen=True)
class Task:
    """A task of Ultralytics.

    Attributes:
        name: value of Ultralytics' argument ``task``.
        noun: what its models are called in messages.
        trainer: module and class of its trainer.
        predictor: module and class of its predictor.
        model: module and class of its network.
        heads: names of the last layers of its models.
        data: names of the data sets that are made for it, the one with the most memory last.
        maker: module in this folder whose ``provide`` makes them.
        epoch_items: images of the epoch for which times are projected.
        needs: what a label file has to hold in each row, for messages.
        may_be_zero: by last layer, the loss items that stay 0 in training that works.
        zero_means: cause of a loss that stays 0.
        raises_scores: whether random weights are made to find objects in prediction (``random_objects.py``).
        suppression: whose non-maximum suppression runs: empty for the general rule, ``none``, or ``ultralytics``.
        natural: a model's own values of axes.
    """

    name: str
    noun: str
    trainer: tuple[str, str]
    predictor: tuple[str, str]
    model: tuple[str, str]
    heads: tuple[str, ...]
    data: tuple[str, str]
    maker: str = "made_data"
    epoch_items: int = COCO_TRAIN
    needs: str = "a class and a box, as 'class x y width height'"
    may_be_zero: Mapping[str, frozenset[str]] = field(default_factory=dict)
    zero_means: str = "the labels have no boxes"
    raises_scores: bool = False
    suppression: str = ""
    natural: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def takes_folder(self) -> bool:
        """Whether its data set is a folder of class folders, not a data yaml."""
        return self.name == "classify"


NETWORK = "ultralytics.nn.tasks"
DETECT = Task(
    "detect",
    noun="a detection model",
    trainer=("ultralytics.models.yolo.detect", "DetectionTrainer"),
    predictor=("ultralytics.models.yolo.detect", "DetectionPredictor"),
    model=(NETWORK, "DetectionModel"),
    heads=("Detect", "v10Detect"),
    data=("coco-like", "coco-like-dense"),
)
SEGMENT = Task(
    "segment",
    noun="a segmentation model",
    trainer=("ultralytics.models.yolo.segment", "SegmentationTrainer"),
    predictor=("ultralytics.models.yolo.segment", "SegmentationPredictor"),
    model=(NETWORK, "SegmentationModel"),
    heads=("Segment", "Segment26"),
    data=("coco-like-segment", "coco-like-segment-dense"),
    needs="a class and a polygon, as 'class x1 y1 x2 y2 x3 y3 ...'",
    # Only Segment26 predicts a semantic map: since 8.4.0, other heads report its loss as 0.0 (utils/loss.py).
    may_be_zero={"Segment": frozenset({"sem_loss"})},
    zero_means="the labels have no polygons",
    raises_scores=True,
)
POSE = Task(
    "pose",
    noun="a pose model",
    trainer=("ultralytics.models.yolo.pose", "PoseTrainer"),
    predictor=("ultralytics.models.yolo.pose", "PosePredictor"),
    model=(NETWORK, "PoseModel"),
    heads=("Pose", "Pose26"),
    data=("coco-like-pose", "coco-like-pose-dense"),
    epoch_items=COCO_POSE_TRAIN,
    needs="a class, a box and the keypoints of 'kpt_shape:'",
    zero_means="the labels have no boxes or no visible keypoints",
    raises_scores=True,
)
OBB = Task(
    "obb",
    noun="a model of oriented boxes",
    trainer=("ultralytics.models.yolo.obb", "OBBTrainer"),
    predictor=("ultralytics.models.yolo.obb", "OBBPredictor"),
    model=(NETWORK, "OBBModel"),
    heads=("OBB", "OBB26"),
    data=("dota-like", "dota-like-dense"),
    epoch_items=DOTA_TRAIN,
    needs="a class and the four corners of a box, as 'class x1 y1 x2 y2 x3 y3 x4 y4'",
    raises_scores=True,
    suppression="ultralytics",  # torchvision has none for rotated boxes
)
CLASSIFY = Task(
    "classify",
    noun="a classification model",
    trainer=("ultralytics.models.yolo.classify", "ClassificationTrainer"),
    predictor=("ultralytics.models.yolo.classify", "ClassificationPredictor"),
    model=(NETWORK, "ClassificationModel"),
    heads=("Classify", "Linear"),
    data=("imagenet-like", "imagenet-like"),
    maker="made_classes",
    epoch_items=IMAGENET_TRAIN,
    needs="a folder with 'train/CLASS/' and 'val/CLASS/' for each class",
    zero_means="the images have one class",
    suppression="none",
    natural={"imgsz": (224,)},
)
RTDETR = Task(
    "detect",
    noun="an RT-DETR model",
    trainer=("ultralytics.models.rtdetr.train", "RTDETRTrainer"),
    predictor=("ultralytics.models.rtdetr.predict", "RTDETRPredictor"),
    model=(NETWORK, "RTDETRDetectionModel"),
    heads=("RTDETRDecoder",),
    data=DETECT.data,
    suppression="none",
)

TASKS = (DETECT, SEGMENT, POSE, OBB, CLASSIFY, RTDETR)

NAMED = (
    (re.compile(r"rtdetr"), RTDETR),
    (re.compile(r"-seg(?![a-z])"), SEGMENT),
    (re.compile(r"-pose(?![a-z])"), POSE),
    (re.compile(r"-obb(?![a-z])"), OBB),
    (re.compile(rf"-cls(?![a-z])|^(?:{'|'.join(OWN_NETWORKS)})$"), CLASSIFY),
)
"""Parts of names of models, and the tasks that they stand for."""

SAVED = re.compile(rb"(?<![A-Za-z])(%s)(?![A-Za-z])" % b"|".join(task.model[1].encode() for task in TASKS))
"""Pattern of the class of a network in the pickle of a checkpoint."""

LAYER = re.compile(r"(?<![\w.])(?:nn\.)?({})\s*,".format("|".join(head for task in TASKS for head in task.heads)))
"""Pattern of a last layer in the text of a model yaml."""


def task_of(head: str) -> Task | None:
    """Return the task whose models end with a layer; None for a layer that is not in the table."""
    return next((task for task in TASKS if head.removeprefix("nn.") in task.heads), None)


def task_of_data(name: str) -> Task:
    """Return the task for which a data set is made; detection for any other name."""
    return next((task for task in TASKS if name in task.data), DETECT)


def task_of_model(model: str) -> Task:
    """Return the task that a name or a file suggests, without importing Ultralytics; detection where nothing does.

    A measurement finds the task by the last layer of the loaded model.
    """
    path = Path(model)
    try:
        if path.is_absolute() and path.suffix == ".pt" and zipfile.is_zipfile(path):
            return _task_in_checkpoint(path)
        if path.is_absolute() and path.suffix in (".yaml", ".yml"):
            text = "\n".join(line.partition("#")[0] for line in path.read_text("utf-8", "replace").splitlines())
            layers = LAYER.findall(text)
            return (task_of(layers[-1]) if layers else None) or DETECT
    except (OSError, zipfile.BadZipFile, KeyError):
        return DETECT
    return next((task for pattern, task in NAMED if pattern.search(path.name)), DETECT)


def _task_in_checkpoint(path: Path) -> Task:
    """Return the task of a checkpoint by the names of classes in its pickle, which is not run."""
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if name.endswith("data.pkl")]
        match = SAVED.search(archive.read(pickles[0])) if pickles else None
    return next((task for task in TASKS if match and task.model[1] == match[1].decode()), DETECT)


def load(place: tuple[str, str]) -> Any:
    """Return a class of Ultralytics; the first import takes seconds."""
    module, name = place
    return getattr(importlib.import_module(module), name)
