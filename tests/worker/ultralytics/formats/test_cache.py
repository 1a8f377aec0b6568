"""Deletion of exports from the cache: by age, by size, and never one in use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bench.worker.workloads.ultralytics.formats import cache

NOW = 1_900_000_000.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, days in enumerate((40, 20, 10, 0.5)):
        folder = tmp_path / f"export{number}"
        folder.mkdir()
        (folder / "model.onnx").write_bytes(bytes(1000))
        (folder / cache.MADE).write_text("{}", encoding="utf-8")
        os.utime(folder / cache.MADE, (NOW - days * cache.DAY,) * 2)
    return tmp_path


def left(root: Path) -> list[str]:
    return sorted(path.name[-1] for path in root.iterdir())


def test_an_export_that_nobody_used_for_30_days_is_deleted(root: Path) -> None:
    cache.prune(root, NOW)
    assert left(root) == ["1", "2", "3"]


def test_the_export_used_longest_ago_goes_first_where_all_are_too_large(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 2500)
    cache.prune(root, NOW)
    assert left(root) == ["2", "3"]
    monkeypatch.setattr(cache, "MOST_BYTES", 10)
    cache.prune(root, NOW)
    assert left(root) == ["3"], "used within a day"


def test_an_export_in_use_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_BYTES", 10)
    held = cache.hold(root / "export0")
    assert held is not None
    for export, days in (("export0", 40), ("export1", 20)):
        os.utime(root / export / cache.MADE, (NOW - days * cache.DAY,) * 2)
    cache.prune(root, NOW)
    assert left(root) == ["0", "3"]
    held.close()
    cache.prune(root, NOW)
    assert left(root) == ["3"]


def test_a_use_is_noted(root: Path) -> None:
    before = cache.last_used(root / "export1")
    cache.note_use(root / "export1")
    assert cache.last_used(root / "export1") != before
    cache.note_use(root / "missing")
    assert cache.hold(root / "missing") is None


def test_what_a_killed_deletion_left_is_deleted(root: Path) -> None:
    (root / ".old-x" / "export9").mkdir(parents=True)
    os.utime(root / ".old-x", (NOW - 31 * cache.DAY,) * 2)
    cache.prune(root, NOW)
    assert not (root / ".old-x").exists()
    cache.prune(root / "missing", NOW)
