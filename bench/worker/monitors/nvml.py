"""One NVIDIA GPU as its driver sees it, through ``pynvml`` where the interpreter has it.

Not run on hardware yet: tested against a fake of ``pynvml``.
"""

from __future__ import annotations

import os
from typing import Any

from ..devices.base import device_status

POWER_CAP = "power cap"
"""The one reason that is normal: many GPUs run at their power limit all the time."""

REASONS = {
    0x04: POWER_CAP,
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
"""Bits of ``nvmlClocksEventReasons``; the others (idle, clocks that the user has set, ...) are no throttling."""

POLICIES = {"NVML_PERF_POLICY_POWER": POWER_CAP, "NVML_PERF_POLICY_THERMAL": "thermal limit"}
"""Counters of the time for which clocks were held back: they tell of a whole window, the bits of its end alone."""

HELD_BACK = 0.01
"""Share of time from which a counter is worth a word; below it, the effect on a window is below 1 % too."""


NOT_SUPPORTED, FUNCTION_NOT_FOUND = 3, 13
"""Codes of NVML's errors that say that there is no such thing; others say that it does not answer."""


def open_card(properties: Any) -> Card | None:
    """The card that torch describes, or None where it cannot be had.

    It is looked up by what it is, never by its index: CUDA_VISIBLE_DEVICES numbers cards anew for torch alone.

    Args:
        properties: what ``torch.cuda.get_device_properties`` returns.
    """
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:  # not installed, no driver, or none that it can talk to
        return None
    uuid = getattr(properties, "uuid", None)
    attempts: list[tuple[str, str]] = []
    if uuid is not None:
        bare = str(uuid)  # without a prefix in torch
        named = [bare] if bare.startswith(("GPU-", "MIG-")) else [f"GPU-{bare}", f"MIG-{bare}"]
        attempts += [("nvmlDeviceGetHandleByUUID", name) for name in named]
    if hasattr(properties, "pci_bus_id"):
        place = f"{properties.pci_domain_id:08x}:{properties.pci_bus_id:02x}:{properties.pci_device_id:02x}.0"
        attempts.append(("nvmlDeviceGetHandleByPciBusId", place))
    for function, name in attempts:
        try:
            return Card(pynvml, getattr(pynvml, function)(name))
        except Exception:  # NVMLError_NotFound
            continue
    return None


class Card:
    """A handle of NVML. What the card does not tell (a MIG part, a GeForce) is None by itself."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._counters: dict[str, tuple[int, int]] = {}

    def sample(self) -> dict[str, Any]:
        """Clock, temperature and company at this moment; why clocks were held back, now or since the last sample."""
        nvml = self._nvml
        clock = self._ask("nvmlDeviceGetClockInfo", getattr(nvml, "NVML_CLOCK_SM", 1))
        temperature = self._ask("nvmlDeviceGetTemperature", getattr(nvml, "NVML_TEMPERATURE_GPU", 0))
        return device_status(clock=clock, temperature=temperature, throttle=self._throttle(), others=self._others())

    def energy(self) -> float | None:
        """Millijoules since the driver was loaded; None on cards before Volta.

        Raises:
            Exception: what NVML raises, where it is something else than that there is no such counter.
        """
        try:
            return float(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle))
        except AttributeError:
            return None
        except Exception as error:
            if getattr(error, "value", None) in (NOT_SUPPORTED, FUNCTION_NOT_FOUND):
                return None
            raise

    def _ask(self, function: str, *arguments: Any) -> Any:
        try:
            return getattr(self._nvml, function)(self._handle, *arguments)
        except Exception:  # NVMLError_NotSupported, or an older library without this function
            return None

    def _throttle(self) -> list[str] | None:
        bits = self._ask("nvmlDeviceGetCurrentClocksEventReasons")
        if bits is None:  # its name before driver 535
            bits = self._ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        found = None if bits is None else [reason for bit, reason in REASONS.items() if bits & bit]
        for policy, reason in POLICIES.items():
            held = self._held_back(policy)
            if held is not None:
                found = found or []
                if held > HELD_BACK and reason not in found:
                    found.append(reason)
        return found

    def _held_back(self, policy: str) -> float | None:
        """Share of the time since the last sample in which a policy held the clocks back."""
        status = self._ask("nvmlDeviceGetViolationStatus", getattr(self._nvml, policy, None))
        if status is None:
            return None
        now = int(status.referenceTime) * 1000, int(status.violationTime)  # microseconds and nanoseconds
        last, self._counters[policy] = self._counters.get(policy, now), now
        elapsed = now[0] - last[0]
        return (now[1] - last[1]) / elapsed if elapsed > 0 else 0.0

    def _others(self) -> int | None:
        running = self._ask("nvmlDeviceGetComputeRunningProcesses")
        if running is None:
            return None
        numbers = {process.pid for process in running}  # a process may stand there once for every part of a card
        if os.getpid() in numbers:
            return len(numbers) - 1
        # In a container the driver may number processes as the host does, or hide them. This process computes on the
        # card, so one of them is it; where none is listed, none can be counted.
        return max(len(numbers) - 1, 0)
