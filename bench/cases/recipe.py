"""How a case is measured; two figures are comparable only where their recipes are the same."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection

import msgspec

from bench.errors import UsageError

VERSION = 2
"""Raise it when the way of measuring changes in any way that the fields below do not show."""


class Pin(msgspec.Struct, frozen=True):
    """A setting of Ultralytics that is fixed, and why."""

    key: str
    value: bool | int | float | str
    why: str


PINS: dict[str, tuple[Pin, ...]] = {
    "train": (
        Pin("epochs", 100_000, "more than enough: training is ended from outside when the window is complete"),
        Pin("optimizer", "SGD", "'auto' depends on the length of the run, which here is short"),
        Pin("nbs", 64, "the default, written down: it settles how many batches make one optimizer step"),
        Pin("mosaic", 1.0, "the default, written down: it makes one image of four, and a short run may lose it"),
        Pin("close_mosaic", 0, "versions disagree on whether a short run has mosaic at all (ultralytics#26226)"),
        Pin("warmup_epochs", 0, "the ramp of accumulation at the start of training is not what an epoch costs"),
        Pin("multi_scale", False, "the default, which became 0.0 in 8.4; another size every step is another step"),
        Pin("rect", False, "rectangular batches have fewer pixels than the size says, and take mosaic away"),
        Pin("cache", False, "a cache is left out without an error where memory or disk is short"),
        Pin("fraction", 1.0, "a part of the data set would shorten the epoch that is predicted"),
        Pin("single_cls", False, "one class would make the head and its loss smaller than the model says"),
        Pin("compile", False, "a model goes on uncompiled, with a line of log, where no compiler is found"),
        Pin("deterministic", True, "the default, written down because what it costs changed (ultralytics#26180)"),
        Pin("seed", 0, "the default, written down: it settles which images each batch has"),
        Pin("patience", 100_000, "nothing is validated, so nothing may stop training for want of progress"),
        Pin("val", False, "validation is not part of a step"),
        Pin("save", False, "nor is saving a checkpoint"),
        Pin("plots", False, "nor are pictures of batches, drawn on threads of their own"),
    ),
    "predict": (
        Pin("rect", False, "a rectangular letterbox has fewer pixels than the size says"),
        Pin("conf", 0.25, "the default, written down: it settles how many boxes go through suppression"),
        Pin("iou", 0.7, "the default, written down: it settles how many boxes suppression lets pass"),
        Pin("max_det", 300, "the default, written down: each detection left is one more to build a result of"),
        Pin("agnostic_nms", False, "the default, written down: suppression across classes lets fewer boxes pass"),
        Pin("augment", False, "augmentation at test time runs the model on several sizes of one image"),
        Pin("compile", False, "a model goes on uncompiled, with a line of log, where no compiler is found"),
        Pin("visualize", False, "pictures of what a layer sees are no inference"),
        Pin("verbose", False, "one line of log an image is not inference"),
        Pin("save", False, "nor is writing pictures"),
    ),
}
"""Reasons stand beside the settings, here and in the report."""


ENERGY_SECONDS = 10.0
"""Least seconds of a window whose joules are counted: counters move in steps of up to a tenth of a second."""


class Recipe(msgspec.Struct, dict=True, frozen=True):
    """How to measure one case.

    Attributes:
        warmup_seconds: warm-up lasts at least this long, and two steps more than an accumulation cycle, real or short.
        window_steps: least steps of the window, rounded up to whole accumulation cycles.
        window_seconds: least seconds of the window.
        threads: CPU threads of torch, set for every case; 0 for Ultralytics' own number, min(8, cores - 1).
        data: ``coco-like``, or the path of an Ultralytics data yaml.
        data_steps: length of a made data set, in batches; an epoch's turn within the window is left out of the steps.
        data_seed: seed of a made data set.
        pins: settings of Ultralytics that are fixed; reasons in :data:`PINS`.
        with_val: whether validation and the saving of a checkpoint are timed too, once, after the window.
        compare_losses: whether the first losses are compared with the CPU's on cuda too; on mps they always are.
        energy: whether joules are counted, over windows of at least :data:`ENERGY_SECONDS`.
        version: of the way of measuring itself.
    """

    warmup_seconds: float
    window_steps: int
    window_seconds: float
    pins: dict[str, bool | int | float | str]
    threads: int = 0
    data: str = "coco-like"
    data_steps: int = 64
    data_seed: int = 0
    with_val: bool = False
    compare_losses: bool = False
    energy: bool = False
    version: int = VERSION

    @functools.cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits over all fields."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:12]


def pins_for(mode: str, without: Collection[str] = ()) -> dict[str, bool | int | float | str]:
    """What the recipe of a mode fixes, as Ultralytics takes it; ``without`` what the axes of a case say themselves."""
    return {pin.key: pin.value for pin in PINS[mode] if pin.key not in without}


def check_threads(threads: int, values: Collection[str] = ()) -> None:
    """Raise :class:`UsageError` for an impossible number of CPU threads; ``values`` names the axes asked for."""
    if threads < 0:
        raise UsageError(f"threads {threads} is not allowed: use a whole number, or 0 for Ultralytics' own choice.")
    if threads and "threads" in values:
        raise UsageError(f"threads is named twice: leave out --threads {threads}, or the axis 'threads'.")
