"""Workload of Ultralytics: its description for the runner and the page, and its methods in a worker."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base import Override, Requirement, Workload
from . import expected_settings, overrides
from .model_names import has_weights, is_known, sizes_in, why_unknown
from .tasks import DETECT, OWN_NETWORKS, TASKS, task_of_data, task_of_model

if TYPE_CHECKING:
    from ...channel import Channel
    from ...protocol import DataJob, ExportJob, PlainJob
    from ...timing.lockstep import LockstepClient
    from ...timing.session import Session

WORK = {"n": 1.0, "t": 0.9, "s": 3.3, "m": 9.1, "l": 19.0, "x": 30.0}
"""Operations of a YOLO scale relative to scale n (8.7 GFLOPs at 640 for yolov8n, 28.6, 78.9, 165, 258)."""

OTHER_WORK = {"resnet18": 3.4, "vit_b_16": 33.0, "rtdetr": 12.0, "-cls": 0.4}
"""Operations per pixel of other models relative to yolov8n, by a part of their names."""

RUNTIMES = {
    "onnx": ("onnxruntime", "onnxruntime-gpu", "onnx", "onnxslim"),
    "openvino": ("openvino", "nncf"),
    "ncnn": ("ncnn", "pnnx"),
    "litert": ("ai-edge-litert",),
    "coreml": ("coremltools",),
    "engine": ("tensorrt", "tensorrt-cu12", "tensorrt-cu13", "onnx", "onnxslim"),
}
"""Distributions that run and make each exported format."""

NBS = 64
"""Ultralytics' nominal batch: the number of images over which gradients are accumulated."""


class Ultralytics(Workload):
    """Training and prediction by Ultralytics' own trainers and predictors."""

    name = "ultralytics"
    title = "Ultralytics"
    modes = ("train", "predict")
    precisions = ("off", "on", "bf16", "forced-bf16", "forced-fp16", "int8")
    data, dense_data = DETECT.data
    takes_data = True
    validates = True
    library = "ultralytics"
    # in older versions, training on mps could be silently wrong (ultralytics#22181)
    requires = (Requirement("ultralytics", (8, 3, 230)),)
    runtimes = RUNTIMES
    preload = (
        "torch",
        "torch._inductor.config",
        "torch._inductor.utils",  # init_seeds imports it (1.2 s)
        "torch.optim.lr_scheduler",
        "ultralytics",
        "ultralytics.engine.trainer",
        "ultralytics.engine.predictor",
        "ultralytics.models.yolo.detect",
        "ultralytics.data.build",
        "ultralytics.utils.callbacks.platform",
        "ultralytics.utils.callbacks.clearml",
        "ultralytics.utils.callbacks.comet",
        "ultralytics.utils.events",
        "matplotlib.font_manager",
        "requests",
    )
    loggers = ("ultralytics",)
    overrides = overrides.OVERRIDES
    further_axes = None
    derived = expected_settings.DERIVED
    may_change = expected_settings.MAY_CHANGE
    hints = expected_settings.HINTS
    scope = expected_settings.SCOPE

    def claims(self, model: str) -> bool:
        """Return whether a model is a file, or named as Ultralytics' models are."""
        return model.endswith((".pt", ".yaml", ".yml")) or re.match(r"yolo|rtdetr", model) is not None

    def offers(self, identities: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return the names of models and data sets that an installed Ultralytics brings, without ``.yaml``.

        ``models`` maps each to the letters of its sizes, such as ``nsmlx``, empty for a model of one size.
        """
        if "ultralytics" not in identities:
            return {}
        folder = Path(identities["ultralytics"]["file"]).parent / "cfg"
        return {
            "models": sizes_in(folder / "models"),
            "datasets": sorted(path.stem for path in (folder / "datasets").glob("*.yaml")),
        }

    def why_unknown(self, model: str, offers: Mapping[str, Any], version: str) -> str:
        """Say what is wrong with a name that this Ultralytics lacks in that size; empty for a file."""
        sizes = offers.get("models")
        if Path(model).is_absolute() or not sizes or model in OWN_NETWORKS:
            return ""
        if model.endswith(".pt"):
            known = has_weights(model.removesuffix(".pt"), sizes)
            no_file = f"model {model!r}: there is no such file, and Ultralytics has no weights of that name."
            return "" if known else no_file
        if model.lower().endswith(".pt"):
            return f"model {model!r}: there is no such file, and weights of Ultralytics are written .pt."
        if is_known(model, sizes):
            return ""
        return f"model {model!r} is unknown to Ultralytics {version}: {why_unknown(model, sizes)}."

    def data_for(self, model: str, imgsz: int, dense: bool = False) -> str:
        """Return the name of the made data set of a model's task."""
        return task_of_model(model).data[1 if dense else 0]

    def makes(self, data: str) -> bool:
        """Return whether a data set is made for one of the tasks."""
        return any(data in task.data for task in TASKS)

    def overrides_of(self, mode: str, model: str) -> tuple[Override, ...]:
        """Return the library arguments that the recipe fixes for the task of a model."""
        return overrides.overrides_of(mode, task_of_model(model).name)

    def natural_values(self, model: str) -> dict[str, list[Any]]:
        """Return the image size of classification models, which Ultralytics trains at 224 px."""
        return {name: list(values) for name, values in task_of_model(model).natural.items()}

    def units(self, model: str, imgsz: int) -> dict[str, Any]:
        """Return the units, with the epoch of the data set that a model's task is usually trained on."""
        return {**super().units(model, imgsz), "epoch_items": task_of_model(model).epoch_items}

    def why_no_amp(self, mode: str, kind: str, amp: str) -> str:
        """Say why Ultralytics is expected not to offer a precision on a kind of device; empty where it is."""
        table = expected_settings.NO_AMP.get((mode, amp), {})
        return table.get(kind) or table.get("", "")

    def work(self, case: Mapping[str, Any]) -> float:
        """Return pixels of a batch times the model's size."""
        name = Path(case["model"]).name
        scale = re.search(r"\d([ntsmlx])(?![a-z])", name)
        other = next((work for part, work in OTHER_WORK.items() if part in name), 1.0)
        return float(case["batch"] * case["imgsz"] ** 2 * WORK.get(scale[1] if scale else "n", 1.0) * other)

    def accumulation(self, case: Mapping[str, Any], overrides: Mapping[str, Any]) -> int:
        """Return the number of batches in Ultralytics' nominal batch."""
        nominal = overrides.get("nbs", NBS)
        return max(round(nominal / case["batch"]), 1) if case["mode"] == "train" else 1

    def before_import(self, config: str, network: bool, alone: bool = True) -> None:
        """Keep Ultralytics' settings in a separate folder, and a case off the network."""
        from . import isolation

        isolation.before_import(config, network, alone)

    def after_import(self) -> None:
        """Import Ultralytics with its integrations off."""
        from . import isolation

        isolation.after_import()

    def check_imports(self) -> None:
        """Load torchvision's library and OpenCV."""
        from . import installation

        installation.check()

    def weights(self) -> list[str]:
        """Return names of weight files in the working folder and in Ultralytics' own folder of weights."""
        from . import installation

        return installation.weights()

    def default_threads(self) -> int:
        """Return Ultralytics' own number of threads, which it sets on cpu and mps only."""
        from ultralytics.utils import NUM_THREADS

        return int(NUM_THREADS)

    def provide_data(self, job: DataJob) -> dict[str, Any]:
        """Make the data set of a task."""
        task = task_of_data(job.name)
        maker = importlib.import_module(f".{task.maker}", __package__)
        wanted = {"root": job.root, "images": job.images, "val_images": job.val_images, "seed": job.seed}
        dense = job.name != task.data[0]
        made = maker.provide({**wanted, "dense": dense, "task": task.name})
        return {"source": made["yaml"], "fingerprint": made["fingerprint"], "images": made["images"]}

    def inspect_data(self, job: DataJob) -> dict[str, Any]:
        """Inspect a data yaml or a folder of classes of the user, for the task of the made data set it replaces."""
        from . import user_classes, user_data

        task = task_of_data(job.replaces)
        inspect = user_classes.inspect if task.takes_folder else user_data.inspect
        details = inspect({"yaml": job.name, "root": job.root, "task": task.name})
        named = {
            "source": details.pop("yaml"),
            "fingerprint": details.pop("fingerprint"),
            "images": details.pop("images"),
        }
        return {**named, "details": details}

    def export(self, job: ExportJob) -> dict[str, Any]:
        """Export a model by Ultralytics' own exporter."""
        from .formats import export

        return export.provide(job)

    def run(self, session: Session) -> None:
        """Train or predict."""
        from . import predict, train

        {"train": train.run, "predict": predict.run}[session.case["mode"]](session)

    def train_plainly(self, job: PlainJob, channel: Channel, turns: LockstepClient | None) -> None:
        """Train by ``YOLO(...).train(...)``."""
        from . import plain_train

        plain_train.run(job, channel, turns)
