"""Nothing asks a device's kind by name: what a kind can do stands in its registry, and its own files."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bench.cases.device_kinds import kinds

BENCH = Path(__file__).resolve().parents[1] / "bench"
REGISTRY = ("cases/device_kinds.py", "worker/devices")

ALLOWED = {
    "claims/figures.py": (9, "claims of guides are about named devices"),
    "claims/guide_table.py": (18, "a guide's table is about named devices"),
    "claims/verdicts.py": (13, "claims of guides are about named devices"),
    "conftest.py": (1, "a key of pytest-benchmark's JSON: the processor's name"),
    "machine/doctor/backends.py": (12, "rows with what only one kind has to say: drivers, cards, Metal, the governor"),
    "machine/fingerprint.py": (1, "where a Mac's GPU is found without asking torch"),
    "machine/limits.py": (1, "a controller of Linux control groups"),
    "machine/description.py": (1, "a key of a machine's frozen identity"),
    "machine/system_info.py": (2, "a key of what is asked of the system, and a file of /proc/pressure"),
    "worker/monitors/procfs.py": (4, "lines and files of /proc and of control groups"),
    "worker/workloads/cpu_parity.py": (1, "the CPU is what every device is compared with"),
    "worker/workloads/huggingface/first_losses.py": (1, "the CPU is what every device is compared with"),
    "worker/workloads/huggingface/train.py": (1, "the Trainer's argument for the CPU is one of its own"),
    "worker/workloads/huggingface/workload.py": (1, "where the Trainer ignores fp16"),
    "worker/workloads/reference/loaders.py": (1, "guides pin memory for CUDA alone"),
    "worker/workloads/reference/loop.py": (1, "most CPUs have no float16"),
    "worker/workloads/reference/train.py": (1, "the CPU is what every device is compared with"),
    "worker/workloads/reference/workload.py": (1, "most CPUs have no float16"),
    "worker/workloads/ultralytics/expected_settings.py": (3, "where Ultralytics turns AMP off"),
    "worker/workloads/ultralytics/first_losses.py": (1, "the CPU is what every device is compared with"),
    "worker/workloads/ultralytics/formats/base.py": (1, "most runtimes run on a CPU alone"),
    "worker/workloads/ultralytics/formats/coreml.py": (1, "Ultralytics names no device of CoreML"),
    "worker/workloads/ultralytics/formats/engine.py": (2, "TensorRT runs on CUDA, and is a key of its version"),
    "worker/workloads/ultralytics/formats/litert.py": (1, "what LiteRT runs on, as Ultralytics has it"),
    "worker/workloads/ultralytics/formats/ncnn.py": (1, "what NCNN runs on, as its options say"),
    "worker/workloads/ultralytics/formats/onnx.py": (9, "what a provider of ONNX Runtime computes on"),
    "worker/workloads/ultralytics/formats/openvino.py": (1, "what OpenVINO's device is called in a case"),
    "worker/workloads/ultralytics/formats/torchscript.py": (4, "where torch runs, and Ultralytics exports in float16"),
    "worker/workloads/ultralytics/formats/weights.py": (1, "weights are made on the CPU, whatever the case has"),
    "worker/workloads/ultralytics/models.py": (1, "torch.load looks at a checkpoint in the machine's memory"),
}
"""Files with names of kinds in them: how many, and why each."""


def named(source: str) -> int:
    """How many constants of a file are the name of a kind."""
    names = {*kinds(), *(name.encode() for name in kinds())}
    constants = [node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant)]
    return sum(isinstance(value, (str, bytes)) and value in names for value in constants)


FOUND = {
    name: count
    for path in sorted(BENCH.rglob("*.py"))
    if not (name := path.relative_to(BENCH).as_posix()).startswith(REGISTRY) and (count := named(path.read_text()))
}


def test_names_are_found() -> None:
    assert named("x = kind == 'mps'\ny = {'cpu': b'cuda'}\nz = 'on cuda'") == 3


@pytest.mark.parametrize("name", sorted({*FOUND, *ALLOWED}))
def test_a_kind_is_asked_what_it_can_do(name: str) -> None:
    most, _ = ALLOWED.get(name, (0, ""))
    assert FOUND.get(name, 0) <= most, f"{name} names kinds of devices: ask a property of DeviceKind or Device"
    assert name in FOUND, f"{name} names none any more: take it off the list"
