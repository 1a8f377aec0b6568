from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from bench.worker.interpreter.info import facts, release, version_of, why_lacking, why_unusable
from bench.worker.workloads.base import Workload, register, unregister

ROOT = Path(__file__).resolve().parents[3]
ENTRY = ROOT / "bench" / "worker" / "entry.py"


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("2.15.0", (2, 15, 0)),
        ("2.15.0+cu132", (2, 15, 0)),
        ("2.16.0.dev20261101+cpu", (2, 16, 0)),
        ("2.6.0a0+git1234", (2, 6)),
        ("2.16.dev3.5", (2, 16)),
        ("8.3", (8, 3)),
        ("8.3.230.post1", (8, 3, 230)),
        ("", ()),
        ("main", ()),
    ],
)
def test_release(version: str, numbers: tuple[int, ...]) -> None:
    assert release(version) == numbers


@pytest.mark.parametrize(
    "versions",
    [
        {"ultralytics": "8.3.230", "torch": "2.6"},
        {"ultralytics": "8.4.100", "torch": "2.14.1+cu132"},
        {"ultralytics": "9.0", "torch": "10.0"},
    ],
)
def test_usable(versions: dict[str, str | None]) -> None:
    assert why_unusable(versions) == ""


@pytest.mark.parametrize(
    ("versions", "reason"),
    [
        (
            {"ultralytics": "8.3.229", "torch": "2.14.1"},
            "ultralytics 8.3.229 is older than 8.3.230, the oldest that can be measured: upgrade it.",
        ),
        (
            {"ultralytics": "8.3.99", "torch": "2.14.1"},
            "ultralytics 8.3.99 is older than 8.3.230, the oldest that can be measured: upgrade it.",
        ),
        (
            {"ultralytics": "8.4.100", "torch": "2.5.1+cu124"},
            "torch 2.5.1+cu124 is older than 2.6, the oldest that can be measured: upgrade it.",
        ),
        (
            {"torch": "2.14.1"},
            f"ultralytics is not installed for {sys.executable}: install ultralytics>=8.3.230 there.",
        ),
        (
            {"ultralytics": "8.4.100", "torch": None},
            f"torch is not installed for {sys.executable}: install torch>=2.6 there.",
        ),
        (
            {"ultralytics": "main", "torch": "2.14.1"},
            "ultralytics states 'main' as its version, which is no number: ultralytics>=8.3.230 can be measured.",
        ),
    ],
)
def test_missing_or_too_old(versions: dict[str, str | None], reason: str) -> None:
    lacking = why_lacking({"torchvision": "0.29", **versions})
    assert (why_unusable(versions) or lacking["ultralytics"]) == reason


def test_a_python_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.worker.interpreter.info.PYTHON_FLOOR", (99, 0))
    reason = why_unusable({"ultralytics": "8.4.100", "torch": "2.14.1"})
    assert reason.startswith("Python ") and reason.endswith(
        "is older than 99.0, the oldest that can be measured: use another."
    )


def test_a_distribution_that_is_not_there() -> None:
    assert version_of("no-such-distribution-anywhere") is None
    assert version_of("pytest") == pytest.__version__


def test_a_workload_that_lacks_its_library_leaves_the_others_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    class Plain(Workload):
        name = "plain"

    register(Plain())
    monkeypatch.setattr(sys, "executable", "python")
    try:
        assert why_unusable({"torch": "2.14.1"}) == ""
        lacking = why_lacking({"torch": "2.14.1"})
        torchvision = "torchvision is not installed for python: install torchvision>=0.21 there."
        assert "plain" not in lacking
        assert lacking["ultralytics"] == (
            "ultralytics is not installed for python: install ultralytics>=8.3.230 there."
        )
        assert {lacking[f"torch:{model}"] for model in ("resnet18", "vit_b_16", "vit-tiny-4")} == {torchvision}
    finally:
        unregister("plain")


def test_facts_of_this_interpreter() -> None:
    interpreter_facts = facts()
    assert interpreter_facts["python"] == platform.python_version()
    assert interpreter_facts["executable"] == sys.executable
    assert {"yolov8", "yolo11"} <= set(interpreter_facts["offers"]["ultralytics"]["models"])
    assert {"coco8", "coco"} <= set(interpreter_facts["offers"]["ultralytics"]["datasets"])
    assert interpreter_facts["packages"]["torch"] == version_of("torch")


def test_facts_import_neither_torch_nor_ultralytics() -> None:
    code = (
        "import json, sys\n"
        "from bench.worker.interpreter.info import facts\n"
        "facts()\n"
        "print(json.dumps(sorted({'torch', 'ultralytics', 'numpy', 'cv2'} & set(sys.modules))))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def test_the_entry_prints_the_facts_wherever_it_is_started(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ENTRY), "facts"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == facts()
