"""State of the machine and the device during each window: interference, energy, and peak memory at the end."""

from __future__ import annotations

from typing import Any

from ..devices import Device
from ..devices.base import loaders_memory
from ..monitors.energy import Energy
from ..monitors.interference import severity, worth_retrying
from ..monitors.system import SystemMonitor, try_read

RETRIES = 2
"""Maximum number of times that a window with interference is measured again."""


class WindowMonitors:
    """Monitors of all windows of a case.

    Args:
        device: device of the case.
        energy: whether joules are counted.
        retry_noisy: whether a window with interference may be measured again.

    Attributes:
        readings: readings of the system monitor, one per window.
        memory: peaks, once the last window is over.
        memory_before: memory before the first step, where it was requested.
    """

    def __init__(self, device: Device, energy: bool, retry_noisy: bool) -> None:
        self.readings: list[dict[str, Any]] = []
        self.memory: dict[str, Any] = {}
        self.memory_before: dict[str, Any] = {}
        self._device = device
        self._retry_noisy = retry_noisy
        self._energy = Energy(device.energy) if energy else None
        self._system = SystemMonitor(device)
        self._threads: int | None = None

    @property
    def counts_energy(self) -> bool:
        """Whether joules are counted."""
        return self._energy is not None

    def prepare(self, single_thread: bool, alone: bool, groups: set[int], memory_before: bool) -> None:
        """Start the monitors, and begin to measure peak memory: set-up is over.

        Args:
            single_thread: whether one thread does all the work, loading data included.
            alone: False where another worker takes turns with this one.
            groups: process groups of the ranks on this machine.
            memory_before: whether to read memory before the first step.
        """
        self._threads = 1 if single_thread else None
        self._system.prepare(self._threads, alone, groups, watch=self._retry_noisy)
        if self._device.caches_memory:
            self._device.release()  # so that no peak contains memory that set-up left there, such as of a check of AMP
        self._device.reset_peaks()
        if memory_before:
            self.memory_before = try_read(self._device.memory) or {}

    def measure_idle(self) -> None:
        """Measure the power of the idle device, where joules are counted."""
        if self._energy is not None:
            self._device.synchronize()
            self._energy.idle()

    def open(self) -> None:
        """Open a window, before its settling steps."""
        self._system.open()

    def begin(self) -> None:
        """Begin to count joules, at the beginning of the first step of the window."""
        if self._energy is not None:
            self._energy.open()

    def close(self, peers: int) -> None:
        """End a window.

        Args:
            peers: number of workers that wait for their turn, and so do not interfere.
        """
        if self._energy is not None:
            self._energy.close()
        self.readings.append(self._system.close(peers))

    def abandon(self) -> None:
        """Close a window without a report."""
        self._system.close()

    @property
    def wants_retry(self) -> bool:
        """Whether interference of the last window is of a kind that a new one may avoid."""
        return self._retry_noisy and worth_retrying(self.readings[-1]["interference"])

    @property
    def may_retry(self) -> bool:
        """Whether a window may be measured once more."""
        return self._retry_noisy and len(self.readings) <= RETRIES

    def read_memory(self) -> None:
        """Read peak memory, after the last window."""
        self.memory = {**(try_read(self._device.memory) or {}), "loaders": loaders_memory()}

    def least_noisy(self) -> int:
        """Return the number of the window with the least interference, whatever its speed."""
        scores = [severity(reading, self._threads, self._device.on_host) for reading in self.readings]
        return scores.index(min(scores))

    def joules(self, window: int, images: int) -> dict[str, Any] | None:
        """Return the energy of a window over its images; None where joules are not counted."""
        return self._energy.report(window, images) if self._energy is not None else None
