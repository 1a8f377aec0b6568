"""The reference models: size, data, epoch, batch, optimizer and loader of each; standard library alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CIFAR, IMAGENET, MNIST = "cifar-like", "imagenet-like", "mnist-like"
"""Made data sets."""


@dataclass(frozen=True)
class Setup:
    """How a model is trained at one size.

    Attributes:
        data: name of the made data set.
        epoch_items: items of the epoch for which times are projected.
        batch: batch where the user names none.
        classes: outputs of the last layer.
        optimizer: class in ``torch.optim``.
        arguments: arguments of the optimizer.
        workers: data loader processes.
        gflops: operations of a forward pass over one item in 10^9, two for a multiplication with addition.
        parameters: number of parameters.
    """

    data: str
    epoch_items: int
    batch: int
    classes: int
    optimizer: str
    arguments: Mapping[str, float]
    workers: int
    gflops: float
    parameters: int


@dataclass(frozen=True)
class Reference:
    """One reference model.

    Attributes:
        architecture: where its layers come from.
        setups: by size; the first is the natural one.
        unit: singular noun for the elements of a batch.
        size_unit: unit of a size.
        torchvision: whether it needs torchvision.
    """

    architecture: str
    setups: Mapping[int, Setup]
    unit: str = "image"
    size_unit: str = "px"
    torchvision: bool = True

    @property
    def natural_size(self) -> int:
        """The size where the user names none."""
        return next(iter(self.setups))


ADAMW = {"lr": 1e-3, "weight_decay": 0.05}

MODELS: dict[str, Reference] = {
    "resnet18": Reference(
        "torchvision resnet18",
        {
            32: Setup(
                CIFAR,
                50_000,
                128,
                10,
                "SGD",
                {"lr": 0.1, "momentum": 0.9, "weight_decay": 5e-4},
                2,
                0.0740,
                11_181_642,
            ),
            224: Setup(
                IMAGENET,
                1_281_167,
                32,
                1000,
                "SGD",
                {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4},
                4,
                3.628,
                11_689_512,
            ),
        },
    ),
    "vit_b_16": Reference(
        "torchvision vit_b_16",
        {224: Setup(IMAGENET, 1_281_167, 32, 1000, "AdamW", ADAMW, 4, 35.13, 86_567_656)},
    ),
    "vit-tiny-4": Reference(
        "torchvision VisionTransformer(32, 4, 12, 3, 192, 768)",
        {32: Setup(CIFAR, 50_000, 128, 10, "AdamW", ADAMW, 2, 0.730, 5_362_762)},
    ),
    "lstm256": Reference(
        "torch LSTM(28, 256) and Linear(256, 10)",
        {28: Setup(MNIST, 60_000, 128, 10, "Adam", {"lr": 1e-3}, 0, 0.0163, 295_434)},
        unit="sequence",
        size_unit="steps",
        torchvision=False,
    ),
}
"""Reference models by name; docs/reference/reference-models.md says why they are so."""


def reference_of(model: str) -> Reference:
    """Return a reference model; the first one for an unknown name, as a record from elsewhere may have."""
    return MODELS.get(model) or next(iter(MODELS.values()))


def setup_of(model: str, imgsz: int) -> Setup:
    """Return the setup of a model at a size; that of its natural size for one that it does not have."""
    reference = reference_of(model)
    return reference.setups.get(imgsz) or reference.setups[reference.natural_size]


def why_no_size(model: str, imgsz: int) -> str:
    """Say why a model cannot run at a size, as one sentence; empty where it can."""
    reference = MODELS[model]
    if imgsz in reference.setups:
        return ""
    sizes = " or ".join(map(str, reference.setups))
    return f"imgsz {imgsz} requested: {model} runs at {sizes} {reference.size_unit}."
