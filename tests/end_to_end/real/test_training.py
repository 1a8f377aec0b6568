from itertools import combinations_with_replacement

import msgspec
import pytest

from bench.records.steps import OPTIMIZER, PLAIN
from bench.records.store import Store
from bench.runner.jobs import case_job
from bench.runner.measure import find_data
from bench.worker.protocol import SettingsRead
from bench.worker.timing.windows import RETRIES
from tests.end_to_end.real.conftest import run_one, tiny

LENGTHS = range(12, 37, 6)
"""Possible lengths of a window of twelve steps, which goes on where the machine is noisy, in whole cycles."""


def discarded_steps(lengths):
    """Possible numbers of steps in discarded windows: one with interference is measured again."""
    return {sum(chosen) for count in range(RETRIES + 1) for chosen in combinations_with_replacement(lengths, count)}


@pytest.fixture(scope="module")
def record(forking, tmp_path_factory):
    return run_one(forking, tmp_path_factory.mktemp("results"), tiny())


@pytest.fixture(scope="module")
def fresh(spawning, tmp_path_factory):
    """The same in a Python of its own."""
    return run_one(spawning, tmp_path_factory.mktemp("results"), tiny())


def with_recipe(planned, **changes):
    return msgspec.structs.replace(planned, recipe=msgspec.structs.replace(planned.recipe, **changes))


@pytest.fixture(scope="module")
def modelled(forking, tmp_path_factory):
    """Batch 2, whose optimizer runs every 32nd step, in windows of twelve; with validation and checkpoint."""
    planned = with_recipe(tiny(batch=2), window_steps=12, with_val=True)
    return run_one(forking, tmp_path_factory.mktemp("results"), planned)


def test_steps_are_real_and_in_whole_cycles(record):
    assert record.outcome.status.value == "measured", record.outcome.reason
    steps = record.steps
    assert steps.accumulation_steps == 4  # nbs 64 over batch 16
    assert steps.warmup - 6 in discarded_steps([4])  # warm-up is a cycle and two steps
    assert len(steps.window) == steps.accumulation_steps
    assert steps.optimizer == list(range(3, len(steps.seconds), 4))
    assert not steps.modelled
    assert steps.images == 16
    assert all(0 < wait < whole for wait, whole in zip(steps.data_wait, steps.seconds, strict=True))


def test_settings_are_those_of_the_live_trainer(record):
    runs = record.effective
    asked = {"device": "cpu", "amp": "off", "batch": 16, "imgsz": 64}
    assert {name: runs[name] for name in asked} == asked
    assert runs["optimizer"] == "SGD"
    assert (runs["nbs"], runs["accumulate"]) == (64, 4)
    assert runs["workers"] == 0
    assert runs["mosaic"] == 1.0
    assert runs["deterministic"] is True
    assert runs["images"] == 8 * 16
    assert runs["classes"] == 80
    assert runs["parameters"] > 3_000_000
    assert runs["threads"] >= 1


def test_what_is_not_known_is_missing_and_says_why(record):
    assert record.memory["process"].bytes > 100 * 2**20
    assert record.memory["allocated"].bytes is None
    assert record.memory["allocated"].method
    assert record.energy is None


def test_memory_is_that_of_a_fresh_process_however_the_worker_came_to_be(fresh, record):
    ratio = record.memory["process"].bytes / fresh.memory["process"].bytes
    assert 0.85 < ratio < 1.15  # 0.67 where the parent's libraries are left out


def test_what_training_was_checked_for_is_kept(record):
    checks = record.checks
    assert set(checks["loss"]) == set(checks["mean_loss"]) == {"box_loss", "cls_loss", "dfl_loss"}
    assert all(value > 0 for value in checks["loss"].values())
    assert checks["gradient_norm"] > 0
    assert 0.9 * checks["parameters"] < checks["moved"] <= checks["parameters"]
    assert 0.9 * checks["parameters"] < checks["with_gradient"] <= checks["parameters"]
    assert checks["loss_scale"] is None


# Parts of a step


def test_phases_of_a_step_are_reported_by_its_kind(record):
    assert list(record.phases) == ["preprocess", "forward", "backward", "optimizer"]
    assert {phase.method for phase in record.phases.values()} == {"host clock, steps of the window"}
    optimizer = record.phases["optimizer"].seconds
    assert optimizer[PLAIN] == 0
    assert optimizer[OPTIMIZER] > 0
    for part in ("preprocess", "forward", "backward"):
        assert all(seconds > 0 for seconds in record.phases[part].seconds)


@pytest.mark.parametrize("which", ["record", "modelled"])
def test_parts_and_waiting_for_data_make_up_the_step(which, request):
    record = request.getfixturevalue(which)
    steps = record.steps
    wait = sum(w * s for w, s in zip(steps.weights, steps.data_wait[steps.warmup :], strict=True))
    parts = wait + sum(phase.mean(steps) for phase in record.phases.values())
    assert 0.5 * steps.step_seconds < parts < steps.step_seconds


# Accumulation that is longer than a window


def test_a_long_accumulation_is_modelled_and_the_settings_say_what_training_does(modelled):
    assert modelled.outcome.status.value == "measured", modelled.outcome.reason
    steps = modelled.steps
    assert (steps.accumulation_steps, steps.timed_accumulation_steps) == (32, 6)
    assert len(steps.window) in LENGTHS
    dropped, last = steps.warmup_discarded, steps.warmup_discarded + len(steps.seconds)
    assert dropped + steps.warmup - 8 in discarded_steps(LENGTHS)
    assert [dropped + step for step in steps.optimizer] == [step for step in range(5, last, 6) if step >= dropped]
    assert steps.modelled
    assert steps.kinds.count(OPTIMIZER) == len(steps.window) // 6
    assert sum(steps.weights) == pytest.approx(1)
    assert modelled.effective["accumulate"] == 32


# Time of an epoch outside its steps


def test_validation_and_checkpoint_are_timed_where_they_are_asked_for(modelled):
    apart = modelled.epoch_overhead
    assert apart.validation > 0
    assert apart.validation_images == 16 * 2
    assert "since set-up" not in apart.validation_memory["process"].method
    assert apart.checkpoint > 0
    assert apart.epoch_gap_seconds > 0  # an epoch has eight steps
    assert "rest" not in modelled.extra


def test_and_not_where_they_are_not(record):
    apart = record.epoch_overhead
    assert (apart.validation, apart.validation_images, apart.checkpoint) == (None, None, None)


def test_a_record_is_small(record, tmp_path):
    store = Store(tmp_path, "run")
    assert store.save(record) == ""
    assert store.path(record).stat().st_size <= 10_000


def test_threads_are_what_the_recipe_says(forking, tmp_path):
    """Read off where the case would begin: more threads than a busy machine has processors take minutes."""
    planned = tiny(threads=2)
    worker = forking.start(case_job(planned, find_data(forking, planned), str(tmp_path)))
    try:
        while not isinstance(event := worker.next_event(60.0), SettingsRead):
            pass
    finally:
        worker.end(0.0)
    assert event.settings["threads"] == 2


def test_an_epoch_that_turns_within_the_window_belongs_to_no_step(modelled):
    steps = modelled.steps
    turns = [step for step in range(8, 99, 8) if steps.warmup <= step < len(steps.seconds)]
    assert len(steps.epoch_gaps) == len(turns) > 0
    assert modelled.window.wall_seconds >= sum(steps.window) + sum(steps.epoch_gaps) - 1e-3


def test_a_spawned_worker_measures_the_same_things(fresh, record):
    assert fresh.outcome.status.value == "measured", fresh.outcome.reason
    assert fresh.effective == record.effective
    both = min(len(fresh.steps.seconds), len(record.steps.seconds))
    for steps in (fresh.steps, record.steps):
        assert [index for index in steps.optimizer if index < both] == list(range(3, both, 4))
    # the same seed and data, so the same training
    assert fresh.checks["gradient_norm"] == record.checks["gradient_norm"]


@pytest.mark.parametrize("steps", [64, 4])  # Ultralytics itself gives up at the end of the second epoch
def test_a_broken_loss_is_no_speed(forking, tmp_path, steps):
    planned = tiny(batch=2)
    record = run_one(
        forking, tmp_path, with_recipe(planned, overrides={**planned.recipe.overrides, "box": 1e39}, data_steps=steps)
    )
    assert record.outcome.status.value == "invalid"
    assert "The loss is not finite after" in record.outcome.reason
    assert record.steps is None
