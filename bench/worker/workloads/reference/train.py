"""Training of a reference model: a plain loop with the session's marks between its lines."""

from __future__ import annotations

import copy
from typing import Any

from ...devices import Device
from ...distributed import parallel
from ...timing.session import Session, WindowComplete
from .. import cpu_parity
from ..sanity_checks import TrainingSanityChecks
from . import read_settings
from .loop import Loop

PARITY_ITEMS = 8
"""Items of the step that is compared with the CPU's."""


def run(session: Session) -> None:
    """Train until the session ends the training."""
    group, place = session.process_group, session.device.torch_device
    loop = Loop(
        session.case, session.overrides, session.data, place, session.loss_scale, rank=group.rank, ranks=group.size
    )
    if group.size > 1:
        parallel.init_process_group(session)
    loop.model = parallel.wrap(loop.model, session)
    session.set_threads()
    accumulate = int(session.overrides.get("accumulate", 1))
    works = TrainingSanityChecks(session.checks)
    settings = read_settings.read(loop, session.device)
    if session.compare_losses:
        compare_with_cpu(loop, session.device, session.checks)
        session.device.release()
    works.remember(loop)
    session.ready({**settings, "accumulate": accumulate}, accumulation_steps=accumulate)
    try:
        train(session, loop, works)
    except WindowComplete:
        works.finish(loop, session.stopwatch.optimizer_steps)
        works.verdict(len(session.stopwatch.seconds))
        session.still_runs({**read_settings.read(loop, session.device), "accumulate": session.accumulation})
        if group.size > 1:
            parallel.agree(loop.model, session)
        session.extra["gflops"] = loop.setup.gflops
        session.report()
        raise


def train(session: Session, loop: Loop, works: TrainingSanityChecks) -> None:
    """Run the loop; ends by an exception of the session."""
    device, model, optimizer, scaler = loop.device, loop.model, loop.optimizer, loop.scaler
    while True:
        works.epoch_ended(loop)
        session.epoch_boundary()
        loop.epoch_began()
        total, pending = 0.0, 0
        for step, (inputs, targets) in enumerate(loop.loader, 1):
            session.batch_arrived()
            inputs = loop.to_device(inputs)
            targets = targets.to(device, non_blocking=True)
            session.phase_ended("preprocess")
            with loop.autocast():
                loss = loop.criterion(model(inputs), targets) / session.accumulation
            session.phase_ended("forward")
            scaler.scale(loss).backward()
            session.phase_ended("backward")
            pending += 1
            if pending >= session.accumulation:
                pending = 0
                session.optimizer_stepped()
                if not session.warm:
                    works.record_gradients(loop)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad()
                if not session.stopwatch.windows:
                    works.record_scale(loop)
                session.phase_ended("optimizer")
            value = loss.item() * session.accumulation
            total += value
            loop.loss_items, loop.tloss = {"loss": value}, {"loss": total / step}
            loop.batch_shape = tuple(inputs.shape)
            session.step_ended(len(inputs))


def compare_with_cpu(loop: Loop, device: Device, checks: dict[str, Any]) -> None:
    """Compare loss and gradient of one step in float32 on the device with those on the CPU."""
    inputs, targets = loop.sample(PARITY_ITEMS)
    here = loss_and_gradient(loop, loop.device, inputs, targets)
    cpu_parity.compare(here, loss_and_gradient(loop, "cpu", inputs, targets), device.name, checks)


def loss_and_gradient(loop: Loop, device: Any, inputs: Any, targets: Any) -> dict[str, float]:
    """Return ``loss`` and ``gradient_norm`` of one step in float32, with a copy of the model."""
    import torch

    model = copy.deepcopy(loop.network).to(device).float().train()
    loss = loop.criterion(model(inputs.to(device)), targets.to(device))
    loss.backward()
    norms = [torch.linalg.vector_norm(p.grad.float()).cpu() for p in model.parameters() if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    return {"loss": float(f"{loss.item():.6g}"), "gradient_norm": float(f"{float(norm):.6g}")}
