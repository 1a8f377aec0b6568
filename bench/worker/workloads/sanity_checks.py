"""Checks that what is timed is training: finite losses that are not 0, gradients, and parameters that move."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..rejection import CaseRejected

KEPT_EPOCHS = 64
"""Epochs whose mean losses are kept; a set of one batch turns an epoch every step."""

SKIPPED = 0.1
"""Share of the window's optimizer steps that the scaler of fp16 may have skipped: one that is skipped costs less."""

LOOKED_AT = 64
"""Numbers of each parameter that are kept to see whether it moved."""

MOVED = 0.5
"""Least share of the parameters that have to have a gradient, and to have moved. Nearly all do in training that works;
a backward pass that is lost takes most of the model with it. Weight decay moves weights without a gradient too."""


@dataclass
class Training:
    """Training of a plain loop, as the checks see it; a trainer with these attributes will do as well.

    Attributes:
        model: whose parameters are trained.
        loss_items: losses of the last step by name.
        tloss: mean losses of the epoch under way by name; None for none.
        scaler: of the loss under fp16; None without one.
    """

    model: Any
    loss_items: Any = None
    tloss: Any = None
    scaler: Any = None


def loss_items(trainer: Any, items: Any) -> dict[str, float]:
    """Loss items by name (a dict since 8.4.105, a tensor before)."""
    if items is None:
        return {}
    if isinstance(items, dict):
        return {str(name): float(value) for name, value in items.items()}
    return {str(name): float(value) for name, value in zip(trainer.loss_names, items)}


class TrainingSanityChecks:
    """Checks of a trainer before, during and after warm-up and after the window; never within it.

    Args:
        found: where what was seen is put: ``loss`` of the last step by item, ``mean_loss`` over the last epoch's steps,
            ``gradient_norm`` of the first optimizer step with finite gradients, ``parameters`` that are trained, how
            many of them had a gradient that is not 0 (``with_gradient``) and how many ``moved``, and under fp16 the
            ``loss_scale`` before and after the window.
        may_be_zero: loss items that stay 0 in training that works.
        zero_means: what a loss that stays 0 may come from, besides a broken loss.
    """

    def __init__(
        self, found: dict[str, Any], may_be_zero: Collection[str] = (), zero_means: str = "the data have no targets"
    ) -> None:
        self._found = found
        self._may_be_zero = may_be_zero
        self._zero_means = zero_means
        self._before: dict[str, Any] = {}
        self._losses: dict[str, float] = {}
        self._means: list[dict[str, float]] = []
        self._epochs: list[Any] = []
        self._broken: list[str] = []
        self._scale: float | None = None
        self._skipped = 0.0
        self._steps = 0
        names = ("loss", "mean_loss", "gradient_norm", "with_gradient", "parameters", "moved", "loss_scale")
        found |= dict.fromkeys(names)

    def remember(self, trainer: Any) -> None:
        """Before the first step: a few numbers of every parameter that is trained."""
        self._before = {name: _some(p).clone() for name, p in _trained(trainer)}
        self._found["parameters"] = len(self._before)

    def epoch_ended(self, trainer: Any) -> None:
        """An epoch turns: its mean losses, which the loop is about to forget; nothing is waited for."""
        if trainer.tloss is not None and len(self._epochs) < KEPT_EPOCHS:
            self._epochs.append(trainer.tloss)

    def record_gradients(self, trainer: Any) -> None:
        """Before an optimizer step of the warm-up: the gradients' norm, the loss scale taken out of it.

        Under fp16 the first steps may overflow: the scaler skips them, and the next ones are looked at.
        """
        seen = self._found["gradient_norm"]
        if seen is not None and math.isfinite(seen):
            return
        import torch

        gradients = [p.grad for _, p in _trained(trainer) if p.grad is not None]
        if not gradients:
            self._found["gradient_norm"] = 0.0
            self._found["with_gradient"] = 0
            return
        norms = torch.stack([torch.linalg.vector_norm(g.float()) for g in gradients])
        norm = float(torch.linalg.vector_norm(norms)) / (_scale(trainer) or 1.0)
        self._found["gradient_norm"] = float(f"{norm:.6g}")
        self._found["with_gradient"] = int((norms != 0).sum())  # nan counts: fp16 overflowed

    def record_scale(self, trainer: Any) -> None:
        """After an optimizer step that no window holds: the loss scale, which that step may have halved."""
        self._scale = _scale(trainer)

    def finish(self, trainer: Any, optimizer_steps: int) -> None:
        """After the window: losses, the loss scale, and what moved.

        Args:
            trainer: the same.
            optimizer_steps: how many there were since the warm-up was over.
        """
        self._losses = loss_items(trainer, trainer.loss_items)
        self._means = [loss_items(trainer, means) for means in (*self._epochs, trainer.tloss)]
        self._found["loss"] = {name: round(value, 4) for name, value in self._losses.items()}
        self._found["mean_loss"] = {name: round(value, 4) for name, value in self._means[-1].items()}
        after_scale = _scale(trainer)
        if self._scale and after_scale:
            self._skipped = max(math.log2(self._scale / after_scale), 0.0)  # it is halved at each
            self._found["loss_scale"] = [self._scale, after_scale]
        self._steps = optimizer_steps
        after = dict(_trained(trainer))
        moved = [bool((_some(after[name]) != before).any()) for name, before in self._before.items()]
        self._found["moved"] = sum(moved)
        self._broken = [name for name in self._before if not bool(_some(after[name]).isfinite().all())]

    def verdict(self, steps: int) -> None:
        """Raise :class:`CaseRejected` with status ``invalid`` where this is no training that works."""
        every = [*self._means, self._losses]
        wild = {name: value for items in every for name, value in items.items() if not math.isfinite(value)}
        if wild or not self._losses:
            said = ", ".join(f"{name} {value}" for name, value in wild.items()) or "none was seen"
            raise CaseRejected("invalid", f"The loss is not finite after {steps} steps: {said}.")
        counting = [name for name in self._losses if name not in self._may_be_zero]
        dead = [name for name in counting if all(items.get(name, 0) == 0 for items in every)]
        if dead:
            reason = f"{', '.join(dead)} stayed 0 over {steps} steps: {self._zero_means}, or the loss is broken."
            raise CaseRejected("invalid", reason)
        if not self._found["gradient_norm"]:
            raise CaseRejected("invalid", f"The gradients are all 0 after {steps} steps: nothing is trained.")
        # Under fp16 a short warm-up may see nothing but overflows: then it is what moved that tells.
        if not math.isfinite(self._found["gradient_norm"]) and self._scale is None:
            raise CaseRejected("invalid", "The gradients were not finite in any optimizer step of the warm-up.")
        if self._skipped > SKIPPED * self._steps:
            reason = (
                f"The scaler of fp16 skipped {self._skipped:.0f} of {self._steps} optimizer steps that were timed: "
                "warm up for longer, as profile full does on a GPU, or train with amp bf16."
            )
            raise CaseRejected("invalid", reason)
        if self._broken:
            reason = f"{len(self._broken)} parameters are not finite after {steps} steps, such as {self._broken[0]}."
            raise CaseRejected("invalid", reason)
        moved, trained = self._found["moved"], self._found["parameters"]
        if self._found["with_gradient"] < MOVED * trained:
            reason = f"Only {self._found['with_gradient']} of {trained} parameters have a gradient that is not 0."
            raise CaseRejected("invalid", reason)
        if moved < MOVED * trained:
            reason = f"Only {moved} of {trained} parameters moved in {steps} steps: the model is hardly trained."
            raise CaseRejected("invalid", reason)


def _scale(trainer: Any) -> float | None:
    """The loss scale of fp16; None without one."""
    return float(trainer.scaler.get_scale()) if trainer.scaler is not None and trainer.scaler.is_enabled() else None


def _trained(trainer: Any) -> list[tuple[str, Any]]:
    return [(name, p) for name, p in trainer.model.named_parameters() if p.requires_grad]


def _some(parameter: Any) -> Any:
    """Up to :data:`LOOKED_AT` numbers of a parameter, spread over it."""
    flat = parameter.detach().reshape(-1)
    return flat[:: max(flat.numel() // LOOKED_AT, 1)][:LOOKED_AT]
