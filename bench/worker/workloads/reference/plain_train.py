"""Plain training of a reference model, as a guide writes it; :mod:`bench.selfcheck` compares our figures with it.

The loop has none of the session's marks. It counts batches, and waits for its turn where two workers take turns.
"""

from __future__ import annotations

from ...channel import Channel
from ...devices import open_device
from ...protocol import PlainJob
from ...timing.lockstep import LockstepClient
from ...timing.plain_timer import PlainTimer, StopTraining
from ..base import Workload
from .loop import Loop


def run(job: PlainJob, channel: Channel, turns: LockstepClient | None) -> None:
    """Train, and report the seconds of every block of steps, including the time between steps."""
    import torch

    loop = Loop(job.case, job.overrides, job.data, open_device(job.case["device"]).torch_device)
    torch.set_num_threads(job.threads or Workload().default_threads())
    timer = PlainTimer(job, channel, turns)
    timer.started(torch.get_num_threads())
    try:
        train(loop, int(job.overrides.get("accumulate", 1)), timer)
    except StopTraining:
        pass


def train(loop: Loop, accumulate: int, timer: PlainTimer) -> None:
    """Run the loop; ends by :class:`StopTraining`."""
    device, model, optimizer, scaler = loop.device, loop.model, loop.optimizer, loop.scaler
    while True:
        total = 0.0
        for step, (inputs, targets) in enumerate(loop.loader, 1):
            inputs = loop.to_device(inputs)
            targets = targets.to(device, non_blocking=True)
            with loop.autocast():
                loss = loop.criterion(model(inputs), targets) / accumulate
            scaler.scale(loss).backward()
            if step % accumulate == 0:
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
            total += loss.item() * accumulate
            timer.batch_ended()
