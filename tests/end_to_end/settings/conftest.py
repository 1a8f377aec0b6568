"""Real Ultralytics on the CPU: trainers that are set up and not trained, and two cases that a worker measured."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest

from bench.cases.recipe import overrides_for
from bench.records.record import Record
from bench.worker import effective_settings
from tests.end_to_end.real.conftest import cache, forking, run_one, tiny  # noqa: F401
from tests.worker.conftest import ultralytics  # noqa: F401

CASE = {"mode": "train", "model": "yolov8n", "device": "cpu", "amp": "off", "batch": 8, "imgsz": 64}
PREDICTION = {**CASE, "mode": "predict"}


@pytest.fixture(autouse=True)
def process_as_it_was(ultralytics: None) -> Iterator[None]:  # noqa: F811
    """Ultralytics sets threads, seeds and determinism for the whole process, and so for the tests that come after."""
    import torch
    from ultralytics.utils.torch_utils import unset_deterministic

    effective_settings._heard().clear()
    threads, state, numbers = torch.get_num_threads(), random.getstate(), numpy.random.get_state()
    yield
    unset_deterministic()
    torch.set_num_threads(threads)
    random.setstate(state)
    numpy.random.set_state(numbers)


@pytest.fixture(scope="session")
def data(cache: Path, ultralytics: None) -> str:  # noqa: F811
    """A made data set of 16 images: two batches."""
    from bench.worker.workloads.ultralytics.made_data import provide

    return provide({"root": str(cache / "data"), "images": 16, "seed": 0})["yaml"]


@pytest.fixture(scope="session")
def arguments(data: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a training case of this data set asks Ultralytics for."""
    folder = str(tmp_path_factory.mktemp("trainings"))
    own = {"data": data, "project": folder, "name": "train", "exist_ok": True, "task": "detect", "mode": "train"}
    return {
        **overrides_for("train"),
        **own,
        "model": "yolov8n.yaml",
        "device": "cpu",
        "amp": False,
        "batch": 8,
        "imgsz": 64,
    }


@pytest.fixture(scope="session")
def set_up(arguments: dict[str, Any]) -> Callable[..., Any]:
    """Makes a trainer of Ultralytics' own whose set-up is over and whose loop has not begun."""

    def make(**asked: Any) -> Any:
        from ultralytics.models.yolo.detect import DetectionTrainer

        class PlainTrainer(DetectionTrainer):
            def get_model(self, cfg=None, weights=None, verbose=True):
                return super().get_model(cfg, weights, verbose=False)  # its summary takes a third of the set-up

        trainer = PlainTrainer(overrides={**arguments, **asked})
        trainer._setup_train()
        return trainer

    return make


@pytest.fixture(scope="session")
def built(set_up: Callable[..., Any]) -> Any:
    """One trainer whose set-up is over and all as it was asked for."""
    return set_up()


@pytest.fixture
def trainer(built: Any) -> Any:
    """The same one for every test that leaves it as it is: what a test changes, ``monkeypatch`` puts back."""
    from ultralytics.utils.torch_utils import init_seeds

    init_seeds(1, deterministic=True)  # as its set-up did, and as the end of the test before has undone
    return built


@pytest.fixture(scope="session")
def set_up_predictor(ultralytics: None, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:  # noqa: F811
    """Makes a predictor of Ultralytics' own that has its model, and the image shape that one call leaves behind."""
    folder = tmp_path_factory.mktemp("predictions")

    def make(**asked: Any) -> Any:
        from ultralytics import YOLO
        from ultralytics.models.yolo.detect import DetectionPredictor

        own = {"project": str(folder), "name": "predict", "exist_ok": True, "task": "detect", "mode": "predict"}
        model = {"model": "yolov8n.yaml", "device": "cpu", "batch": 8, "imgsz": 64}
        predictor = DetectionPredictor(overrides={**overrides_for("predict"), **own, **model, **asked})
        predictor.setup_model(model=YOLO(predictor.args.model).model, verbose=False)
        predictor.shape = (8, 3, 64, 64)
        return predictor

    return make


@pytest.fixture(scope="session")
def trained(forking: Any, tmp_path_factory: pytest.TempPathFactory) -> Record:  # noqa: F811
    """A training case as a worker measured it."""
    record = run_one(forking, tmp_path_factory.mktemp("trained"), tiny())
    assert record.outcome.status.value == "measured", record.outcome.reason
    return record


@pytest.fixture(scope="session")
def predicted(forking: Any, tmp_path_factory: pytest.TempPathFactory) -> Record:  # noqa: F811
    """A prediction case as a worker measured it."""
    record = run_one(forking, tmp_path_factory.mktemp("predicted"), tiny("predict", batch=2))
    assert record.outcome.status.value == "measured", record.outcome.reason
    return record
