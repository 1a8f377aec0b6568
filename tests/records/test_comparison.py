"""The record of a live comparison: what it holds survives its file, and what is no such file says so."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import msgspec
import pytest

from bench.errors import UsageError
from bench.records import store
from bench.records.comparison import COMPARISON, SCHEMA, SideOutcome
from bench.records.outcome import Outcome, Status
from bench.records.store import Store, comparisons_of, read_comparison
from tests.builders import make_compared, make_comparison, make_machine, make_pair, make_record, make_side


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    comparison = make_comparison([make_compared([0.01, -0.02], [0.03]), make_compared(batch=4, error="head: it died")])
    assert Store.at(tmp_path).save(comparison) == ""
    assert read_comparison(tmp_path) == msgspec.structs.replace(comparison, run=tmp_path.name)
    assert [path.name for path in tmp_path.iterdir()] == [COMPARISON]


def test_pairs_without_turns_of_a_step_are_ratios_of_the_mean_step() -> None:
    compared = make_compared([0.05, -0.1], [0.2])
    assert [pair.log for pair in compared.interim] == [pytest.approx(0.05), pytest.approx(-0.1)]
    assert [pair.log for pair in compared.confirmation] == [pytest.approx(0.2)]
    assert make_pair(math.log(2)).log == pytest.approx(math.log(2))


def test_a_case_is_on_both_sides_until_one_is_known_to_fail() -> None:
    failed = SideOutcome(outcome=Outcome(Status.FAILED, "It broke."))
    assert make_compared().both_runnable
    assert make_compared(base=SideOutcome(), head=None).both_runnable
    assert not make_compared(base=SideOutcome(), head=failed).both_runnable
    assert not make_compared(base=failed, head=None).both_runnable


def test_two_sides_with_one_key_are_the_same_thing() -> None:
    assert not make_comparison().self_comparison
    assert make_comparison(base=make_side(), head=make_side()).self_comparison


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    message = Store.at(tmp_path / "none").save(make_comparison())
    assert "could not be written" in message and "No such file" in message


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "holds no comparison"),
        (b"", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'"text"', "cannot be read"),
        (b"\xff\x00", "cannot be read"),
        (b'{"schema": 1}', "cannot be read"),
        (b'{"schema": "x"}', "cannot be read"),
        (json.dumps({"schema": SCHEMA + 1}).encode(), "newer yolopace"),
    ],
)
def test_what_is_no_comparison_says_so(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / COMPARISON).write_bytes(content)
    with pytest.raises(UsageError, match=sentence):
        read_comparison(tmp_path)


def test_comparisons_of_a_folder_by_time_and_damaged_ones_left_out(tmp_path: Path) -> None:
    question = make_comparison([make_compared()])
    others = {
        "a": make_comparison([make_compared()], machine=make_machine(fingerprint="0" * 12), started="2026-11-03"),
        "b": make_comparison([make_compared()], head=make_side("2.16.0"), started="2026-11-02"),
        "c": make_comparison([make_compared(batch=4)], started="2026-11-04"),
        "z-older": make_comparison([make_compared([0.1])], started="2026-11-01"),
        "d-newer": make_comparison([make_compared([0.1, 0.2])], run="../elsewhere", margin=0.01, started="2026-11-05"),
    }
    for name, content in others.items():
        (tmp_path / name).mkdir()
        assert Store.at(tmp_path / name).save(content) == ""
    for name, text in (("f", "{"), ("g", "[" * 100_000)):
        (tmp_path / name).mkdir()
        (tmp_path / name / COMPARISON).write_text(text)
    assert [comparison.run for comparison in comparisons_of(tmp_path)] == ["z-older", "b", "a", "c", "d-newer"]
    assert [comparison.run for comparison in comparisons_of(tmp_path) if question.same_question(comparison)] == [
        "z-older",
        "d-newer",
    ]
    assert comparisons_of(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"margin": -2.0},
        {"margin": math.inf},
        {"memory_margin": 11.0},
        {"cases": [{"steps": []}]},
        {"cases": [{"steps": [5e-324] * 4}]},
        {"cases": [{"bytes": -5}]},
    ],
)
def test_numbers_that_cannot_be_are_refused(tmp_path: Path, changes: dict[str, object]) -> None:
    Store.at(tmp_path).save(make_comparison([make_compared([0.1])]))
    content = json.loads((tmp_path / COMPARISON).read_text())
    for case in changes.pop("cases", []):  # type: ignore[attr-defined]
        measured = content["cases"][0]["pairs"][0]["head"]
        if "steps" in case:
            count = len(case["steps"])
            measured["steps"] |= {"seconds": case["steps"], "data_wait": [0.0] * count, "warmup": 0, "optimizer": []}
        else:
            measured["memory"] = {"process": {"bytes": case["bytes"], "method": "made up"}}
    (tmp_path / COMPARISON).write_text(json.dumps(content | changes))
    with pytest.raises(UsageError, match="cannot be read"):
        read_comparison(tmp_path)


def test_what_has_no_room_is_written_elsewhere_and_it_says_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparison = make_comparison([make_compared([0.1])])
    store_here = Store.at(tmp_path)
    assert (store_here.save(comparison), store_here.rescue()) == ("", "") and read_comparison(
        tmp_path
    ).cases == comparison.cases
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    store_there = Store.at(tmp_path / "none")
    assert "could not be written" in store_there.save(comparison)
    message = store_there.rescue()
    [place] = tmp_path.glob("yolopace-*")
    assert message == f"1 file had no room in {tmp_path / 'none'} and is in {place}: move it there."
    assert read_comparison(place).cases == comparison.cases


def test_records_in_the_same_folder_are_read_and_it_is_no_record(tmp_path: Path) -> None:
    run = store.Store(tmp_path, "20261122-184512-3f9ac2")
    run.save(make_record())
    Store.at(run.folder).save(make_comparison())
    records, complaints = store.read([tmp_path])
    assert (len(records), complaints) == (1, [])
    assert store.runs(tmp_path) == [run.run]
    alone = tmp_path / "alone"
    alone.mkdir()
    Store.at(alone).save(make_comparison())
    assert store.runs(tmp_path) == [run.run]
    assert store.read([alone]) == ([], [])


def test_its_file_has_a_line_a_list_of_numbers(tmp_path: Path) -> None:
    Store.at(tmp_path).save(make_comparison([make_compared([0.1] * 4)]))
    text = (tmp_path / COMPARISON).read_text()
    assert msgspec.json.decode(text)
    lists = [line for line in text.splitlines() if '"seconds": [' in line]
    assert lists and all("]" in line for line in lists)
    assert os.stat(tmp_path / COMPARISON).st_mode & 0o777 == 0o644
