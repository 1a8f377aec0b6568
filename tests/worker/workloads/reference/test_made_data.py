"""Made data: the same each time, listed to a length, mended where damaged, and learnable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.worker.rejection import CaseRejected
from bench.worker.workloads.reference import made_data
from bench.worker.workloads.reference.loaders import make_loader
from bench.worker.workloads.reference.models import CIFAR, IMAGENET, MNIST, MODELS


@pytest.mark.parametrize("name", [CIFAR, IMAGENET, MNIST])
def test_a_set_is_the_same_each_time(tmp_path: Path, name: str) -> None:
    first = made_data.provide(name, str(tmp_path / "a"), 20, 0)
    assert first["fingerprint"] == made_data.provide(name, str(tmp_path / "b"), 20, 0)["fingerprint"]
    assert first["fingerprint"] != made_data.provide(name, str(tmp_path / "a"), 20, 1)["fingerprint"]
    assert first["images"] == 20 and Path(first["source"]).exists()


@pytest.mark.parametrize("name", [CIFAR, IMAGENET])
def test_a_damaged_pool_is_made_again(tmp_path: Path, name: str) -> None:
    made = made_data.provide(name, str(tmp_path), 20, 0)
    pool = Path(made["source"]).parent
    damaged = next(path for path in pool.rglob("*") if path.suffix in (".bin", ".jpg"))
    damaged.write_bytes(b"cut off")
    assert made_data.provide(name, str(tmp_path), 20, 0) == made
    assert damaged.stat().st_size > 10


def test_a_cache_that_cannot_be_written_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CaseRejected, match="set YOLOPACE_CACHE to another folder") as caught:
        made_data.provide(CIFAR, str(tmp_path / "file"), 20, 0)
    assert caught.value.status == "unsupported"


@pytest.mark.parametrize(
    ("model", "size", "shape"),
    [("resnet18", 32, (3, 32, 32)), ("resnet18", 224, (3, 224, 224)), ("lstm256", 28, (28, 28))],
)
@pytest.mark.parametrize("training", [True, False])
def test_batches_have_the_size_of_the_model(
    tmp_path: Path, model: str, size: int, shape: tuple[int, ...], training: bool
) -> None:
    setup = MODELS[model].setups[size]
    made = made_data.provide(setup.data, str(tmp_path), 12, 0)
    case: dict[str, Any] = {"batch": 3, "imgsz": size}
    loader = make_loader(made["source"], setup, case, torch.device("cpu"), 0, training)
    inputs, targets = next(iter(loader))
    assert inputs.shape == (3, *shape) and inputs.dtype == torch.float32
    assert targets.tolist() == sorted(targets.tolist()) or training
    assert len(loader) == (4 if training else 4 * 64)


def test_the_loaders_processes_may_be_spawned(tmp_path: Path) -> None:
    setup = MODELS["lstm256"].setups[28]
    made = made_data.provide(setup.data, str(tmp_path), 4, 0)
    loader = make_loader(made["source"], setup, {"batch": 2, "imgsz": 28}, torch.device("cpu"), 1, True)
    loader.multiprocessing_context = "spawn"
    assert len(list(loader)) == 2
