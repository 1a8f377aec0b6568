"""Real training by the Transformers Trainer, ended as soon as enough steps were timed.

The Trainer's own loop runs unchanged. Two overridden methods and a callback take the time in it. Nothing is logged,
saved or evaluated while steps are timed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from ...devices import Device
from ...rejection import CaseRejected
from ...text import one_line
from ...timing.session import Session, WindowComplete
from ..sanity_checks import Training, TrainingSanityChecks
from . import first_losses, made_tokens, models, read_settings
from .isolation import MPS_FALLBACK

AMP: dict[str, dict[str, bool]] = {"off": {}, "on": {"fp16": True}, "bf16": {"bf16": True}}
"""Arguments of the Trainer by the ``amp`` of a case."""

OPTIMIZERS = {"AdamW": "adamw_torch_fused", "SGD": "sgd", "RMSProp": "rmsprop"}
"""Values of the Trainer's argument ``optim``, by the names of the axis ``optimizer``."""


def arguments_of(case: dict[str, Any], overrides: dict[str, Any], scratch: str) -> dict[str, Any]:
    """Return the arguments for TrainingArguments.

    The device is no argument: the Trainer takes the machine's accelerator unless ``use_cpu`` is set.

    Raises:
        CaseRejected: for what the Trainer does not offer, or the model does not take.
    """
    own_names = ("optimizer", "workers", "accumulate")
    given = {name: value for name, value in overrides.items() if name not in own_names}
    optimizer = overrides.get("optimizer", "AdamW")
    if optimizer not in OPTIMIZERS:
        reason = f"optimizer {optimizer} requested: of this suite's optimizers the Trainer has {', '.join(OPTIMIZERS)}."
        raise CaseRejected("unsupported", reason, scope=("mode", "optimizer"))
    if case["amp"] not in AMP:
        reason = f"amp {case['amp']} requested: the Trainer has {', '.join(AMP)}."
        raise CaseRejected("unsupported", reason, scope=("mode", "amp"))
    if case["imgsz"] > models.POSITIONS:
        reason = f"imgsz {case['imgsz']} requested: {case['model']} takes at most {models.POSITIONS} tokens."
        raise CaseRejected("unsupported", reason, scope=("mode", "model", "imgsz"))
    if "accumulate" in overrides:
        given["gradient_accumulation_steps"] = overrides["accumulate"]
    return {
        **given,
        "optim": OPTIMIZERS[optimizer],
        "dataloader_num_workers": overrides["workers"],
        **AMP[case["amp"]],
        "per_device_train_batch_size": case["batch"],
        "per_device_eval_batch_size": case["batch"],
        "use_cpu": case["device"] == "cpu",
        "output_dir": scratch,
    }


def make_arguments(case: dict[str, Any], arguments: dict[str, Any]) -> Any:
    """Return the TrainingArguments; raise :class:`CaseRejected` where the Trainer refuses the precision here."""
    from transformers import TrainingArguments

    try:
        return TrainingArguments(**arguments)
    except (ValueError, NotImplementedError, ImportError, RuntimeError) as error:
        raise _refused(case, error) from error


def _refused(case: dict[str, Any], error: Exception) -> Exception:
    """Return the error of a precision that the Trainer or accelerate refuses; others as they are."""
    if case["amp"] == "off" or "16" not in str(error):
        return error
    reason = f"amp {case['amp']} requested: {one_line(str(error)).rstrip('.')}."
    return CaseRejected("unsupported", reason, scope=("mode", "device", "amp"))


class Marks:
    """State of one training, for the marks between the Trainer's lines.

    Attributes:
        session: session of the case.
        checks: checks that training works.
        training: what the checks look at.
        trainer: the Trainer, once it is made.
        shape: sequences and tokens of the last batch; empty before the first.
    """

    def __init__(self, session: Session, model: Any) -> None:
        self.session = session
        self.checks = TrainingSanityChecks(session.checks)
        self.training = Training(model)
        self.trainer: Any = None
        self.shape: tuple[int, ...] = ()

    def settings(self) -> dict[str, Any]:
        """Read the settings back from the live Trainer."""
        return read_settings.read_trainer(self.trainer, self.session.device, self.shape)

    def train_began(self) -> None:
        """End set-up: the model is on its device, and nothing was trained yet."""
        session, accelerator = self.session, self.trainer.accelerator
        session.set_threads()
        self.training.scaler = accelerator.scaler
        if session.loss_scale is not None and accelerator.scaler is not None:
            accelerator.scaler._init_scale = session.loss_scale
        settings = self.settings()
        if session.compare_losses:
            first_losses.check(self.trainer, session.device, session.checks)
            session.device.release()
        self.checks.remember(self.training)
        session.ready(settings, accumulation_steps=self.trainer.args.gradient_accumulation_steps, fixed=True)

    def step_ended(self) -> None:
        """End a step; at the end of the window check that training works, and report."""
        session = self.session
        try:
            session.step_ended(self.shape[0])
        except WindowComplete:
            steps = len(session.stopwatch.seconds)
            self.checks.finish(self.training, session.stopwatch.optimizer_steps)
            self.checks.verdict(steps)
            session.still_runs(self.settings())
            session.extra["gflops"] = round(models.shape_of(session.case["model"]).gflops(session.case["imgsz"]), 4)
            session.report()
            if session.with_val:
                session.report_epoch_overhead(lambda: time_the_rest(self.trainer, session.device))
            raise


def time_the_rest(trainer: Any, device: Device) -> dict[str, Any]:
    """Time the Trainer's own evaluation and its own saving of a checkpoint, once each, as at the end of an epoch."""

    def seconds(what: Callable[[], Any]) -> float:
        device.synchronize()
        began = time.perf_counter()
        what()
        device.synchronize()
        return round(time.perf_counter() - began, 6)

    device.release()
    device.reset_peaks()
    return {
        "validation": seconds(trainer.evaluate),
        "validation_memory": device.memory(),
        "validation_images": len(trainer.eval_dataset),
        "checkpoint": seconds(lambda: trainer._save_checkpoint(trainer.model, trial=None)),
    }


def trainer_class(marks: Marks) -> Any:
    """Return a Trainer that marks the session's steps; defined here, since its import takes seconds."""
    from transformers import Trainer

    session = marks.session

    class BenchTrainer(Trainer):  # type: ignore[misc]
        def training_step(self, model: Any, inputs: dict[str, Any], *rest: Any, **named: Any) -> Any:
            session.batch_arrived()
            marks.shape = tuple(inputs["input_ids"].shape)
            loss = super().training_step(model, inputs, *rest, **named)
            session.phase_ended("backward")
            if not session.warm and self.accelerator.sync_gradients:
                marks.checks.record_gradients(marks.training)  # here, since the loop clips them before its callbacks
            marks.training.loss_items = {"loss": loss}
            return loss

        def compute_loss(self, *rest: Any, **named: Any) -> Any:
            session.phase_ended("preprocess")
            loss = super().compute_loss(*rest, **named)
            session.phase_ended("forward")
            return loss

    return BenchTrainer


def marking_callback(marks: Marks) -> Any:
    """Return the callback that marks the rest of a step."""
    from transformers import TrainerCallback

    session = marks.session

    class MarkingCallback(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *rest: Any, **named: Any) -> None:
            marks.train_began()

        def on_epoch_begin(self, *rest: Any, **named: Any) -> None:
            session.epoch_boundary()

        def on_pre_optimizer_step(self, *rest: Any, **named: Any) -> None:
            session.optimizer_stepped()

        def on_optimizer_step(self, *rest: Any, **named: Any) -> None:
            if not session.stopwatch.windows:
                marks.checks.record_scale(marks.training)
            session.phase_ended("optimizer")  # clipping included

        def on_substep_end(self, *rest: Any, **named: Any) -> None:
            marks.step_ended()  # a batch whose gradients are accumulated

        def on_step_end(self, *rest: Any, **named: Any) -> None:
            marks.step_ended()

    return MarkingCallback()


def run(session: Session) -> None:
    """Train until the session ends the training."""
    case = session.case
    if session.process_group.size > 1:
        reason = f"device {case['device']}: the workload transformers trains on one device."
        raise CaseRejected("unsupported", reason, scope=("device", "model"))
    fallback = os.environ.get(MPS_FALLBACK)
    made = make_arguments(case, arguments_of(case, session.overrides, session.scratch))
    marks = Marks(session, seeded_model(case["model"], made.seed))
    marks.trainer = make_trainer(
        case,
        trainer_class(marks),
        fallback,
        model=marks.training.model,
        args=made,
        train_dataset=made_tokens.load(session.data, case["imgsz"]),
        eval_dataset=made_tokens.load_validation(session.data, case["imgsz"]),
        callbacks=[marking_callback(marks)],
    )
    marks.trainer.train()


def make_trainer(case: dict[str, Any], trainer: Any, fallback: str | None, **arguments: Any) -> Any:
    """Return a Trainer; raise :class:`CaseRejected` where accelerate refuses the precision here.

    Args:
        case: its axes.
        trainer: class of the Trainer.
        fallback: value of :data:`~.isolation.MPS_FALLBACK` before TrainingArguments were made, which is set again.
        arguments: arguments of the class.
    """
    try:
        made = trainer(**arguments)
    except (ValueError, NotImplementedError, ImportError) as error:
        raise _refused(case, error) from error
    _restore(MPS_FALLBACK, fallback)
    return made


def seeded_model(model: str, seed: int) -> Any:
    """Return a model with the random weights of a seed."""
    from transformers import set_seed

    set_seed(seed)
    return models.build(model)


def _restore(name: str, value: str | None) -> None:
    """Give a variable its earlier value: accelerate sets one that torch has read before."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
