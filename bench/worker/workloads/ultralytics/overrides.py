"""Arguments of Ultralytics that a recipe fixes, with their reasons; the report shows both."""

from __future__ import annotations

from ..base import Override

TRAIN = (
    Override("epochs", 100_000, "more than enough: training is ended from outside when the window is complete"),
    Override("optimizer", "SGD", "'auto' depends on the length of the run, which here is short"),
    Override("nbs", 64, "the default, written down: it settles how many batches make one optimizer step"),
    Override("mosaic", 1.0, "the default, written down: it makes one image of four, and a short run may lose it"),
    Override("close_mosaic", 0, "versions disagree on whether a short run has mosaic at all (ultralytics#26226)"),
    Override("warmup_epochs", 0, "the ramp of accumulation at the start of training is not what an epoch costs"),
    Override("multi_scale", False, "the default, which became 0.0 in 8.4; a varying size changes the cost of a step"),
    Override("rect", False, "rectangular batches have fewer pixels than the size says, and take mosaic away"),
    Override("cache", False, "a cache is left out without an error where memory or disk is short"),
    Override("fraction", 1.0, "a part of the dataset would shorten the epoch that is predicted"),
    Override("single_cls", False, "one class would make the head and its loss smaller than the model says"),
    Override("compile", False, "a model goes on uncompiled, with a line of log, where no compiler is found"),
    Override("deterministic", True, "the default, written down because what it costs changed (ultralytics#26180)"),
    Override("seed", 0, "the default, written down: it settles which images each batch has"),
    Override("patience", 100_000, "nothing is validated, so nothing may stop training for want of progress"),
    Override("val", False, "validation is not part of a step"),
    Override("save", False, "saving a checkpoint is not part of a step"),
    Override("plots", False, "pictures of batches are not part of a step, and are drawn by separate threads"),
)

PREDICT = (
    Override("rect", False, "a rectangular letterbox has fewer pixels than the size says"),
    Override("conf", 0.25, "the default, written down: it settles how many boxes go through suppression"),
    Override("iou", 0.7, "the default, written down: it settles how many boxes suppression lets pass"),
    Override("max_det", 300, "the default, written down: each detection left is one more to build a result of"),
    Override("agnostic_nms", False, "the default, written down: suppression across classes lets fewer boxes pass"),
    Override("augment", False, "augmentation at test time runs the model on several sizes of one image"),
    Override("compile", False, "a model goes on uncompiled, with a line of log, where no compiler is found"),
    Override("visualize", False, "pictures of feature maps are not inference"),
    Override("verbose", False, "one line of log per image is not inference"),
    Override("save", False, "writing pictures is not inference"),
)

OVERRIDES = {"train": TRAIN, "predict": PREDICT}

FURTHER = {
    "segment": (
        Override("overlap_mask", True, "the default, written down: one mask of an image takes less memory than many"),
        Override("mask_ratio", 4, "the default, written down: it settles the size of the masks in the loss"),
    ),
    "classify": (
        Override("auto_augment", "randaugment", "the default, written down: most of the loader's work is this policy"),
        Override("erasing", 0.4, "the default, written down: a part of the loader's work"),
        Override("dropout", 0.0, "the default, written down: dropout makes the loss random"),
    ),
}
"""Further overrides of training, by task."""

WITHOUT = {
    ("train", "classify"): ("mosaic", "close_mosaic"),
    ("predict", "classify"): ("rect", "conf", "iou", "max_det", "agnostic_nms"),
}
"""Overrides that mean nothing in a task, by mode and task."""


def overrides_of(mode: str, task: str) -> tuple[Override, ...]:
    """Return the arguments that a recipe fixes for a task in a mode."""
    left_out = WITHOUT.get((mode, task), ())
    kept = tuple(override for override in OVERRIDES.get(mode, ()) if override.key not in left_out)
    return kept + (FURTHER.get(task, ()) if mode == "train" else ())
