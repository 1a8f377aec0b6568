"""What a worker tells ``doctor`` of its backends: real torch on the CPU, fakes of the devices that are not here."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bench.worker.devices import cuda, mps
from bench.worker.interpreter import doctor
from bench.worker.workloads.ultralytics import installation

GIB = 2**30


def played(monkeypatch: pytest.MonkeyPatch, **parts: Any) -> None:
    fake = ModuleType("torch")
    fake.__dict__.update({"__version__": "2.15.0", **parts})
    monkeypatch.setitem(sys.modules, "torch", fake)


def cards(count: int = 1, error: Exception | None = None, built: bool = True) -> dict[str, Any]:
    """``torch`` with so many cards, of which the driver says ``error``."""

    def properties(index: int) -> Any:
        if error:
            raise error
        return SimpleNamespace(name=f"Card {index}", major=9, minor=0, total_memory=80 * GIB)

    return {
        "version": SimpleNamespace(cuda="13.2" if built else None),
        "backends": SimpleNamespace(
            cuda=SimpleNamespace(is_built=lambda: built), cudnn=SimpleNamespace(allow_tf32=True)
        ),
        "distributed": SimpleNamespace(is_available=lambda: True, is_nccl_available=lambda: True),
        "cuda": SimpleNamespace(
            device_count=lambda: count,
            init=lambda: None,
            get_arch_list=lambda: ["sm_90"],
            get_device_properties=properties,
        ),
    }


def test_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, **cards(2))
    assert cuda.probe_backend() == {
        "built": "13.2",
        "error": "",
        "architectures": ["sm_90"],
        "cards": [{"name": f"Card {index}", "capability": [9, 0], "bytes": 80 * GIB} for index in range(2)],
        "nccl": True,
        "tf32": True,
    }


def test_without_cards_nothing_is_initialised(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = cards(0)
    parts["cuda"].init = None  # calling it would be an error
    played(monkeypatch, **parts)
    assert cuda.probe_backend()["cards"] == []


def test_a_driver_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, **cards(1, RuntimeError("CUDA error:\nGPU is lost")))
    assert (cuda.probe_backend()["error"], cuda.probe_backend()["cards"]) == ("CUDA error: GPU is lost", [])


def test_a_torch_without_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    played(monkeypatch, **cards(built=False))
    assert cuda.probe_backend()["built"] is None


def test_where_there_is_no_mps_no_operator_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = SimpleNamespace(is_built=lambda: True, is_available=lambda: False)
    played(monkeypatch, backends=SimpleNamespace(mps=backend))
    assert mps.probe_backend() == {"built": True, "available": False}


@pytest.mark.usefixtures("ultralytics")
def test_every_operator_that_is_tried_is_one_that_torch_has() -> None:
    import torch

    for name, probe in mps.operators().items():
        assert name
        probe(torch.linspace(0.0, 1.0, 192).reshape(1, 3, 8, 8))


@pytest.mark.usefixtures("ultralytics")
def test_operators_on_mps(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a Mac that is played by the CPU, with one operator that is missing and one that falls back."""
    import torch

    def missing(array: Any) -> None:
        raise NotImplementedError("The operator 'aten::x' is not currently implemented for the MPS device.\nMore")

    def falls_back(array: Any) -> None:
        warnings.warn("The operator 'aten::y' will fall back to run on the CPU.", UserWarning, stacklevel=1)

    linspace, asked = torch.linspace, []

    def on_mps(*arguments: Any, device: str) -> Any:
        asked.append(device)
        return linspace(*arguments)

    monkeypatch.setattr(torch, "linspace", on_mps)
    monkeypatch.setattr(torch.mps, "synchronize", lambda: None)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 24 * GIB)
    monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    there = mps.operators()
    monkeypatch.setattr(mps, "operators", lambda: {**there, "x": missing, "y": falls_back})
    backend = mps.probe_backend()
    assert backend["bytes"] == 24 * GIB and set(asked) == {"mps"}
    assert {name: backend["operators"].pop(name) for name in ("x", "y")} == {
        "x": "NotImplementedError: The operator 'aten::x' is not currently implemented for the MPS device. More",
        "y": "falls back",
    }
    assert set(backend["operators"].values()) == {"native"}
    monkeypatch.delitem(sys.modules, "torchvision")
    assert set(backend["operators"]) - set(mps.try_operators(importing=False)) == {mps.NMS}


def test_weights_of_the_folder_and_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("here/a.pt", "here/b.txt", "user/b.pt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(installation.isolation, "user_settings", lambda: {"weights_dir": str(tmp_path / "user")})
    assert installation.weights() == ["a.pt", "b.pt"]
    monkeypatch.setattr(installation.isolation, "user_settings", lambda: {"weights_dir": 3})
    assert installation.weights() == ["a.pt"]


def test_a_torch_that_cannot_be_imported_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise OSError('libcudart.so.13: cannot open\\nshared object')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    entry = Path(doctor.__file__).parents[1] / "entry.py"
    answer = subprocess.run([sys.executable, entry, "doctor"], capture_output=True, text=True, check=True)
    report = json.loads(answer.stdout)
    assert report["import_error"] == "libcudart.so.13: cannot open shared object"
    assert "cuda" not in report and report["environment"]["python"]
