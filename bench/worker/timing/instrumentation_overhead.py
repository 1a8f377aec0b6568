"""What taking the time costs: a session's marks of training steps that do nothing in between."""

from __future__ import annotations

import os
import time
from typing import Any

from ..channel import Channel
from ..devices.cpu import Cpu
from .session import Session

STEPS = 2_000
ROUNDS = 9
CASE = {"mode": "train", "model": "", "device": Cpu.kind, "amp": "off", "batch": 16, "imgsz": 64}
WINDOW = {"warmup_seconds": 0.0, "window_steps": 10**9, "window_seconds": 0.0}


def tell(channel: Channel) -> None:
    """Send ``marks``: for each of :data:`ROUNDS` rounds the seconds that the marks of one step took on average."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        seconds = [one_step(Channel(nowhere.fileno())) for _ in range(ROUNDS)]
    channel.send("marks", seconds=seconds, steps=STEPS)


def one_step(channel: Channel) -> float:
    """Seconds of the marks of one step on the CPU, on average over :data:`STEPS`, the optimizer's among them."""
    job: dict[str, Any] = {"case": CASE, "overrides": {}, "threads": 1, "data": "", "scratch": "", "window": WINDOW}
    session = Session(job, channel, Cpu())
    session.ready({name: CASE[name] for name in ("device", "amp", "batch", "imgsz")}, cycle=1)
    while not session.warm:
        step(session)
    began = time.perf_counter()
    for _ in range(STEPS):
        step(session)
    seconds = (time.perf_counter() - began) / STEPS
    session.give_up()
    return seconds


def step(session: Session) -> None:
    """The marks of a step that runs the optimizer."""
    session.batch_arrived()
    session.part_ended("preprocess")
    session.part_ended("forward")
    session.part_ended("backward")
    session.optimizer_stepped()
    session.part_ended("optimizer")
    session.step_ended(16)
