"""Further axes of Ultralytics' training and prediction: settings that a user may vary besides the six of every case.

Each is read back from the live trainer or predictor before the clock starts (``worker/effective.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.cases.axes import Axis, register, whole_number
from bench.errors import UsageError

SWITCH = {"off": False, "on": True}

CACHES: dict[str, bool | str] = {"off": False, "ram": "ram", "disk": "disk"}

OPTIMIZERS = ("SGD", "MuSGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSProp")

COMPILE_SECONDS = 3600.0
"""Seconds by which set-up and warm-up may take longer where a model is compiled: minutes on a GPU, many on a CPU."""


def choice(name: str, values: Mapping[str, Any]) -> Callable[[str], str]:
    """A parser of one of some words."""

    def parse(text: str) -> str:
        if text not in values:
            raise UsageError(f"{name} {text!r} is unknown: use {', '.join(values)}.")
        return text

    return parse


def parse_optimizer(text: str) -> str:
    """An optimizer as Ultralytics spells it, from any spelling of its letters."""
    known = {name.lower(): name for name in OPTIMIZERS}
    if text.lower() == "auto":
        raise UsageError("optimizer 'auto' depends on the length of the run, which is short here: name an optimizer.")
    if text.lower() not in known:
        raise UsageError(f"optimizer {text!r} is unknown: use {', '.join(OPTIMIZERS)}.")
    return known[text.lower()]


def switch(name: str, title: str, about: str, setting: str, modes: tuple[str, ...]) -> Axis:
    """An axis that is off or on."""
    return Axis(
        name,
        title,
        choice(name, SWITCH),
        f"off,on: {about}",
        order=list(SWITCH).index,
        modes=modes,
        arguments=lambda value: {name: SWITCH[value]},
        setting=setting,
        expected=SWITCH.__getitem__,
        extra_seconds=lambda value: COMPILE_SECONDS if name == "compile" and value == "on" else 0.0,
    )


TRAIN, BOTH = ("train",), ("train", "predict")

for axis in (
    Axis(
        "workers",
        "Workers",
        whole_number("workers", 0, 1024),
        "processes that load images, such as 0,2,4",
        order=int,
        numeric=True,
        modes=TRAIN,
        arguments=lambda value: {"workers": value},
        setting="workers",
    ),
    Axis(
        "cache",
        "Image cache",
        choice("cache", CACHES),
        "off,ram,disk: where decoded images are kept",
        order=list(CACHES).index,
        modes=TRAIN,
        arguments=lambda value: {"cache": CACHES[value]},
        setting="cache",
        expected=CACHES.__getitem__,
    ),
    switch("compile", "Compile", "the model by torch.compile", "compiled", BOTH),
    switch("channels_last", "Channels last", "memory format of the model", "channels_last", BOTH),
    switch("deterministic", "Deterministic", "deterministic algorithms of torch", "deterministic", TRAIN),
    Axis(
        "optimizer",
        "Optimizer",
        parse_optimizer,
        ",".join(OPTIMIZERS),
        order=lambda value: OPTIMIZERS.index(value) if value in OPTIMIZERS else len(OPTIMIZERS),
        modes=TRAIN,
        arguments=lambda value: {"optimizer": value},
        setting="optimizer",
        expected=lambda value: "RMSprop" if value == "RMSProp" else value,
    ),
    Axis(
        "threads",
        "Threads",
        whole_number("threads", 1, 1024),
        "CPU threads of torch, such as 1,2,4",
        order=int,
        numeric=True,
        modes=BOTH,
        job=lambda value: {"threads": value},
        setting="threads",
        option=False,
    ),
):
    register(axis)
