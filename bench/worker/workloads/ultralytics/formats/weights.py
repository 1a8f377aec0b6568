"""Seeded weights of a model that has none: the same for all formats, and such that it finds objects."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import models, random_objects, read_settings, tasks
from ..made_data import training_images
from ..models import Model


def pool_of(data: str) -> list[Path]:
    """Return different training images of a data set: all images of the pool of a made one."""
    pool = Path(data).with_name("train") / "images"
    if pool.is_symlink() and not Path(data).with_name("images.json").exists():
        return sorted(pool.glob("*.jpg"))
    return [Path(image) for image in dict.fromkeys(training_images(data))]


def sample_of(data: str) -> list[Path]:
    """Return the images by which the weights are made."""
    return pool_of(data)[: random_objects.IMAGES]


def new_predictor(model: Model, imgsz: int, overrides: Mapping[str, Any], scratch: str) -> Any:
    """Return the predictor of a model on the CPU in float32, whatever the case has.

    Args:
        model: as the case names it.
        imgsz: of the case.
        overrides: library arguments of the case.
        scratch: folder that Ultralytics may use.
    """
    given = {
        **{name: value for name, value in overrides.items() if name != "compile"},
        "task": model.task.name,
        "mode": "predict",
        "model": model.file,
        "device": "cpu",
        "imgsz": imgsz,
        "project": scratch,
        "name": "predict",
        "exist_ok": True,
    }
    return tasks.load(model.task.predictor)(overrides=given)


def seeded(name: str, model: Model, data: str, imgsz: int, overrides: Mapping[str, Any], scratch: str) -> Any:
    """Return the network of a model without weights: seeded, settled on images, with scores that find objects.

    Args:
        name: of the model in the case.
        model: result of :func:`..models.find_model`.
        data: data set of the case.
        imgsz: of the case.
        overrides: library arguments of the case.
        scratch: folder that Ultralytics may use.
    """
    import torch
    from ultralytics.utils.patches import imread

    torch.manual_seed(0)
    network = models.built(name, model, data)
    models.complete(network, imgsz)
    files = [str(image) for image in sample_of(data)]
    random_objects.settle_batch_norm(network, files, imgsz)
    if not any(getattr(network.model[-1], head, None) for head in random_objects.HEADS):
        return network
    predictor = new_predictor(model, imgsz, overrides, scratch)
    predictor.setup_model(model=network, verbose=False)
    images = [image for file in files if (image := imread(file)) is not None]
    inner = read_settings.network(predictor)
    random_objects.raise_scores(inner, predictor.args.conf, lambda: list(predictor(images)))
    _copy_scores(inner, network)
    return network


def _copy_scores(source: Any, target: Any) -> None:
    """Copy the biases of the class scores from a predictor's own copy of a network."""
    for head in random_objects.HEADS:
        for level, other in zip(*(getattr(network.model[-1], head, None) or () for network in (source, target))):
            if getattr(level[-1], "bias", None) is not None:
                other[-1].bias.data.copy_(level[-1].bias.data)
