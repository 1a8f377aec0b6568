"""Folders that are made once, on file systems that know no locks."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from bench.environments.build_cache import build_once


def test_without_locks_it_is_made_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)

    def make(partial: Path) -> Path:
        (partial / "whole").mkdir()
        return partial / "whole"

    build_once(tmp_path / "final", (tmp_path / "final").is_dir, make, lambda: pytest.fail("nobody is waited for"))
    assert (tmp_path / "final").is_dir()
