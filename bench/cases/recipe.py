"""How a case is measured; two figures are comparable only where their recipes are the same."""

from __future__ import annotations

import hashlib

import msgspec

VERSION = 1
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
        Pin("close_mosaic", 0, "versions disagree on whether a short run has mosaic at all (ultralytics#26226)"),
        Pin("warmup_epochs", 0, "the ramp of accumulation at the start of training is not what an epoch costs"),
        Pin("deterministic", True, "the default, written down because what it costs changed (ultralytics#26180)"),
        Pin("seed", 0, "the default, written down"),
        Pin("patience", 100_000, "nothing is validated, so nothing may stop training for want of progress"),
        Pin("val", False, "validation is not part of a step"),
        Pin("save", False, "nor is saving a checkpoint"),
        Pin("plots", False, "nor are pictures of batches, drawn on threads of their own"),
    ),
    "predict": (
        Pin("rect", False, "a rectangular letterbox has fewer pixels than the size says"),
        Pin("verbose", False, "one line of log an image is not inference"),
        Pin("save", False, "nor is writing pictures"),
    ),
}
"""Reasons stand beside the settings, here and in the report."""


class Recipe(msgspec.Struct, frozen=True):
    """How to measure one case.

    Attributes:
        warmup_seconds: warm-up lasts at least this long, and one accumulation cycle and two steps.
        window_steps: least steps of the window, rounded up to whole accumulation cycles.
        window_seconds: least seconds of the window.
        threads: CPU threads of torch, set for every case; 0 for Ultralytics' own number, min(8, cores - 1).
        data: ``coco-like``, or the path of an Ultralytics data yaml.
        data_steps: length of a made data set, in batches; an epoch's turn within the window is left out of the steps.
        data_seed: seed of a made data set.
        pins: settings of Ultralytics that are fixed; reasons in :data:`PINS`.
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
    version: int = VERSION

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits over all fields."""
        return hashlib.sha256(msgspec.json.encode(self, order="sorted")).hexdigest()[:12]


def pins_for(mode: str) -> dict[str, bool | int | float | str]:
    """What the recipe of a mode fixes, as Ultralytics takes it."""
    return {pin.key: pin.value for pin in PINS[mode]}
