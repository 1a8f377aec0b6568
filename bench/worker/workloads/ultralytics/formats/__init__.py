"""Exported formats of prediction: one file a runtime, behind the interface in ``base.py``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from .base import Runtime

NAMES = ("torchscript", "onnx", "openvino", "ncnn", "litert", "coreml", "engine")
"""Formats, each with a module of its name in this folder."""


def find(name: str) -> Runtime:
    """Return the runtime of a format."""
    runtime: Runtime = importlib.import_module(f".{name}", __package__).RUNTIME
    return runtime


def format_of(case: Mapping[str, Any]) -> str:
    """Return the format of a case by its axes; ``pt`` for a case that runs no export."""
    return str(dict(case.get("further", ())).get("format", "pt"))
