"""NVIDIA cards and their driver, read through NVML."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import msgspec

from bench.machine.try_read import try_read


class Card(msgspec.Struct, frozen=True):
    """One NVIDIA card as its driver sees it; None for unknown facts.

    Attributes:
        name: by its maker.
        total, used: bytes of memory.
        processes: number of processes that compute on it now.
        held_back: bits of ``nvmlClocksEventReasons`` at this moment.
        energy: whether it counts the energy that it used (Volta and later).
    """

    name: str
    total: int | None = None
    used: int | None = None
    processes: int | None = None
    held_back: int | None = None
    energy: bool = False


class Nvidia(msgspec.Struct, frozen=True):
    """The NVIDIA driver.

    Attributes:
        driver: its version; empty without a driver.
        cuda: the newest CUDA that it serves, such as ``(12, 4)``.
        cards: in its order.
        trouble: its error where it, or a card, does not answer.
    """

    driver: str = ""
    cuda: tuple[int, int] | None = None
    cards: tuple[Card, ...] = ()
    trouble: str = ""


@contextlib.contextmanager
def _nvml() -> Iterator[Any]:
    """Open NVML; raises its error, or :class:`ImportError`, where there is no driver."""
    import pynvml

    pynvml.nvmlInit()
    try:
        yield pynvml
    finally:
        try_read(pynvml.nvmlShutdown)


@functools.cache
def nvidia_gpus() -> tuple[tuple[str, int], ...]:
    """Return name and bytes of memory of every NVIDIA GPU of the driver, in its order; () without a driver."""
    try:
        with _nvml() as nvml:
            handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
            return tuple(
                (str(nvml.nvmlDeviceGetName(handle)), int(nvml.nvmlDeviceGetMemoryInfo(handle).total))
                for handle in handles
            )
    except Exception:  # no driver, one that the library does not fit to, or a card that is lost
        return ()


LOST = Card("")
"""Keeps the place of a card that does not answer: cards are numbered."""


def nvidia() -> Nvidia:
    """Return the driver and its cards."""
    started = False
    try:
        with _nvml() as nvml:
            started = True
            return _read_driver(nvml)
    except Exception as error:
        absent = type(error).__name__ in ("NVMLError_LibraryNotFound", "ImportError", "ModuleNotFoundError")
        return Nvidia(trouble="" if absent and not started else one_line(error))


def _read_driver(nvml: Any) -> Nvidia:
    version = int(nvml.nvmlSystemGetCudaDriverVersion())  # 12040 is 12.4
    cards, lost = [], []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            cards.append(_card(nvml, index))
        except Exception as error:  # it fell off the bus; the others may work
            cards.append(LOST)
            lost.append(f"card {index}: {one_line(error)}")
    return Nvidia(
        driver=str(nvml.nvmlSystemGetDriverVersion()),
        cuda=(version // 1000, version % 1000 // 10),
        cards=tuple(cards),
        trouble="; ".join(lost),
    )


def one_line(error: Exception) -> str:
    """Return the text of an error in one line, or its type."""
    return " ".join(str(error).split()) or type(error).__name__


def _card(nvml: Any, index: int) -> Card:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)

    def ask(function: str) -> Any:  # None for what is not of this card, or not of this library
        return try_read(lambda: getattr(nvml, function)(handle))

    memory, running = ask("nvmlDeviceGetMemoryInfo"), ask("nvmlDeviceGetComputeRunningProcesses")
    reasons = ask("nvmlDeviceGetCurrentClocksEventReasons")
    if reasons is None:  # its name before driver 535
        reasons = ask("nvmlDeviceGetCurrentClocksThrottleReasons")
    return Card(
        name=str(ask("nvmlDeviceGetName") or "NVIDIA card"),
        total=int(memory.total) if memory else None,
        used=int(memory.used) if memory else None,
        processes=None if running is None else len({process.pid for process in running}),
        held_back=None if reasons is None else int(reasons),
        energy=ask("nvmlDeviceGetTotalEnergyConsumption") is not None,
    )
