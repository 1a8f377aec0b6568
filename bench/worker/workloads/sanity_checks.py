"""Check that timed steps train: finite losses that are not 0, gradients, and parameters that move."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from ..rejection import CaseRejected

KEPT_EPOCHS = 64
"""Maximum number of epochs whose mean losses are kept; with a set of one batch, every step is an epoch."""

SKIPPED = 0.1
"""Maximum share of the window's optimizer steps that the scaler of fp16 may skip: a skipped step costs less."""

LOOKED_AT = 64
"""Number of values of each parameter that are kept, to see whether it moved."""

MOVED = 0.5
"""Minimum share of the parameters that must have a gradient, and that must have moved. In training that works, nearly
all do; without a working backward pass, most do not. Weight decay also moves weights without a gradient."""


@dataclass
class Training:
    """State of a plain training loop for the checks; a trainer with these attributes also works.

    Attributes:
        model: model that is trained.
        loss_items: losses of the last step by name.
        tloss: mean losses of the epoch under way by name; None for none.
        scaler: loss scaler of fp16; None without one.
    """

    model: Any
    loss_items: Any = None
    tloss: Any = None
    scaler: Any = None


def loss_items(trainer: Any, items: Any) -> dict[str, float]:
    """Return loss items by name (a dict since 8.4.105, a tensor before)."""
    if items is None:
        return {}
    if isinstance(items, dict):
        return {str(name): float(value) for name, value in items.items()}
    values = [items] if getattr(items, "ndim", 1) == 0 else items  # older classification has a single number
    return {str(name): float(value) for name, value in zip(trainer.loss_names, values)}


class TrainingSanityChecks:
    """Checks of a trainer before, during and after warm-up and after the window; never within it.

    Args:
        results: dictionary for the results. ``loss``: items of the last step. ``mean_loss``: over the steps of the last
            epoch. ``gradient_norm``: of the first optimizer step with finite gradients in most parameters.
            ``parameters``: number of trained parameters. ``with_gradient``: number of parameters with a gradient that
            is not 0. ``moved``: number of parameters that moved. ``loss_scale``: under fp16, before and after
            the window.
        may_be_zero: loss items that stay 0 in training that works.
        zero_means: cause of a loss that stays 0, besides a broken loss.
    """

    def __init__(
        self, results: dict[str, Any], may_be_zero: Collection[str] = (), zero_means: str = "the data have no targets"
    ) -> None:
        self._results = results
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
        results |= dict.fromkeys(names)

    def remember(self, trainer: Any) -> None:
        """Keep a few values of every trained parameter, before the first step."""
        self._before = {name: _sample_values(p).clone() for name, p in _trained(trainer)}
        self._results["parameters"] = len(self._before)

    def epoch_ended(self, trainer: Any) -> None:
        """Keep the mean losses of the epoch, which the loop is about to discard; does not wait for the device."""
        if trainer.tloss is not None and len(self._epochs) < KEPT_EPOCHS:
            self._epochs.append(trainer.tloss)

    def record_gradients(self, trainer: Any) -> None:
        """Record the norm of the gradients without the loss scale, before an optimizer step of the warm-up.

        Under fp16 the first steps may overflow. The scaler skips them, and the gradients of the next step are recorded.
        They are also recorded again while most parameters have none, as in the first step of a head that starts at 0.
        """
        previous = self._results["gradient_norm"]
        if previous is not None and math.isfinite(previous) and self._has_gradients():
            return
        import torch

        gradients = [p.grad for _, p in _trained(trainer) if p.grad is not None]
        if not gradients:
            self._results["gradient_norm"] = 0.0
            self._results["with_gradient"] = 0
            return
        norms = torch.stack([torch.linalg.vector_norm(g.float()) for g in gradients])
        norm = float(torch.linalg.vector_norm(norms)) / (_scale(trainer) or 1.0)
        self._results["gradient_norm"] = float(f"{norm:.6g}")
        self._results["with_gradient"] = int((norms != 0).sum())  # nan counts: fp16 overflowed

    def _has_gradients(self) -> bool:
        """Whether enough parameters had a gradient in the step that was recorded last."""
        return bool(self._results["with_gradient"] >= MOVED * len(self._before))

    def record_scale(self, trainer: Any) -> None:
        """Record the loss scale after an optimizer step outside windows, which may have halved the scale."""
        self._scale = _scale(trainer)

    def finish(self, trainer: Any, optimizer_steps: int) -> None:
        """Record losses, the loss scale, and how many parameters moved, after the window.

        Args:
            trainer: trainer of the other checks.
            optimizer_steps: number of optimizer steps since warm-up.
        """
        self._losses = loss_items(trainer, trainer.loss_items)
        self._means = [loss_items(trainer, means) for means in (*self._epochs, trainer.tloss)]
        self._results["loss"] = {name: round(value, 4) for name, value in self._losses.items()}
        self._results["mean_loss"] = {name: round(value, 4) for name, value in self._means[-1].items()}
        after_scale = _scale(trainer)
        if self._scale and after_scale:
            self._skipped = max(math.log2(self._scale / after_scale), 0.0)  # each skipped step halves it
            self._results["loss_scale"] = [self._scale, after_scale]
        self._steps = optimizer_steps
        after = dict(_trained(trainer))
        moved = [bool((_sample_values(after[name]) != before).any()) for name, before in self._before.items()]
        self._results["moved"] = sum(moved)
        self._broken = [name for name in self._before if not bool(_sample_values(after[name]).isfinite().all())]

    def verdict(self, steps: int) -> None:
        """Raise :class:`CaseRejected` with status ``invalid`` where training does not work."""
        every = [*self._means, self._losses]
        wild = {name: value for items in every for name, value in items.items() if not math.isfinite(value)}
        if wild or not self._losses:
            losses = ", ".join(f"{name} {value}" for name, value in wild.items()) or "none was seen"
            raise CaseRejected("invalid", f"The loss is not finite after {steps} steps: {losses}.")
        counting = [name for name in self._losses if name not in self._may_be_zero]
        dead = [name for name in counting if all(items.get(name, 0) == 0 for items in every)]
        if dead:
            reason = f"{', '.join(dead)} stayed 0 over {steps} steps: {self._zero_means}, or the loss is broken."
            raise CaseRejected("invalid", reason)
        if not self._results["gradient_norm"]:
            raise CaseRejected("invalid", f"The gradients are all 0 after {steps} steps: nothing is trained.")
        # Under fp16 all steps of a short warm-up may overflow. Then the parameters that moved decide.
        if not math.isfinite(self._results["gradient_norm"]) and self._scale is None:
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
        moved, trained = self._results["moved"], self._results["parameters"]
        if not self._has_gradients():
            reason = f"Only {self._results['with_gradient']} of {trained} parameters have a gradient that is not 0."
            raise CaseRejected("invalid", reason)
        if moved < MOVED * trained:
            reason = f"Only {moved} of {trained} parameters moved in {steps} steps: the model is hardly trained."
            raise CaseRejected("invalid", reason)


def _scale(trainer: Any) -> float | None:
    """Return the loss scale of fp16; None without one."""
    return float(trainer.scaler.get_scale()) if trainer.scaler is not None and trainer.scaler.is_enabled() else None


def _trained(trainer: Any) -> list[tuple[str, Any]]:
    return [(name, p) for name, p in trainer.model.named_parameters() if p.requires_grad]


def _sample_values(parameter: Any) -> Any:
    """Return up to :data:`LOOKED_AT` values of a parameter, spread over it."""
    flat = parameter.detach().reshape(-1)
    return flat[:: max(flat.numel() // LOOKED_AT, 1)][:LOOKED_AT]
