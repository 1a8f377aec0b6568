"""Old files of every kind are read as if they were new; newer ones are refused; no file is changed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from bench.records import calibration, ceiling, comparison, migrations, store
from bench.records import record as records
from bench.records.migrations import KINDS, NEWEST, STEPS, Unreadable, migrate

OLD = Path(__file__).parent / "old"


@pytest.mark.parametrize("kind", KINDS)
def test_the_newest_schema_stays_as_it_is(kind: str) -> None:
    raw = {"schema": NEWEST[kind], "run": "r"}
    assert migrate(kind, raw) == raw


@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_file_is_refused_with_what_to_do(kind: str) -> None:
    with pytest.raises(Unreadable) as refused:
        migrate(kind, {"schema": NEWEST[kind] + 1})
    expected = f"a newer yolopace wrote it (schema {NEWEST[kind] + 1}, this one knows {NEWEST[kind]}): upgrade yolopace"
    assert str(refused.value) == expected


def test_an_old_file_is_migrated_one_schema_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(raw: dict[str, Any]) -> dict[str, Any]:
        return {"schema": raw["schema"], "name": raw["title"]}

    def split(raw: dict[str, Any]) -> dict[str, Any]:
        return {**raw, "words": raw["name"].split()}

    monkeypatch.setitem(NEWEST, "record", 3)
    monkeypatch.setitem(STEPS, "record", (rename, split))
    old = {"schema": 1, "title": "a b"}
    assert migrate("record", old) == {"schema": 3, "name": "a b", "words": ["a", "b"]}
    assert migrate("record", {"schema": 2, "name": "c"}) == {"schema": 3, "name": "c", "words": ["c"]}
    assert old == {"schema": 1, "title": "a b"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_has_a_line_of_history_that_names_its_kind_and_number(kind: str) -> None:
    for number, step in enumerate(STEPS[kind], 2):
        assert (step.__doc__ or "").startswith(f"{kind.capitalize()} {number}: ")
    assert NEWEST[kind] == len(STEPS[kind]) + 1


def test_new_files_are_of_the_newest_schema() -> None:
    modules = {"record": records, "ceiling": ceiling, "comparison": comparison, "calibration": calibration}
    assert {kind: module.SCHEMA for kind, module in modules.items()} == NEWEST


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("junk", [None, 7, "text", [], [{"schema": 1}], {}, {"schema": "1"}, {"schema": True}])
def test_junk_is_refused(junk: object, kind: str) -> None:
    with pytest.raises(Unreadable, match=f"it is no {kind}: it has no schema number"):
        migrate(kind, junk)


@pytest.mark.parametrize("number", [0, -1])
def test_a_schema_that_never_was_is_refused(number: int) -> None:
    with pytest.raises(Unreadable):
        migrate("record", {"schema": number})


def test_every_schema_that_ever_was_has_a_file_of_its_time() -> None:
    there = {path.stem for path in OLD.glob("*.json")}
    assert there >= {f"{kind}-{number}" for kind in KINDS for number in range(1, NEWEST[kind])}
    for path in OLD.glob("*.json"):
        assert json.loads(path.read_text())["schema"] == int(path.stem.rpartition("-")[2])


# From 1 to 2


def test_phases_of_schema_1_become_their_mean_and_losses_checks() -> None:
    old = {
        "schema": 1,
        "phases": {"forward": {"seconds": [0.1, 0.2, 0.3], "how": "calls"}, "other": {"seconds": [], "how": "none"}},
        "extra": {"loss": {"box_loss": 1.5}, "pid": 7},
    }
    kept = copy.deepcopy(old)
    assert migrations._means_of_phases(old) == {
        "schema": 1,
        "phases": {"forward": {"seconds": [pytest.approx(0.2)], "how": "calls"}},
        "extra": {"pid": 7},
        "checks": {"loss": {"box_loss": 1.5}},
    }
    assert old == kept


# Files of their time


def raw_of(name: str) -> dict[str, Any]:
    return json.loads((OLD / f"{name}.json").read_text(encoding="utf-8"))


def test_an_old_record_of_schema_1_is_read_and_its_file_stays_as_it_is() -> None:
    file = OLD / "record-1.json"
    before, raw = file.read_bytes(), raw_of("record-1")
    [record], complaints = store.read([file])
    assert complaints == []
    assert file.read_bytes() == before
    assert (record.schema, record.process) == (NEWEST["record"], 1)
    assert record.checks["loss"] == raw["extra"]["loss"]
    assert record.steps is not None
    assert record.steps.window == raw["steps"]["seconds"][raw["steps"]["warmup"] :]
    assert record.steps.images_per_second == pytest.approx(4 * 16 / sum(record.steps.window))
