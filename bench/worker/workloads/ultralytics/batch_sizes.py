"""Sizes of batches that vary by request: ``multi_scale`` changes them at random, ``rect`` by the shapes of images."""

from __future__ import annotations

from typing import Any

from ...rejection import CaseRejected

ENOUGH = 16
"""Batches among which a random size would have changed."""


def vary(args: Any) -> bool:
    """Whether batches of a training run may differ in size.

    Args:
        args: live arguments of the trainer.
    """
    return bool(args.rect) or bool(args.multi_scale)


def summary(trainer: Any, first: int) -> dict[str, Any]:
    """Return the sizes of the batches of the windows, for the record.

    Args:
        trainer: trainer that kept (height, width) of every batch as ``sizes``.
        first: index of the first batch of the first window.

    Returns:
        - ``least``, ``most``: the smallest and the largest batch, such as ``480x640``.
        - ``distinct``: number of distinct sizes.
        - ``pixels``: mean pixels of an image, over those of a square of the case's image size.
        - ``epoch_pixels``: the same over a whole epoch of ``rect``, whose batches come in one order; else None.

    Raises:
        CaseRejected: with status ``invalid`` where sizes were to change at random, and did not.
    """
    sizes = trainer.sizes[first:]
    if trainer.args.multi_scale and len(set(trainer.sizes)) == 1 and len(trainer.sizes) >= ENOUGH:
        asked = f"multi_scale {trainer.args.multi_scale} requested"
        raise CaseRejected("invalid", f"{asked}, and all {len(trainer.sizes)} batches were {_text(sizes[0])}.")
    ordered = sorted(sizes, key=_pixels)
    shapes = getattr(trainer.train_loader.dataset, "batch_shapes", None) if trainer.args.rect else None
    whole = trainer.args.imgsz**2
    return {
        "least": _text(ordered[0]),
        "most": _text(ordered[-1]),
        "distinct": len(set(sizes)),
        "pixels": round(sum(map(_pixels, sizes)) / len(sizes) / whole, 4),
        "epoch_pixels": None
        if shapes is None or trainer.args.multi_scale
        else round(sum(int(height) * int(width) for height, width in shapes) / len(shapes) / whole, 4),
    }


def _pixels(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
