"""First loss and gradients of BERT, on a device and on the CPU: two sequences are enough to compare."""

from __future__ import annotations

from typing import Any

from ...devices import Device
from .. import cpu_parity
from . import models, read_settings


def check(trainer: Any, device: Device, checks: dict[str, Any]) -> None:
    """Compare one step on the device with one on the CPU; raises the error of :func:`..cpu_parity.compare`.

    Args:
        trainer: a Trainer whose set-up is over; its model stays unchanged.
        device: of the case.
        checks: checks of the session.
    """
    batch = read_settings.first_batch(trainer, trainer.train_dataset)
    copied = models.without_dropout(trainer.model)
    there = loss_and_gradient(copied, "cpu", batch)
    here = loss_and_gradient(copied, next(trainer.model.parameters()).device, batch)
    cpu_parity.compare(here, there, device.name, checks)


def loss_and_gradient(model: Any, device: Any, batch: dict[str, Any]) -> dict[str, float]:
    """Return ``loss`` and ``gradient_norm`` of one step in float32 on a device, to which the model is moved."""
    import torch

    model.to(device).train()
    model.zero_grad()
    loss = model(**{name: part.to(device) for name, part in batch.items()}).loss
    loss.backward()
    gradients = [p.grad.detach().float().cpu() for p in model.parameters() if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    figures = {"loss": loss.item(), "gradient_norm": norm.item()}
    return {name: float(f"{value:.6g}") for name, value in figures.items()}
