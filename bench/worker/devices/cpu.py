"""The CPU."""

from __future__ import annotations

import gc
from typing import Any

from ..monitors.energy import EnergyMeter, of_machine
from .base import data_peak, device_status, memory_value, private_peak, process_peak, reset_process_peak


def probe_backend() -> dict[str, Any]:
    """What torch says of the CPU, for :mod:`bench.machine.doctor`: ``capability``, ``mkldnn``."""
    return Cpu().facts()


class Cpu:
    """Runs synchronously; its memory is the process's."""

    kind = "cpu"
    asked = "cpu"
    own = "cpu"

    def __init__(self, name: str = "cpu") -> None:
        """Nothing is taken; ``name`` is that of the case, which has several where ranks share the CPU."""
        self.name = name

    def why_unusable(self) -> str:
        """The CPU is always there."""
        return ""

    def synchronize(self) -> None:
        """Nothing is ever enqueued."""

    def limit_memory(self, size: int) -> None:
        """Nothing: the runner holds a process to its limit from outside."""

    def reset_peaks(self) -> None:
        """Begin to measure the peak resident set anew."""
        reset_process_peak()

    def memory(self) -> dict[str, dict[str, Any]]:
        """The process's figures alone: torch keeps no statistics of its CPU allocator."""
        none = memory_value(None, "torch keeps no statistics of its CPU allocator")
        own = memory_value(None, "a CPU has no memory apart from the machine's")
        return {
            "allocated": none,
            "reserved": none,
            "process": process_peak(),
            "device": own,
            "private": private_peak(),
            "data": data_peak(),
        }

    def sample_memory(self) -> None:
        """Nothing: peaks are kept."""

    def facts(self) -> dict[str, Any]:
        """Instruction set that torch's kernels use, and whether oneDNN is on."""
        import torch

        return {
            "capability": torch.backends.cpu.get_cpu_capability(),
            "mkldnn": bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled),
        }

    def release(self) -> None:
        """Collect garbage; torch keeps no cache on the CPU."""
        gc.collect()

    def event(self) -> Any:
        """The clock tells as much here."""
        raise NotImplementedError

    def energy(self) -> EnergyMeter:
        """RAPL, or Apple's estimate."""
        return of_machine(("cpu_total", "dram"))

    def warming(self, begins: bool) -> None:
        """Nothing to look for."""

    def sample(self) -> dict[str, Any]:
        """Nothing: the machine's own meters tell of the CPU."""
        return device_status()
