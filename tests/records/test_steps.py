"""The mean step of training, from a window of whole cycles or from the kinds of steps in a shorter one."""

from __future__ import annotations

import pytest

from bench.records.record import Phase
from bench.records.steps import Steps
from bench.worker.timing.precision import AFTER, OPTIMIZER, PLAIN, kinds_of
from tests.builders import make_steps

TIMES = {PLAIN: 0.25, OPTIMIZER: 0.75, AFTER: 0.375}


def trained(
    count: int, accumulation_steps: int, warmup: int, real: int | None = None, first: int | None = None
) -> Steps:
    """Steps as long as their kind says; the optimizer runs every ``accumulation_steps`` steps from ``first`` on."""
    ran = list(range(accumulation_steps - 1 if first is None else first, count, accumulation_steps))
    after = [index + 1 for index in ran]
    seconds = [
        TIMES[OPTIMIZER if index in ran else AFTER if index in after else PLAIN]
        if (real or accumulation_steps) > 1
        else TIMES[PLAIN]
        for index in range(count)
    ]
    return make_steps(
        seconds[warmup:],
        warmup=seconds[:warmup],
        optimizer=ran,
        accumulation_steps=real or accumulation_steps,
        timed_accumulation_steps=accumulation_steps if real else 0,
    )


def exact(accumulation_steps: int) -> float:
    """Seconds of the mean step of a real cycle: one optimizer step, one after it, and plain ones."""
    return (TIMES[OPTIMIZER] + TIMES[AFTER] + (accumulation_steps - 2) * TIMES[PLAIN]) / accumulation_steps


# Kinds


def test_kinds_follow_from_the_steps_of_the_optimizer() -> None:
    assert kinds_of(7, [1, 4], 3) == [PLAIN, OPTIMIZER, AFTER, PLAIN, OPTIMIZER, AFTER, PLAIN]


def test_a_step_that_runs_the_optimizer_is_not_one_after_it() -> None:
    assert kinds_of(5, [1, 2], 2) == [PLAIN, OPTIMIZER, OPTIMIZER, AFTER, PLAIN]
    assert kinds_of(3, [2], 3) == [PLAIN, PLAIN, OPTIMIZER]


def test_where_every_step_runs_the_optimizer_all_are_alike() -> None:
    assert kinds_of(4, [0, 1, 2, 3], 1) == [PLAIN] * 4


def test_the_first_step_of_a_window_may_come_after_an_optimizer_step_of_the_warm_up() -> None:
    steps = trained(count=18, accumulation_steps=6, warmup=6)
    assert steps.kinds[:2] == [AFTER, PLAIN]


# A window that runs the optimizer more often than training does


@pytest.mark.parametrize("real", [*range(7, 65), 3, 4, 5])
@pytest.mark.parametrize("warmup", [8, 9, 11, 12, 13])
def test_weighted_kinds_give_the_mean_of_the_real_cycle(real: int, warmup: int) -> None:
    steps = trained(count=warmup + 12, accumulation_steps=6, warmup=warmup, real=real)
    assert steps.modelled
    assert sum(steps.weights) == pytest.approx(1, abs=1e-12)
    assert steps.step_seconds == pytest.approx(exact(real), rel=1e-12)
    assert steps.images_per_second == pytest.approx(16 / exact(real), rel=1e-12)


@pytest.mark.parametrize("real", [3, 16, 64])
def test_each_kind_has_the_weight_that_it_has_in_training(real: int) -> None:
    steps = trained(count=20, accumulation_steps=6, warmup=8, real=real)
    of = {kind: sum(w for w, k in zip(steps.weights, steps.kinds, strict=True) if k == kind) for kind in TIMES}
    assert of == pytest.approx({PLAIN: 1 - 2 / real, OPTIMIZER: 1 / real, AFTER: 1 / real}, abs=1e-12)


def test_the_plain_mean_of_such_a_window_would_be_wrong() -> None:
    steps = trained(count=20, accumulation_steps=6, warmup=8, real=32)
    assert sum(steps.window) / len(steps.window) == pytest.approx(exact(6))
    assert exact(6) > 1.2 * exact(32)


# Whole cycles


@pytest.mark.parametrize("accumulation_steps", [2, 3, 4, 16, 64])
@pytest.mark.parametrize("offset", [0, 1, 2])
def test_whole_cycles_are_their_own_mean_wherever_they_begin(accumulation_steps: int, offset: int) -> None:
    steps = trained(
        count=3 * accumulation_steps + offset, accumulation_steps=accumulation_steps, warmup=accumulation_steps + offset
    )
    assert not steps.modelled
    assert len(set(steps.weights)) == 1
    assert steps.step_seconds == pytest.approx(sum(steps.window) / len(steps.window), rel=1e-12)
    if accumulation_steps > 2:
        assert steps.step_seconds == pytest.approx(exact(accumulation_steps), rel=1e-12)


def test_a_timed_cycle_that_is_the_real_one_is_no_model() -> None:
    steps = trained(count=12, accumulation_steps=4, warmup=4, real=4)
    assert not steps.modelled
    assert steps.step_seconds == pytest.approx(exact(4))


def test_prediction_has_steps_of_one_kind() -> None:
    steps = make_steps([0.25, 0.5, 0.75], optimizer=[])
    assert steps.kinds == [PLAIN] * 3
    assert steps.step_seconds == pytest.approx(0.5)


def test_images_of_a_partial_batch_count_as_what_they_are() -> None:
    steps = make_steps([0.5, 0.5], warmup=[], images=[16, 8], optimizer=[])
    assert steps.images_per_second == pytest.approx(24)


def test_a_model_without_plain_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="a window without plain steps says nothing of them"):
        trained(count=12, accumulation_steps=2, warmup=4, real=16)


@pytest.mark.parametrize(("warmup", "ran"), [(6, []), (6, [11]), (6, list(range(12)))])
def test_a_model_needs_every_kind_in_its_window(warmup: int, ran: list[int]) -> None:
    good = {
        "data_wait": [0.0] * 12,
        "images": 16,
        "accumulation_steps": 32,
        "timed_accumulation_steps": 6,
        "warmup": warmup,
    }
    assert Steps(seconds=[1.0] * 12, optimizer=[7], **good).modelled
    with pytest.raises(ValueError, match="needs steps of every kind"):
        Steps(seconds=[1.0] * 12, optimizer=ran, **good)


# Parts of a step


def test_parts_are_means_by_kind() -> None:
    kinds = [PLAIN, OPTIMIZER, AFTER, PLAIN]
    assert Phase.over([1.0, 5.0, 2.0, 3.0], kinds, "clock") == Phase([2.0, 5.0, 2.0], "clock")
    assert Phase.over([1.0, 2.0], [PLAIN, OPTIMIZER], "clock").seconds == [1.0, 2.0, None]
    assert Phase.over([1.0, 2.0], [PLAIN, PLAIN], "clock").seconds == [1.5]


@pytest.mark.parametrize(("accumulation_steps", "real"), [(6, 32), (6, 3), (4, None), (16, None)])
def test_a_part_that_is_the_whole_step_has_the_mean_of_the_whole_step(
    accumulation_steps: int, real: int | None
) -> None:
    steps = trained(count=8 + 2 * accumulation_steps, accumulation_steps=accumulation_steps, warmup=8, real=real)
    assert Phase.over(steps.window, steps.kinds, "").mean(steps) == pytest.approx(steps.step_seconds, abs=1e-6)


def test_a_part_that_only_optimizer_steps_have_counts_as_often_as_they_come() -> None:
    steps = trained(count=20, accumulation_steps=6, warmup=8, real=32)
    seconds = [0.64 if kind == OPTIMIZER else 0.0 for kind in steps.kinds]
    assert Phase.over(seconds, steps.kinds, "").mean(steps) == pytest.approx(0.02)


def test_one_number_holds_for_all_steps() -> None:
    assert Phase([0.125], "").mean(trained(count=12, accumulation_steps=4, warmup=4)) == 0.125


def test_a_part_that_was_not_seen_in_some_kind_of_step_has_no_mean() -> None:
    steps = trained(count=12, accumulation_steps=4, warmup=4)
    assert Phase([0.25, None, 0.25], "").mean(steps) is None
    two = trained(count=6, accumulation_steps=2, warmup=2)  # no plain steps: nothing is missing
    assert Phase([None, 1.0, 0.5], "").mean(two) == pytest.approx(0.75)
