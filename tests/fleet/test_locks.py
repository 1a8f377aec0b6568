"""One member measures on a machine, and one process coordinates a run."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench.errors import UsageError
from bench.fleet import locks

ROOT = Path(__file__).resolve().parents[2]

HOLD = """
import sys, time
from bench import signals
from bench.fleet import locks
signals.interrupt_on_signals()
with locks.measuring("machine", sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path, monkeypatch):
    """Another process that measures for the run `r-a`."""
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, "r-a"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_another_fleet_is_refused(holder):
    refused = pytest.raises(UsageError, match=r"another fleet measures on this machine \(run r-a\)")
    with refused, locks.measuring("machine", "other-a"):
        pass
    assert holder.poll() is None
    with locks.measuring("local1", "other-a"):
        pass


def test_a_member_that_an_earlier_connection_left_behind_is_ended(holder):
    with locks.measuring("machine", "r-a"):
        assert holder.wait(20) != 0


def test_a_process_that_got_the_number_of_the_earlier_one_is_left_alone(holder, monkeypatch):
    monkeypatch.setattr(psutil.Process, "create_time", lambda self: 1.0)
    monkeypatch.setattr(locks, "TAKE_OVER_SECONDS", 0.2)
    with pytest.raises(UsageError, match="still measures on this machine"), locks.measuring("machine", "r-a"):
        pass
    assert holder.poll() is None


def test_a_run_has_one_coordinator(tmp_path, monkeypatch):
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    assert not locks.is_coordinated(tmp_path / "results/r")
    with locks.coordinating(tmp_path / "results/r"):
        assert locks.is_coordinated(tmp_path / "results/r")
        assert not locks.is_coordinated(tmp_path / "results/s")
        refused = pytest.raises(UsageError, match="run r is measured by another process now")
        with refused, locks.coordinating(tmp_path / "results/r"):
            pass
    assert not locks.is_coordinated(tmp_path / "results/r")
