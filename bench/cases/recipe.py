"""How a case is measured; two figures are comparable only where their recipes are the same."""

from __future__ import annotations

import functools
from collections.abc import Collection

import msgspec

from bench.cases.fingerprints import digest
from bench.errors import UsageError

VERSION = 2
"""Raise it when the way of measuring changes in any way that the fields below do not show."""


class Override(msgspec.Struct, frozen=True):
    """A setting of Ultralytics that is fixed, and why."""

    key: str
    value: bool | int | float | str
    why: str


OVERRIDES: dict[str, tuple[Override, ...]] = {
    "train": (
        Override("epochs", 100_000, "more than enough: training is ended from outside when the window is complete"),
        Override("optimizer", "SGD", "'auto' depends on the length of the run, which here is short"),
        Override("nbs", 64, "the default, written down: it settles how many batches make one optimizer step"),
        Override("mosaic", 1.0, "the default, written down: it makes one image of four, and a short run may lose it"),
        Override("close_mosaic", 0, "versions disagree on whether a short run has mosaic at all (ultralytics#26226)"),
        Override("warmup_epochs", 0, "the ramp of accumulation at the start of training is not what an epoch costs"),
        Override("multi_scale", False, "the default, which became 0.0 in 8.4; another size every step is another step"),
        Override("rect", False, "rectangular batches have fewer pixels than the size says, and take mosaic away"),
        Override("cache", False, "a cache is left out without an error where memory or disk is short"),
        Override("fraction", 1.0, "a part of the data set would shorten the epoch that is predicted"),
        Override("single_cls", False, "one class would make the head and its loss smaller than the model says"),
        Override("compile", False, "a model goes on uncompiled, with a line of log, where no compiler is found"),
        Override("deterministic", True, "the default, written down because what it costs changed (ultralytics#26180)"),
        Override("seed", 0, "the default, written down: it settles which images each batch has"),
        Override("patience", 100_000, "nothing is validated, so nothing may stop training for want of progress"),
        Override("val", False, "validation is not part of a step"),
        Override("save", False, "nor is saving a checkpoint"),
        Override("plots", False, "nor are pictures of batches, drawn on threads of their own"),
    ),
    "predict": (
        Override("rect", False, "a rectangular letterbox has fewer pixels than the size says"),
        Override("conf", 0.25, "the default, written down: it settles how many boxes go through suppression"),
        Override("iou", 0.7, "the default, written down: it settles how many boxes suppression lets pass"),
        Override("max_det", 300, "the default, written down: each detection left is one more to build a result of"),
        Override("agnostic_nms", False, "the default, written down: suppression across classes lets fewer boxes pass"),
        Override("augment", False, "augmentation at test time runs the model on several sizes of one image"),
        Override("compile", False, "a model goes on uncompiled, with a line of log, where no compiler is found"),
        Override("visualize", False, "pictures of what a layer sees are no inference"),
        Override("verbose", False, "one line of log an image is not inference"),
        Override("save", False, "nor is writing pictures"),
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
        overrides: settings of Ultralytics that are fixed; reasons in :data:`OVERRIDES`.
        with_val: whether validation and the saving of a checkpoint are timed too, once, after the window.
        compare_losses: whether the first losses are compared with the CPU's on cuda too; on mps they always are.
        energy: whether joules are counted, over windows of at least :data:`ENERGY_SECONDS`.
        version: of the way of measuring itself.
    """

    warmup_seconds: float
    window_steps: int
    window_seconds: float
    overrides: dict[str, bool | int | float | str]
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
        """Twelve hexadecimal digits over everything that a recipe says."""
        return digest(
            {
                "warmup_seconds": self.warmup_seconds,
                "window_steps": self.window_steps,
                "window_seconds": self.window_seconds,
                "pins": self.overrides,
                "threads": self.threads,
                "data": self.data,
                "data_steps": self.data_steps,
                "data_seed": self.data_seed,
                "with_val": self.with_val,
                "compare_losses": self.compare_losses,
                "energy": self.energy,
                "version": self.version,
            }
        )


def overrides_for(mode: str, without: Collection[str] = ()) -> dict[str, bool | int | float | str]:
    """What the recipe of a mode fixes, as Ultralytics takes it; ``without`` what the axes of a case say themselves."""
    return {override.key: override.value for override in OVERRIDES[mode] if override.key not in without}


def check_threads(threads: int, values: Collection[str] = ()) -> None:
    """Raise :class:`UsageError` for an impossible number of CPU threads; ``values`` names the axes asked for."""
    if threads < 0:
        raise UsageError(f"threads {threads} is not allowed: use a whole number, or 0 for Ultralytics' own choice.")
    if threads and "threads" in values:
        raise UsageError(f"threads is named twice: leave out --threads {threads}, or the axis 'threads'.")
