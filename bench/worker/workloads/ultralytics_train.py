"""Real Ultralytics training of a detection model, ended as soon as enough steps were timed.

The trainer is a subclass that is run directly. It leaves the loop as it is: it takes the time where the loop calls
back, and it neither validates nor saves.
"""

from __future__ import annotations

import math
from typing import Any

from .. import effective
from ..devices import Device
from ..refusal import Refused
from ..session import Session
from .ultralytics_model import model_file

AMP = {"off": False, "on": True, "bf16": "bf16"}
"""What a case's ``amp`` is to Ultralytics; ``'bf16'`` came with 8.4.137."""

NO_MORE_RETRIES = 3
"""Ultralytics halves a batch that does not fit up to three times (``trainer._oom_retries``); all are spent at once."""


def overrides(session: Session) -> dict[str, Any]:
    """The arguments of the training run."""
    case = session.case
    return {
        **session.pins,
        "task": "detect",
        "mode": "train",
        "model": model_file(case["model"]),
        "data": session.data,
        "device": session.device.asked,
        "amp": AMP[case["amp"]],
        "batch": case["batch"],
        "imgsz": case["imgsz"],
        "project": session.scratch,
        "name": "train",
        "exist_ok": True,
    }


def effective_settings(trainer: Any, device: Device) -> dict[str, Any]:
    """Settings read back from a trainer whose set-up is over."""
    args, loader = trainer.args, trainer.train_loader
    mixing = [t.p for t in _transforms(loader.dataset.transforms) if type(t).__name__ == "Mosaic"]
    parameters = sum(p.numel() for p in trainer.model.parameters())
    return {
        "device": effective.device_name(trainer.device, device),
        "amp": ("bf16" if args.amp == "bf16" else "on") if trainer.amp else "off",
        "batch": loader.batch_size,
        "imgsz": args.imgsz,
        "workers": loader.num_workers,
        "optimizer": type(trainer.optimizer).__name__,
        "accumulate": trainer.accumulate,
        "nbs": args.nbs,
        "mosaic": mixing[0] if mixing else 0.0,
        "loss_scaling": trainer.scaler.is_enabled(),
        "channels_last": effective.channels_last(trainer.model),
        "compiled": type(trainer.model).__name__ == "OptimizedModule",
        "images": len(loader.dataset),
        "classes": trainer.data["nc"],
        "parameters": parameters,
        "weights": "from file" if str(args.model).endswith(".pt") else "random",
    }


def _transforms(transform: Any) -> list[Any]:
    """A transform and everything nested in it."""
    inner = getattr(transform, "transforms", None) or []
    return [transform, *(t for child in inner for t in _transforms(child))]


def trainer_class(session: Session) -> type:
    """A trainer that marks the session's steps; made here because importing Ultralytics takes seconds."""
    from ultralytics.models.yolo.detect import DetectionTrainer

    class BenchTrainer(DetectionTrainer):  # type: ignore[misc]
        images = 0

        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
            # The model's summary profiles it, for a tenth of a second and nothing that is measured.
            return super().get_model(cfg, weights, verbose=False)

        def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
            self.images = len(batch["img"])  # the last batch of an epoch may be smaller
            return super().preprocess_batch(batch)  # type: ignore[no-any-return]

        def optimizer_step(self) -> None:
            session.stopwatch.optimizer_stepped()
            super().optimizer_step()

        def validate(self) -> tuple[dict[str, float], None]:
            return {}, None

        def save_model(self) -> bool:
            return False

        def final_eval(self) -> None:
            pass

    return BenchTrainer


def run(session: Session) -> None:
    """Train until the session has seen enough."""
    arguments = overrides(session)
    try:
        train(session, arguments)
    except (TypeError, ValueError, SyntaxError) as error:
        said = str(error)
        if session.case["amp"] == "bf16" and ("amp" in said or "invalid data type 'str'" in said):
            reason = "amp bf16 was asked: this Ultralytics knows no such value (it came with 8.4.137)."
            raise Refused("unsupported", reason, axes=("mode", "amp")) from error
        raise


def train(session: Session, arguments: dict[str, Any]) -> None:
    """Run the trainer with the session's marks hung into its callbacks."""
    trainer = trainer_class(session)(overrides=arguments)

    def train_started(trainer: Any) -> None:
        session.set_threads()
        _probe_autocast(session.case, trainer)
        # The ramp of the first epochs is off (warmup_epochs=0), so this holds for every step.
        session.ready(effective_settings(trainer, session.device), cycle=trainer.accumulate)

    def epoch_started(trainer: Any) -> None:
        trainer._oom_retries = NO_MORE_RETRIES
        session.stopwatch.resume()

    def batch_started(trainer: Any) -> None:
        session.stopwatch.batch_arrived()

    def batch_ended(trainer: Any) -> None:
        session.step_ended(trainer.images)

    trainer.add_callback("on_train_start", train_started)
    trainer.add_callback("on_train_epoch_start", epoch_started)
    trainer.add_callback("on_train_batch_start", batch_started)
    trainer.add_callback("on_train_batch_end", batch_ended)
    session.subject = trainer
    trainer.train()


def _probe_autocast(case: dict[str, Any], trainer: Any) -> None:
    """Ask for bfloat16 the way the loop will, so that the answer comes before the clock starts."""
    if case["amp"] != "bf16":
        return
    import torch
    from ultralytics.utils.torch_utils import autocast

    try:
        with autocast(torch.bfloat16, device=trainer.device.type):
            pass
    except (RuntimeError, TypeError) as error:
        reason = f"amp bf16 was asked: {' '.join(str(error).split())}."
        raise Refused("unsupported", reason, axes=("mode", "device", "amp")) from error


def loss_items(trainer: Any) -> dict[str, float]:
    """The last batch's loss items by name (a dict since 8.4.105, a tensor before)."""
    items = trainer.loss_items
    if isinstance(items, dict):
        return {str(name): float(value) for name, value in items.items()}
    return {str(name): float(value) for name, value in zip(trainer.loss_names, items)}


def check(session: Session) -> None:
    """Refuse a speed that came from training that does not work: a loss that is not finite."""
    items = loss_items(session.subject)
    session.extra["loss"] = {name: round(value, 4) for name, value in items.items() if math.isfinite(value)}
    broken = [f"{name} {value}" for name, value in items.items() if not math.isfinite(value)]
    if broken:
        steps = len(session.stopwatch.seconds)
        raise Refused("invalid", f"The loss is not finite after {steps} steps: {', '.join(broken)}.")
