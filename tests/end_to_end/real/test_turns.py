"""Two real workers that take turns: a measured case and plain training of the same."""

import contextlib
import dataclasses
import os
import random
import signal
import time

import msgspec
import pytest

from bench.compare.lockstep import LockstepPeer, WorkerFailed, balanced_turns, round_robin
from bench.records.steps import Steps
from bench.runner.jobs import case_job
from bench.runner.launchers.local import scratch_folder
from bench.runner.measure import find_data
from bench.worker.protocol import PlainJob, Window
from tests.end_to_end.real.conftest import tiny

BATCH = 2
WINDOW = Window(warmup_seconds=0.0, window_steps=12, window_seconds=0.0)


@pytest.fixture
def sides(forking):
    """Our case in turns of four steps and plain training in turns of three; ended when the test is."""
    planned = tiny(batch=BATCH)
    data = find_data(forking, planned)
    with scratch_folder() as first, scratch_folder() as second, contextlib.ExitStack() as stack:
        ours = dataclasses.replace(case_job(planned, data, first), window=WINDOW, block=4)
        same = {name: getattr(ours, name) for name in ("workload", "case", "overrides", "threads", "data")}
        plain = PlainJob(**same, scratch=second, block=3, steps=9, warmup_steps=2, warmup_seconds=0.0)
        peers = {}
        for name, job in (("ours", ours), ("plain", plain)):
            peers[name] = LockstepPeer(forking.start(job))
            stack.callback(peers[name].worker.end, 1.0)
            peers[name].warm_up()
        yield peers
    assert all(gone(side.worker.pid) for side in peers.values())


def gone(pid):
    """Whether a process is no more, which its parent may take a moment to notice."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def test_both_run_their_blocks_and_end(sides):
    ours, plain = sides["ours"], sides["plain"]
    began = time.monotonic()
    round_robin([ours, plain], 1, random.Random(0))
    assert not ours.ended
    while not (ours.ended and plain.ended):
        round_robin([ours, plain], 1, random.Random(0))
    took = time.monotonic() - began
    assert (ours.ended.status, plain.ended.status) == ("measured", "measured")
    assert [steps for _, steps in plain.blocks] == [3, 3, 3]
    assert [steps for _, steps in ours.blocks] == [4, 4]  # the last one is the end of its window
    steps = msgspec.convert(ours.measured["steps"], Steps)
    assert len(steps.window) == 12
    assert (steps.accumulation_steps, steps.timed_accumulation_steps, steps.optimizer) == (32, 6, [5, 11, 17])
    assert ours.measured["discarded"] == []
    # A block is its steps and the turns of epochs among them, and no waiting.
    window_seconds = sum(steps.window[:8])
    assert window_seconds - 1e-4 < ours.seconds < window_seconds + sum(steps.epoch_gaps) + 1e-4
    assert ours.seconds + plain.seconds < took


def test_a_worker_that_dies_in_its_turn_is_reported_and_its_peer_ends_too(sides):
    plain = sides["plain"]
    plain.take_turn()
    os.kill(plain.worker.pid, signal.SIGKILL)
    with pytest.raises(WorkerFailed, match="was killed by SIGKILL"):
        plain.take_turn()
    assert not gone_now(sides["ours"].worker.pid)


def gone_now(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize("mode", ["train", "predict"])
def test_turns_end_between_the_layers_of_a_model(forking, mode):
    planned = tiny(mode=mode, threads=1, imgsz=128)
    data = find_data(forking, planned)
    window = Window(warmup_seconds=0.0, window_steps=4, window_seconds=0.0)
    with contextlib.ExitStack() as stack:
        peers = []
        for within in (True, True, False):
            scratch = stack.enter_context(scratch_folder())
            job = dataclasses.replace(case_job(planned, data, scratch), window=window, block=1, within=within)
            peers.append(LockstepPeer(forking.start(job)))
            stack.callback(peers[-1].worker.end, 1.0)
            peers[-1].warm_up()
        base, head, whole = peers
        turns = {0: 0, 1: 0}
        for number in balanced_turns((base, head), random.Random(0)):
            peers[number].take_turn(peers[1 - number])
            turns[number] += 1
        while not whole.ended:
            whole.take_turn()
    steps = [msgspec.convert(side.measured["steps"], Steps) for side in peers]
    assert {len(side_steps.window) for side_steps in steps} == {4}
    # A step takes over 8 ms anywhere: two turns at least, each of them at the end of a layer or a part.
    assert min(turns.values()) >= 8
    assert turns[0] == turns[1]  # and both end them at the same points
    assert len(base.blocks) == len(whole.blocks) == 3
    for side, side_steps in zip(peers, steps, strict=True):
        parts = side.measured["phases"]["seconds"]
        assert set(parts) == set(whole.measured["phases"]["seconds"])
        for number, took in enumerate(side_steps.window):
            assert sum(seconds[number] for seconds in parts.values()) < took + 1e-4
