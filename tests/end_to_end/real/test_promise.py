"""The promise of ``--data``, for every command that takes it: nothing is written, fetched or run that is the user's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.cases.plan import profile
from bench.cli.live import cases
from bench.environments import release_series
from bench.environments.builder import PreparedEnvironment
from bench.environments.interpreter import inspect
from bench.records import store
from bench.runner.launchers import local
from tests.end_to_end.cli.released import Commands, Shop, bench, shop
from tests.end_to_end.real.test_main_job import run
from tests.worker.ultralytics.data_sets import contents, make, write

__all__ = ["bench", "shop"]

CASES = ("--case", "train-yolov8n-cpu-fp32-b2-i64", "--case", "predict-yolov8n-cpu-fp32-b2-i64")
OPEN_LAUNCHER = local.open_launcher  # the real one: the shop puts its own there

HOOK = """
import os, sys
OF_CTYPES = ("ldconfig", "gcc", "cc", "ld", "objdump")  # by which it looks for libraries
def heard(event, arguments, folder=os.path.dirname(__file__)):
    network = event == "socket.connect" and isinstance(arguments[1], tuple) or event == "socket.getaddrinfo"
    program = event == "subprocess.Popen" and os.path.basename(str(arguments[0])) not in OF_CTYPES
    if network or program or event in ("os.system", "os.posix_spawn"):
        with open(os.path.join(folder, "heard"), "a", encoding="utf-8") as file:
            print(event, *map(repr, arguments), file=file)
if any(argument.endswith("entry.py") for argument in sys.orig_argv):
    sys.addaudithook(heard)
    open(os.path.join(os.path.dirname(__file__), "listening"), "w").close()
"""
"""Hears in every worker, and in the parent that forks them, of connections and programs that are started."""


@pytest.fixture
def yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data set that makes Ultralytics write, fetch and run; at the end it is as it was, and nothing was heard."""
    root = tmp_path / "set"
    make(root, images=5)
    for file in [*(root / "images").rglob("*.jpg")]:
        file.write_bytes(file.read_bytes() + b"\0\0after the end")
    (root / "images" / "train" / "0.jpg").write_bytes(b"")
    yaml = write(root, test="images/gone", download=f"|\n  open({str(tmp_path / 'RAN')!r}, 'w').close()")
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(HOOK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hook"))
    before = contents(root)
    yield yaml
    assert contents(root) == before
    assert not (tmp_path / "RAN").exists()
    assert (tmp_path / "hook" / "listening").exists(), "no worker had the hook, so nothing could be heard"
    assert not (tmp_path / "hook" / "heard").exists(), (tmp_path / "hook" / "heard").read_text()


@pytest.fixture
def releases(shop: Shop, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Releases that are all this environment's own Ultralytics, measured for real."""
    monkeypatch.setenv("YOLOPACE_CACHE", str(cache))
    here = inspect()
    play = shop.provide

    def provide(*arguments: Any, **options: Any) -> PreparedEnvironment:
        played = play(*arguments, **options)
        real = msgspec.structs.replace(here, environment=played.interpreter.environment)
        return PreparedEnvironment(real, played.packages, played.key, played.requested)

    monkeypatch.setattr(release_series, "provide", provide)
    monkeypatch.setattr(local, "open_launcher", OPEN_LAUNCHER)
    monkeypatch.setattr(cases, "profile", lambda name: profile("smoke"))  # shorter windows
    shop.measures_for_real(monkeypatch)
    return shop


def test_pytest(yaml: Path, cache: Path, tmp_path: Path) -> None:
    axes = ("--profile", "smoke", "--device", "cpu", "--model", "yolov8n", "--amp", "off", "--batch", "2")
    places = ("--results", tmp_path / "results", "--reports", tmp_path / "reports", "-p", "no:cacheprovider")
    command = ("-m", "pytest", "bench/", "--benchmark-only", *axes, "--imgsz", "64", *places, "--data", yaml)
    done = run(cache, *command, "--mode", "train,predict", "--with-val", "--run", "x")
    assert done.returncode == 0, done.stdout + done.stderr
    records, _ = store.read([tmp_path / "results"])
    assert [record.data.left_out for record in records if record.data] == [{"empty file": 1}] * 2
    again = run(cache, *command, "--mode", "train,predict", "--with-val", "--resume", "x")
    assert again.stdout.count("measured before") == 2, again.stdout + again.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("regress", "--base", f"python:{sys.executable}", "--head", f"python:{sys.executable}"),
        ("sweep", "--package", "ultralytics", "--versions", "8.4.188,8.4.190"),
        ("bisect", "--package", "ultralytics", "--good", "8.4.189", "--bad", "8.4.190"),
    ],
    ids=lambda command: command[0],
)
def test_commands_that_compare(command: tuple[str, ...], yaml: Path, releases: Shop, bench: Commands) -> None:
    cases = CASES if command[0] != "bisect" else CASES[:2]
    ended = bench(*command, *cases, "--data", yaml, "--time-budget", "1s")
    assert ended.code == 3, ended.out + ended.err  # one pair decides nothing
    assert "1 pair" in ended.out
    assert list(bench.results.rglob("comparison.json"))
