"""What calibrations of this machine found, kept beside the results so that it outlives them.

One JSON file a machine, ``<folder>/<fingerprint>.json``; the newest calibration of a device and a mode replaces older
ones, unless it is rough and they are fuller. The runner says which folder it is. The file can be made again by
calibrating: one that cannot be read counts as none, which :func:`complaint` says, and the next calibration keeps it
under another name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from bench.cases import Case
from bench.errors import WrongUse
from bench.records import migrations
from bench.records.migrations import Unreadable, migrate
from bench.records.record import Noise, Record
from bench.records.store import encoded, write_whole

SCHEMA = migrations.NEWEST[migrations.CALIBRATION]

ENOUGH = 6
"""Processes of a case below which the noise is known but roughly: its own interval is from 0.6 to 2.5 times."""


ENOUGH_PAIRS = 5
"""Pairs that take turns below which nothing is made of how far they differ."""


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """How far fresh processes of one case differ. All differences are of the logarithm of the mean step.

    Attributes:
        device, mode: what it is about.
        case, run: where it was seen.
        calibrated: when, as in a record's ``started``.
        torch, ultralytics: versions that ran.
        sd: standard deviation between processes.
        processes: how many there were, less the disturbed ones.
        disturbed: how many were left out because something disturbed them.
        pair_sd: standard deviation of the ratio within a pair of neighbours.
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
    sd: float
    processes: int
    disturbed: int
    pair_sd: float
    pairs: int
    median_difference: float
    greatest_difference: float
    difference: float
    difference_half: float | None
    drift: float
    drift_half: float | None

    @property
    def noise(self) -> Noise:
        """What a record is stamped with."""
        return Noise(
            sd=self.sd,
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
        sd: standard deviation of the ratio within a pair.
        pairs: how many there were, less the disturbed ones.
        slot, slot_half: how much slower the process was that was started second, and half its interval's width.
    """

    device: str
    mode: str
    case: str
    run: str
    calibrated: str
    torch: str
    ultralytics: str
    sd: float
    pairs: int
    slot: float
    slot_half: float


class Kept(msgspec.Struct, frozen=True):
    """The file of one machine."""

    schema: int
    machine: str
    calibrations: list[Calibration]
    lockstep: list[Lockstep] = []


def path(folder: Path, machine: str) -> Path:
    """The file of a machine, by its fingerprint."""
    return folder / f"{machine}.json"


def read(folder: Path, machine: str) -> list[Calibration]:
    """What is known of a machine; nothing where it was never calibrated or its file cannot be read."""
    return _kept(folder, machine).calibrations


def read_lockstep(folder: Path, machine: str) -> list[Lockstep]:
    """The same of pairs that take turns."""
    return _kept(folder, machine).lockstep


def complaint(folder: Path, machine: str) -> str:
    """One sentence on a file that is there and cannot be used; empty where nothing is wrong."""
    _, why = _looked_at(folder, machine)
    if not why:
        return ""
    return (
        f"calibrations in {path(folder, machine)} are left out: {why}; to have new ones, run python -m bench calibrate."
    )


def _kept(folder: Path, machine: str) -> Kept:
    return _looked_at(folder, machine)[0]


def _looked_at(folder: Path, machine: str) -> tuple[Kept, str]:
    """The file of a machine, and why it is left out; an empty one then."""
    nothing = Kept(SCHEMA, machine, [])
    try:
        content = msgspec.json.decode(path(folder, machine).read_bytes())
        kept = msgspec.convert(migrate(migrations.CALIBRATION, content), Kept)
    except Unreadable as error:
        return nothing, str(error)
    except FileNotFoundError:
        return nothing, ""
    except OSError as error:
        return nothing, error.strerror or str(error)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return nothing, f"the file is damaged ({error})"
    if kept.machine != machine:
        return nothing, f"they are of another machine, {kept.machine}"
    return kept, ""


def keep(folder: Path, machine: str, found: Iterable[Calibration], lockstep: Iterable[Lockstep] = ()) -> Path:
    """Keep calibrations, in place of older ones of the same devices and modes (:meth:`Calibration.replaces`).

    Of pairs that take turns the newest count too, unless they are few (:data:`ENOUGH_PAIRS`) and were not.

    Returns:
        The file.

    Raises:
        WrongUse: where it cannot be written.
    """
    before = _kept(folder, machine)
    known = {(one.device, one.mode): one for one in before.calibrations}
    turns = {(one.device, one.mode): one for one in before.lockstep}
    for pairs in lockstep:
        older = turns.get((pairs.device, pairs.mode))
        if older is None or pairs.pairs >= min(ENOUGH_PAIRS, older.pairs):
            turns[pairs.device, pairs.mode] = pairs
    for one in found:
        key = one.device, one.mode
        if key not in known or one.replaces(known[key]):
            known[key] = one
    kept = Kept(SCHEMA, machine, [known[key] for key in sorted(known)], [turns[key] for key in sorted(turns)])
    content = encoded(kept)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if complaint(folder, machine):
            os.replace(path(folder, machine), path(folder, machine).with_suffix(".json.old"))
        write_whole(path(folder, machine), content)
    except OSError as error:
        raise WrongUse(f"the calibration cannot be kept in {folder}: {error.strerror or error}.") from error
    return path(folder, machine)


def noise_of(case: Case, known: Iterable[Calibration]) -> Noise | None:
    """The noise of a case's device and mode, if they were calibrated."""
    return next((one.noise for one in known if (one.device, one.mode) == (case.device, case.mode)), None)


def stamped(records: Sequence[Record], known: Sequence[Calibration], machine: str) -> list[Record]:
    """Records with the noise of a machine in those of its own that have none; others stay as they are."""
    return [
        msgspec.structs.replace(record, noise=noise_of(record.case, known))
        if record.noise is None and record.machine.fingerprint == machine
        else record
        for record in records
    ]
