from __future__ import annotations

import os
import time
from pathlib import Path

from bench.records.store.index import UNUSED_DAYS, FolderState

DAY = 24 * 3600


def state_of(folder: Path) -> FolderState:
    """The state of a folder with one file that is an hour old."""
    folder.mkdir()
    file = folder / "a.json"
    file.write_text("{}")
    state = FolderState(folder, {"a.json"}, b"key")
    state.changed -= 3600 * 10**9
    return state


def test_what_is_not_used_for_long_is_removed_from_the_index(tmp_path: Path) -> None:
    index = tmp_path / "index"
    old, used = state_of(tmp_path / "old"), state_of(tmp_path / "used")
    for state in (old, used):
        state.keep(index, b"rows")
        long_ago = time.time() - (UNUSED_DAYS + 1) * DAY
        os.utime(index / state.file_name, (long_ago, long_ago))
    (index / "other.txt").write_text("not ours")
    assert used.load(index) == b"rows"
    new = state_of(tmp_path / "new")
    new.keep(index, b"rows")
    assert {file.name for file in index.iterdir()} == {used.file_name, new.file_name, "other.txt"}
    assert old.load(index) is None
