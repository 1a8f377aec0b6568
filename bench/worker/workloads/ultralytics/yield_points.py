"""Points within forward and backward, between the layers of a model, at which another worker may have its turn."""

from __future__ import annotations

from typing import Any

from ...timing.session import Session


def install_hooks(model: Any, session: Session) -> None:
    """Register hooks that notify the session at the end of each layer, where the session takes turns within a step.

    Hooks leave the results of layers unchanged. A compiled model must not have hooks: they would break its graph.

    Args:
        model: Ultralytics model, whose layers are in its attribute ``model``; without that it gets no hooks.
        session: session to notify.
    """
    layers = getattr(model, "model", None)
    if not session.turns_within or layers is None:
        return

    def backward_passed(gradient: Any) -> None:
        session.layer_ended("backward")

    def forward_passed(layer: Any, arguments: Any, output: Any) -> None:
        session.layer_ended("forward")
        if getattr(output, "requires_grad", False):  # not that of the last layer, which returns several
            output.register_hook(backward_passed)

    for layer in layers:
        layer.register_forward_hook(forward_passed)
