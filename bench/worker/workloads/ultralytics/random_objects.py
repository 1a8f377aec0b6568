"""Make a network of random weights find about as many objects in an image as COCO has.

Random weights give every class a score near 0, so that nothing passes ``conf``: no mask is decoded, no box is
suppressed, and a prediction costs less than a user's. So batch norm takes its statistics from the images, as in
training, and a constant is added to the biases of the class scores. The forward pass costs the same, ``conf`` stays as
users have it, and the work after the forward pass is done.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

OBJECTS = 7.3
"""Mean number of objects of an image in COCO, and the least number of detections per image that is aimed at."""

ENOUGH = 1.5
"""Largest number of detections that is accepted at once, relative to :data:`OBJECTS`."""

ROUNDS = 6
"""Largest number of attempts: a number of candidates, of which suppression leaves fewer."""

IMAGES = 4
"""Images on which the number is found."""

HEADS = ("cv3", "one2one_cv3")
"""Attributes of a last layer with the layers of its class scores; a model without suppression runs the second."""


def settle_batch_norm(model: Any, files: Sequence[str], imgsz: int) -> None:
    """Set the statistics of batch norm to those of a few images.

    With its initial statistics, the output of every layer is smaller than its input, and the network puts out the same
    for any image.

    Args:
        model: model of Ultralytics on the CPU, in float32, before its layers are fused.
        files: images.
        imgsz: image size of the case.
    """
    import numpy
    import torch
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils.patches import imread

    letterbox = LetterBox((imgsz, imgsz), auto=False, stride=32)
    images = [letterbox(image=image) for file in files if (image := imread(str(file))) is not None]
    if not images or next(model.parameters()).shape[1] != images[0].shape[-1]:  # first_call explains a broken image
        return
    images.append(images[0][:, ::-1])  # one image has one value per channel at 32 px, of which there are no statistics
    batch = torch.from_numpy(numpy.stack(images)[..., ::-1].transpose(0, 3, 1, 2).copy()).float() / 255
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        model.train()(batch)
    model.eval()
    for norm, momentum in zip(norms, before):
        norm.momentum = momentum


def raise_scores(network: Any, conf: float, predict: Callable[[], list[Any]]) -> None:
    """Raise the class scores of a network, so that enough objects are found.

    Args:
        network: model of Ultralytics, whose last layer has class scores.
        conf: score from which a detection counts.
        predict: predicts :data:`IMAGES` images, or fewer, with the network.
    """
    branches = _listen(network, predict)
    shifts = dict.fromkeys(branches, 0.0)

    def detections(candidates: float) -> float:
        for name, (layers, scores) in branches.items():
            place = min(max(round(candidates), 1), len(scores) - 1)
            shift = math.log(conf / (1 - conf)) - float(scores[place - 1] + scores[place]) / 2
            _add(layers, shift - shifts[name])
            shifts[name] = shift
        results = predict()
        return sum(map(len, results)) / max(len(results), 1)

    low, high, candidates = 0.0, 0.0, OBJECTS * IMAGES
    for _ in range(ROUNDS):
        number = detections(candidates)
        if OBJECTS <= number <= ENOUGH * OBJECTS:
            return
        low, high = (candidates, high) if number < OBJECTS else (low, candidates)
        candidates = (low + high) / 2 if high else 2 * candidates
    if high:
        detections(high)


def _listen(network: Any, predict: Callable[[], list[Any]]) -> dict[str, tuple[list[Any], Any]]:
    """Return the last layers of the class scores, and the best score of each anchor, as logits from high to low.

    They are by the attribute of the head; one that does not run is left out.
    """
    import torch

    head = network.model[-1]
    layers = {
        name: [level[-1] for level in getattr(head, name, None) or () if getattr(level[-1], "bias", None) is not None]
        for name in HEADS
    }
    best: dict[str, list[Any]] = {name: [] for name in layers}

    def keep(name: str) -> Callable[[Any, Any, Any], None]:
        return lambda layer, arguments, output: best[name].append(output.detach().float().amax(1).flatten())

    hooks = [layer.register_forward_hook(keep(name)) for name, own in layers.items() for layer in own]
    try:
        predict()
    finally:
        for hook in hooks:
            hook.remove()
    return {
        name: (layers[name], torch.cat(parts).sort(descending=True).values) for name, parts in best.items() if parts
    }


def _add(layers: list[Any], shift: float) -> None:
    """Add a number to the biases of layers."""
    import torch

    with torch.no_grad():
        for layer in layers:
            layer.bias += shift
