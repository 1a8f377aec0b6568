"""One file per kind of device, found by the kind's name; another kind is added by :func:`register`."""

from __future__ import annotations

import importlib
from typing import Any

from ..rejection import CaseRejected
from .base import MACHINES, Device, devices_of_node
from .cuda import Cuda

__all__ = ["Device", "case_name", "device_class", "kinds", "on_one_machine", "open_device", "ranks", "register"]

_registry: dict[str, type[Device]] = {}


def register(name: str, factory: type[Device]) -> None:
    """Add a kind; the runner learns of it by ``bench.cases.device_kinds.register``.

    Args:
        name: name of the kind in torch.
        factory: class of the kind, which takes the case's device and the rank.
    """
    _registry[name] = factory


for _name in ("cpu", "mps", "cuda", "xpu", "npu"):  # the class Xpu of xpu.py, and so on
    register(_name, getattr(importlib.import_module(f".{_name}", __package__), _name.capitalize()))


def kinds() -> dict[str, type[Device]]:
    """Return the classes of all kinds by name."""
    return dict(_registry)


# A worker imports nothing of the rest of bench, so ``bench/cases/device_kinds.py`` has these two functions too; a test
# compares both.
def on_one_machine(name: str) -> list[str]:
    """Return the devices of a case on one machine: ``["0", "1"]`` of ``0+1`` and of ``2x0+1``."""
    return devices_of_node(name)


def ranks(name: str) -> int:
    """Return the number of processes that train together: 2 of ``0+1``, and 4 of ``2x0+1``."""
    several = MACHINES.match(name)
    return int(several[0][:-1] if several else 1) * len(devices_of_node(name))


def device_class(part: str) -> type[Device]:
    """Return the class of one device as cases name it.

    Raises:
        CaseRejected: for a kind that is not registered.
    """
    word = Cuda.kind if part.isdigit() else part.partition(":")[0]
    if word not in _registry:
        reason = f"device {part}: this worker knows no kind of device {word!r}: it has {', '.join(_registry)}."
        raise CaseRejected("unsupported", reason, scope=("device",))
    return _registry[word]


def open_device(name: str, rank: int | None = None, together: bool = False) -> Device:
    """Return the device that a case names; nothing is taken yet.

    Args:
        name: one device, or several joined by ``+``, with ``2x`` before them for two such machines.
        rank: rank of this process, which selects one of several devices; None for a single process.
        together: whether a single process takes all devices of one machine.

    Raises:
        CaseRejected: for several devices in a single process, and for a kind that is not registered.
    """
    own = devices_of_node(name)
    if rank is None and (len(own) > 1 or own != [name]) and not together:
        raise CaseRejected("unsupported", f"device {name}: {why_single(device_class(own[0]).kind)}.", scope=("device",))
    device = device_class(own[0])(name, rank or 0)
    device.taken = len(own) if together else 1
    return device


def why_single(kind: str) -> str:
    """Return why a process takes one device of a kind, by torch's own tables of backends."""
    import torch

    try:
        from torch.distributed.distributed_c10d import Backend

        backend = Backend.default_device_backend_map.get(kind)
        takes = Backend.backend_capability.get(backend or "", [])
    except (ImportError, AttributeError):  # a torch without torch.distributed, or with other tables
        return "one process has but one device"
    if kind in takes:
        return "one process has but one device"
    its = f"its backend for {kind} is {backend}, which takes tensors of {' and '.join(takes)} alone"
    return f"torch {torch.__version__} trains on one {kind}: {its if backend else f'it has no backend for {kind}'}"


def case_name(device: Any) -> str:
    """Return the name of a ``torch.device`` in cases; for an unregistered kind, its type."""
    known = _registry.get(str(device.type))
    return known.called(device.index or 0) if known else str(device.type)
