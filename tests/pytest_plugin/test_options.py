"""What the user asked for, checked before anything is started."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from bench.pytest_plugin.options import check_model, find_data
from bench.records.record import Environment

NO_NAMES: Any = type("Interpreter", (), {"datasets": ()})


def test_a_linked_data_yaml_stays_where_the_link_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``path:`` Ultralytics looks for images in the folder of the file that it was given."""
    (tmp_path / "real.yaml").write_text("train: images\n")
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "data.yaml").symlink_to(tmp_path / "real.yaml")
    monkeypatch.chdir(tmp_path)
    assert find_data("set/data.yaml", NO_NAMES) == str(tmp_path / "set" / "data.yaml")


def test_weights_in_capitals_are_told_from_an_architecture() -> None:
    environment = Environment(python="3.11.0", packages={"ultralytics": "8.4.0"}, yolopace="0")
    known: Any = type(
        "Interpreter",
        (),
        {"offers": {"ultralytics": {"models": {"yolov8": "nsmlx"}}}, "environment": environment},
    )
    with pytest.raises(UsageError, match=r"^model 'yolov8n.PT': there is no such file, .* are written .pt.$"):
        check_model("yolov8n.PT", known)
