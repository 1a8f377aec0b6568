"""The Transformers Trainer from the command line to the record, the table and the page; nothing opens a socket."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
LISTENER = '''
"""Notes every socket of the internet that a worker or its fork server opens, and every name that it looks up."""


def register_worker(worker):
    import os
    import socket
    import sys

    def note(event, arguments):
        opened = event == "socket.__new__" and arguments[1] in (socket.AF_INET, socket.AF_INET6)
        if opened or event in ("socket.getaddrinfo", "socket.gethostbyname"):
            with open(os.environ["NOTED_SOCKETS"], "a") as file:
                file.write(f"{event} {arguments}\\n")

    sys.addaudithook(note)
    with open(os.environ["NOTED_SOCKETS"], "a"):
        pass
'''

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None or importlib.util.find_spec("accelerate") is None,
    reason="the extra 'transformers' is not installed",
)


def command(folder: Path, *arguments: str) -> str:
    """Run a command of yolopace and return what it prints."""
    variables = {"YOLOPACE_CACHE": str(folder / "cache"), "NOTED_SOCKETS": str(folder / "sockets")}
    environment = {**os.environ, **variables, "ACCELERATE_MIXED_PRECISION": "bf16", "KUBEFLOW_TRAINER_SERVER_URL": "x"}
    extension = folder / "listener.py"
    extension.write_text(LISTENER, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "bench", *arguments, "--extension", str(extension)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results and reports of one run: a case that is measured, and a precision that is asked for once."""
    folder = tmp_path_factory.mktemp("transformers")
    what = ["--profile", "smoke", "--model", "bert-tiny", "--device", "cpu", "--batch", "4", "--imgsz", "32"]
    places = ["--results", str(folder / "results"), "--reports", str(folder / "reports")]
    command(folder, "run", *what, *places)
    return folder


def record_of(folder: Path, case: str) -> dict[str, Any]:
    [file] = (folder / "results").rglob(f"{case}.json")
    assert file.stat().st_size < 12_000
    record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return record


def test_a_case_is_measured_with_the_versions_of_the_libraries(folder: Path) -> None:
    from importlib.metadata import version

    record = record_of(folder, "train-bert-tiny-cpu-fp32-b4-i32")
    assert record["outcome"]["status"] == "measured", record["outcome"]["reason"]
    packages = record["environment"]["packages"]
    named = ("transformers", "accelerate")
    assert {name: packages[name] for name in named} == {name: version(name) for name in named}
    assert record["data"]["name"] == record["recipe"]["data"] == "mrpc-like"
    assert record["effective"]["amp"] == "off", "whatever accelerate's variable asks for"
    assert record["effective"]["integrations"] == []


def test_prediction_is_measured_too(folder: Path) -> None:
    record = record_of(folder, "predict-bert-tiny-cpu-fp32-b4-i32")
    assert record["outcome"]["status"] == "measured", record["outcome"]["reason"]
    assert record["extra"]["workload"]["unit"] == "sequence"
    assert list(record["phases"]) == ["preprocess", "forward", "postprocess"]


def test_fp16_on_a_cpu_is_asked_for_once_and_substituted(folder: Path) -> None:
    outcome = record_of(folder, "train-bert-tiny-cpu-amp-b4-i32")["outcome"]
    assert (outcome["status"], outcome["scope"]) == ("substituted", ["mode", "device", "amp"])
    assert outcome["reason"].endswith("the Trainer ignores fp16 on a CPU.")


def test_no_socket_is_opened(folder: Path) -> None:
    assert (folder / "sockets").read_text(encoding="utf-8") == "", "the listener was there, and noted nothing"


def test_the_table_and_the_page_have_its_units_and_overrides(folder: Path) -> None:
    printed = command(folder, "table", str(folder / "results"), "--format", "json")
    rows = {row["amp"]: row for row in json.loads(printed)}
    assert (rows["off"]["workload"], rows["off"]["unit"], rows["off"]["size_unit"]) == (
        "transformers",
        "sequence",
        "tokens",
    )
    assert rows["off"]["epoch_images"] == 3668 and rows["off"]["images_per_second"] > 0
    [page] = (folder / "reports").rglob("index.html")
    text = page.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert "32 tokens" in text and "sequences/s" in text and "3,668 sequences per epoch" in text
    assert "logging_strategy" in text and "the default logs every 500 steps, which is not part of a step" in text
