"""Points within forward and backward where another worker may have its turn: between the layers of a model."""

from __future__ import annotations

from typing import Any

from ...timing.session import Session


def install_hooks(model: Any, session: Session) -> None:
    """Call the session whenever a layer has ended, where it asks for that; else the model stays as it is.

    Hooks change no figure that a layer gives. A compiled model must not have them: they would break its graph.

    Args:
        model: of Ultralytics, whose layers are in a list that is called ``model``; without one it stays as it is.
        session: that is called.
    """
    layers = getattr(model, "model", None)
    if not session.turns_within or layers is None:
        return

    def backward_passed(gradient: Any) -> None:
        session.layer_ended("backward")

    def forward_passed(layer: Any, arguments: Any, output: Any) -> None:
        session.layer_ended("forward")
        if getattr(output, "requires_grad", False):  # not the last layer's, which gives several
            output.register_hook(backward_passed)

    for layer in layers:
        layer.register_forward_hook(forward_passed)
