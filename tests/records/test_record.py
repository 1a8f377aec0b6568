from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.cases.axes import MODES
from bench.machine.description import Machine
from bench.records.outcome import Status
from bench.records.record import Environment, Origin, Phase, Record
from bench.records.steps import Steps
from bench.records.store import Store
from tests.builders import make_environment, make_machine, make_record, make_steps

TENTHS = [0.123456 + index / 1000 for index in range(64)]


def decoded(record: Record) -> Record:
    return msgspec.json.decode(msgspec.json.encode(record), type=Record)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("mode", MODES)
def test_round_trip(mode: str, status: Status) -> None:
    record = make_record(mode=mode, status=status.value)
    assert decoded(record) == record


def test_floats_survive_to_the_last_bit() -> None:
    seconds = [0.1 + 0.2, 1 / 3, 1.0000000000000002e-9, 9999999.999999998]
    assert decoded(make_record(steps=make_steps(seconds))).steps.window == seconds


def test_the_keys_of_a_file_are_the_nouns_of_the_design() -> None:
    keys = set(msgspec.to_builtins(make_record()))
    nouns = {"schema", "case", "recipe", "effective", "outcome", "steps", "memory", "energy", "machine", "conditions"}
    assert nouns | {"environment", "run"} <= keys


def test_a_measured_record_needs_steps() -> None:
    with pytest.raises(ValueError, match="train-yolov8n-cpu-fp32-b16-i160: a measured case needs steps"):
        make_record(steps=None)


def test_a_measured_record_needs_steps_beyond_warm_up() -> None:
    with pytest.raises(ValueError, match="needs steps"):
        make_record(steps=make_steps([]))


def test_another_record_needs_none() -> None:
    assert make_record(status="failed").steps is None


def test_id_names_run_and_case() -> None:
    assert make_record(run="r1", batch=4).id == "r1/train-yolov8n-cpu-fp32-b4-i160"


@pytest.mark.parametrize(
    "changes",
    [
        {"warmup": 5},
        {"warmup": -1},
        {"optimizer": [4]},
        {"images": 0},
        {"seconds": [0.1, 0.1, 0.1, 0.0]},
        {"accumulation_steps": 0},
    ],
)
def test_steps_that_cannot_be_are_refused(changes: dict[str, object]) -> None:
    good = {
        "warmup": 1,
        "seconds": [0.1] * 4,
        "data_wait": [0.0] * 4,
        "images": 16,
        "optimizer": [3],
        "accumulation_steps": 4,
    }
    with pytest.raises(ValueError, match=r"out of range|without images"):
        Steps(**{**good, **changes})


def test_a_record_is_never_changed() -> None:
    with pytest.raises(AttributeError):
        make_record().run = "another"  # type: ignore[misc]


@pytest.mark.parametrize(
    "changes",
    [
        {"data_wait": [0.0] * 3},
        {"seconds": [0.1] * 3},
        {"images": [16] * 3},
    ],
)
def test_steps_of_different_lengths_are_refused(changes: dict[str, object]) -> None:
    good = {
        "warmup": 1,
        "seconds": [0.1] * 4,
        "data_wait": [0.0] * 4,
        "images": 16,
        "optimizer": [3],
        "accumulation_steps": 4,
    }
    assert Steps(**good).window == [0.1] * 3
    with pytest.raises(ValueError, match="differ in length"):
        Steps(**{**good, **changes})


def test_window_leaves_warm_up_out() -> None:
    assert make_steps([3.0, 4.0], warmup=[1.0, 2.0]).window == [3.0, 4.0]


def test_images_of_the_window() -> None:
    assert make_steps([1.0] * 3, warmup=[1.0] * 2, images=16).window_images == 48
    assert make_steps([1.0] * 3, warmup=[1.0] * 2, images=[100, 100, 16, 16, 5]).window_images == 37


@pytest.mark.parametrize("mode", MODES)
def test_a_record_with_64_steps_is_small(mode: str, tmp_path: Path) -> None:
    means = [TENTHS[0]] if mode == "predict" else TENTHS[:3]
    parts = ("preprocess", "forward", "postprocess") if mode == "predict" else ("preprocess", "forward", "backward")
    phases = {part: Phase(means, "host clock, steps of the window") for part in parts}
    steps = make_steps(
        TENTHS[6:], warmup=TENTHS[:6], accumulation_steps=4 if mode == "train" else 1, data_wait=0.012345
    )
    assert len(steps.seconds) == 64
    record = make_record(mode=mode, steps=steps, phases=phases)
    store = Store(tmp_path, record.run)
    assert store.save(record) == ""
    assert 2_000 < store.path(record).stat().st_size <= 10_000


def test_title_of_a_machine() -> None:
    machine = make_machine(gpus=["NVIDIA H200 (139 GiB)"])
    assert machine.title == "NVIDIA H200 (139 GiB) · AMD EPYC 7R13 Processor, 8 cores · 31 GiB · Linux x86_64"


def test_versions_of_an_environment() -> None:
    assert (make_environment().torch, make_environment().ultralytics) == ("2.14.1", "8.4.100")
    assert Environment(python="3.12.4", packages={}, yolopace="0.1.0").torch == ""


# Fingerprints of software: what they are was written down before they had a mapping of their own


def test_an_environment_has_the_fingerprint_that_it_always_had() -> None:
    origins = {"torch": Origin("path"), "ultralytics": Origin("checkout", "abcdef012345", "0123456789ab", True)}
    environment = make_environment()
    assert environment.fingerprint == "0968e3745a86"
    assert msgspec.structs.replace(environment, origins=origins).fingerprint == "ba0931d9858e"


@pytest.mark.parametrize("name", Environment.__struct_fields__)
def test_the_fingerprint_of_an_environment_changes_with_every_field(name: str) -> None:
    changes = {"python": "3.13.0", "packages": {}, "yolopace": "9", "origins": {"torch": Origin("path")}}
    changed = msgspec.structs.replace(make_environment(), **{name: changes[name]})
    assert changed.fingerprint != make_environment().fingerprint


@pytest.mark.parametrize("name", Origin.__struct_fields__)
def test_the_fingerprint_of_an_environment_changes_with_every_field_of_an_origin(name: str) -> None:
    origin = Origin("path")
    changes = {"source": "checkout", "hash": "abcdef012345", "commit": "0123456789ab", "edited": True}
    prints = {
        msgspec.structs.replace(make_environment(), origins={"torch": installed}).fingerprint
        for installed in (origin, msgspec.structs.replace(origin, **{name: changes[name]}))
    }
    assert len(prints) == 2


@pytest.mark.parametrize("name", [name for name in Machine.__struct_fields__ if name not in ("fingerprint", "id")])
def test_the_fingerprint_of_a_machine_changes_with_every_fact(name: str) -> None:
    changes = {"system": "Darwin arm64", "cpu": "other", "cores": 1, "memory_gib": 1, "gpus": ["L4"]}
    assert make_machine(**{name: changes[name]}).digest != make_machine().digest


def test_the_id_is_not_in_the_fingerprint_of_a_machine() -> None:
    assert make_machine(id="0123456789ab").digest == make_machine().digest


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ({}, {}, True),
        ({"fingerprint": "a"}, {"fingerprint": "b"}, False),
        ({"id": "1"}, {"id": "1"}, True),
        ({"id": "1"}, {"id": "2"}, False),
        ({"id": "1"}, {}, True),
        ({"id": "1", "fingerprint": "a"}, {"fingerprint": "b"}, False),
    ],
)
def test_machines_are_the_same_by_their_ids_or_in_old_records_by_their_fingerprints(
    a: dict[str, str], b: dict[str, str], same: bool
) -> None:
    assert make_machine(**a).is_same(make_machine(**b)) is same
    assert make_machine(**b).is_same(make_machine(**a)) is same


def test_the_key_of_a_machine_is_its_id_or_else_its_fingerprint() -> None:
    assert make_machine(id="0123456789ab").key == "0123456789ab"
    assert make_machine().key == make_machine().fingerprint


def test_an_old_record_has_no_id_and_is_read() -> None:
    content = msgspec.json.decode(msgspec.json.encode(make_record()))
    del content["machine"]["id"]
    assert msgspec.convert(content, Record) == make_record()
