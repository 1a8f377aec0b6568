"""First losses and gradients of Ultralytics' training, on a device and on the CPU: two images are enough to compare."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Callable
from typing import Any

from ...devices import Device
from .. import cpu_parity
from ..sanity_checks import loss_items

IMAGES = 2
"""Images that both sides see; a CPU needs a second for them even at 640 px."""


def check(trainer: Any, device: Device, checks: dict[str, Any]) -> None:
    """Compare one step on the device with one on the CPU; raises the error of :func:`..cpu_parity.compare`.

    Args:
        trainer: a trainer whose set-up is over; its model stays unchanged. Reading two images advances the random
            numbers, and puts the images into the buffer that mosaic draws from.
        device: device of the trainer.
        checks: checks of the session.
    """
    batch = first_batch(trainer)
    here = losses_and_gradient(trainer, trainer.device, batch)
    cpu_parity.compare(here, losses_and_gradient(trainer, "cpu", batch), device.name, checks)


def first_batch(trainer: Any, images: int = IMAGES) -> dict[str, Any]:
    """Return a batch of the first images of the training set, augmented as in training, on the CPU."""
    loader = trainer.train_loader
    batch = [loader.dataset[index] for index in range(min(images, len(loader.dataset)))]
    return loader.collate_fn(batch)  # type: ignore[no-any-return]


def losses_and_gradient(trainer: Any, device: Any, batch: dict[str, Any]) -> dict[str, float]:
    """Return loss items by name and ``gradient_norm`` of one step in float32, with a copy of the trainer's model."""
    import torch

    named, norms = one_step(trainer, device, batch)
    norm = torch.linalg.vector_norm(norms)
    return {name: float(f"{value:.6g}") for name, value in {**named, "gradient_norm": float(norm)}.items()}


def one_step(
    trainer: Any,
    device: Any,
    batch: dict[str, Any],
    around: Callable[[Any], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    scale: float = 1.0,
) -> tuple[dict[str, float], Any]:
    """Return loss items by name, and a tensor with the norm of each gradient, of one step with a copy of the model.

    Args:
        trainer: a trainer whose set-up is over.
        device: device of the copy.
        batch: images and labels, on the CPU.
        around: context of the forward pass, from the copy; by default the step is in float32.
        scale: loss scale of the backward pass.
    """
    import torch

    model = copy.deepcopy(trainer.model).to(device).float().train()
    if getattr(model, "criterion", None) is not None:
        del model.criterion  # the model makes a new one on its present device: the old one keeps tensors of its own
    moved = {key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in batch.items()}
    if moved["img"].dtype == torch.uint8:  # those of classification arrive normalised
        moved["img"] = moved["img"].float() / 255
    if hasattr(model.model[-1], "num_denoising"):  # RT-DETR adds noise to boxes, and devices draw other numbers
        model.model[-1].num_denoising = 0
    with around(model):
        loss, items = model(moved)
    (loss.sum() * scale).backward()
    gradients = [p.grad.detach().float().cpu() / scale for p in model.parameters() if p.grad is not None]
    return loss_items(trainer, items), torch.stack([torch.linalg.vector_norm(g) for g in gradients])
