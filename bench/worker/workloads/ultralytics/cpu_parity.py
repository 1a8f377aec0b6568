"""The first losses and gradients on a device against the CPU's: same weights, same images, same seed.

On mps wrong numbers have come without an error in torch (pytorch#175189, #180984, #143196) and in Ultralytics
(ultralytics#22181): a speed is worth nothing where the loss is not the loss. Two images are enough to see that.
"""

from __future__ import annotations

import copy
import math
from typing import Any

from ...devices import Device
from ...rejection import CaseRejected

IMAGES = 2
"""Images that both sides see; a CPU needs a second for them even at 640 px."""

LOSS_TOLERANCE = 0.02
"""Greatest relative difference of a loss item. Float32 on two devices differs in the fifth digit, in the fourth where
cuDNN uses TF32; the assignment of boxes to predictions may flip on such a digit and move an item by half a percent."""

GRADIENT_TOLERANCE = 0.1
"""Greatest relative difference of the gradients' norm, which sums over everything that may flip."""


def check(trainer: Any, device: Device, found: dict[str, Any]) -> None:
    """Compare, and put what was seen into ``found["cpu_agreement"]``.

    Args:
        trainer: a trainer whose set-up is over; its model stays as it is. Reading two images moves the random numbers
            on, and puts them into the buffer that mosaic draws from.
        device: that of the trainer.
        found: the checks of the session.

    Raises:
        Refused: with status ``invalid`` where the device computes something else than the CPU.
    """
    batch = first_batch(trainer)
    here = losses_and_gradient(trainer, trainer.device, batch)
    there = losses_and_gradient(trainer, "cpu", batch)
    found["cpu_agreement"] = {"device": here, "cpu": there}
    differing = [
        f"{name} is {here[name]:.5g} and on the CPU {there[name]:.5g}"
        for name in there
        if not close(here[name], there[name], GRADIENT_TOLERANCE if name == "gradient_norm" else LOSS_TOLERANCE)
    ]
    if differing:
        reason = f"Training on {device.name} computes something else than on the CPU: {', '.join(differing)}."
        raise CaseRejected("invalid", reason)


def close(here: float, there: float, tolerance: float) -> bool:
    """Whether two numbers agree to a relative tolerance; nan agrees with nothing."""
    return math.isfinite(here) and abs(here - there) <= tolerance * max(abs(there), 1e-6)


def first_batch(trainer: Any) -> dict[str, Any]:
    """A batch of the first images of the training set, augmented as in training, on the CPU."""
    dataset = trainer.train_loader.dataset
    return dataset.collate_fn([dataset[index] for index in range(min(IMAGES, len(dataset)))])  # type: ignore[no-any-return]


def losses_and_gradient(trainer: Any, device: Any, batch: dict[str, Any]) -> dict[str, float]:
    """Loss items by name and ``gradient_norm`` of one step in float32, with a copy of the trainer's model."""
    import torch

    from .sanity_checks import loss_items

    model = copy.deepcopy(trainer.model).to(device).float().train()
    model.criterion = None  # made anew where the model now is: it keeps tensors of the device
    moved = {key: value.to(device) if isinstance(value, torch.Tensor) else value for key, value in batch.items()}
    moved["img"] = moved["img"].float() / 255
    loss, items = model(moved)
    loss.sum().backward()
    gradients = [p.grad.detach().float().cpu() for p in model.parameters() if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    named = loss_items(trainer, items)
    return {name: float(f"{value:.6g}") for name, value in {**named, "gradient_norm": float(norm)}.items()}
