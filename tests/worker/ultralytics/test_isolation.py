"""Files that Ultralytics would write next to the user's data go to the suite's own cache."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.worker.workloads.ultralytics import made_data

pytestmark = pytest.mark.usefixtures("ultralytics")

READS = """
import json, sys
from pathlib import Path
from bench.worker.workloads.ultralytics import isolation
isolation.before_import(sys.argv[1], network=False)
isolation.after_import()
from ultralytics.cfg import get_cfg
from ultralytics.data import build_yolo_dataset
from ultralytics.data.utils import check_det_dataset
found = check_det_dataset(sys.argv[2])
read = build_yolo_dataset(get_cfg(overrides={"imgsz": 64, "task": "detect"}), found["train"], 2, found)
print(json.dumps(len(read.labels)))
"""


def test_labels_are_cached_per_interpreter_and_never_next_to_the_users_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_data, "POOL_IMAGES", 4)
    yaml = made_data.provide({"root": str(tmp_path / "data"), "images": 3, "seed": 0})["yaml"]
    before = sorted((tmp_path / "data").rglob("*"))
    for config in ("one", "other", "one"):
        (tmp_path / config).mkdir(exist_ok=True)  # as the runner does: older versions make none
        command = [sys.executable, "-c", READS, str(tmp_path / config), yaml]
        answer = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
        assert json.loads(answer.stdout.splitlines()[-1]) == 3, answer.stderr
    assert sorted((tmp_path / "data").rglob("*")) == before
    places = {config: sorted((tmp_path / config).rglob("labels/*.cache")) for config in ("one", "other")}
    assert [len(caches) for caches in places.values()] == [1, 1]


def test_label_caches_and_settings_that_are_damaged_are_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_data, "POOL_IMAGES", 4)
    yaml = made_data.provide({"root": str(tmp_path / "data"), "images": 3, "seed": 0})["yaml"]
    (tmp_path / "config").mkdir()  # as the runner does: older versions make none
    sizes = []
    for _ in range(2):
        command = [sys.executable, "-c", READS, str(tmp_path / "config"), yaml]
        answer = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3])
        assert json.loads(answer.stdout.splitlines()[-1]) == 3, answer.stderr
        [labels] = (tmp_path / "config").rglob("labels/*")
        [settings] = (tmp_path / "config").rglob("settings.json")
        sizes.append(labels.stat().st_size)
        assert json.loads(settings.read_text())["sync"] is False
        for file in (labels, settings):
            os.truncate(file, 20)
    assert sizes[0] == sizes[1]
