"""State of one NVIDIA GPU, read through ``pynvml`` where it is installed.

Not run on hardware yet: tested against a fake of ``pynvml``.
"""

from __future__ import annotations

import os
from typing import Any

from ..devices.base import device_status

POWER_CAP = "power cap"
"""The only throttling that is normal: many GPUs run at their power limit all the time."""

REASONS = {
    0x04: POWER_CAP,
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
"""Bits of ``nvmlClocksEventReasons`` that mean throttling; others (idle, clocks set by the user, ...) do not."""

POLICIES = {"NVML_PERF_POLICY_POWER": POWER_CAP, "NVML_PERF_POLICY_THERMAL": "thermal limit"}
"""Counters of throttled time. They cover a whole window; the bits above cover only its end."""

HELD_BACK = 0.01
"""Share of throttled time from which it is reported; below, its effect on a window is below 1 % too."""


NOT_SUPPORTED, FUNCTION_NOT_FOUND = 3, 13
"""NVML error codes of a feature that the card lacks; other codes mean that NVML does not answer."""


def open_card(properties: Any) -> Card | None:
    """Open the card that torch describes; None where NVML or the card is unavailable.

    The card is found by UUID or PCI address, never by index, because CUDA_VISIBLE_DEVICES renumbers cards for torch
    only.

    Args:
        properties: result of ``torch.cuda.get_device_properties``.
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
    """An NVML handle. A value that the card does not report (a MIG part, a GeForce) reads as None."""

    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle
        self._counters: dict[str, tuple[int, int]] = {}
        self._sampled = 0

    def read_status(self) -> dict[str, Any]:
        """Read the clock, the temperature, other processes on the card; throttling and utilization since last time."""
        nvml = self._nvml
        clock = self._ask("nvmlDeviceGetClockInfo", getattr(nvml, "NVML_CLOCK_SM", 1))
        temperature = self._ask("nvmlDeviceGetTemperature", getattr(nvml, "NVML_TEMPERATURE_GPU", 0))
        return device_status(clock, temperature, self._throttle(), self._others(), self._utilization())

    def energy(self) -> float | None:
        """Return millijoules since the driver was loaded; None on cards before Volta.

        Raises:
            Exception: any NVML error other than a missing counter.
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
        reasons = None if bits is None else [reason for bit, reason in REASONS.items() if bits & bit]
        for policy, reason in POLICIES.items():
            held = self._held_back(policy)
            if held is not None:
                reasons = reasons or []
                if held > HELD_BACK and reason not in reasons:
                    reasons.append(reason)
        return reasons

    def _held_back(self, policy: str) -> float | None:
        """Return the share of time since the last sample in which a policy throttled the clocks."""
        status = self._ask("nvmlDeviceGetViolationStatus", getattr(self._nvml, policy, None))
        if status is None:
            return None
        now = int(status.referenceTime) * 1000, int(status.violationTime)  # microseconds and nanoseconds
        last, self._counters[policy] = self._counters.get(policy, now), now
        elapsed = now[0] - last[0]
        return (now[1] - last[1]) / elapsed if elapsed > 0 else 0.0

    def _utilization(self) -> float | None:
        """Return the mean of the driver's own samples since the last reading: some per second, in a short buffer."""
        answer = self._ask(
            "nvmlDeviceGetSamples", getattr(self._nvml, "NVML_GPU_UTILIZATION_SAMPLES", 1), self._sampled
        )
        fresh = [sample for sample in answer[1] if sample.timeStamp > self._sampled] if answer else []
        if not fresh:
            return None
        self._sampled = max(int(sample.timeStamp) for sample in fresh)
        return round(sum(int(sample.sampleValue.uiVal) for sample in fresh) / len(fresh) / 100, 4)

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
