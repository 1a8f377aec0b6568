"""Prediction with a reference model: batches of a data loader, the forward pass, and the class of each item."""

from __future__ import annotations

from ...timing.session import Session, WindowComplete
from . import read_settings
from .loop import Loop


def run(session: Session) -> None:
    """Predict until the session ends the prediction."""
    loop = Loop(session.case, session.overrides, session.data, session.device.torch_device)
    session.set_threads()
    session.ready(read_settings.read(loop, session.device), accumulation_steps=1)
    try:
        predict(session, loop)
    except WindowComplete:
        session.still_runs(read_settings.read(loop, session.device))
        session.extra["gflops"] = loop.setup.gflops
        session.report()
        raise


def predict(session: Session, loop: Loop) -> None:
    """Run the loop; ends by an exception of the session."""
    import torch

    with torch.inference_mode():
        while True:
            session.epoch_boundary()
            for inputs, _ in loop.loader:
                session.batch_arrived()
                inputs = loop.to_device(inputs)
                session.phase_ended("preprocess")
                with loop.autocast():
                    outputs = loop.model(inputs)
                session.phase_ended("forward")
                classes = outputs.argmax(1).cpu()
                session.phase_ended("postprocess")
                loop.batch_shape = tuple(inputs.shape)
                session.step_ended(len(classes))
