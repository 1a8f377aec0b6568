"""Workers that are played: plans for them, and an interpreter that starts them."""

import stat
import sys
from pathlib import Path

from bench.cases import Case
from bench.cases.plan import PlannedRun
from bench.cases.recipe import Recipe
from bench.environments.interpreter import Interpreter
from bench.records.record import Environment
from bench.runner.launchers.local import SpawnLauncher

FAKE = Path(__file__).parent / "runner" / "fake_python.py"
RECIPE = Recipe(warmup_seconds=0.0, window_steps=1, window_seconds=0.0, overrides={})


def plan(model="yolov8n", **axes):
    values = {"mode": "train", "model": model, "device": "cpu", "amp": "off", "batch": 4, "imgsz": 64, **axes}
    return PlannedRun(Case(**values), RECIPE)


def fake_launcher(folder: Path) -> SpawnLauncher:
    """A launcher that starts fake workers, by the same code that starts real ones where there is no fork."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S {FAKE} "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    environment = Environment(python="3.11.0", packages={"torch": "2.9", "ultralytics": "8.4"}, yolopace="0")
    return SpawnLauncher(Interpreter(path=str(python), environment=environment))
