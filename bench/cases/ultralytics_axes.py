"""Further axes of Ultralytics' training and prediction: settings that a user may vary besides the six of every case.

Each is read back from the live trainer or predictor before the clock starts. ``docs/reference/axes.md`` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.cases.axes import FORCED, Axis, order_of, register, whole_number
from bench.errors import UsageError

SWITCH = {"off": False, "on": True}

CACHES: dict[str, bool | str] = {"off": False, "ram": "ram", "disk": "disk"}

COMPILE: dict[str, bool | str] = {
    "off": False,
    "on": True,
    "reduce-overhead": "reduce-overhead",
    "max-autotune-no-cudagraphs": "max-autotune-no-cudagraphs",
}
"""Values of ``compile``, with their names in Ultralytics; ``on`` is torch's mode ``default``."""

OPTIMIZERS = ("SGD", "MuSGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSProp")

COMPILE_SECONDS = 3600.0
"""Seconds by which set-up and warm-up may take longer where a model is compiled: minutes on a GPU, many on a CPU."""

FORMATS = ("pt", "torchscript", "onnx", "openvino", "ncnn", "litert", "coreml", "engine")
"""Formats in which a model predicts; ``pt`` is Ultralytics' own model, which is not exported."""

EXPORT_SECONDS = {"torchscript": 4.0, "onnx": 8.0, "openvino": 6.0, "ncnn": 10.0, "litert": 50.0, "engine": 120.0}
"""First guess of the seconds of an export of a small model; :data:`OTHER_EXPORT_SECONDS` for the others."""

OTHER_EXPORT_SECONDS = 20.0

CACHE_SECONDS = 3600.0
"""Seconds by which set-up may take longer where all images of a dataset are decoded."""


def choice(name: str, values: Mapping[str, Any]) -> Callable[[str], str]:
    """Return a parser of a choice of words."""

    def parse(text: str) -> str:
        if text not in values:
            raise UsageError(f"{name} {text!r} is unknown: use {', '.join(values)}.")
        return text

    return parse


def parse_compile(text: str) -> str:
    """Read a value of ``compile``; a case's id has ``_`` in place of its hyphens."""
    return choice("compile", COMPILE)(text.replace("_", "-"))


def parse_optimizer(text: str) -> str:
    """Return an optimizer as Ultralytics spells it, from upper or lower case."""
    known = {name.lower(): name for name in OPTIMIZERS}
    if text.lower() == "auto":
        raise UsageError("optimizer 'auto' depends on the length of the run, which is short here: name an optimizer.")
    if text.lower() not in known:
        raise UsageError(f"optimizer {text!r} is unknown: use {', '.join(OPTIMIZERS)}.")
    return known[text.lower()]


def parse_multi_scale(text: str) -> str:
    """Read a value of ``multi_scale``: ``off``, or the range of sizes as a share of the image size."""
    try:
        share = float(text)
    except ValueError:
        share = 0.0
    if text != "off" and not 0 < share <= 1:
        raise UsageError(f"multi_scale {text!r} is unknown: use off, or a share of the image size such as 0.5.")
    return text if text == "off" else f"{share:g}"


def multi_scale(value: str) -> bool | float:
    """Return the argument of Ultralytics; False also means off where it takes a fraction."""
    return value != "off" and float(value)


def switch(name: str, title: str, about: str, setting: str, modes: tuple[str, ...]) -> Axis:
    """Return an axis with the values off and on."""
    return Axis(
        name,
        title,
        choice(name, SWITCH),
        f"off,on: {about}",
        order=order_of(list(SWITCH)),
        modes=modes,
        arguments=lambda value: {name: SWITCH[value]},
        setting=setting,
        expected=SWITCH.__getitem__,
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
        order=order_of(list(CACHES)),
        modes=TRAIN,
        arguments=lambda value: {"cache": CACHES[value]},
        setting="cache",
        expected=CACHES.__getitem__,
        extra_seconds=lambda value: 0.0 if value == "off" else CACHE_SECONDS,
    ),
    Axis(
        "compile",
        "Compile",
        parse_compile,
        f"{','.join(COMPILE)}: torch.compile, and its mode",
        order=order_of(list(COMPILE)),
        modes=BOTH,
        arguments=lambda value: {"compile": COMPILE[value]},
        setting="compile_mode",
        expected=lambda value: "default" if value == "on" else value,
        extra_seconds=lambda value: 0.0 if value == "off" else COMPILE_SECONDS,
    ),
    switch("channels_last", "Channels last", "memory format of the model", "channels_last", BOTH),
    switch("deterministic", "Deterministic", "deterministic algorithms of torch", "deterministic", TRAIN),
    Axis(
        "optimizer",
        "Optimizer",
        parse_optimizer,
        ",".join(OPTIMIZERS),
        order=order_of(OPTIMIZERS),
        modes=TRAIN,
        arguments=lambda value: {"optimizer": value},
        setting="optimizer",
        expected=lambda value: "RMSprop" if value == "RMSProp" else value,
    ),
    switch("rect", "Rectangular batches", "batches of one aspect ratio, without mosaic", "rect", TRAIN),
    Axis(
        "multi_scale",
        "Multi-scale",
        parse_multi_scale,
        "off, or the range of sizes as a share of the image size, such as 0.5",
        order=multi_scale,
        modes=TRAIN,
        arguments=lambda value: {"multi_scale": multi_scale(value)},
        setting="multi_scale",
        expected=multi_scale,
    ),
    Axis(
        "nbs",
        "Nominal batch",
        whole_number("nbs", 1, 65536),
        "images of an optimizer step: gradients of round(nbs / batch) batches are accumulated",
        order=int,
        numeric=True,
        modes=TRAIN,
        arguments=lambda value: {"nbs": value},
        setting="nbs",
    ),
    Axis(
        f"{FORCED}_workers",
        "Workers, forced",
        whole_number(f"{FORCED}_workers", 0, 1024),
        "processes that load images where Ultralytics takes none, such as 2",
        order=int,
        numeric=True,
        modes=TRAIN,
        setting="workers",
        option=False,
    ),
    Axis(
        "threads",
        "Threads",
        whole_number("threads", 1, 1024),
        "CPU threads of torch, or of the runtime of an export, such as 1,2,4",
        order=int,
        numeric=True,
        modes=BOTH,
        job=lambda value: {"threads": value},
        setting="threads",
        option=False,
    ),
    Axis(
        "format",
        "Format",
        choice("format", dict.fromkeys(FORMATS)),
        f"{','.join(FORMATS[:4])}: format that a model is exported to for prediction",
        order=order_of(FORMATS),
        modes=("predict",),
        setting="format",
        absent="pt",
        prepare_seconds=lambda value: EXPORT_SECONDS.get(value, OTHER_EXPORT_SECONDS),
    ),
):
    register(axis)
