"""Agreement of an exported model with the model that it was made from: raw outputs on the same images."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ....rejection import CaseRejected
from .. import tasks

LIMIT = 1e-4
"""Largest relative distance of outputs in float32, for models that float16 moves far: runtimes were at most at 3e-5."""

HALF_SHARE = 1 / 20
"""The same as a share of the distance at which float16 is: runtimes were at 0.0008 to 0.008 of it."""

LEAST_LIMIT = 1e-6
"""Least limit. Weights that were never trained put out nearly the same in any precision, but for rounding."""

BOX_LIMIT = 0.05 / 160
"""Largest 99th percentile of the distances of box coordinates in float32, as a share of the image size."""

SCORE_LIMIT = 1e-3
"""Largest distance of a score in float32: five runtimes were at 5e-5 to 1.3e-4, and 16 bits at 0.06."""

FILE = "reference.npz"


def images(files: list[Path], imgsz: int, channels: int) -> Any:
    """Return images as a model takes them.

    Args:
        files: images; unreadable ones are left out.
        imgsz: size in pixels.
        channels: of the model; colors repeat where it takes more.
    """
    import numpy
    import torch
    from ultralytics.data.augment import LetterBox
    from ultralytics.utils.patches import imread

    letterbox = LetterBox((imgsz, imgsz), auto=False, stride=32)
    boxed = [letterbox(image=image) for file in files if (image := imread(str(file))) is not None]
    planes = [index % boxed[0].shape[-1] for index in range(channels)]
    stacked = numpy.stack(boxed)[..., ::-1][..., planes].transpose(0, 3, 1, 2)
    return torch.from_numpy(numpy.ascontiguousarray(stacked)).float() / 255


def outputs(raw: Any) -> list[Any]:
    """Return the tensors of a raw output in their order; a dictionary among them holds none that an export has."""
    import torch

    if isinstance(raw, torch.Tensor):
        return [raw.detach().float().cpu()]
    return [tensor for part in raw for tensor in outputs(part)] if isinstance(raw, (list, tuple)) else []


def kept(raw: Any, task: str) -> list[Any]:
    """Return the outputs that a format has in common with the original: predictions, and prototypes of masks."""
    return outputs(raw)[: 2 if task == tasks.SEGMENT.name else 1]


def save(folder: Path, tensors: Any, raw: list[Any]) -> None:
    """Write images and the outputs of the original for them into a folder."""
    import numpy

    numpy.savez(
        folder / FILE, images=tensors.numpy(), **{f"output{index}": out.numpy() for index, out in enumerate(raw)}
    )


def compare(model: Any, folder: Path, batch: int, facts: dict[str, Any], imgsz: int) -> dict[str, float | None]:
    """Run an exported model on the images of its reference, and return its distance from the original.

    Args:
        model: Ultralytics' model, which takes a batch of images.
        folder: of the export.
        batch: of the export: the images repeat.
        facts: of the original: ``task``, ``classes``, ``end2end`` and ``head``.
        imgsz: size of the images.

    Returns:
        ``relative_l2``: the relative distance of the raw output. ``box_p99_px``: 99th percentile of the distances of
        box coordinates; None for a model without boxes. ``score_max``: largest distance of a score.

    Raises:
        CaseRejected: with status ``invalid`` where the outputs have another shape, or are not finite.
    """
    import numpy
    import torch

    with numpy.load(folder / FILE) as saved:
        reference = [torch.from_numpy(saved[f"output{index}"]) for index in range(len(saved.files) - 1)]
        tensors = torch.from_numpy(saved["images"])
    places = [index % len(tensors) for index in range(batch)]
    with torch.inference_mode():
        ours = kept(model(tensors[places].to(model.device)), facts["task"])
    wanted = [list(out[places].shape) for out in reference]
    if [list(out.shape) for out in ours] != wanted:
        shapes = f"{[list(out.shape) for out in ours]} and not {wanted}"
        raise CaseRejected("invalid", f"The exported model puts out tensors of shape {shapes}, as the original does.")
    if not all(bool(torch.isfinite(out).all()) for out in ours):
        raise CaseRejected("invalid", "The exported model puts out numbers that are not finite.")
    pairs = paired(ours, [original[places] for original in reference], facts)
    distances: dict[str, float | None] = {
        "relative_l2": farthest(pairs),
        "box_p99_px": None,
        "score_max": None,
    }
    out, original = pairs[0]
    if facts["task"] != tasks.CLASSIFY.name:
        end = 5 if facts["end2end"] else 4 + int(facts["classes"])
        scale = imgsz if facts["head"] == "RTDETRDecoder" else 1.0
        shifts = (out[:, :4] - original[:, :4]).abs().flatten()
        distances["box_p99_px"] = rounded(float(torch.quantile(sample(shifts), 0.99)) * scale)
        out, original = out[:, 4:end], original[:, 4:end]
    return {**distances, "score_max": rounded(float((out - original).abs().max()))}


def distance_of_half(network: Any, run: Callable[[], list[Any]], raw: list[Any], facts: dict[str, Any]) -> float:
    """Return the relative distance of a network's outputs where each layer rounds its output to float16.

    Args:
        network: module of torch, in float32.
        run: runs it on the images of the comparison, and returns its outputs.
        raw: its outputs in float32.
        facts: see :func:`compare`.
    """
    import torch

    kinds = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear)
    hooks = [
        layer.register_forward_hook(lambda layer, inputs, output: output.half().float())
        for layer in network.modules()
        if isinstance(layer, kinds)
    ]
    try:
        return farthest(paired(run(), raw, facts))
    finally:
        for hook in hooks:
            hook.remove()


def limit_of(half: float | None) -> float:
    """Return the largest relative distance of outputs in float32.

    Args:
        half: result of :func:`distance_of_half`; None where float32 itself is rounded further, as by TF32.
    """
    if half is None or not math.isfinite(half):
        return LIMIT
    return rounded(min(LIMIT, max(LEAST_LIMIT, half * HALF_SHARE)))


def shows_precision(half: float | None) -> bool:
    """Whether outputs depend on the precision, so that a reduced one shows in them."""
    return half is None or not half * HALF_SHARE < LEAST_LIMIT


def paired(ours: list[Any], reference: list[Any], facts: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Return pairs of outputs and those of the original, the predictions in one order."""
    pairs = list(zip(ours, reference, strict=True))
    return [in_order(*pairs[0], facts), *pairs[1:]]


def farthest(pairs: list[tuple[Any, Any]]) -> float:
    """Return the largest relative distance of pairs of outputs."""
    return rounded(max(relative_distance(out, original) for out, original in pairs))


def rounded(value: float) -> float:
    """Return a distance with four digits."""
    return float(f"{value:.4g}")


MOST = 10_000_000
"""Elements of which torch takes a quantile."""


def sample(values: Any) -> Any:
    """Return every k-th of many values."""
    return values[:: len(values) // MOST + 1]


def in_order(ours: Any, original: Any, facts: dict[str, Any]) -> tuple[Any, Any]:
    """Return predictions with their boxes along the second axis, and the rows of a chosen few in one order.

    The rows of a model that chooses its best predictions come in the order of their scores, and rows of nearly equal
    scores may change places. So each row of the original is compared with the nearest one.
    """
    if not (facts["end2end"] or facts["head"] == "RTDETRDecoder"):
        return ours, original
    import torch

    nearest = torch.cdist(original, ours).argmin(-1)
    ours = torch.gather(ours, 1, nearest[..., None].expand_as(original))
    return ours.transpose(1, 2), original.transpose(1, 2)


def relative_distance(ours: Any, original: Any) -> float:
    """Return the norm of the difference over the norm of the original, in double precision."""
    size = float(original.double().norm())
    return float((ours.double() - original.double()).norm()) / (size or 1.0)


def check(
    distances: dict[str, float | None], amp: str, imgsz: int, half: float | None = None
) -> dict[str, float | None]:
    """Return the distance of an export with its limit, as a record has it.

    Args:
        distances: result of :func:`compare`.
        amp: precision of the case.
        imgsz: size of the images.
        half: see :func:`limit_of`.

    Raises:
        CaseRejected: ``invalid`` for outputs in float32 that differ from the original's; ``substituted`` for a reduced
            precision whose outputs are those of float32.
    """
    distance, shift, score = distances["relative_l2"], distances["box_p99_px"], distances["score_max"]
    assert distance is not None and score is not None
    limit = limit_of(half)
    if amp != "off":
        if shows_precision(half) and distance <= limit and score <= SCORE_LIMIT:
            reason = f"amp {amp} requested, amp off would run: the outputs are those of float32 (relative distance"
            raise CaseRejected("substituted", f"{reason} {distance:.2g}).")
        return {**distances, "limit": None}
    if distance > limit or score > SCORE_LIMIT or (shift is not None and shift > BOX_LIMIT * imgsz):
        text = f"The exported model differs from the original: relative distance {distance:.2g}, at most {limit:.2g}"
        boxes = "" if shift is None else f"; boxes {shift:.2g} px, at most {BOX_LIMIT * imgsz:.2g}"
        raise CaseRejected("invalid", f"{text}; scores {score:.2g}, at most {SCORE_LIMIT:g}{boxes}.")
    return {**distances, "limit": limit}
