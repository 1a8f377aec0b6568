"""What the user asked for, checked before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.request import find_data

NO_NAMES: Any = type("Interpreter", (), {"datasets": ()})


def test_a_linked_data_yaml_stays_where_the_link_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``path:`` Ultralytics looks for images in the folder of the file that it was given."""
    (tmp_path / "real.yaml").write_text("train: images\n")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "data.yaml").symlink_to(tmp_path / "real.yaml")
    monkeypatch.chdir(tmp_path)
    assert find_data("set/data.yaml", NO_NAMES) == str(tmp_path / "set" / "data.yaml")
