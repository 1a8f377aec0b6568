"""Measure the cost of timing: a session's marks of training steps without any work between the marks."""

from __future__ import annotations

import os
import time

from ..channel import Channel
from ..devices.cpu import Cpu
from ..protocol import CaseJob, OverheadMeasured, Window
from ..workloads import Workload
from .session import Session

STEPS = 2_000
ROUNDS = 9
CASE = {"mode": "train", "model": "", "device": Cpu.kind, "amp": "off", "batch": 16, "imgsz": 64}
WINDOW = Window(warmup_seconds=0.0, window_steps=10**9, window_seconds=0.0)


def report(channel: Channel) -> None:
    """Send the mean seconds of the marks of one step, for each of :data:`ROUNDS` rounds."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        seconds = [one_step(Channel(nowhere.fileno())) for _ in range(ROUNDS)]
    channel.send(OverheadMeasured(seconds, STEPS))


def one_step(channel: Channel) -> float:
    """Return the mean seconds of the marks of one step on the CPU, the optimizer's among them."""
    job = CaseJob(workload="", case=CASE, overrides={}, threads=1, window=WINDOW, data="", scratch="")
    session = Session(job, Workload(), channel, Cpu())
    session.ready({name: CASE[name] for name in ("device", "amp", "batch", "imgsz")}, accumulation_steps=1)
    while not session.warm:
        step(session)
    began = time.perf_counter()
    for _ in range(STEPS):
        step(session)
    seconds = (time.perf_counter() - began) / STEPS
    session.give_up()
    return seconds


def step(session: Session) -> None:
    """Make the marks of a step that runs the optimizer."""
    session.batch_arrived()
    session.phase_ended("preprocess")
    session.phase_ended("forward")
    session.phase_ended("backward")
    session.optimizer_stepped()
    session.phase_ended("optimizer")
    session.step_ended(16)
