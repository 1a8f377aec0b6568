"""Calibrations of machines, stored outside of the results so that they outlive them.

There is one JSON file per machine, ``<folder>/<ID>.json``; older versions and machines without an ID have their
fingerprint there. The newest calibration of a device and a mode
replaces older ones, unless it is rough and an older one is complete. Calibrating again replaces a lost file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from bench.cases import Case
from bench.machine.description import Machine
from bench.records import migrations
from bench.records.record import CalibrationSummary, Record

SCHEMA = migrations.NEWEST[migrations.CALIBRATION]

ENOUGH = 6
"""Minimum number of processes for a reliable noise estimate: its interval is then 0.6 to 2.5 times the estimate."""


ENOUGH_PAIRS = 5
"""Minimum number of interleaved pairs for an estimate of their spread."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Noise between fresh processes of one case. All differences are of the logarithm of the mean step.

    Attributes:
        device, mode: device and mode that were calibrated.
        case, run: measured case, and its run.
        calibrated: time of the calibration, in the format of a record's ``started``.
        torch, ultralytics: measured versions.
        stdev: standard deviation between processes.
        processes: number of processes that count.
        interfered: number of processes left out because of interference.
        pair_stdev: standard deviation of the ratio within a pair of successive processes.
        pairs: number of pairs of successive processes; each process is in one pair.
        median_difference, greatest_difference: absolute differences within these pairs.
        difference, difference_half: mean over the pairs with random sign, and half the width of its interval, which
            should hold 0, because both sides are the same.
        drift, drift_half: change over the whole run by a straight line, positive if the run became slower, and half
            the width of its interval.
    """

    device: str
    mode: str
    case: str
    run: str
    calibrated: str
    torch: str
    ultralytics: str
    stdev: float
    processes: int
    interfered: int
    pair_stdev: float
    pairs: int
    median_difference: float
    greatest_difference: float
    difference: float
    difference_half: float | None
    drift: float
    drift_half: float | None

    @property
    def summary(self) -> CalibrationSummary:
        """Summary of the calibration for a record."""
        return CalibrationSummary(
            stdev=self.stdev,
            processes=self.processes,
            calibrated=self.calibrated[:10],
            case=self.case,
            torch=self.torch,
            ultralytics=self.ultralytics,
        )

    def replaces(self, older: Calibration) -> bool:
        """Whether to replace an older calibration: always of other versions, else unless this one is rougher."""
        same = (self.torch, self.ultralytics) == (older.torch, older.ultralytics)
        return not same or self.processes >= min(ENOUGH, older.processes)


class Lockstep(msgspec.Struct, frozen=True, kw_only=True):
    """Noise of interleaved pairs of one case, in the logarithms that comparisons are judged by.

    Attributes:
        device, mode, case, run, calibrated, torch, ultralytics: as in :class:`Calibration`.
        stdev: standard deviation of the ratio within a pair.
        pairs: number of pairs without interference.
        order_effect, order_effect_half_width: effect of being started second, and half the width of its interval.
    """

    device: str
    mode: str
    case: str
    run: str
    calibrated: str
    torch: str
    ultralytics: str
    stdev: float
    pairs: int
    order_effect: float
    order_effect_half_width: float


class Calibrations(msgspec.Struct, frozen=True, kw_only=True):
    """All calibrations of one machine; the content of its file.

    Attributes:
        machine: ID of the machine, or its fingerprint.
        calibrations: one per device and mode.
        lockstep: noise of interleaved pairs, one per device and mode.
    """

    schema: int = SCHEMA
    machine: str
    calibrations: list[Calibration]
    lockstep: list[Lockstep] = []

    @property
    def file_name(self) -> str:
        """Name of its file."""
        return file_name(self.machine)

    def merge(self, calibrations: Iterable[Calibration], lockstep: Iterable[Lockstep] = ()) -> Calibrations:
        """Add calibrations, in place of older ones of the same devices and modes (:meth:`Calibration.replaces`).

        New noise of interleaved pairs replaces the old one, unless only the old one has :data:`ENOUGH_PAIRS` pairs.
        """
        known = {(calibration.device, calibration.mode): calibration for calibration in self.calibrations}
        turns = {(pairs.device, pairs.mode): pairs for pairs in self.lockstep}
        for pairs in lockstep:
            older = turns.get((pairs.device, pairs.mode))
            if older is None or pairs.pairs >= min(ENOUGH_PAIRS, older.pairs):
                turns[pairs.device, pairs.mode] = pairs
        for calibration in calibrations:
            key = calibration.device, calibration.mode
            if key not in known or calibration.replaces(known[key]):
                known[key] = calibration
        return Calibrations(
            machine=self.machine,
            calibrations=[known[key] for key in sorted(known)],
            lockstep=[turns[key] for key in sorted(turns)],
        )


def file_name(machine: str) -> str:
    """Name of the file of a machine, by its ID or its fingerprint."""
    return f"{machine}.json"


def summary_of(case: Case, known: Iterable[Calibration]) -> CalibrationSummary | None:
    """Return the noise of a case's device and mode, or None if they were not calibrated."""
    key = case.device, case.mode
    return next((calibration.summary for calibration in known if (calibration.device, calibration.mode) == key), None)


def stamped(records: Sequence[Record], known: Sequence[Calibration], machine: Machine) -> list[Record]:
    """Return records with the calibration of their machine added to those that lack one."""
    return [
        msgspec.structs.replace(record, calibration=summary_of(record.case, known))
        if record.calibration is None and record.machine.is_same(machine)
        else record
        for record in records
    ]
