"""Arguments of the Trainer that the recipe fixes, and the settings that follow from a case."""

from __future__ import annotations

from ..base import Derived, Override

OVERRIDES = (
    Override("num_train_epochs", 100_000, "more than enough: training is ended from outside when the window is full"),
    Override("optimizer", "AdamW", "the default (adamw_torch_fused), written down: version 4 had one without fusion"),
    Override("workers", 0, "the default (dataloader_num_workers), written down: made tokens need no processes"),
    Override("gradient_accumulation_steps", 1, "the default, written down: BERT does not divide its loss by it"),
    Override("dataloader_drop_last", True, "a smaller last batch is no step of the batch that the case names"),
    Override("auto_find_batch_size", False, "it goes on with a smaller batch where memory runs out"),
    Override("max_grad_norm", 1.0, "the default, written down: clipping gradients is a part of each step"),
    Override("logging_nan_inf_filter", True, "the default, written down: it waits for the device in each step"),
    Override("logging_strategy", "no", "the default logs every 500 steps, which is not part of a step"),
    Override("save_strategy", "no", "the default saves a checkpoint every 500 steps, which is not part of a step"),
    Override("eval_strategy", "no", "evaluation is not part of a step"),
    Override("report_to", "none", "integrations send figures elsewhere between the steps"),
    Override("disable_tqdm", True, "a progress bar is not part of a step"),
    Override("seed", 42, "the default, written down: it settles the weights and the order of the sequences"),
)

PREDICT = tuple(
    override
    for override in OVERRIDES
    if override.key in ("workers", "auto_find_batch_size", "report_to", "disable_tqdm", "seed")
)
"""Those of prediction, which has no optimizer and no epochs."""

SCOPE = {
    "device": ("device",),
    "amp": ("mode", "device", "amp"),  # whatever the model
    "imgsz": ("mode", "model", "imgsz"),
    "batch": (),
}
"""Axes of a case that decide whether an axis is honoured."""

NO_FP16 = "the Trainer ignores fp16 on a CPU"

HINTS: dict[tuple[str, str | None], str] = {
    ("amp", "on"): NO_FP16,
    ("device", None): "the Trainer takes no device: it takes mps, else the first of xpu, npu and cuda that is there",
    ("batch", None): "the Trainer multiplies the batch by the number of cards that it sees",
    ("data_parallel", None): "the Trainer splits each batch over all cards that it sees",
    ("integrations", None): "callbacks that talk to something run between the steps",
    ("ranks", None): "the Trainer takes itself for one of several processes",
}
"""Explanation of a substitution, by setting and requested value; None stands for any value."""

DERIVED: dict[str, tuple[tuple[str, ...], Derived]] = {
    # Without loss scaling, fp16 would train differently; bf16 needs none.
    "loss_scaling": ((), lambda case, overrides: case["amp"] == "on"),
    # A batch that several cards share is another case.
    "data_parallel": ((), lambda case, overrides: False),
    "ranks": ((), lambda case, overrides: 1),
    "shuffle": ((), lambda case, overrides: True),
    "training": ((), lambda case, overrides: case["mode"] == "train"),
    "compiled": ((), lambda case, overrides: False),
    "weights_dtype": ((), lambda case, overrides: "float32"),
    "integrations": ((), lambda case, overrides: []),
}
"""Settings that follow from a case: by name, the overrides that the rule needs, and the rule (None: anything)."""
