"""Energy of a window in joules, from counters of the device or the machine, and idle power."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

IDLE_SECONDS = 2.0
"""Seconds for which the device idles before warm-up, with the model in its memory, to measure idle power."""

RAPL = Path("/sys/class/powercap")


class EnergyUnavailable(Exception):
    """Error for a missing energy counter; its text says why."""


class EnergyMeter(Protocol):
    """An energy counter.

    Attributes:
        method: what is counted, and with what.
        scope: ``card`` for a counter of one device, ``machine`` for one that all ranks share.
    """

    method: str
    scope: str

    def begin(self) -> None:
        """Begin to count."""

    def end(self) -> float:
        """Return the joules since :meth:`begin`."""


class Nvml:
    """The card's own counter since its driver was loaded (Volta and later), in steps of some tens of milliseconds."""

    method = "NVML, total energy of the card"
    scope = "card"

    def __init__(self, card: Any) -> None:
        """Open the counter of ``card``, a :class:`~.nvml.Card`, or None where NVML is unavailable."""
        if card is None:
            raise EnergyUnavailable("NVML does not answer here: install nvidia-ml-py in the measured environment")
        self._card = card
        self._before = self._read()

    def _read(self) -> float:
        try:
            millijoules = self._card.energy()
        except Exception as error:  # NVMLError_GpuIsLost
            raise EnergyUnavailable(
                f"the card's counter does not answer: {' '.join(str(error).split())[:120]}"
            ) from error
        if millijoules is None:
            raise EnergyUnavailable("this card has no counter of its energy; cards since Volta have one")
        return float(millijoules) / 1e3

    def begin(self) -> None:
        """Read the counter."""
        self._before = self._read()

    def end(self) -> float:
        """Read the counter again; return the difference in joules."""
        return self._read() - self._before


class Apple:
    """Apple's own estimate of the energy of a chip's parts, read through zeus-apple-silicon without sudo."""

    scope = "machine"
    WINDOW = "yolopace"

    def __init__(self, parts: tuple[str, ...]) -> None:
        """Count ``parts`` of the chip: ``cpu_total``, ``gpu``, ``dram``, ``ane``."""
        try:
            from zeus_apple_silicon import AppleEnergyMonitor
        except ImportError:
            reason = "the measured environment has no zeus-apple-silicon: pip install zeus-apple-silicon there"
            raise EnergyUnavailable(reason) from None
        self._parts = parts
        self.method = self._says(parts)
        try:
            self._monitor = AppleEnergyMonitor()
        except Exception as error:
            raise EnergyUnavailable(
                f"zeus-apple-silicon does not start: {' '.join(str(error).split())[:120]}"
            ) from error

    @staticmethod
    def _says(parts: Iterable[str]) -> str:
        return f"zeus-apple-silicon, Apple's model estimate of {', '.join(parts)}"

    def begin(self) -> None:
        """Open a window."""
        self._monitor.begin_window(self.WINDOW)

    def end(self) -> float:
        """Close the window; return the joules of the parts that this chip reports, which is at least one."""
        measurement = self._monitor.end_window(self.WINDOW)
        millijoules = {
            part: value for part in self._parts if (value := getattr(measurement, f"{part}_mj", None)) is not None
        }
        if not millijoules:
            raise EnergyUnavailable("this chip reports no energy of the parts that were requested")
        self.method = self._says(millijoules)
        return sum(map(float, millijoules.values())) / 1e3


class Rapl:
    """Intel's and AMD's energy counters of whole CPU packages, and of memory where it has its own counter."""

    scope = "machine"

    def __init__(self, root: Path = RAPL) -> None:
        zones = [zone for zone in sorted(root.glob("intel-rapl:*")) if self._counts(zone)]
        if not zones:
            raise EnergyUnavailable("this machine shows no RAPL counters, as most virtual machines")
        self._zones = zones
        self._before: list[int] = []
        self.begin()
        names = ", ".join((zone / "name").read_text(encoding="utf-8").strip() for zone in zones)
        self.method = f"RAPL, {names}: the whole machine's"

    @staticmethod
    def _counts(zone: Path) -> bool:
        """Whether a zone is a package or its memory; ``core`` and ``psys`` zones would count the same energy twice."""
        with contextlib.suppress(OSError):
            name = (zone / "name").read_text(encoding="utf-8").strip()
            return name.startswith("package") or name == "dram"
        return False

    def _read(self) -> list[int]:
        try:
            return [int((zone / "energy_uj").read_text(encoding="utf-8")) for zone in self._zones]
        except OSError as error:
            raise EnergyUnavailable(
                f"RAPL counters may not be read ({error.strerror}): allow it to this user"
            ) from error

    def begin(self) -> None:
        """Read all counters."""
        self._before = self._read()

    def end(self) -> float:
        """Read all counters again; return the difference in joules, also where a counter has wrapped around."""
        joules = 0.0
        for zone, before, after in zip(self._zones, self._before, self._read()):
            if after < before:
                after += int((zone / "max_energy_range_uj").read_text(encoding="utf-8"))
            joules += (after - before) / 1e6
        return joules


def machine_meter(parts: tuple[str, ...]) -> EnergyMeter:
    """Open the energy counter of the machine: Apple's on macOS, else RAPL."""
    return Apple(parts) if sys.platform == "darwin" else Rapl()


class Energy:
    """The energy of one case: idle power before warm-up, then joules of each window.

    An error never fails the case: the figure is then None, with the reason.
    """

    def __init__(self, open_meter: Callable[[], EnergyMeter]) -> None:
        self._windows: list[dict[str, Any]] = []
        self._opened = 0.0
        self._idle: float | None = None
        self._why = ""
        self._meter: EnergyMeter | None = None
        self._guarded(lambda: setattr(self, "_meter", open_meter()))

    def _guarded(self, what: Callable[[], Any]) -> Any:
        try:
            return what()
        except EnergyUnavailable as error:
            self._why = str(error)
        except Exception as error:
            self._why = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        self._meter = None
        return None

    def idle(self) -> None:
        """Measure idle power for :data:`IDLE_SECONDS`."""
        if self._meter is None:
            return
        meter = self._meter

        def watts() -> float:
            meter.begin()
            began = time.perf_counter()
            time.sleep(IDLE_SECONDS)
            return meter.end() / (time.perf_counter() - began)

        self._idle = self._guarded(watts)

    def open(self) -> None:
        """Open a window."""
        if self._meter is not None:
            self._guarded(self._meter.begin)
        self._opened = time.perf_counter()

    def close(self) -> None:
        """Close the window, and store its joules."""
        seconds = round(time.perf_counter() - self._opened, 6)
        meter = self._meter
        joules = self._guarded(meter.end) if meter is not None else None
        if meter is None or joules is None:
            self._windows.append({"joules": None, "seconds": seconds, "method": self._why, "scope": ""})
        else:
            counted = {"joules": round(joules, 3), "seconds": seconds, "method": meter.method, "scope": meter.scope}
            self._windows.append(counted)

    def report(self, window: int, images: int) -> dict[str, Any]:
        """Return the energy of a window by the field names of ``bench.records.record.Energy``.

        Args:
            window: number of the window.
            images: number of images in the window.
        """
        kept = self._windows[window]
        idle = None if kept["joules"] is None or self._idle is None else round(self._idle, 3)
        return {**kept, "images": images, "idle_watts": idle}
