from __future__ import annotations

import pytest

from bench.worker.workloads.ultralytics.read_settings import count_gflops


def test_the_gflops_of_a_model_are_those_of_ultralytics_and_leave_it_as_it_was() -> None:
    tasks = pytest.importorskip("ultralytics.nn.tasks")
    model = tasks.DetectionModel("yolov8n.yaml", verbose=False)
    keys, buffers = list(model.state_dict()), {name: b.clone() for name, b in model.named_buffers()}
    whole, quarter = count_gflops(model, 640), count_gflops(model, 320)
    assert whole is not None and quarter is not None
    assert 8.5 < whole < 9.0, "Ultralytics publishes 8.7 for yolov8n at 640 px"
    assert quarter == pytest.approx(whole / 4, rel=0.01)
    assert model.training and list(model.state_dict()) == keys
    assert all(bool((b == buffers[name]).all()) for name, b in model.named_buffers())


@pytest.mark.parametrize("model", [None, object()])
def test_what_is_no_model_has_no_gflops(model: object) -> None:
    assert count_gflops(model, 640) is None
