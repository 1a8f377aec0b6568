"""A workload of one file: a plain torch loop that trains a tiny network on random vectors."""

OPTIMIZER = {"lr": 0.01, "momentum": 0.0, "weight_decay": 0.0}
"""Settings of the optimizer; each may be an axis."""


def register():
    """Add it to the suite: the runner, pytest and the page read its description."""
    from bench import worker
    from bench.worker import workloads

    workloads.register(toy(worker))


def register_worker(worker):
    """Add it to a worker, which runs it."""
    worker.workloads.register(toy(worker))


def toy(worker):
    """Return the family; ``worker`` is the package of the worker, for the suite and in the measured process."""

    class Toy(worker.workloads.Workload):
        """Classification of made vectors; an image size is the length of a vector."""

        name = "toy"
        title = "Toy"
        modes = ("train",)
        unit = "vector"
        size_unit = "numbers"
        epoch_items = 10_000
        data = "toy-vectors"
        further_axes = ("threads", *OPTIMIZER)

        def claims(self, model):
            """Return whether a model is the one of this family."""
            return model == "tiny"

        def provide_data(self, job):
            """Say what the data are: each worker makes them again."""
            return {"source": job.name, "fingerprint": "70f" * 4, "images": job.images}

        def run(self, session):
            """Train until the session has seen enough."""
            train(session, worker)

    return Toy()


def train(session, worker):
    """Run the loop, as a guide of torch writes it, with the session's marks between its lines."""
    import torch

    case, device = session.case, torch.device(session.device.torch_device)
    session.set_threads()
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(case["imgsz"], 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    model.to(device)
    optimizer = torch.optim.SGD(model.parameters(), **{**OPTIMIZER, **session.overrides})
    vectors, labels = torch.randn(4096, case["imgsz"]), torch.randint(10, (4096,))
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(vectors, labels), case["batch"], shuffle=True, drop_last=True
    )
    training = worker.workloads.sanity_checks.Training(model)
    checks = worker.workloads.sanity_checks.TrainingSanityChecks(session.checks)
    checks.remember(training)

    def settings():
        weights = next(model.parameters())
        amp = "off" if weights.dtype == torch.float32 and not torch.is_autocast_enabled(device.type) else "on"
        read = {name: optimizer.param_groups[0][name] for name in OPTIMIZER}
        read |= {"batch": loader.batch_size, "imgsz": model[0].in_features, "workers": loader.num_workers}
        return {**read, "device": worker.effective_settings.device_name(weights.device, session.device), "amp": amp}

    session.ready(settings(), accumulation_steps=1)
    while True:
        session.epoch_boundary()
        for batch in loader:
            session.batch_arrived()
            inputs, targets = (part.to(device) for part in batch)
            session.phase_ended("preprocess")
            loss = torch.nn.functional.cross_entropy(model(inputs), targets)
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
                session.step_ended(len(inputs))
            except worker.timing.session.WindowComplete:
                checks.finish(training, session.stopwatch.optimizer_steps)
                checks.verdict(len(session.stopwatch.seconds))
                session.still_runs(settings())
                session.report()
                raise
