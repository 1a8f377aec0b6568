"""An asynchronous accelerator that computes on the CPU, under the name of a kind that torch and Ultralytics know."""

from __future__ import annotations

import ctypes
import importlib
import os

KIND = os.environ.get("FAKE_ACCELERATOR", "")
"""``mps``, ``xpu``, ``cuda`` or ``npu``."""

LIBRARY = os.environ.get("FAKE_ACCELERATOR_LIBRARY", "")
"""What registration.cpp was built to; ``npu`` needs none."""

SLOW = float(os.environ.get("FAKE_ACCELERATOR_SLOW", "0"))
"""Seconds that each kernel takes longer on the device; the host does not wait for them."""

SYNCHRONOUS = os.environ.get("FAKE_ACCELERATOR_SYNCHRONOUS", "0") == "1"
"""Whether the host waits for each kernel."""

LYING_EVENTS = os.environ.get("FAKE_ACCELERATOR_EVENTS", "") == "host"
"""Whether events have the time at which the host recorded them, not at which the device passed them."""

MEMORY = 8 * 2**30
"""Bytes that the device says it has."""


def before_torch(folder: str) -> None:
    """Register the kind with the libraries of the torch in a folder: torch asks for it while it is imported."""
    if KIND == "npu":
        return
    for name in ("libc10.so", "libtorch_cpu.so"):
        ctypes.CDLL(os.path.join(folder, "lib", name), mode=ctypes.RTLD_GLOBAL)
    ctypes.CDLL(LIBRARY).register_kind(KIND.encode())


def after_torch() -> None:
    """Give torch the kind's tensors and Python functions."""
    if KIND == "npu":  # unknown to torch until it is named
        importlib.import_module("torch").utils.rename_privateuse1_backend("npu")
    importlib.import_module("fake_accelerator.kinds").install()
