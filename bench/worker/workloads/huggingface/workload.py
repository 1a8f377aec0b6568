"""Workload of the Transformers Trainer: its description for the runner and the page, and its methods in a worker."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..base import Override, Requirement, Workload
from . import expected_settings, made_tokens
from .models import MODELS, shape_of

if TYPE_CHECKING:
    from ...channel import Channel
    from ...protocol import DataJob, PlainJob
    from ...timing.lockstep import LockstepClient
    from ...timing.session import Session

BATCH = 32
"""Sequences per step in Hugging Face's own guides to MRPC."""

PIXELS_PER_GFLOP = 640**2 / 8.7
"""Pixels of yolov8n that cost as much as 10^9 operations: durations of all families are guessed in pixels."""


class Transformers(Workload):
    """Training and prediction of BERT by Hugging Face's Trainer; an image size is a number of tokens."""

    name = "transformers"
    title = "Transformers Trainer"
    modes = ("train", "predict")
    validates = True
    unit = "sequence"
    size_unit = "tokens"
    epoch_items = made_tokens.PAIRS
    data = made_tokens.NAME
    library = "transformers"
    requires = (Requirement("transformers", (5, 0)), Requirement("accelerate", (1, 6)))
    distributions: Mapping[str, tuple[str, ...]] = {"transformers": ("transformers",), "accelerate": ("accelerate",)}
    preload = (
        "torch",
        "torch._inductor.config",
        "torch._inductor.utils",
        "torch.optim.lr_scheduler",
        "transformers",
        "transformers.trainer",
        "transformers.models.bert.modeling_bert",
        "accelerate",
    )
    loggers = ("transformers", "accelerate")
    overrides: Mapping[str, tuple[Override, ...]] = {
        "train": expected_settings.OVERRIDES,
        "predict": expected_settings.PREDICT,
    }
    replaced: Mapping[str, str] = {"accumulate": "gradient_accumulation_steps"}
    further_axes = ("threads", "workers", "optimizer", "accumulate")
    derived = expected_settings.DERIVED
    hints = expected_settings.HINTS
    scope = expected_settings.SCOPE

    def claims(self, model: str) -> bool:
        """Return whether a model is named as a BERT."""
        return re.fullmatch(r"bert-[a-z0-9]+", model) is not None

    def why_unknown(self, model: str, offers: Mapping[str, Any], version: str) -> str:
        """Say that a model is none of this family; empty where it is one."""
        known = f"use {' or '.join(MODELS)}"
        return "" if model in MODELS else f"model {model!r} is unknown to the workload {self.name}: {known}."

    def why_no_amp(self, mode: str, kind: str, amp: str) -> str:
        """Say that fp16 is not expected on a CPU; empty elsewhere."""
        return expected_settings.NO_FP16 if (kind, amp) == ("cpu", "on") else ""

    def natural_values(self, model: str) -> dict[str, list[Any]]:
        """Return the batch and the padded length of Hugging Face's own guides to MRPC."""
        return {"batch": [BATCH], "imgsz": [made_tokens.LENGTH]}

    def work(self, case: Mapping[str, Any]) -> float:
        """Return the operations of a step's forward passes, in pixels of yolov8n."""
        return float(case["batch"] * shape_of(case["model"]).gflops(case["imgsz"]) * PIXELS_PER_GFLOP)

    def accumulation(self, case: Mapping[str, Any], overrides: Mapping[str, Any]) -> int:
        """Return the accumulation steps that were asked for."""
        return int(case.get("accumulate", 1)) if case["mode"] == "train" else 1

    def before_import(self, config: str, network: bool, alone: bool = True) -> None:
        """Keep a case off the network, and free of accelerate's variables."""
        from . import isolation

        isolation.before_import(config)

    def after_import(self) -> None:
        """Import the Trainer."""
        importlib.import_module("transformers.trainer")

    def check_imports(self) -> None:
        """Do nothing: the Trainer needs no library of the system, and its import takes ten seconds."""

    def provide_data(self, job: DataJob) -> dict[str, Any]:
        """Make pairs of sentences in the shape of MRPC."""
        return made_tokens.provide(job)

    def run(self, session: Session) -> None:
        """Train or predict."""
        from . import predict, train

        {"train": train.run, "predict": predict.run}[session.case["mode"]](session)

    def train_plainly(self, job: PlainJob, channel: Channel, turns: LockstepClient | None) -> None:
        """Train by ``Trainer(...).train()``."""
        from . import plain_train

        plain_train.run(job, channel, turns)
