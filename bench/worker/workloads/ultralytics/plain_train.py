"""Plain Ultralytics training, as a user types it; :mod:`bench.selfcheck` compares our figures with it.

``YOLO(...).train(...)`` with its own trainer and its own loop. The only addition is a callback at the end of a batch,
which counts, and waits for its turn where two workers take turns.
"""

from __future__ import annotations

from typing import Any

from ...channel import Channel
from ...protocol import PlainJob
from ...timing.lockstep import LockstepClient
from ...timing.plain_timer import PlainTimer, StopTraining
from . import forced_precision
from .models import find_model, user_model
from .train import AMP


def run(job: PlainJob, channel: Channel, turns: LockstepClient | None) -> None:
    """Train, and report the seconds of every block of steps, including the time between steps.

    Args:
        job: training to run.
        channel: channel on which each block is reported.
        turns: grants the next block; None lets blocks follow each other.
    """
    import torch

    case, timer = job.case, PlainTimer(job, channel, turns)

    def train_started(trainer: Any) -> None:
        if job.threads:
            torch.set_num_threads(job.threads)
        if forced is not None:
            trainer.scaler = forced.scaler()
        timer.started(torch.get_num_threads())

    forced = (
        forced_precision.ForcedPrecision(case["amp"], case["device"])
        if case["amp"] in forced_precision.DTYPES
        else None
    )
    model = user_model(find_model(case["model"]))
    model.add_callback("on_train_start", train_started)
    model.add_callback("on_train_batch_end", lambda trainer: timer.batch_ended())
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
