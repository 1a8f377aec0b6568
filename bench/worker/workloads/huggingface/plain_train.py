"""Plain training by the Transformers Trainer, as a user types it; :mod:`bench.selfcheck` compares our figures with it.

The only addition is a callback at the end of a step, which counts, and waits for its turn where two workers take turns.
"""

from __future__ import annotations

import gc
import time
from typing import Any

from ...channel import Channel
from ...protocol import BlockEnded, PhaseBegan, PlainJob
from ...timing.lockstep import LockstepClient
from ..base import Workload
from . import made_tokens
from .train import arguments_of, make_arguments, seeded_model


class StopTraining(Exception):
    """Raised out of the last step; ends the training."""


def run(job: PlainJob, channel: Channel, turns: LockstepClient | None) -> None:
    """Train, and report the seconds of every block of steps, including the time between steps.

    Args:
        job: training to run.
        channel: channel on which each block is reported.
        turns: grants the next block; None lets blocks follow each other.
    """
    import torch
    from transformers import Trainer, TrainerCallback

    case = job.case
    done, left = 0, job.steps
    began = edge = time.perf_counter()
    warm = False

    class Counter(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *rest: Any, **named: Any) -> None:
            nonlocal began
            torch.set_num_threads(job.threads or Workload().default_threads())  # as a measured case has
            gc.unfreeze()  # a forked worker collects garbage at the cost that a fresh process would have
            channel.send(PhaseBegan("warmup"))
            began = time.perf_counter()

        def on_step_end(self, *rest: Any, **named: Any) -> None:
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

    arguments = make_arguments(case, arguments_of(case, job.overrides, job.scratch))
    trainer = Trainer(
        model=seeded_model(case["model"], arguments.seed),
        args=arguments,
        train_dataset=made_tokens.load(job.data, case["imgsz"]),
        callbacks=[Counter()],
    )
    try:
        trainer.train()
    except StopTraining:
        pass
