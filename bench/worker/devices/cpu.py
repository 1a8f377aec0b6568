"""The CPU."""

from __future__ import annotations

from typing import Any

from ..monitors.energy import EnergyMeter, machine_meter
from .base import Device, data_peak, memory_value, private_peak, process_peak


class Cpu(Device):
    """The CPU: it runs synchronously, and its memory is the process's, which the runner limits from outside."""

    kind = "cpu"
    device_argument = "cpu"
    local_name = "cpu"

    def __init__(self, name: str = "cpu", rank: int = 0) -> None:
        """Describe the CPU; a case names several where ranks share it."""
        super().__init__(name, rank)

    @classmethod
    def probe_backend(cls) -> dict[str, Any]:
        """Return torch's facts about the CPU: ``capability``, ``mkldnn``."""
        return cls().info()

    def memory(self) -> dict[str, dict[str, Any]]:
        """Return the process's figures alone: torch keeps no statistics of its CPU allocator."""
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

    def info(self) -> dict[str, Any]:
        """Return the instruction set that torch's kernels use, and whether oneDNN is on."""
        import torch

        return {
            "capability": torch.backends.cpu.get_cpu_capability(),
            "mkldnn": bool(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled),
        }

    def energy(self) -> EnergyMeter:
        """Return RAPL, or Apple's estimate."""
        return machine_meter(("cpu_total", "dram"))
