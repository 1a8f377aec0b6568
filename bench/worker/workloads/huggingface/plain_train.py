"""Plain training by the Transformers Trainer, as a user types it; :mod:`bench.selfcheck` compares our figures with it.

The only addition is a callback at the end of a step, which counts, and waits for its turn where two workers take turns.
"""

from __future__ import annotations

from typing import Any

from ...channel import Channel
from ...protocol import PlainJob
from ...timing.lockstep import LockstepClient
from ...timing.plain_timer import PlainTimer, StopTraining
from ..base import Workload
from . import made_tokens
from .train import arguments_of, make_arguments, seeded_model


def run(job: PlainJob, channel: Channel, turns: LockstepClient | None) -> None:
    """Train, and report the seconds of every block of steps, including the time between steps.

    Args:
        job: training to run.
        channel: channel on which each block is reported.
        turns: grants the next block; None lets blocks follow each other.
    """
    import torch
    from transformers import Trainer, TrainerCallback

    case, timer = job.case, PlainTimer(job, channel, turns)

    class Counter(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, *rest: Any, **named: Any) -> None:
            torch.set_num_threads(job.threads or Workload().default_threads())  # as a measured case has
            timer.started(torch.get_num_threads())

        def on_step_end(self, *rest: Any, **named: Any) -> None:
            timer.batch_ended()

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
