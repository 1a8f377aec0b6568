from __future__ import annotations

import errno
from pathlib import Path

import msgspec
import pytest

from bench.machine.description import Machine
from bench.records.calibration import Calibration, Calibrations, Lockstep, stamped, summary_of
from bench.records.record import CalibrationSummary
from bench.records.store import keep_calibrations, read_calibrations
from tests.builders import make_case, make_machine, make_record

MACHINE = make_machine()
HERE = MACHINE.fingerprint
KNOWN, TWIN = make_machine(id="aaaaaaaaaaaa"), make_machine(id="bbbbbbbbbbbb")
FOUND = Calibration(
    device="cpu",
    mode="train",
    case="train-yolov8n-cpu-fp32-b4-i160",
    run="calibration-20261122-184512-3f9ac2",
    calibrated="2026-11-22T18:45:14+00:00",
    torch="2.14.1",
    ultralytics="8.4.100",
    stdev=0.019,
    processes=11,
    interfered=1,
    pair_stdev=0.021,
    pairs=5,
    median_difference=0.012,
    greatest_difference=0.04,
    difference=-0.003,
    difference_half=0.018,
    drift=0.004,
    drift_half=0.02,
)
NOISE = CalibrationSummary(
    stdev=0.019,
    processes=11,
    calibrated="2026-11-22",
    case="train-yolov8n-cpu-fp32-b4-i160",
    torch="2.14.1",
    ultralytics="8.4.100",
)


def keep(
    folder: Path,
    calibrations: list[Calibration],
    lockstep: list[Lockstep] | None = None,
    machine: Machine = MACHINE,
) -> None:
    assert keep_calibrations(folder, machine, calibrations, lockstep or []) == ""


def read(folder: Path, machine: Machine = MACHINE) -> list[Calibration]:
    return read_calibrations(folder, machine)[0].calibrations


def path(folder: Path, machine: str = HERE) -> Path:
    return folder / f"{machine}.json"


def other(**changes: object) -> Calibration:
    return msgspec.structs.replace(FOUND, **changes)


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    keep(tmp_path / "new" / "folder", [FOUND, other(mode="predict")])
    assert read(tmp_path / "new" / "folder") == [other(mode="predict"), FOUND]


def test_a_newer_calibration_replaces_that_of_its_device_and_mode_alone(tmp_path: Path) -> None:
    keep(tmp_path, [FOUND, other(mode="predict"), other(device="0")])
    keep(tmp_path, [other(stdev=0.5)])
    assert {(calibration.device, calibration.mode): calibration.stdev for calibration in read(tmp_path)} == {
        ("cpu", "train"): 0.5,
        ("cpu", "predict"): 0.019,
        ("0", "train"): 0.019,
    }


@pytest.mark.parametrize(
    ("newer", "kept"),
    [
        ({"processes": 5}, 11),
        ({"processes": 6}, 6),
        ({"processes": 5, "torch": "2.15.0"}, 5),
        ({"processes": 5, "ultralytics": "8.4.101"}, 5),
    ],
)
def test_a_rough_calibration_does_not_replace_a_fuller_one_of_the_same_versions(
    newer: dict[str, object], kept: int, tmp_path: Path
) -> None:
    keep(tmp_path, [FOUND])
    keep(tmp_path, [other(**newer)])
    assert [calibration.processes for calibration in read(tmp_path)] == [kept]


def test_of_two_rough_calibrations_the_newer_stays_unless_it_is_rougher(tmp_path: Path) -> None:
    for processes, kept in ((4, 4), (4, 4), (5, 5), (3, 5)):
        keep(tmp_path, [other(processes=processes, calibrated=f"2026-11-2{processes}")])
        assert [calibration.processes for calibration in read(tmp_path)] == [kept]


def test_another_machine_has_none(tmp_path: Path) -> None:
    keep(tmp_path, [FOUND])
    elsewhere = make_machine(fingerprint="000000000000")
    assert read(tmp_path, elsewhere) == []
    path(tmp_path, "000000000000").write_bytes(
        path(tmp_path).read_bytes()
    )  # a file under a wrong name is no evidence either
    assert read(tmp_path, elsewhere) == []


def test_machines_of_one_type_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    keep(tmp_path, [FOUND], machine=KNOWN)
    assert (read(tmp_path, KNOWN), read(tmp_path, TWIN), read(tmp_path)) == ([FOUND], [], [])
    assert [file.name for file in tmp_path.iterdir()] == [f"{KNOWN.id}.json"]


def test_a_calibration_under_the_fingerprint_counts_and_is_taken_over(tmp_path: Path) -> None:
    """Older versions knew no ID."""
    keep(tmp_path, [FOUND], [TOGETHER])
    assert read(tmp_path, KNOWN) == [FOUND]
    predicted = other(mode="predict")
    keep(tmp_path, [predicted], machine=KNOWN)
    expected = Calibrations(machine=KNOWN.id, calibrations=[predicted, FOUND], lockstep=[TOGETHER])
    assert read_calibrations(tmp_path, KNOWN) == (expected, "")
    assert read(tmp_path) == [FOUND]


def test_an_old_file_that_cannot_be_read_is_kept_beside_the_new_one(tmp_path: Path) -> None:
    path(tmp_path).write_bytes(b"{")
    assert "are left out" in read_calibrations(tmp_path, KNOWN)[1]
    keep(tmp_path, [FOUND], machine=KNOWN)
    assert read(tmp_path, KNOWN) == [FOUND]
    assert path(tmp_path).with_suffix(".json.old").read_bytes() == b"{"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"schema": 1000, "machine": "3f9ac2d41b07", "calibrations": []}']
)
def test_an_unreadable_file_counts_as_missing_and_is_replaced(content: bytes, tmp_path: Path) -> None:
    path(tmp_path).write_bytes(content)
    assert read(tmp_path) == []
    keep(tmp_path, [FOUND])
    assert read(tmp_path) == [FOUND]


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    message = keep_calibrations(tmp_path / "taken", MACHINE, [FOUND])
    assert message == f"the calibration cannot be kept in {tmp_path / 'taken'}: File exists."


def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bench.records.store.writing.write_whole", full)
    assert f"could not be written to {tmp_path}: No space left" in keep_calibrations(tmp_path, MACHINE, [FOUND])


def test_the_noise_of_a_case_is_that_of_its_device_and_mode() -> None:
    assert summary_of(make_case(), [other(device="0", stdev=1.0), FOUND]) == NOISE
    assert summary_of(make_case(mode="predict"), [FOUND]) is None
    assert summary_of(make_case(device="0"), [FOUND]) is None
    assert summary_of(make_case(device="cpu+cpu"), [FOUND]) is None


def test_records_of_this_machine_get_what_they_lack() -> None:
    own = CalibrationSummary(stdev=0.5, processes=5, calibrated="2020-01-01", case="x")
    elsewhere = make_machine(fingerprint="000000000000")
    records = [make_record(), make_record(calibration=own), make_record(machine=elsewhere), make_record(mode="predict")]
    assert [record.calibration for record in stamped(records, [FOUND], MACHINE)] == [NOISE, own, None, None]
    assert records[0].calibration is None


def test_records_of_a_twin_of_this_machine_get_nothing() -> None:
    here, twin = make_machine(id="aaaaaaaaaaaa"), make_machine(id="bbbbbbbbbbbb")
    records = [make_record(machine=twin), make_record(machine=here), make_record()]
    assert [record.calibration for record in stamped(records, [FOUND], here)] == [None, NOISE, NOISE]


TOGETHER = Lockstep(
    device="cpu",
    mode="train",
    case="train-yolov8n-cpu-fp32-b4-i160",
    run="calibration-20261122-184512-3f9ac2",
    calibrated="2026-11-22T18:45:14+00:00",
    torch="2.14.1",
    ultralytics="8.4.100",
    stdev=0.008,
    pairs=7,
    order_effect=0.001,
    order_effect_half_width=0.004,
)


def test_interleaved_pairs_are_kept_too_and_the_newest_count(tmp_path: Path) -> None:
    assert read_calibrations(tmp_path, MACHINE)[0].lockstep == []
    keep(tmp_path, [FOUND], [TOGETHER, msgspec.structs.replace(TOGETHER, mode="predict")])
    keep(tmp_path, [other(stdev=0.5)])
    newer = msgspec.structs.replace(TOGETHER, stdev=0.02, pairs=5)
    keep(tmp_path, [], [newer])
    keep(tmp_path, [], [msgspec.structs.replace(TOGETHER, stdev=0.03, pairs=4)])  # too few to take its place
    assert read_calibrations(tmp_path, MACHINE)[0].lockstep == [
        msgspec.structs.replace(TOGETHER, mode="predict"),
        newer,
    ]
    assert [calibration.stdev for calibration in read(tmp_path)] == [0.5]


def test_a_file_from_before_there_were_such_pairs(tmp_path: Path) -> None:
    keep(tmp_path, [FOUND])
    content = msgspec.json.decode(path(tmp_path).read_bytes())
    del content["lockstep"]
    path(tmp_path).write_bytes(msgspec.json.encode(content))
    assert read_calibrations(tmp_path, MACHINE) == (Calibrations(machine=HERE, calibrations=[FOUND]), "")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b'{"schema": 1000, "machine": "x", "found": {}}', "a newer yolopace wrote it (schema 1000, this one knows"),
        (b'{"schema": 0}', "it is no calibration: it has no schema number"),
        (b'{"schema": 1, "machine": "000000000000", "calibrations": []}', "they are of another machine, 000000000000"),
        (b'{"schema": 1', "Input data was truncated"),
        (b"\xff\xfe", "JSON is malformed"),
    ],
)
def test_calibrations_that_are_left_out_are_reported_and_not_lost(content: bytes, why: str, tmp_path: Path) -> None:
    assert read_calibrations(tmp_path, MACHINE)[1] == ""
    path(tmp_path).write_bytes(content)
    message = read_calibrations(tmp_path, MACHINE)[1]
    assert message.startswith(f"calibrations in {path(tmp_path)} are left out: {why}")
    assert message.endswith("; to have new ones, run python -m bench calibrate.")
    keep(tmp_path, [FOUND])
    assert read_calibrations(tmp_path, MACHINE)[1] == ""
    assert path(tmp_path).with_suffix(".json.old").read_bytes() == content
