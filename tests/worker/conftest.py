"""Ultralytics without a network and without the user's own settings, for the tests that need the real one."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bench.worker.workloads.ultralytics import isolation

from .fake_torch import cuda, mps, torch

__all__ = ["cuda", "mps", "torch"]


@pytest.fixture(autouse=True)
def nobody_watches_on() -> Iterator[None]:
    """A test that opens a window closes it: its thread would keep others from forking."""
    before = set(threading.enumerate())
    yield
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "watch"]


@pytest.fixture(scope="session")
def ultralytics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Import it once (seconds) with a settings folder of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLO_CONFIG_DIR", "")  # so that the variables that follow are put back at the end
        for name in ("YOLO_AUTOINSTALL", "YOLO_OFFLINE", "PYTORCH_NVML_BASED_CUDA_CHECK", "WANDB_MODE"):
            patch.setenv(name, "")
        isolation.before_import(str(tmp_path_factory.mktemp("config")), network=False)
        isolation.after_import()
        yield
