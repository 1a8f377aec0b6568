"""A workload in one file of this folder goes from the command line through a worker to the record and the table."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOY = Path(__file__).with_name("toy_workload.py")


def run(*arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "YOLOPACE_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of a run of the toy, and where it was told of them."""
    folder = tmp_path_factory.mktemp("toy")
    options = ["--extension", str(TOY), "--profile", "smoke", "--model", "tiny", "--device", "cpu", "--amp", "off"]
    command = ["-m", "pytest", "bench/", "--benchmark-only", "-q", "-p", "no:cacheprovider", *options]
    done = run(
        *command, "--results", str(folder / "results"), "--reports", str(folder / "reports"), cache=folder / "cache"
    )
    (folder / "out").write_text(done.stdout + done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_it_trains_in_a_worker_and_has_a_record(folder: Path) -> None:
    [file] = (folder / "results").rglob("train-tiny-*.json")
    record = json.loads(file.read_text())
    assert record["outcome"]["status"] == "measured"
    assert record["checks"]["moved"] == record["checks"]["parameters"] == 4
    assert set(record["phases"]) == {"preprocess", "forward", "backward", "optimizer"}
    assert record["data"]["name"] == "toy-vectors"
    assert record["recipe"]["data"] == "toy-vectors"
    units = {"unit": "vector", "size_unit": "numbers", "epoch_items": 10_000}
    assert record["extra"]["workload"] == {"name": "toy", **units}


def test_modes_that_it_does_not_have_are_no_cases(folder: Path) -> None:
    assert not list((folder / "results").rglob("predict-*.json"))


def test_it_has_a_row_in_the_table(folder: Path) -> None:
    done = run("-m", "bench", "table", str(folder / "results"), "--format", "json", cache=folder / "cache")
    [row] = json.loads(done.stdout)
    assert (row["model"], row["mode"], row["status"]) == ("tiny", "train", "measured")
    assert row["images_per_second"] > 0
    assert (row["workload"], row["unit"], row["size_unit"], row["epoch_images"]) == ("toy", "vector", "numbers", 10_000)


def test_it_is_on_the_page(folder: Path) -> None:
    [page] = (folder / "reports").rglob("index.html")
    text = page.read_text()
    assert "64 numbers" in text and "vectors/s" in text and "10,000 vectors an epoch" in text
