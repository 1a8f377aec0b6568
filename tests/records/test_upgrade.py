from __future__ import annotations

from typing import Any

import pytest

from bench.records import upgrade
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
