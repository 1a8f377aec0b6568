"""Real Ultralytics training, ended as soon as enough steps were timed.

The trainer is a subclass that is run directly. It leaves the training loop unchanged, takes the time in the loop's
callbacks, and neither validates nor saves.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ...devices import Device
from ...distributed import parallel
from ...rejection import CaseRejected
from ...text import one_line
from ...timing.session import Session, WindowComplete
from ..sanity_checks import TrainingSanityChecks
from . import batch_sizes, ddp, first_losses, forced_precision, read_settings, tasks, yield_points
from .image_mirror import mirror
from .made_data import training_images
from .models import Model, building, check_arguments, check_image_size, find_model

AMP = {"off": False, "on": True, "bf16": "bf16", **dict.fromkeys(forced_precision.DTYPES, False)}
"""Ultralytics' argument ``amp``, by the ``amp`` of a case; ``'bf16'`` came with 8.4.137."""

NO_MORE_RETRIES = 3
"""Value of ``trainer._oom_retries`` that leaves no retry: Ultralytics halves a batch that does not fit up to three
times."""


def arguments_of(session: Session, model: Model) -> dict[str, Any]:
    """Return the arguments of the training run."""
    case = session.case
    on_disk = session.overrides.get("cache") == "disk"
    data = (
        mirror(session.data, Path(session.scratch) / f"mirror-{session.process_group.rank}")
        if on_disk
        else session.data
    )
    return {
        **session.overrides,
        "task": model.task.name,
        "mode": "train",
        "model": model.file,
        "data": data,
        "device": session.device.device_argument,
        "amp": AMP[case["amp"]],
        "batch": case["batch"],
        "imgsz": case["imgsz"],
        "project": session.scratch,
        "name": "train",
        "exist_ok": True,
    }


def trainer_class(session: Session, works: TrainingSanityChecks, task: tasks.Task = tasks.DETECT) -> type:
    """Return a task's trainer that marks the session's steps; defined here, since its import takes seconds."""
    base: Any = tasks.load(task.trainer)

    class BenchTrainer(base):  # type: ignore[misc]
        images = 0
        shape: tuple[int, ...] = ()
        sizes: list[tuple[int, int]]
        in_backward = False
        forced: forced_precision.ForcedPrecision | None = None

        def get_model(self, cfg: Any = None, weights: Any = None, verbose: bool = True) -> Any:
            # The model's summary profiles the model, which takes a tenth of a second and is not measured.
            with building(session.case["model"], str(self.args.model)):
                return super().get_model(cfg, weights, verbose=False)

        def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
            self.images = len(batch["img"])  # the last batch of an epoch may be smaller
            batch = super().preprocess_batch(batch)
            self.shape = tuple(batch["img"].shape)
            self.sizes.append((self.shape[2], self.shape[3]))
            if self.forced is not None:
                self.forced.batch_prepared()
            session.phase_ended("preprocess")
            return batch

        def backward_begins(self) -> None:
            session.phase_ended("forward")
            self.in_backward = True

        def optimizer_step(self) -> None:
            self.backward_ended()
            session.optimizer_stepped()
            if not session.warm:
                works.record_gradients(self)
            super().optimizer_step()
            if not session.stopwatch.windows:
                works.record_scale(self)
            session.phase_ended("optimizer")

        def _get_memory(self, fraction: bool = False) -> float:
            self.backward_ended()  # the loop's log line asks for the memory in every step, after backward and optimizer
            return super()._get_memory(fraction)  # type: ignore[no-any-return]

        def backward_ended(self) -> None:
            if self.in_backward:
                self.in_backward = False
                session.phase_ended("backward")

        def validate(self) -> tuple[dict[str, float], None]:
            return {}, None

        def save_model(self) -> bool:
            return False

        def final_eval(self) -> None:
            pass

    return BenchTrainer


def run(session: Session) -> None:
    """Train until the session ends the training."""
    if session.case["amp"] == "int8":
        raise CaseRejected("unsupported", "amp int8 requested: only exported models predict in int8.", ("mode", "amp"))
    check_arguments(session.asked)
    model = find_model(session.case["model"], "train", session.data)
    try:
        train(session, arguments_of(session, model), model.task, model.may_be_zero)
    except FileNotFoundError as error:
        if (match := re.search(r"Image Not Found (.+)", str(error))) is None:
            raise
        reason = f"image {match[1].strip()} passes Ultralytics' check and cannot be decoded: remove it."
        raise CaseRejected("unsupported", reason, scope=("mode",)) from error
    except NotImplementedError as error:
        optimizer = session.overrides.get("optimizer")
        if "not found in list of available optimizers" not in str(error):
            raise
        reason = f"optimizer {optimizer} requested: this Ultralytics has no such optimizer."
        raise CaseRejected("unsupported", reason, scope=("mode", "optimizer")) from error
    except (TypeError, ValueError, SyntaxError) as error:
        message = str(error)
        if session.case["amp"] == "forced-fp16" and "float64" in message:
            reason = f"amp forced-fp16 requested: this torch cannot unscale gradients here: {message}"
            raise CaseRejected("unsupported", f"{one_line(reason).rstrip('.')}.", forced_precision.SCOPE) from error
        if session.overrides.get("multi_scale") and "multi_scale" in message:
            reason = "multi_scale requested: this Ultralytics takes no share of the image size (it came with 8.4.0)."
            raise CaseRejected("unsupported", reason, scope=("mode", "multi_scale")) from error
        if session.overrides.get("compile") and "does not support len()" in message:
            reason = f"compile requested: this Ultralytics cannot train a model that this torch compiled: {message}."
            raise CaseRejected("unsupported", one_line(reason), scope=("mode", "compile")) from error
        if session.case["amp"] == "bf16" and ("amp" in message or "invalid data type 'str'" in message):
            reason = "amp bf16 requested: this Ultralytics knows no such value (it came with 8.4.137)."
            raise CaseRejected("unsupported", reason, scope=("mode", "amp")) from error
        raise
    except RuntimeError as error:
        check_image_size(error, model.task, session.case["imgsz"])
        raise


def train(
    session: Session,
    arguments: dict[str, Any],
    task: tasks.Task = tasks.DETECT,
    may_be_zero: Collection[str] = frozenset(),
) -> None:
    """Run a task's trainer with the session's marks in its callbacks."""
    forced = forced_precision.of(session)
    works = TrainingSanityChecks(session.checks, may_be_zero, task.zero_means)
    chosen = trainer_class(session, works, task)
    if session.process_group.size > 1:
        chosen = ddp.as_rank(chosen, session)
    trainer = chosen(overrides=arguments)
    trainer.sizes = []
    force_workers(trainer, session)

    def train_started(trainer: Any) -> None:
        session.set_threads()
        if forced is not None:
            trainer.forced, trainer.scaler = forced, forced.scaler()
            forced_precision.check(forced, trainer, session.checks)
            session.device.release()
        elif session.loss_scale is not None and trainer.scaler.is_enabled():
            trainer.scaler._init_scale = session.loss_scale
        _probe_autocast(session.case, trainer)
        settings = read_settings.read_trainer(trainer, session.device)
        check_images(settings, session.data)
        read_settings.fits_data(settings, trainer.data)
        if session.compare_losses:
            first_losses.check(trainer, session.device, session.checks)
            session.device.release()
        works.remember(trainer)
        mark_backward(trainer)
        if not read_settings.is_compiled(trainer.model):
            yield_points.install_hooks(trainer.model, session)
        if forced is not None:
            forced.watch(trainer.model)
        # The ramp of the first epochs is off (warmup_epochs=0), so this accumulation is that of every epoch.
        session.ready(settings, accumulation_steps=trainer.accumulate)

    def epoch_started(trainer: Any) -> None:
        trainer._oom_retries = NO_MORE_RETRIES
        works.epoch_ended(trainer)
        session.epoch_boundary()

    graphs_before: list[int] = []

    def batch_started(trainer: Any) -> None:
        trainer.accumulate = session.accumulation
        if session.warm and not graphs_before:
            graphs_before.append(read_settings.graphs() if read_settings.is_compiled(trainer.model) else 0)
        session.batch_arrived()

    def batch_ended(trainer: Any) -> None:
        if forced is not None and forced.watches:  # after the first step of the warm-up
            forced.unwatch()
            forced_precision.require_layers(forced)
        try:
            session.step_ended(trainer.images)
        except WindowComplete:
            steps = len(session.stopwatch.seconds)
            works.finish(trainer, session.stopwatch.optimizer_steps)
            works.verdict(steps)  # before settings are compared: a loss that is not finite makes Ultralytics warn too
            session.still_runs(read_settings.read_trainer(trainer, session.device))
            if not session.takes_turns and not batch_sizes.vary(trainer.args):  # they are those of one size
                session.extra["gflops"] = read_settings.count_gflops(trainer.model, session.case["imgsz"])
            if read_settings.is_compiled(trainer.model):
                session.extra |= read_settings.compilation()
                check_compiled(read_settings.graphs() - graphs_before[0])
            if batch_sizes.vary(trainer.args):
                session.extra["batch_sizes"] = batch_sizes.summary(trainer, session.stopwatch.windows[0][0])
            if session.process_group.size > 1:
                parallel.agree(trainer.model, session)
                session.with_val = False  # whether ranks share validation depends on the version
            session.report()
            if session.with_val:
                session.report_epoch_overhead(lambda: time_the_rest(trainer, session.device, task))
            raise

    trainer.add_callback("on_train_start", train_started)
    trainer.add_callback("on_train_epoch_start", epoch_started)
    trainer.add_callback("on_train_batch_start", batch_started)
    trainer.add_callback("on_train_batch_end", batch_ended)
    try:
        with forced_precision.in_the_loop(forced):
            trainer.train()
    except RuntimeError as error:
        if "NaN" in str(error):  # Ultralytics itself gives up where the loss was not finite for a whole epoch
            works.finish(trainer, 0)
            works.verdict(len(session.stopwatch.seconds))
        raise


def force_workers(trainer: Any, session: Session) -> None:
    """Give the loader the workers of axis ``forced_workers``, where Ultralytics has just set their number to 0.

    Raises:
        CaseRejected: with status ``unsupported`` where Ultralytics takes the number that is asked for.
    """
    for requested in session.asked:
        if requested.axis == "forced_workers":
            if trainer.args.workers:
                reason = (
                    f"{requested.axis} {requested.text} requested: Ultralytics takes workers here; use axis workers."
                )
                raise CaseRejected("unsupported", reason, ("mode", "device", requested.axis))
            trainer.args.workers = requested.value


def check_compiled(graphs: int) -> None:
    """Check that torch compiled nothing within the windows.

    Raises:
        CaseRejected: with status ``invalid`` where it did: a window is of compiled steps alone.
    """
    if graphs > 0:
        reason = f"torch.compile made {graphs} more graphs while steps were timed, for batches of another size"
        raise CaseRejected("invalid", f"{reason}: warm up for longer, or keep rect and multi_scale off.")


def check_images(settings: dict[str, Any], yaml: str) -> None:
    """Check that training has as many images as the inspection of the data set counted.

    Raises:
        CaseRejected: with status ``substituted`` where the data set has changed since.
    """
    expected = len(training_images(yaml))
    if settings["images"] != expected and settings["fraction"] == 1.0:
        reason = f"The dataset had {expected} images when it was looked at, and has {settings['images']} now."
        raise CaseRejected("substituted", f"{reason} Measure again when it no longer changes.")


def mark_backward(trainer: Any) -> None:
    """Notify the trainer when backward begins: the loop scales the loss right before it."""
    scale = trainer.scaler.scale

    def scale_and_mark(loss: Any) -> Any:
        trainer.backward_begins()
        return scale(loss)

    trainer.scaler.scale = scale_and_mark


def _probe_autocast(case: dict[str, Any], trainer: Any) -> None:
    """Enter bfloat16 autocast as the loop will, so that an error comes before the clock starts."""
    if case["amp"] != "bf16":
        return
    import torch
    from ultralytics.utils.torch_utils import autocast

    try:
        with autocast(torch.bfloat16, device=trainer.device.type):
            pass
    except (RuntimeError, TypeError) as error:
        reason = f"amp bf16 requested: {one_line(str(error)).rstrip('.')}."
        raise CaseRejected("unsupported", reason, scope=("mode", "device", "amp")) from error


def _describe_validation(how: str) -> str:
    """Return the method of a memory figure as it reads for validation in place of the window."""
    return how.replace("since set-up", "since validation began").replace("end of the window", "end of validation")


def time_the_rest(trainer: Any, device: Device, task: tasks.Task = tasks.DETECT) -> dict[str, Any]:
    """Time Ultralytics' own validation and its own saving of a checkpoint, once each, as at the end of an epoch."""
    own = tasks.load(task.trainer)

    def seconds(what: Callable[[], Any]) -> float:
        device.synchronize()
        began = time.perf_counter()
        what()
        device.synchronize()
        return round(time.perf_counter() - began, 6)

    def validate() -> None:
        trainer.metrics, trainer.fitness = own.validate(trainer)

    device.release()
    device.reset_peaks()
    return {
        "validation": seconds(validate),
        "validation_memory": {
            name: {**figure, "method": _describe_validation(figure["method"])}
            for name, figure in device.memory().items()
        },
        "validation_images": len(trainer.test_loader.dataset),
        "checkpoint": seconds(lambda: own.save_model(trainer)),
    }
