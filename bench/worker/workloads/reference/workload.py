"""Workload of the reference models: its description for the runner and the page, and its methods in a worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..base import Derived, Override, Requirement, Workload, own_name
from .models import CIFAR, IMAGENET, MNIST, MODELS, reference_of, setup_of

if TYPE_CHECKING:
    from ...channel import Channel
    from ...protocol import DataJob, PlainJob
    from ...timing.lockstep import LockstepClient
    from ...timing.session import Session

PIXELS_PER_GFLOP = 47_000.0
"""Pixels of yolov8n for 10^9 operations: 8.7 at 640 pixels. Work is counted in them, as for Ultralytics."""

TORCHVISION = Requirement("torchvision", (0, 21))

TRAIN = (
    Override("shuffle", True, "each epoch takes the items in a new order, as training does"),
    Override("drop_last", True, "a smaller last batch of an epoch would be a step of another size"),
    Override("accumulate", 1, "every batch is an optimizer step, as in the guides' loops"),
    Override("channels_last", False, "the default, written down: the layout of images decides which kernels run"),
)

PREDICT = (
    Override("shuffle", False, "prediction takes the items in their order"),
    Override("channels_last", False, "the default, written down: the layout of images decides which kernels run"),
)


class Torch(Workload):
    """Training and prediction of reference models by a plain torch loop, as guides write it."""

    name = "torch"
    title = "torch"
    modes = ("train", "predict")
    precisions = ("off", "on", "bf16", "half")
    data = CIFAR
    model_requires: Mapping[str, tuple[Requirement, ...]] = {
        name: (TORCHVISION,) for name, model in MODELS.items() if model.torchvision
    }
    preload = (
        "torch",
        "torch._dynamo",  # the first optimizer imports it
        "torch.optim",
        "torch.utils.data",
        "torch.testing",
        "torchvision",
        "torchvision.datasets",
        "torchvision.models",
        "torchvision.transforms",
        "PIL.JpegImagePlugin",
    )
    overrides: Mapping[str, tuple[Override, ...]] = {"train": TRAIN, "predict": PREDICT}
    data_parallel = True
    further_axes = ("accumulate", "channels_last", "optimizer", "parallel", "threads", "workers")
    derived: Mapping[str, tuple[tuple[str, ...], Derived]] = {
        # Without loss scaling, fp16 would train differently; bf16 needs none, and model.half() has none.
        "loss_scaling": (("accumulate",), lambda case, overrides: case["amp"] == "on"),
        "architecture": ((), lambda case, overrides: reference_of(own_name(case["model"])).architecture),
    }
    may_change = ("accumulate",)
    hints: Mapping[tuple[str, str | None], str] = {
        ("batch", None): "the dataset has fewer items than one batch, or the devices cannot share it equally",
        ("channels_last", "on"): "the model has no layer with a layout of images",
    }
    scope: Mapping[str, tuple[str, ...]] = {
        "device": ("device",),
        "amp": ("mode", "model", "device", "amp"),
        "imgsz": ("model", "imgsz"),
        "batch": (),
    }

    def claims(self, model: str) -> bool:
        """Return whether a name is that of a reference model."""
        return model in MODELS

    def why_unknown(self, model: str, offers: Mapping[str, Any], version: str) -> str:
        """Say that a name is none of the reference models; empty where it is one."""
        return "" if model in MODELS else f"model {model!r} is no reference model: use {', '.join(MODELS)}."

    def why_no_amp(self, mode: str, kind: str, amp: str) -> str:
        """Say that float16 is expected to be missing on a CPU."""
        return "few CPUs have float16" if (kind, amp) == ("cpu", "on") else ""

    def data_for(self, model: str, imgsz: int, dense: bool = False) -> str:
        """Return the made data set of a model at a size; memory does not depend on its content."""
        return setup_of(model, imgsz).data

    def makes(self, data: str) -> bool:
        """Return whether a data set is made by this family."""
        return data in (CIFAR, IMAGENET, MNIST)

    def natural_values(self, model: str) -> dict[str, list[Any]]:
        """Return a model's natural size, and the batch at it."""
        size = reference_of(model).natural_size
        return {"imgsz": [size], "batch": self.natural_batches(model, size)}

    def natural_batches(self, model: str, imgsz: int) -> list[int]:
        """Return a model's batch at a size."""
        return [setup_of(model, imgsz).batch]

    def units(self, model: str, imgsz: int) -> dict[str, Any]:
        """Return the units of a model, and the epoch of its data."""
        reference, setup = reference_of(model), setup_of(model, imgsz)
        return {"unit": reference.unit, "size_unit": reference.size_unit, "epoch_items": setup.epoch_items}

    def work(self, case: Mapping[str, Any]) -> float:
        """Return the operations of a forward pass over a batch, in pixels of yolov8n."""
        return float(case["batch"] * setup_of(own_name(case["model"]), case["imgsz"]).gflops * PIXELS_PER_GFLOP)

    def accumulation(self, case: Mapping[str, Any], overrides: Mapping[str, Any]) -> int:
        """Return the accumulation steps that were asked for."""
        return int(case.get("accumulate", 1)) if case["mode"] == "train" else 1

    def after_import(self) -> None:
        """Import torch, and what the first optimizer imports."""
        import torch
        import torch.utils.data

        torch.optim.SGD([torch.nn.Parameter(torch.empty(0))])

    def check_imports(self) -> None:
        """Load torch's data loader."""
        import torch.utils.data  # noqa: F401

    def provide_data(self, job: DataJob) -> dict[str, Any]:
        """Make a data set that does not exist yet."""
        from . import made_data

        return made_data.provide(job.name, job.root, job.images, job.seed)

    def run(self, session: Session) -> None:
        """Train or predict."""
        from . import predict, train

        {"train": train.run, "predict": predict.run}[session.case["mode"]](session)

    def train_plainly(self, job: PlainJob, channel: Channel, turns: LockstepClient | None) -> None:
        """Train by the same loop without the session's marks."""
        from . import plain_train

        plain_train.run(job, channel, turns)
