"""The real thing at tiny sizes: real Ultralytics, real workers, this interpreter's environment."""

import contextlib
import os
from pathlib import Path

import pytest

from bench.cases import Case
from bench.cases.plan import PlannedRun
from bench.cases.recipe import Recipe, overrides_for
from bench.environments.interpreter import inspect
from bench.records.store import Store
from bench.runner.estimate import Estimator
from bench.runner.launchers.local import ForkServerLauncher, SpawnLauncher
from bench.runner.run import Run


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    folder = Path(os.environ.get("YOLOPACE_CACHE") or tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("YOLOPACE_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def forking(cache):
    with contextlib.closing(ForkServerLauncher(inspect())) as launcher:
        yield launcher


@pytest.fixture(scope="session")
def spawning(cache):
    return SpawnLauncher(inspect())


def tiny(mode="train", data="coco-like", threads=0, **axes):
    """A case that takes about a second: 64 px, batch 16, so that the optimizer runs every fourth step."""
    values = {"mode": mode, "model": "yolov8n", "device": "cpu", "amp": "off", "batch": 16, "imgsz": 64, **axes}
    recipe = Recipe(
        warmup_seconds=0.0,
        window_steps=3,
        window_seconds=0.0,
        overrides=overrides_for(mode),
        data=data,
        data_steps=8 if mode == "train" else 1,
        threads=threads,
    )
    return PlannedRun(Case(**values), recipe)


def run_one(launcher, folder, planned, **options):
    run = Run([planned], Store(folder, "run"), launcher, Estimator(), **options)
    return run.measure(planned)
