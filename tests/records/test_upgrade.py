from __future__ import annotations

import copy
import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from bench.records import store, upgrade
from bench.records.record import SCHEMA
from bench.records.upgrade import UPGRADES, Unreadable, upgraded


def test_the_newest_schema_stays_as_it_is() -> None:
    raw = {"schema": SCHEMA, "run": "r"}
    assert upgraded(raw) == raw


def test_a_newer_record_is_refused_with_what_to_do() -> None:
    with pytest.raises(Unreadable) as refused:
        upgraded({"schema": SCHEMA + 1})
    expected = f"a newer yolopace wrote it (schema {SCHEMA + 1}, this one knows {SCHEMA}): upgrade yolopace"
    assert str(refused.value) == expected


def test_an_old_record_is_upgraded_one_schema_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(raw: dict[str, Any]) -> dict[str, Any]:
        return {"schema": raw["schema"], "name": raw["title"]}

    def split(raw: dict[str, Any]) -> dict[str, Any]:
        return {**raw, "words": raw["name"].split()}

    monkeypatch.setattr(upgrade, "SCHEMA", 3)
    monkeypatch.setattr(upgrade, "UPGRADES", {1: rename, 2: split})
    old = {"schema": 1, "title": "a b"}
    assert upgraded(old) == {"schema": 3, "name": "a b", "words": ["a", "b"]}
    assert upgraded({"schema": 2, "name": "c"}) == {"schema": 3, "name": "c", "words": ["c"]}
    assert old == {"schema": 1, "title": "a b"}


def test_every_old_schema_has_its_upgrade() -> None:
    assert sorted(UPGRADES) == list(range(1, SCHEMA))


@pytest.mark.parametrize("junk", [None, 7, "text", [], [{"schema": 1}], {}, {"schema": "1"}, {"schema": None}])
def test_junk_is_refused(junk: object) -> None:
    with pytest.raises(Unreadable, match="it is no record: it has no schema number"):
        upgraded(junk)


@pytest.mark.parametrize("number", [0, -1])
def test_a_schema_that_never_was_is_refused(number: int) -> None:
    with pytest.raises(Unreadable):
        upgraded({"schema": number})


# From 1 to 2


def test_phases_of_schema_1_become_their_mean_and_losses_checks() -> None:
    old = {
        "schema": 1,
        "phases": {"forward": {"seconds": [0.1, 0.2, 0.3], "how": "calls"}, "other": {"seconds": [], "how": "none"}},
        "extra": {"loss": {"box_loss": 1.5}, "pid": 7},
    }
    kept = copy.deepcopy(old)
    assert upgraded(old) == {
        "schema": 2,
        "phases": {"forward": {"seconds": [pytest.approx(0.2)], "how": "calls"}},
        "extra": {"pid": 7},
        "checks": {"loss": {"box_loss": 1.5}},
    }
    assert old == kept


EXAMPLE = Path(__file__).resolve().parents[2] / "results" / "example-linux-cpu"


def test_the_example_of_schema_1_is_read_and_its_files_stay_as_they_are() -> None:
    files = sorted(EXAMPLE.glob("*.json"))
    before = [file.read_bytes() for file in files]
    records, complaints = store.read([EXAMPLE])
    assert complaints == []
    assert len(records) == len(files) > 0
    assert [file.read_bytes() for file in files] == before
    for record in records:
        raw = json.loads((EXAMPLE / f"{record.name}.json").read_text())
        assert record.schema == SCHEMA and record.process == 1
        assert record.checks.get("loss") == (raw["checks"] if raw["schema"] > 1 else raw["extra"]).get("loss")
        if record.steps is not None:
            assert record.steps.window == raw["steps"]["seconds"][raw["steps"]["warmup"] :]
        for name, phase in record.phases.items():
            if raw["schema"] == 1:
                assert phase.seconds == [pytest.approx(statistics.fmean(raw["phases"][name]["seconds"]))]
