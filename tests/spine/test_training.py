import pytest

from bench.records.store import Store
from tests.spine.conftest import run_one, tiny


@pytest.fixture(scope="module")
def record(forking, tmp_path_factory):
    return run_one(forking, tmp_path_factory.mktemp("results"), tiny())


def test_steps_are_real_and_in_whole_cycles(record):
    assert record.outcome.status.value == "measured", record.outcome.reason
    steps = record.steps
    assert steps.cycle == 4  # nbs 64 over batch 16
    assert steps.warmup == steps.cycle + 2
    assert len(steps.window) == steps.cycle
    assert steps.optimizer == [3, 7]
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
    assert record.memory["allocated"].how
    assert record.energy is None


def test_memory_is_that_of_a_fresh_process_however_the_worker_came_to_be(spawning, record, tmp_path):
    fresh = run_one(spawning, tmp_path, tiny())
    ratio = record.memory["process"].bytes / fresh.memory["process"].bytes
    assert 0.85 < ratio < 1.15  # 0.67 where the parent's libraries are left out


def test_losses_are_kept(record):
    assert len(record.extra["loss"]) == 3
    assert all(value > 0 for value in record.extra["loss"].values())


def test_a_record_is_small(record, tmp_path):
    store = Store(tmp_path, "run")
    assert store.save(record) == ""
    assert store.path(record).stat().st_size <= 10_000


def test_threads_are_what_the_recipe_says(forking, tmp_path):
    record = run_one(forking, tmp_path, tiny(threads=2))
    assert record.effective["threads"] == 2


def test_an_epoch_that_turns_within_the_window_belongs_to_no_step(forking, tmp_path):
    import msgspec

    planned = tiny()
    planned = msgspec.structs.replace(planned, recipe=msgspec.structs.replace(planned.recipe, window_steps=12))
    record = run_one(forking, tmp_path, planned)
    steps = record.steps
    assert len(steps.window) == 12  # steps 6 to 17, over the turns at 8 and 16
    assert len(steps.interludes) == 2
    assert record.window.wall_seconds >= sum(steps.window) + sum(steps.interludes) - 1e-3


def test_a_spawned_worker_measures_the_same_things(spawning, record, tmp_path):
    other = run_one(spawning, tmp_path, tiny())
    assert other.outcome.status.value == "measured", other.outcome.reason
    assert other.effective == record.effective
    assert other.steps.optimizer == record.steps.optimizer
    assert other.extra["loss"] == record.extra["loss"]  # the same seed and data, so the same training


def test_a_broken_loss_is_no_speed(forking, tmp_path):
    import msgspec

    planned = tiny()
    pins = {**planned.recipe.pins, "box": 1e39}
    planned = msgspec.structs.replace(planned, recipe=msgspec.structs.replace(planned.recipe, pins=pins))
    record = run_one(forking, tmp_path, planned)
    assert record.outcome.status.value == "invalid"
    assert "The loss is not finite after" in record.outcome.reason
    assert record.steps is None
