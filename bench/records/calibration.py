"""Calibrations of machines, stored outside of the results so that they outlive them.

There is one JSON file per machine, ``<folder>/<fingerprint>.json``. The newest calibration of a device and a mode
replaces older ones, unless it is rough and an older one is complete. Calibrating makes a lost file again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from bench.cases import Case
from bench.records import migrations
from bench.records.record import CalibrationSummary, Record

SCHEMA = migrations.NEWEST[migrations.CALIBRATION]

ENOUGH = 6
"""Minimum number of processes for a reliable noise estimate; at this number its interval is 0.6 to 2.5 times."""


ENOUGH_PAIRS = 5
"""Minimum number of interleaved pairs for an estimate of their spread."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """How far fresh processes of one case differ. All differences are of the logarithm of the mean step.

    Attributes:
        device, mode: what it is about.
        case, run: where it was seen.
        calibrated: when, as in a record's ``started``.
        torch, ultralytics: versions that ran.
        stdev: standard deviation between processes.
        processes: how many there were, less those left out.
        interfered: how many were left out because of interference.
        pair_stdev: standard deviation of the ratio within a pair of neighbours.
        pairs: pairs of neighbours, each process in one.
        median_difference, greatest_difference: within those pairs, without sign.
        difference, difference_half: mean over the pairs with random sign, and half its interval's width: it should
            hold 0, since both are the same thing.
        drift, drift_half: change over the whole run by a straight line, positive where it became slower.
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
        """What a record is stamped with."""
        return CalibrationSummary(
            stdev=self.stdev,
            processes=self.processes,
            calibrated=self.calibrated[:10],
            case=self.case,
            torch=self.torch,
            ultralytics=self.ultralytics,
        )

    def replaces(self, older: Calibration) -> bool:
        """Whether it takes the place of an older one: not if it is rough, and that is fuller and of its versions."""
        same = (self.torch, self.ultralytics) == (older.torch, older.ultralytics)
        return not same or self.processes >= min(ENOUGH, older.processes)


class Lockstep(msgspec.Struct, frozen=True, kw_only=True):
    """How far pairs of processes of one case differ that take turns, by the logarithms that comparisons are judged by.

    Attributes:
        device, mode, case, run, calibrated, torch, ultralytics: as of a :class:`Calibration`.
        stdev: standard deviation of the ratio within a pair.
        pairs: how many there were, less those with interference.
        order_effect, order_effect_half_width: how much slower the process was that was started second, and half the
            width of its interval.
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
    """The file of one machine.

    Attributes:
        machine: its fingerprint.
        calibrations: one a device and mode.
        lockstep: likewise.
    """

    schema: int = SCHEMA
    machine: str
    calibrations: list[Calibration]
    lockstep: list[Lockstep] = []

    @property
    def file_name(self) -> str:
        """Name of its file."""
        return file_name(self.machine)

    def merged(self, found: Iterable[Calibration], lockstep: Iterable[Lockstep] = ()) -> Calibrations:
        """Take in calibrations, in place of older ones of the same devices and modes (:meth:`Calibration.replaces`).

        Of pairs that take turns the newest count too, unless they are few (:data:`ENOUGH_PAIRS`) and were not.
        """
        known = {(one.device, one.mode): one for one in self.calibrations}
        turns = {(one.device, one.mode): one for one in self.lockstep}
        for pairs in lockstep:
            older = turns.get((pairs.device, pairs.mode))
            if older is None or pairs.pairs >= min(ENOUGH_PAIRS, older.pairs):
                turns[pairs.device, pairs.mode] = pairs
        for one in found:
            key = one.device, one.mode
            if key not in known or one.replaces(known[key]):
                known[key] = one
        return Calibrations(
            machine=self.machine,
            calibrations=[known[key] for key in sorted(known)],
            lockstep=[turns[key] for key in sorted(turns)],
        )


def file_name(machine: str) -> str:
    """Name of the file of a machine, by its fingerprint."""
    return f"{machine}.json"


def summary_of(case: Case, known: Iterable[Calibration]) -> CalibrationSummary | None:
    """The noise of a case's device and mode, if they were calibrated."""
    return next((one.summary for one in known if (one.device, one.mode) == (case.device, case.mode)), None)


def stamped(records: Sequence[Record], known: Sequence[Calibration], machine: str) -> list[Record]:
    """Records with the noise of a machine in those of its own that have none; others stay as they are."""
    return [
        msgspec.structs.replace(record, calibration=summary_of(record.case, known))
        if record.calibration is None and record.machine.fingerprint == machine
        else record
        for record in records
    ]
