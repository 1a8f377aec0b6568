"""Plain Ultralytics training, as a user types it; :mod:`bench.selfcheck` compares our figures with it.

``YOLO(...).train(...)`` with its own trainer and its own loop. The only addition is a callback at the end of a batch,
which counts, and waits for its turn where two workers take turns.
"""

from __future__ import annotations

import gc
import time
from typing import Any

from ...channel import Channel
from ...protocol import BlockEnded, PhaseBegan, PlainJob
from ...timing.lockstep import LockstepClient
from . import forced_precision
from .models import find_model, user_model
from .train import AMP


class StopTraining(Exception):
    """Raised out of the last batch; ends the training."""


def run(job: PlainJob, channel: Channel, turns: LockstepClient | None) -> None:
    """Train, and report the seconds of every block of steps, including the time between steps.

    Args:
        job: training to run.
        channel: channel on which each block is reported.
        turns: grants the next block; None lets blocks follow each other.
    """
    import torch

    case = job.case
    done, left = 0, job.steps
    began = edge = time.perf_counter()
    warm = False

    def train_started(trainer: Any) -> None:
        nonlocal began
        if job.threads:
            torch.set_num_threads(job.threads)
        if forced is not None:
            trainer.scaler = forced.scaler()
        gc.unfreeze()  # a forked worker collects garbage at the cost that a fresh process would have
        channel.send(PhaseBegan("warmup"))
        began = time.perf_counter()

    def batch_ended(trainer: Any) -> None:
        nonlocal done, left, edge, warm
        done += 1
        now = time.perf_counter()
        if not warm:
            if done < job.warmup_steps or now - began < job.warmup_seconds:
                return
            warm = True
            channel.send(PhaseBegan("window"))
            if turns is not None:
                turns.wait()
        elif done >= job.block:
            left -= done
            if left <= 0:
                channel.send(BlockEnded(now - edge, done))
                raise StopTraining
            if turns is not None:
                turns.block_ended(now - edge, done)
            else:
                channel.send(BlockEnded(now - edge, done))
        else:
            return
        done = 0
        edge = time.perf_counter()

    forced = (
        forced_precision.ForcedPrecision(case["amp"], case["device"])
        if case["amp"] in forced_precision.DTYPES
        else None
    )
    model = user_model(find_model(case["model"]))
    model.add_callback("on_train_start", train_started)
    model.add_callback("on_train_batch_end", batch_ended)
    try:
        with forced_precision.in_the_loop(forced):
            model.train(
                **job.overrides,
                data=job.data,
                device=case["device"],
                amp=AMP[case["amp"]],
                batch=case["batch"],
                imgsz=case["imgsz"],
                project=job.scratch,
                name="plain",
                exist_ok=True,
            )
    except StopTraining:
        pass
