"""A card that falls off the bus in the middle of a case: real training on the CPU, and what torch says then."""

import contextlib

from bench.environments.interpreter import inspect
from bench.records.outcome import Status
from bench.records.store import Store
from bench.runner.estimate import Estimator
from bench.runner.launchers.local import open_launcher
from bench.runner.run import Run

from .conftest import tiny

BREAKS = """
import sys

class Late:  # once torch is there
    def find_spec(self, name, path=None, target=None):
        if name == "ultralytics.engine.trainer":
            import torch
            forward, seen = torch.nn.Conv2d.forward, []
            def breaks(self, images):
                seen.extend([1] if images.shape[-1] == 96 and self.training else [])
                if len(seen) > 5:
                    raise RuntimeError("CUDA error: unspecified launch failure\\nCUDA kernel errors might be ...")
                return forward(self, images)
            torch.nn.Conv2d.forward = breaks

sys.meta_path.insert(0, Late())
"""


def test_it_costs_its_own_case_alone(cache, tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(BREAKS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    plans = [tiny(imgsz=64), tiny(imgsz=96), tiny(imgsz=64, batch=32)]
    with contextlib.closing(open_launcher(inspect())) as launcher:
        run = Run(plans, Store(tmp_path / "results", "run"), launcher, Estimator())
        before, lost, after = [run.measure(planned) for planned in plans]
    assert (before.outcome.status, after.outcome.status) == (Status.MEASURED, Status.MEASURED)
    assert lost.outcome.status is Status.FAILED
    assert lost.outcome.reason == (
        "The card stopped: CUDA error: unspecified launch failure. "
        "A Xid in the system's log says whether it or a program failed."
    )
    assert lost.steps is None and lost.effective["imgsz"] == 96, "set up, and lost while it trained"
