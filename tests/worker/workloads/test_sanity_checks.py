"""Training that does not work, done for real with a model of a few numbers: every way ends as ``invalid``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from bench.worker.rejection import CaseRejected
from bench.worker.workloads.sanity_checks import KEPT_EPOCHS, LOOKED_AT, TrainingSanityChecks, loss_items
from bench.worker.workloads.ultralytics import train

NAMES = ("box_loss", "cls_loss", "dfl_loss")
KEYS = {"loss", "mean_loss", "gradient_norm", "with_gradient", "parameters", "moved", "loss_scale"}


class Scaler:
    """What is used of ``torch.amp.GradScaler``, which works on an accelerator alone."""

    def __init__(self, scale: float | None = None) -> None:
        self.scale = scale

    def is_enabled(self) -> bool:
        return self.scale is not None

    def get_scale(self) -> float:
        assert self.scale is not None
        return self.scale


class Descent:
    """Stands for ``torch.optim.SGD``, which takes seconds to import."""

    def __init__(self, parameters: Iterable[Any]) -> None:
        self.parameters = list(parameters)
        self.decay = 1.0

    def step(self) -> None:
        for parameter in self.parameters:
            parameter.data *= self.decay
            if parameter.grad is not None:
                parameter.data -= 0.001 * parameter.grad


class Training:
    """A few steps of a tiny model by gradient descent, looked at as a real trainer is."""

    def __init__(self, scale: float | None = None) -> None:
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(3, 200), torch.nn.Tanh(), torch.nn.Linear(200, 3))
        self.checks: dict[str, Any] = {"other": 1}
        self.works = TrainingSanityChecks(self.checks, zero_means="the labels have no boxes")
        self.trainer = SimpleNamespace(
            model=model,
            optimizer=Descent(model.parameters()),
            scaler=Scaler(scale),
            loss_names=NAMES,
            loss_items=None,
            tloss=None,
        )
        self.trains = True
        self.broken_items: dict[int, float] = {}
        self.wild_gradients = 0
        self.lost: set[str] = set()
        self.gradient_factor = 1.0

    def run(self, steps: int = 3, optimizer_steps: int = 20) -> Training:
        """So many steps, all of them looked at as those of a warm-up; the window is said to have had others."""
        trainer = self.trainer
        self.works.remember(trainer)
        for step in range(steps):
            out = trainer.model(torch.ones(4, 3))
            items = out.square().mean(dim=0)
            (items.sum() * (trainer.scaler.scale or 1.0) * self.gradient_factor).backward()
            if step < self.wild_gradients:
                for number, parameter in enumerate(trainer.model.parameters()):
                    parameter.grad[..., 0] = math.nan if number else math.inf
            for name in self.lost:
                trainer.model.get_parameter(name).grad.zero_()
            self.works.record_gradients(trainer)
            if self.trains and step >= self.wild_gradients:
                for parameter in trainer.model.parameters():
                    if parameter.grad is not None:
                        parameter.grad /= trainer.scaler.scale or 1.0
                trainer.optimizer.step()
            elif trainer.scaler.scale:
                trainer.scaler.scale /= 2
            self.works.record_scale(trainer)
            trainer.model.zero_grad()
            losses = items.detach().clone()
            for index, value in self.broken_items.items():
                losses[index] = value
            trainer.loss_items = losses
            trainer.tloss = losses if trainer.tloss is None else (trainer.tloss * step + losses) / (step + 1)
        self.works.finish(trainer, optimizer_steps)
        return self

    def refused(self, steps: int = 3) -> str:
        with pytest.raises(CaseRejected) as refused:
            self.works.verdict(steps)
        assert refused.value.status == "invalid"
        return refused.value.reason


def test_training_that_works_passes_and_says_what_was_seen() -> None:
    training = Training().run()
    training.works.verdict(3)
    checks = training.checks
    assert set(checks) == KEYS | {"other"}
    assert set(checks["loss"]) == set(checks["mean_loss"]) == set(NAMES)
    assert checks["loss"]["box_loss"] < checks["mean_loss"]["box_loss"]  # it learns
    assert (checks["parameters"], checks["with_gradient"], checks["moved"]) == (4, 4, 4)
    assert checks["gradient_norm"] > 0
    assert checks["loss_scale"] is None


def test_nothing_is_seen_before_it_is_looked_for() -> None:
    assert Training().checks == {"other": 1, **dict.fromkeys(KEYS)}


def test_the_norm_is_that_of_all_gradients_together() -> None:
    training = Training()
    for parameter in training.trainer.model.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    training.works.record_gradients(training.trainer)
    count = sum(parameter.numel() for parameter in training.trainer.model.parameters())
    assert training.checks["gradient_norm"] == pytest.approx(0.5 * math.sqrt(count), rel=1e-5)


def test_only_the_first_optimizer_step_is_looked_at() -> None:
    training = Training()
    for factor in (1.0, 100.0):
        for parameter in training.trainer.model.parameters():
            parameter.grad = torch.full_like(parameter, factor)
        training.works.record_gradients(training.trainer)
    count = sum(parameter.numel() for parameter in training.trainer.model.parameters())
    assert training.checks["gradient_norm"] == pytest.approx(math.sqrt(count), rel=1e-5)


@pytest.mark.parametrize("scale", [2.0, 65536.0])
def test_scaling_of_the_loss_is_taken_out_of_the_gradients_and_recorded(scale: float) -> None:
    plain, scaled = Training().run(), Training(scale).run()
    assert scaled.checks["gradient_norm"] == pytest.approx(plain.checks["gradient_norm"], rel=1e-4)
    assert scaled.checks["loss_scale"] == [scale, scale]
    scaled.works.verdict(3)


def test_a_first_step_that_overflows_is_passed_over() -> None:
    training = Training(scale=65536.0)
    training.wild_gradients = 1
    training.run()
    assert training.checks["gradient_norm"] == pytest.approx(Training().run().checks["gradient_norm"], rel=1e-4)
    assert training.checks["with_gradient"] == 4
    assert training.checks["loss_scale"] == [32768.0, 32768.0]  # halved before the window, not in it
    training.works.verdict(3)


def test_gradients_that_are_not_finite_in_any_step() -> None:
    training = Training()
    training.wild_gradients = 3
    assert training.run().refused() == "The gradients were not finite in any optimizer step of the warm-up."


def overflowing() -> Training:
    """Under fp16 a short warm-up may see nothing but overflows, which fill the gradients with inf and nan."""
    training = Training(scale=65536.0)
    training.wild_gradients = 3
    training.run()
    assert not math.isfinite(training.checks["gradient_norm"])
    return training


def test_under_a_scaler_what_moved_after_such_a_warm_up_tells() -> None:
    training = overflowing()
    for parameter in training.trainer.model.parameters():
        parameter.data += 0.5
    training.works.finish(training.trainer, 20)
    training.works.verdict(3)
    assert training.checks["with_gradient"] == 4  # what is not finite is not 0
    assert training.checks["loss_scale"] == [8192.0, 8192.0]


def test_and_what_did_not() -> None:
    assert overflowing().refused() == "Only 0 of 4 parameters moved in 3 steps: the model is hardly trained."


@pytest.mark.parametrize(("skipped", "of", "fine"), [(1, 10, True), (1, 9, False), (2, 20, True), (2, 19, False)])
def test_optimizer_steps_that_the_scaler_skipped_in_the_window(skipped: int, of: int, fine: bool) -> None:
    training = Training(scale=65536.0).run()
    training.trainer.scaler.scale /= 2**skipped
    training.works.finish(training.trainer, of)
    assert training.checks["loss_scale"] == [65536.0, 65536.0 / 2**skipped]
    if fine:
        training.works.verdict(40)
    else:
        sentence = f"The scaler of fp16 skipped {skipped} of {of} optimizer steps that were timed: "
        assert training.refused(40).startswith(sentence)


def test_a_loss_scale_that_grew_is_nothing_that_was_skipped() -> None:
    training = Training(scale=1024.0).run()
    training.trainer.scaler.scale *= 2
    training.works.finish(training.trainer, 1)
    training.works.verdict(40)
    assert training.checks["loss_scale"] == [1024.0, 2048.0]


def test_a_backward_pass_that_is_lost_on_the_way_though_weight_decay_moves_everything() -> None:
    training = Training()
    training.lost = {"0.weight", "0.bias", "2.weight"}
    training.trainer.optimizer.decay = 0.99
    assert training.run().refused() == "Only 1 of 4 parameters have a gradient that is not 0."
    assert training.checks["moved"] == 4


def test_half_of_the_parameters_may_be_without_a_gradient() -> None:
    training = Training()
    training.lost = {"0.weight", "0.bias"}
    training.trainer.optimizer.decay = 0.99
    training.run().works.verdict(3)
    assert training.checks["with_gradient"] == 2


def test_gradients_of_nothing() -> None:
    training = Training()
    training.gradient_factor = 0.0
    assert training.run().refused(7) == "The gradients are all 0 after 7 steps: nothing is trained."
    assert training.checks["gradient_norm"] == 0


def test_gradients_that_are_not_there() -> None:
    training = Training()
    training.works.remember(training.trainer)
    training.works.record_gradients(training.trainer)
    training.trainer.loss_items = training.trainer.tloss = torch.ones(3)
    training.works.finish(training.trainer, 3)
    assert "The gradients are all 0" in training.refused()


@pytest.mark.parametrize(("value", "text"), [(math.nan, "nan"), (math.inf, "inf")])
def test_a_loss_that_is_not_finite(value: float, text: str) -> None:
    training = Training()
    training.broken_items = {1: value}
    assert training.run().refused(5) == f"The loss is not finite after 5 steps: cls_loss {text}."


def test_a_loss_that_was_not_finite_for_one_step_only() -> None:
    """The mean over the epoch keeps what the last step forgot."""
    training = Training().run()
    training.trainer.tloss[2] = math.nan
    training.works.finish(training.trainer, 3)
    assert training.refused() == "The loss is not finite after 3 steps: dfl_loss nan."


def turn(training: Training, *means: float) -> None:
    """An epoch turns: its mean losses are the given ones, and forgotten at once."""
    training.trainer.tloss = torch.tensor(means)
    training.works.epoch_ended(training.trainer)
    training.trainer.tloss = None


def test_a_loss_that_was_not_finite_in_an_epoch_that_is_over() -> None:
    training = Training()
    turn(training, 1.0, math.nan, 1.0)
    assert training.run().refused() == "The loss is not finite after 3 steps: cls_loss nan."
    assert math.isfinite(training.checks["mean_loss"]["cls_loss"])  # that of the last epoch


def test_means_of_epochs_are_those_at_their_turns() -> None:
    training = Training()
    training.works.epoch_ended(training.trainer)  # the first one begins: there is none yet
    turn(training, 0.0, 0.0, 0.0)
    turn(training, 0.0, 0.5, 0.0)
    training.broken_items = {0: 0.0, 1: 0.0}
    expected = "box_loss stayed 0 over 3 steps: the labels have no boxes, or the loss is broken."
    assert training.run().refused() == expected  # cls_loss was alive once


def test_means_of_so_many_epochs_are_kept_and_no_more() -> None:
    training = Training()
    for _ in range(KEPT_EPOCHS + 5):
        turn(training, 1.0, 1.0, 1.0)
    training.run().works.verdict(3)
    assert len(training.works._means) == KEPT_EPOCHS + 1  # and that of the last one


def test_a_loss_that_was_not_recorded() -> None:
    training = Training()
    training.works.remember(training.trainer)
    training.works.finish(training.trainer, 3)
    assert training.refused(0) == "The loss is not finite after 0 steps: none was seen."


def test_a_loss_item_that_is_dead() -> None:
    training = Training()
    training.broken_items = {0: 0.0, 2: 0.0}
    expected = "box_loss, dfl_loss stayed 0 over 3 steps: the labels have no boxes, or the loss is broken."
    assert training.run().refused() == expected


def test_a_loss_item_that_is_0_once_is_no_dead_one() -> None:
    training = Training().run()
    training.trainer.loss_items = training.trainer.loss_items.clone()
    training.trainer.loss_items[0] = 0.0
    training.works.finish(training.trainer, 3)
    training.works.verdict(3)


def test_parameters_that_do_not_move() -> None:
    training = Training()
    training.trains = False
    expected = "Only 0 of 4 parameters moved in 3 steps: the model is hardly trained."
    assert training.run().refused() == expected
    assert training.checks["gradient_norm"] > 0


def test_a_part_of_the_model_that_does_not_move() -> None:
    training = Training()
    training.trainer.optimizer = Descent([training.trainer.model[2].bias])
    assert training.run().refused().startswith("Only 1 of 4 parameters moved")


def test_parameters_that_are_not_trained_need_not_move() -> None:
    training = Training()
    training.trainer.model[0].requires_grad_(False)
    training.run().works.verdict(3)
    assert (training.checks["parameters"], training.checks["moved"]) == (2, 2)


def test_parameters_that_are_not_finite() -> None:
    training = Training().run()
    with torch.no_grad():
        training.trainer.model[2].weight.fill_(math.nan)
    training.works.finish(training.trainer, 3)
    assert training.refused() == "1 parameters are not finite after 3 steps, such as 2.weight."


def test_a_few_numbers_of_each_parameter_are_kept() -> None:
    training = Training()
    training.works.remember(training.trainer)
    assert [len(kept) for kept in training.works._before.values()] == [LOOKED_AT, LOOKED_AT, LOOKED_AT, 3]


def test_looking_changes_nothing() -> None:
    training = Training()
    training.works.remember(training.trainer)
    training.trainer.model(torch.ones(1, 3)).sum().backward()
    before = [(p.clone(), p.grad.clone()) for p in training.trainer.model.parameters()]
    training.works.record_gradients(training.trainer)
    training.trainer.loss_items = training.trainer.tloss = torch.ones(3)
    training.works.finish(training.trainer, 3)
    for parameter, (value, gradient) in zip(training.trainer.model.parameters(), before, strict=True):
        assert torch.equal(parameter, value)
        assert torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize(
    "items", [{"box_loss": torch.tensor(1.5), "cls_loss": torch.tensor(2.5)}, torch.tensor([1.5, 2.5])]
)
def test_loss_items_have_their_names_in_every_ultralytics(items: Any) -> None:
    trainer = SimpleNamespace(loss_names=("box_loss", "cls_loss"))
    assert loss_items(trainer, items) == {"box_loss": 1.5, "cls_loss": 2.5}
    assert loss_items(trainer, None) == {}


def test_memory_that_is_read_after_validation_is_called_so() -> None:
    assert train._describe_validation("VmHWM, peak resident set since set-up").endswith("since validation began")
    whole = "torch.cuda.mem_get_info, whole card at the end of the window"
    assert train._describe_validation(whole).endswith("whole card at the end of validation")
