"""Extension: a training loop whose steps wait, so that several agents measure on one machine as on one each.

It trains a network of 10 weights, and waits in each step. What is checked with it is the fleet, not a speed.
"""

from __future__ import annotations

from typing import Any

STEP_SECONDS = 0.01
"""Seconds that a step waits."""


def register() -> None:
    """Add the workload to the suite."""
    from bench import worker
    from bench.worker import workloads

    workloads.register(_waiting(worker))


def register_worker(worker: Any) -> None:
    """Add the workload to a worker."""
    worker.workloads.register(_waiting(worker))


def _waiting(worker: Any) -> Any:
    """Return the family; ``worker`` is the package of the worker, in the suite and in the measured process."""

    class Waiting(worker.workloads.Workload):  # type: ignore[misc]
        """Training that waits; an image size is the length of a vector."""

        name = "waiting"
        title = "Waiting"
        modes = ("train",)
        unit = "vector"
        size_unit = "numbers"
        epoch_items = 10_000
        data = "waiting-vectors"
        preload = ("torch", "torch._dynamo")  # which an optimizer imports: seconds of computing in each case

        def claims(self, model: str) -> bool:
            """Return whether a model is the one of this family."""
            return model == "wait10"

        def provide_data(self, job: Any) -> dict[str, Any]:
            """Return the description of the data, which each worker makes again."""
            return {"source": job.name, "fingerprint": "3a1" * 4, "images": job.images}

        def run(self, session: Any) -> None:
            """Train until the session has seen enough."""
            _train(session, worker)

    return Waiting()


def _train(session: Any, worker: Any) -> None:
    """Train on random vectors, and wait in each step."""
    import time

    import torch

    case, device = session.case, torch.device(session.device.torch_device)
    session.set_threads()
    torch.manual_seed(0)
    model = torch.nn.Linear(1, 5).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    vectors = torch.randn(case["batch"], case["imgsz"], 1, device=device)
    checks = worker.workloads.sanity_checks.TrainingSanityChecks(session.checks)
    training = worker.workloads.sanity_checks.Training(model)
    checks.remember(training)

    def settings() -> dict[str, Any]:
        weights = next(model.parameters())
        amp = "off" if weights.dtype == torch.float32 and not torch.is_autocast_enabled(device.type) else "on"
        read = {"batch": vectors.shape[0], "imgsz": vectors.shape[1], "workers": 0, "amp": amp}
        return {**read, "device": worker.effective_settings.device_name(weights.device, session.device)}

    session._windows._retry_noisy = False  # agents of other machines would be no interference here
    session.ready(settings(), accumulation_steps=1)
    while True:
        session.epoch_boundary()
        session.batch_arrived()
        time.sleep(STEP_SECONDS)
        loss = model(vectors).square().mean()
        session.phase_ended("forward")
        optimizer.zero_grad()
        loss.backward()
        session.phase_ended("backward")
        session.optimizer_stepped()
        if not session.warm:
            checks.record_gradients(training)
        optimizer.step()
        session.phase_ended("optimizer")
        training.loss_items = {"loss": loss}
        try:
            session.step_ended(len(vectors))
        except worker.timing.session.WindowComplete:
            checks.finish(training, session.stopwatch.optimizer_steps)
            checks.verdict(len(session.stopwatch.seconds))
            session.still_runs(settings())
            session.report()
            raise
