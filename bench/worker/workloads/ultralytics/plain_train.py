"""Plain Ultralytics training, the way a user types it: what :mod:`bench.selfcheck` holds our figures against.

``YOLO(...).train(...)`` with its own trainer and its own loop; the one thing added is a callback at the end of a batch
that counts, and waits for its turn where the runner lets two workers take turns.
"""

from __future__ import annotations

import gc
import time
from typing import Any

from ...channel import Channel
from ...timing.lockstep import LockstepClient
from .models import model_file
from .train import AMP


class StopTraining(Exception):
    """Raised out of the last batch; ends the training."""


def run(job: dict[str, Any], channel: Channel, turns: LockstepClient | None) -> None:
    """Train, and tell the seconds of every block of steps, whatever lies between two steps included.

    Args:
        job: ``case``, ``overrides``, ``threads``, ``data`` and ``scratch`` as for a measured case; ``warmup_steps`` and
            ``warmup_seconds``, both of which warm-up has to reach; ``steps`` to time in all, in blocks of ``block``.
        channel: where each block is told: ``block`` with ``seconds`` and ``steps``.
        turns: who says when the next block begins; None lets them follow each other.
    """
    import torch
    from ultralytics import YOLO

    case = job["case"]
    done, left = 0, job["steps"]
    began = edge = time.perf_counter()
    warm = False

    def train_started(trainer: Any) -> None:
        nonlocal began
        if job["threads"]:
            torch.set_num_threads(job["threads"])
        gc.unfreeze()  # a forked worker collects garbage at the cost that a fresh process would have
        channel.send("phase", name="warmup")
        began = time.perf_counter()

    def batch_ended(trainer: Any) -> None:
        nonlocal done, left, edge, warm
        done += 1
        now = time.perf_counter()
        if not warm:
            if done < job["warmup_steps"] or now - began < job["warmup_seconds"]:
                return
            warm = True
            channel.send("phase", name="window")
            if turns is not None:
                turns.wait()
        elif done >= job["block"]:
            left -= done
            seen = {"seconds": now - edge, "steps": done}
            if left <= 0:
                channel.send("block", **seen)
                raise StopTraining
            if turns is not None:
                turns.block_ended(**seen)
            else:
                channel.send("block", **seen)
        else:
            return
        done = 0
        edge = time.perf_counter()

    model = YOLO(model_file(case["model"]))
    model.add_callback("on_train_start", train_started)
    model.add_callback("on_train_batch_end", batch_ended)
    try:
        model.train(
            **job["overrides"],
            data=job["data"],
            device=case["device"],
            amp=AMP[case["amp"]],
            batch=case["batch"],
            imgsz=case["imgsz"],
            project=job["scratch"],
            name="plain",
            exist_ok=True,
        )
    except StopTraining:
        pass
