import pytest

from bench.analysis.table import frame
from tests.end_to_end.real.conftest import run_one, tiny


@pytest.fixture(scope="module")
def record(forking, tmp_path_factory):
    return run_one(forking, tmp_path_factory.mktemp("results"), tiny("predict", batch=6))


def test_a_call_holds_as_many_images_as_the_case_says(record):
    assert record.outcome.status.value == "measured", record.outcome.reason
    assert record.effective["batch"] == 6
    assert record.steps.images == 6
    assert record.steps.accumulation_steps == 1
    assert record.steps.optimizer == []


def test_images_have_the_size_that_was_asked(record):
    assert record.effective["imgsz"] == 64  # not 64x48: the letterbox is square


def test_parts_of_a_call(record):
    assert list(record.phases) == ["preprocess", "forward", "postprocess"]
    steps = record.steps
    parts = [phase.mean(steps) for phase in record.phases.values()]
    assert all(seconds > 0 for seconds in parts)
    assert 0.5 * steps.step_seconds < sum(parts) < steps.step_seconds


def test_the_forward_pass_is_timed_apart_from_the_whole_call(record):
    assert len(record.phases["forward"].seconds) == 1  # all calls are alike
    assert record.phases["forward"].method == "host clock, steps of the window"
    [row] = frame([record]).to_dict("records")
    assert row["forward_images_per_second"] > row["images_per_second"]


def test_the_model_is_fused_as_users_run_it(record):
    assert record.effective["fused"] is True
