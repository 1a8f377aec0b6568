from __future__ import annotations

import errno
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bench.machine import fingerprint, identity
from bench.machine.identity import machine_id

TYPE = "3f9ac2d41b07"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where IDs are kept, in a cache that is not there yet."""
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "machine"


def test_an_id_is_made_once(folder: Path) -> None:
    first = machine_id(TYPE)
    assert re.fullmatch(r"[0-9a-f]{12}", first)
    assert machine_id(TYPE) == first
    assert [file.name for file in folder.iterdir()] == [f"{TYPE}.id"]


def test_two_caches_of_machines_of_one_type_have_two_ids(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = machine_id(TYPE)
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "other"))
    assert machine_id(TYPE) != first


def test_machines_of_two_types_that_share_a_cache_have_two_ids(folder: Path) -> None:
    assert machine_id(TYPE) != machine_id("000000000000")


def test_processes_that_begin_together_agree(folder: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(machine_id, [TYPE] * 40))) == 1
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("content", ["", "no id", "0123456789abcdef", "\N{SNOWMAN}"])
def test_a_file_without_an_id_is_replaced(folder: Path, content: str) -> None:
    folder.mkdir(parents=True)
    (folder / f"{TYPE}.id").write_text(content, encoding="utf-8")
    first = machine_id(TYPE)
    assert re.fullmatch(r"[0-9a-f]{12}", first) and machine_id(TYPE) == first


def test_a_file_system_without_links_holds_it_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert machine_id(TYPE) and machine_id(TYPE) == machine_id(TYPE)
    assert len(list(folder.iterdir())) == 1


def test_a_full_disk_leaves_no_id_and_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, *arguments: Any, **options: Any) -> None:
        os.close(descriptor)
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(identity.os, "fdopen", full)
        assert machine_id(TYPE) == ""
    assert list(folder.iterdir()) == []
    assert machine_id(TYPE)


def test_a_cache_that_cannot_be_written_leaves_no_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "file"))
    assert machine_id(TYPE) == ""


def test_a_cache_that_can_only_be_read_keeps_its_id(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = machine_id(TYPE)

    def refuse(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.EROFS, "read-only file system")

    monkeypatch.setattr(identity.tempfile, "mkstemp", refuse)
    assert machine_id(TYPE) == first
    assert machine_id("000000000000") == ""


def test_a_user_without_a_cache_has_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("YOLOPACE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("bench.machine.paths.home_folder", lambda: None)
    assert machine_id(TYPE) == ""


def test_this_machine_has_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fingerprint, "machine_id", machine_id)
    fingerprint.machine.cache_clear()
    try:
        here = fingerprint.machine()
    finally:
        fingerprint.machine.cache_clear()
    assert here.id == (folder / f"{here.fingerprint}.id").read_text().strip()
    assert here.fingerprint == here.digest
