from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.pytest_plugin import benchmark_bridge

ROOT = Path(__file__).resolve().parents[2]

DRAW = random.Random(0)
DURATIONS = [DRAW.lognormvariate(-2, 3) for _ in range(46)] + [0.1 + 0.2, 1 / 3, 5e-324, 1e300]

TEST = f"""
import json, pathlib, pytest
from bench.pytest_plugin import benchmark_bridge as replay

DURATIONS = {DURATIONS!r}

@pytest.mark.benchmark(timer=replay.now)
def test_replayed(benchmark):
    replay.replay(benchmark, DURATIONS)
    pathlib.Path("seen.json").write_text(json.dumps(benchmark.stats.stats.data))
"""


def test_pytest_benchmark_reads_the_very_same_floats(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--benchmark-json=out.json",
        "test_it.py",
    ]
    paths = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, cwd=tmp_path, env=paths, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((tmp_path / "seen.json").read_text()) == DURATIONS
    stats = json.loads((tmp_path / "out.json").read_text())["benchmarks"][0]["stats"]
    assert stats["data"] == DURATIONS
    assert (stats["rounds"], stats["iterations"]) == (50, 1)


class Fixture:
    """``benchmark.pedantic`` as pytest-benchmark calls what it is given."""

    def __init__(self) -> None:
        self.data: list[float] = []

    def pedantic(self, target: Any, setup: Any, rounds: int, iterations: int) -> None:
        assert iterations == 1
        for _ in range(rounds):
            assert setup() is None  # anything else would be taken for arguments
            start = benchmark_bridge.now()
            target()
            self.data.append(benchmark_bridge.now() - start)
        setup()
        target()  # one call more, as with --benchmark-cprofile


def test_one_round_a_duration() -> None:
    benchmark = Fixture()
    benchmark_bridge.replay(benchmark, [0.5, 0.25, 0.125])
    assert benchmark.data == [0.5, 0.25, 0.125]


def test_two_replays_do_not_mix() -> None:
    first, second = Fixture(), Fixture()
    benchmark_bridge.replay(first, [3.0, 4.0])
    benchmark_bridge.replay(second, [0.5])
    assert second.data == [0.5]


def test_the_clock_stands_still_unless_it_is_set() -> None:
    benchmark = Fixture()
    benchmark_bridge.replay(benchmark, [7.0])
    assert benchmark_bridge.now() == benchmark_bridge.now() == 7.0
