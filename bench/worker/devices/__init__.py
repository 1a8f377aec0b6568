"""One file a kind of device; :func:`open_device` is the only place that knows them all."""

from __future__ import annotations

from ..refusal import Refused
from .base import Device
from .cpu import Cpu
from .cuda import Cuda
from .mps import Mps

__all__ = ["Device", "open_device"]


def open_device(name: str) -> Device:
    """The device that a case names: ``cpu``, ``mps``, or the index of a CUDA device.

    Raises:
        Refused: for several devices joined by ``+``.
    """
    if "+" in name:
        reason = f"device {name}: several devices in one case cannot be measured yet; name one."
        raise Refused("unsupported", reason, axes=("device",))
    if name == "cpu":
        return Cpu()
    if name == "mps":
        return Mps()
    return Cuda(name)
