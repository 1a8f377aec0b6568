"""Required settings of Ultralytics for a case besides the overrides, and explanations where they differ."""

from __future__ import annotations

from ..base import Derived, own_name
from .model_names import size_read
from .tasks import OWN_NETWORKS

SCOPE = {
    "device": ("device", "format"),
    "amp": ("mode", "device", "amp", "format"),  # whatever the model
    "imgsz": ("mode", "model", "imgsz"),
    "batch": (),
}
"""Axes of a case that decide whether an axis is honoured."""

HINTS: dict[tuple[str, str | None], str] = {
    ("amp", "on"): "Ultralytics offers no mixed precision here",
    ("amp", "bf16"): "Ultralytics offers no bfloat16 here",
    ("imgsz", None): "sizes are rounded up to a multiple of the model's stride",
    ("batch", None): "the dataset has fewer images than one batch, or the devices cannot share the batch equally",
    ("cache", "False"): "Ultralytics reads .npy files next to images in place of the images; delete them",
    ("integrations", None): "callbacks that talk to something run between the steps",
    ("weights", None): "Ultralytics renames what it is asked for",
    ("scale", None): "the size in the name is not that of the model: rename the file",
    ("auto_augment", None): "torchvision is too old for it",
    ("channels", None): "the network has to take the channels of the dataset",
    ("classes", None): "the network has to have the classes of the dataset",
    ("workers", None): "on cpu and mps Ultralytics loads images in the training process, elsewhere by no more workers "
    "than a card has processors and an epoch has batches",
    ("cache", "ram"): "Ultralytics leaves the cache out where it would not fit twice into free memory",
    ("cache", "disk"): "Ultralytics leaves the cache out where the disk has too little room",
    ("compile", None): "torch.compile needs a C++ compiler, and Triton on a GPU",
    ("channels_last", "on"): "Ultralytics trains with channels_last on CUDA alone",
    ("architecture", None): "a yaml file in the working folder goes before Ultralytics' own of that name",
}
"""Explanation of a substitution, by setting and requested value; None stands for any value."""

TURNED_OFF = "Ultralytics turns it off"
NO_AMP: dict[tuple[str, str], dict[str, str]] = {
    ("train", "on"): {"cpu": TURNED_OFF, "mps": TURNED_OFF},
    ("predict", "on"): {"cpu": TURNED_OFF},
    ("predict", "bf16"): {"": "Ultralytics predicts in float32 or float16 only"},
}
"""Why a precision is expected to be unavailable: by mode and precision, then by kind of device (empty: any).

This only decides what a default plan leaves out. Up to 8.4.155 Ultralytics did predict in float16 on a CPU."""


def ranks(device: str) -> int:
    """Return how many processes train together."""
    from ... import devices

    return devices.ranks(device)


def architecture(model: str) -> str | None:
    """Return where the layers of a model come from; a yaml file may be Ultralytics' own or the user's, so anything."""
    if model.endswith((".yaml", ".yml")):
        return None
    if own_name(model) in OWN_NETWORKS:
        return "of torchvision"
    return "from weights" if model.endswith(".pt") else "of Ultralytics"


DERIVED: dict[str, tuple[tuple[str, ...], Derived]] = {
    # After the ramp of the warm-up; Ultralytics lowers it for a run of fewer batches than one optimizer step needs.
    "accumulate": (("nbs",), lambda case, overrides: max(round(overrides["nbs"] / case["batch"]), 1)),
    # Without loss scaling, fp16 would train differently; bf16 needs none.
    "loss_scaling": ((), lambda case, overrides: case["amp"] in ("on", "forced-fp16")),
    # An epoch without the moving average of the weights is cheaper than what users get.
    "ema": ((), lambda case, overrides: True),
    # Rectangular batches come in one order, without mosaic. Shuffling is part of the cost of reading images.
    "shuffle": (("rect",), lambda case, overrides: None if overrides["rect"] else True),
    "mosaic": (("rect", "mosaic"), lambda case, overrides: 0.0 if overrides["rect"] else overrides["mosaic"]),
    # Where it compiles, Ultralytics drops a smaller last batch of an epoch, so that all batches have one shape.
    "drop_last": (("compile",), lambda case, overrides: None if overrides["compile"] else False),
    "compiled": (("compile",), lambda case, overrides: bool(overrides["compile"])),
    # A first call compiles, allocates and chooses kernels: it must not be timed.
    "warmed_up": ((), lambda case, overrides: True),
    # Otherwise each rank would train by itself, at the speed of one.
    "ranks": ((), lambda case, overrides: ranks(case["device"])),
    # The size of a yaml file with sizes, as the name asks for it; a file may be called anything.
    "scale": ((), lambda case, overrides: size_read(case["model"]) or None),
    "integrations": ((), lambda case, overrides: []),
    "weights": ((), lambda case, overrides: "from file" if case["model"].endswith(".pt") else "random"),
    "architecture": ((), lambda case, overrides: architecture(case["model"])),
}
"""Settings that follow from a case: by name, the overrides that the rule needs, and the rule (None: anything)."""

MAY_CHANGE = ("accumulate",)
"""Settings that a measurement lowers, where the real accumulation steps are too many for the window."""
