"""One file a kind of device; :func:`open_device` is the only place that knows them all."""

from __future__ import annotations

from ..rejection import CaseRejected
from .base import Device
from .cpu import Cpu
from .cuda import Cuda
from .mps import Mps

__all__ = ["Device", "on_one_machine", "open_device", "ranks"]


# A worker imports nothing of this project, so these two stand in ``bench/cases/axes.py`` too; a test holds them alike.
def on_one_machine(name: str) -> list[str]:
    """The devices of a case on one machine: ``["0", "1"]`` of ``0+1`` and of ``2x0+1``."""
    return name.rpartition("x")[2].split("+")


def ranks(name: str) -> int:
    """How many processes train together: 2 of ``0+1``, and 4 of ``2x0+1``."""
    return int(name.rpartition("x")[0] or 1) * len(on_one_machine(name))


def open_device(name: str, rank: int | None = None) -> Device:
    """The device that a case names: ``cpu``, ``mps``, or the index of a CUDA device.

    Args:
        name: of one device, or of several joined by ``+``, with ``2x`` before them where there are two such machines.
        rank: which of several is this process's; None for one that is alone.

    Raises:
        Refused: for several in a process that is alone.
    """
    own = on_one_machine(name)
    if rank is None and (len(own) > 1 or own != [name]):
        raise CaseRejected("unsupported", f"device {name}: one process has but one device.", axes=("device",))
    if own[0] == "mps":  # always alone: the runner starts no ranks there
        return Mps()
    if own[0] == "cpu":
        return Cpu(name)
    return Cuda(name, rank or 0)
