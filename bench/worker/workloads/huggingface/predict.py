"""Real prediction by the Transformers Trainer: its method ``predict``, ended as soon as enough batches were timed."""

from __future__ import annotations

import os
from typing import Any

from ...rejection import CaseRejected
from ...timing.session import Session, WindowComplete
from . import made_tokens, models, read_settings
from .isolation import MPS_FALLBACK
from .train import arguments_of, make_arguments, make_trainer, seeded_model

BATCHES = 64
"""Batches of a call of ``predict``: it keeps the outputs of all of them, so that later ones cost a little more."""


class Marks:
    """State of one prediction, for the marks between the lines of the Trainer's evaluation loop.

    Attributes:
        session: session of the case.
        trainer: the Trainer, once it is made.
        began: whether set-up is over.
        shape: sequences and tokens of the last batch.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.trainer: Any = None
        self.began = False
        self.shape: tuple[int, ...] = ()

    def settings(self) -> dict[str, Any]:
        """Read the settings back from the live Trainer."""
        return read_settings.read_prediction(self.trainer, self.session.device, self.shape)

    def batch_arrived(self, inputs: dict[str, Any]) -> None:
        """Begin a step; the first batch ends set-up, since the loop has only now prepared the model."""
        self.shape = tuple(inputs["input_ids"].shape)
        if not self.began:
            self.began = True
            self.session.set_threads()
            self.session.ready(self.settings(), accumulation_steps=1)
        self.session.batch_arrived()

    def step_ended(self) -> None:
        """End a step; report at the end of the window."""
        session = self.session
        session.phase_ended("postprocess")
        try:
            session.step_ended(self.shape[0])
        except WindowComplete:
            session.still_runs(self.settings())
            session.extra["gflops"] = round(models.shape_of(session.case["model"]).gflops(session.case["imgsz"]), 4)
            session.report()
            raise


def trainer_class(marks: Marks) -> Any:
    """Return a Trainer that marks the session's steps; defined here, since its import takes seconds."""
    from transformers import Trainer

    session = marks.session

    class BenchTrainer(Trainer):  # type: ignore[misc]
        def prediction_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
            marks.batch_arrived(inputs)
            return super().prediction_step(model, inputs, *rest, **named)

        def compute_loss(self, *rest: Any, **named: Any) -> Any:
            session.phase_ended("preprocess")
            result = super().compute_loss(*rest, **named)
            session.phase_ended("forward")
            return result

    return BenchTrainer


def marking_callback(marks: Marks) -> Any:
    """Return the callback that ends a step."""
    from transformers import TrainerCallback

    class MarkingCallback(TrainerCallback):  # type: ignore[misc]
        def on_prediction_step(self, *rest: Any, **named: Any) -> None:
            marks.step_ended()

    return MarkingCallback()


def run(session: Session) -> None:
    """Predict until the session ends the prediction."""
    case = session.case
    fallback = os.environ.get(MPS_FALLBACK)
    made = make_arguments(case, arguments_of(case, session.overrides, session.scratch))
    marks = Marks(session)
    marks.trainer = make_trainer(
        case,
        trainer_class(marks),
        fallback,
        model=seeded_model(case["model"], made.seed),
        args=made,
        callbacks=[marking_callback(marks)],
    )
    dataset = made_tokens.load(session.data, case["imgsz"])
    dataset.count = case["batch"] * BATCHES  # which repeats its sequences
    while True:
        if marks.began:
            session.epoch_boundary()
        marks.trainer.predict(dataset)
        if not marks.began:
            raise CaseRejected("failed", "The Trainer predicted nothing.")
