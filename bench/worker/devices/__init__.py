"""One file a kind of device; :func:`open_device` is the only place that knows them all."""

from __future__ import annotations

from .base import Device
from .cpu import Cpu
from .cuda import Cuda
from .mps import Mps

__all__ = ["Device", "open_device"]


def open_device(name: str) -> Device:
    """The device that a case names: ``cpu``, ``mps``, or the index of a CUDA device."""
    if name == "cpu":
        return Cpu()
    if name == "mps":
        return Mps()
    return Cuda(name)
