"""Processes that take turns share processors."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench.compare.cpu_affinity import set_cpu_affinity

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not bind")

THREADS = "import threading, time; [threading.Thread(target=time.sleep, args=(60,)).start() for _ in 'abc']; print(); "


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """A process of four threads."""
    sleeper = subprocess.Popen([sys.executable, "-uc", f"{THREADS} time.sleep(60)"], stdout=subprocess.PIPE)
    assert sleeper.stdout is not None
    sleeper.stdout.readline()
    yield sleeper
    sleeper.kill()
    sleeper.communicate()


def bound(pid: int) -> set[tuple[int, ...]]:
    return {tuple(sorted(os.sched_getaffinity(int(thread)))) for thread in os.listdir(f"/proc/{pid}/task")}


def test_all_threads_of_a_process_are_bound(process: subprocess.Popen[bytes]) -> None:
    usable = os.sched_getaffinity(0)
    chosen = set_cpu_affinity([process.pid], 1, random.Random(0))
    assert len(os.listdir(f"/proc/{process.pid}/task")) == 4
    if len(usable) == 1:
        assert chosen == []
    else:
        assert len(chosen) == 1 and chosen[0] in usable
        assert bound(process.pid) == {tuple(chosen)}
    assert os.sched_getaffinity(0) == usable


def test_which_processors_is_random(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2, 3, 5, 7})
    choices = [set_cpu_affinity([], 2, random.Random(seed)) for seed in range(40)]
    assert {processor for chosen in choices for processor in chosen} == {2, 3, 5, 7}
    assert all(len(set(chosen)) == 2 for chosen in choices)


@pytest.mark.parametrize("threads", [0, 4, 8])
def test_who_needs_all_of_them_is_left_alone(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {2, 3, 5, 7})
    assert set_cpu_affinity([1], threads, random.Random(0)) == []


def test_a_process_that_is_gone_is_passed_over(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    set_cpu_affinity([process.pid], 1, random.Random(0))


def test_a_system_that_does_not_bind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_setaffinity")
    assert set_cpu_affinity([1], 1, random.Random(0)) == []
