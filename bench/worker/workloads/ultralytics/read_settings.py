"""Read the effective settings back from a live trainer or predictor.

A setting has the name of its Ultralytics argument, so that an override of the recipe can be compared with it. The keys
are the same for every Ultralytics version; a setting that a version lacks has the value None.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from ... import effective_settings
from ...devices import Device
from ...distributed import parallel
from ...rejection import CaseRejected
from ...text import one_line
from . import batch_sizes, tasks
from .expected_settings import HINTS
from .made_data import listed_images
from .model_names import family
from .models import channels, read_classes

TRAIN_ARGUMENTS = (
    "nbs",
    "warmup_epochs",
    "close_mosaic",
    "multi_scale",
    "fraction",
    "single_cls",
    "seed",
    "patience",
    "val",
    "save",
    "plots",
)
"""Arguments that the training loop reads while it runs, so that the live arguments are effective."""

PREDICT_ARGUMENTS = (
    "rect",
    "conf",
    "iou",
    "max_det",
    "agnostic_nms",
    "augment",
    "visualize",
    "verbose",
    "save",
)


def read_trainer(trainer: Any, device: Device) -> dict[str, Any]:
    """Read the settings back from a trainer, after its set-up or after its window.

    ``imgsz`` is that of the last batch of images where the trainer keeps its shape as ``shape`` (N, C, H, W). Where
    sizes vary by request, it is the one that they vary around: see :mod:`.batch_sizes`.
    """
    args, loader, model = trainer.args, trainer.train_loader, _inner(trainer.model)
    shape = () if batch_sizes.vary(args) else getattr(trainer, "shape", ())
    ranks = _ranks()
    dataset = loader.dataset
    return {
        "device": effective_settings.device_name(trainer.device, device),
        "amp": _precision(trainer),
        "batch": min(loader.batch_size, len(loader.sampler) if ranks > 1 else loader.batch_size) * ranks,
        "imgsz": _side(shape or (0, 0, args.imgsz, args.imgsz)),
        **{name: getattr(args, name, None) for name in TRAIN_ARGUMENTS},
        "epochs": trainer.epochs,
        "workers": loader.num_workers,
        "pin_memory": loader.pin_memory,
        "prefetch": loader.prefetch_factor,
        "drop_last": loader.drop_last,
        "shuffle": type(loader.sampler).__name__ == "RandomSampler" or getattr(loader.sampler, "shuffle", False),
        **_dataset(dataset),
        "images": len(dataset),
        "images_dropped": _dropped(trainer),
        **_dropout(model),
        "optimizer": type(trainer.optimizer).__name__,
        "optimizer_impl": effective_settings.optimizer_kernel(trainer.optimizer),
        "accumulate": trainer.accumulate,
        "loss_scaling": trainer.scaler.is_enabled(),
        "ema": bool(trainer.ema and trainer.ema.enabled),
        "compiled": is_compiled(trainer.model),
        "compile_mode": compile_mode(trainer.model),
        "channels_last": effective_settings.channels_last(trainer.model),
        "frozen": sum(p.numel() for p in model.parameters() if not p.requires_grad),
        "head_max_det": getattr(model.model[-1], "max_det", None),
        "assigner_fallback": _assigner_fallback(model),
        "nan_recoveries": getattr(trainer, "nan_recovery_attempts", None),
        "integrations": integrations(trainer.callbacks),
        "autobatch": _autobatch(model, args.imgsz, device),
        "ranks": ranks,
        "spawns_ddp": _own_ranks(),
        "backend": _backend(),
        "parallel": parallel.wrapper(trainer.model),
        "sync_bn": any(type(module).__name__ == "SyncBatchNorm" for module in model.modules()),
        "find_unused_parameters": getattr(_wrapped(trainer.model), "find_unused_parameters", None),
        "broadcast_buffers": getattr(_wrapped(trainer.model), "broadcast_buffers", None),
        **_model(model, args),
        **_network(model),
    }


def _precision(trainer: Any) -> str:
    """Return the precision of training; a forced one is read from outputs of layers, and kept as ``forced``."""
    forced = getattr(trainer, "forced", None)
    if forced is not None:
        return str(forced.effective)
    return ("bf16" if trainer.args.amp == "bf16" else "on") if trainer.amp else "off"


def read_predictor(predictor: Any, images: int, device: Device) -> dict[str, Any]:
    """Read the settings back from a predictor that has made one call of ``images`` results.

    The predictor keeps the shape (N, C, H, W) of the model's input as ``shape``.
    """
    args, model, torch_model = predictor.args, _inner(predictor.model), network(predictor)
    end2end = bool(getattr(model, "end2end", False))
    return {
        "device": effective_settings.device_name(predictor.device, device),
        "amp": "on" if model.fp16 else "off",
        "batch": min(images, predictor.shape[0]),
        "imgsz": _side(predictor.shape),
        **{name: getattr(args, name, None) for name in PREDICT_ARGUMENTS},
        "format": getattr(model, "format", None) or ("pt" if getattr(model, "pt", False) else None),
        "compiled": is_compiled(predictor.model),
        "compile_mode": compile_mode(predictor.model),
        "channels_last": effective_settings.channels_last(torch_model),
        "fused": bool(torch_model.is_fused()),
        "nms": suppression(type(torch_model.model[-1]).__name__, end2end),
        "warmed_up": bool(predictor.done_warmup),
        "integrations": integrations(predictor.callbacks),
        **_model(torch_model, args),
        **_network(torch_model),
        "end2end": end2end,
    }


def suppression(head: str, end2end: bool) -> str:
    """Return whose non-maximum suppression runs after the forward pass: that of torchvision where it is imported.

    Args:
        head: name of the last layer.
        end2end: whether the model chooses its predictions itself.
    """
    task = tasks.task_of(head)
    own = "torchvision" if "torchvision" in sys.modules else "ultralytics"
    return "none" if end2end else (task.suppression if task else "") or own


def describe(predictor: Any) -> dict[str, Any]:
    """Describe the model of a predictor, its origin and its head, as :func:`read_predictor` does."""
    torch_model = network(predictor)
    end2end = bool(getattr(_inner(predictor.model), "end2end", False))
    return {**_model(torch_model, predictor.args), **_network(torch_model), "end2end": end2end}


def fits_data(runs: dict[str, Any], data: dict[str, Any], classes: bool = True) -> None:
    """Check that the network fits a data set; otherwise its speed is that of a different network.

    Args:
        runs: effective settings.
        data: ``channels`` and ``nc`` of the data set, as Ultralytics read its yaml.
        classes: whether the classes have to fit too; a checkpoint that predicts has its own.

    Raises:
        CaseRejected: with status ``substituted``.
    """
    wanted = {"channels": data.get("channels", 3), **({"classes": data["nc"]} if classes else {})}
    changed = [name for name, value in wanted.items() if runs[name] is not None and runs[name] != value]
    if changed:
        raise CaseRejected(
            "substituted",
            " ".join(effective_settings.explain(HINTS, name, wanted[name], runs[name]) for name in changed),
        )


def network(predictor: Any) -> Any:
    """Return the torch module that a predictor runs, without its wrappers."""
    model = _inner(predictor.model)
    return getattr(getattr(model, "backend", model), "model", model)


def count_gflops(model: Any, imgsz: int) -> float | None:
    """Return the GFLOPs of a forward pass over one image, as Ultralytics counts them; None where it cannot.

    Call it after the window: it runs the model on a small image, which takes about a tenth of a second.
    """
    try:
        from ultralytics.utils.torch_utils import get_flops

        return round(float(get_flops(_inner(model), imgsz)), 4) or None
    except Exception:  # the count is a detail of the record, which never costs the case
        return None


def _inner(model: Any) -> Any:
    """Return a model without the wrappers of ``torch.compile`` and DistributedDataParallel."""
    for name in ("_orig_mod", "module"):
        model = getattr(model, name, model)
    return model


def _wrapped(model: Any) -> Any:
    """Return a model without the wrapper of ``torch.compile``."""
    return getattr(model, "_orig_mod", model)


def _ranks() -> int:
    """Return the number of ranks that train together, read from DistributedDataParallel's process group."""
    import torch.distributed as dist

    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _backend() -> str | None:
    import torch.distributed as dist

    return str(dist.get_backend()) if dist.is_available() and dist.is_initialized() else None


def is_compiled(model: Any) -> bool:
    """Whether a model is wrapped by ``torch.compile``."""
    return type(model).__name__ == "OptimizedModule"


MODES = {
    (False, False): "default",
    (False, True): "reduce-overhead",
    (True, False): "max-autotune-no-cudagraphs",
    (True, True): "max-autotune",
}
"""Modes of ``torch.compile`` by the options that they set: autotuning of kernels, and CUDA graphs."""


def compile_mode(model: Any) -> str | None:
    """Return the mode of ``torch.compile``, or ``off``; None where this torch keeps no options with the model."""
    if not is_compiled(model):
        return "off"
    options = getattr(getattr(model, "dynamo_ctx", None), "compiler_config", None)
    if not isinstance(options, dict) or not {"max_autotune", "triton.cudagraphs"} <= set(options):
        return None
    return MODES[bool(options["max_autotune"]), bool(options["triton.cudagraphs"])]


def compilation() -> dict[str, Any]:
    """Return facts of torch.compile for the record.

    Returns:
        - ``compile_cache``: whether torch's cache of compiled graphs was ``warm`` or ``cold``, or warm in part.
        - ``compile_seconds``: duration of all compilations, which lie in set-up and warm-up; None where unknown.
    """
    from torch._dynamo import utils

    counts = utils.counters["inductor"]
    hits, misses = counts["fxgraph_cache_hit"], counts["fxgraph_cache_miss"]
    state = "warm" if hits and not misses else "cold" if not hits else f"{hits} of {hits + misses} graphs warm"
    try:
        spent = utils.calculate_time_spent()
        parts = [spent[name] for name in ("entire_frame_compile", "entire_backward_compile") if name in spent]
        seconds = round(sum(parts), 3) if parts else None
    except Exception:  # no public function of torch says it
        seconds = None
    return {"compile_cache": state, "compile_seconds": seconds}


def graphs() -> int:
    """Return the number of graphs that torch.compile has made in this process; a step of a new shape adds one."""
    from torch._dynamo.utils import counters

    return int(counters["stats"]["unique_graphs"])


def _side(shape: Any) -> int | str:
    """Return the image size of a batch of shape (N, C, H, W): one number where images are square."""
    height, width = int(shape[2]), int(shape[3])
    return height if height == width else f"{height}x{width}"


def _model(model: Any, args: Any) -> dict[str, Any]:
    """Describe a model and its origin.

    A family's name without a letter means the first size of its yaml file. A yaml file of the same name in the working
    folder goes before Ultralytics' own. Weights of some names are taken from a file of another name.
    """
    from ultralytics.utils.checks import check_yolov5u_filename

    yaml, file = getattr(model, "yaml", None) or {}, str(args.model)
    weights = file.endswith(".pt")
    taken = str(check_yolov5u_filename(file, verbose=False)) if weights else file
    scales = yaml.get("scales") or {}
    own = "of torchvision" if Path(file).parent == tasks.NETWORKS else ""
    here = not weights and (os.path.exists(file) or os.path.exists(family(file)))
    return {
        "architecture": "from weights" if weights else own or ("from file" if here else "of Ultralytics"),
        "weights": "random" if not weights else "from file" if taken == file else f"from {os.path.basename(taken)}",
        "scale": (yaml.get("scale") or next(iter(scales))) if scales else None,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def _network(model: Any) -> dict[str, Any]:
    """Describe the network's input images and its head, which its name does not determine."""
    head = model.model[-1]
    return {
        "channels": channels(model),
        "classes": read_classes(head),
        "head": type(head).__name__,
        "reg_max": getattr(head, "reg_max", None),
        "strides": [int(stride) for stride in model.stride],
        "end2end": bool(getattr(head, "end2end", False)),
    }


def _own_ranks() -> bool | None:
    """Whether Ultralytics itself starts a process for each of several devices; None where that is unknown.

    The trainer does not show it here, where yolopace starts the ranks. So the code of ``train`` is searched for the
    call that makes a command for them.
    """
    from ultralytics.engine.trainer import BaseTrainer

    code = getattr(BaseTrainer.train, "__code__", None)
    return True if "generate_ddp_command" in getattr(code, "co_names", ()) else None


def _autobatch(model: Any, imgsz: int, device: Device) -> int | str | None:
    """Return the batch that Ultralytics would use for ``batch=-1``, or its error; None where it tries, or if unknown.

    The batch of the case is fixed, and this one is only recorded. The call takes no time, since Ultralytics tries
    batches only in a device's own memory.
    """
    if device.own_memory:
        return None
    try:
        from ultralytics.utils.autobatch import autobatch
    except ImportError:
        return None
    logger = logging.getLogger("ultralytics")
    was, logger.disabled = logger.disabled, True  # it warns that it is meant for GPUs
    try:
        return int(autobatch(model, imgsz))
    except Exception as error:
        return one_line(f"{type(error).__name__}: {error}", 160)
    finally:
        logger.disabled = was


def _dropped(trainer: Any) -> int:
    """Return the number of images of the training split that are missing from the data set."""
    if getattr(trainer.args, "fraction", 1.0) != 1.0:
        return 0
    return max(listed_images(str(trainer.args.data)) - len(trainer.train_loader.dataset), 0)


def _dataset(dataset: Any) -> dict[str, Any]:
    """Describe how a data set reads and augments images; the one of classification has other attributes."""
    if hasattr(dataset, "torch_transforms"):
        cache = "ram" if dataset.cache_ram else "disk" if dataset.cache_disk else False
        return {"rect": None, "cache": cache, "buffer": None, **_class_augmentation(dataset.torch_transforms)}
    return {
        "rect": bool(dataset.rect),
        "cache": dataset.cache or ("npy" if _npy_files(dataset) else False),
        "buffer": dataset.max_buffer_length,
        **_augmentation(dataset.transforms),
    }


def _class_augmentation(transforms: Any) -> dict[str, Any]:
    """Return the policy of automatic augmentation, the share of erased images and the smallest crop."""
    parts = {type(part).__name__: part for part in transforms.transforms}
    policies = {"RandAugment": "randaugment", "AugMix": "augmix", "AutoAugment": "autoaugment"}
    crop = parts.get("RandomResizedCrop")
    return {
        "auto_augment": next((name for part, name in policies.items() if part in parts), "none"),
        "erasing": parts["RandomErasing"].p if "RandomErasing" in parts else 0.0,
        "smallest_crop": crop.scale[0] if crop is not None else None,
    }


def _dropout(model: Any) -> dict[str, Any]:
    """Return the largest dropout of a classification model; empty for other models."""
    if type(model.model[-1]).__name__ not in tasks.CLASSIFY.heads:
        return {}
    return {"dropout": max((m.p for m in model.modules() if type(m).__name__ == "Dropout"), default=0.0)}


def _npy_files(dataset: Any) -> bool:
    """Whether there are ``.npy`` files next to images: Ultralytics reads them in place of the images, cached or not."""
    arrays = {str(file) for file in dataset.npy_files}
    folders = {os.path.dirname(file) for file in arrays}
    return any(entry.path in arrays for folder in folders for entry in os.scandir(folder or "."))


def _augmentation(transforms: Any) -> dict[str, Any]:
    """Return the probability of mosaic, and whether Albumentations is active, as it is wherever it is installed.

    For segmentation, also how masks are drawn; for poses, whether images are mirrored, which needs ``flip_idx``.
    """
    every = _transforms(transforms)
    further: dict[str, Any] = {}
    for last in (t for t in every if hasattr(t, "mask_ratio")):
        if getattr(last, "return_mask", False):
            further |= {"overlap_mask": last.mask_overlap, "mask_ratio": last.mask_ratio}
        if getattr(last, "return_keypoint", False):
            flips = [t for t in every if type(t).__name__ == "RandomFlip" and t.direction == "horizontal"]
            further["fliplr"] = flips[0].p if flips else 0.0
    mixing = [t.p for t in every if type(t).__name__ == "Mosaic"]
    others = [t for t in every if type(t).__name__ == "Albumentations" and getattr(t, "transform", None) is not None]
    return {"mosaic": mixing[0] if mixing else 0.0, "albumentations": bool(others), **further}


def _transforms(transform: Any) -> list[Any]:
    """Return a transform and all transforms nested in it."""
    inner = getattr(transform, "transforms", None)
    return [transform, *(t for child in (inner if isinstance(inner, list) else ()) for t in _transforms(child))]


def _assigner_fallback(model: Any) -> bool | None:
    """Whether boxes were assigned image by image for lack of memory; read it after the first step makes the loss."""
    from ultralytics.utils.tal import TaskAlignedAssigner

    criterion = getattr(model, "criterion", None)
    parts = [criterion, *(getattr(criterion, name, None) for name in ("one2many", "one2one"))]
    assigners = [assigner for part in parts if (assigner := getattr(part, "assigner", None)) is not None]
    warned = [getattr(assigner, "_oom_warned", None) for assigner in assigners or [TaskAlignedAssigner()]]
    return None if None in warned else any(warned)


def integrations(callbacks: Any) -> list[str]:
    """Return Ultralytics' integration modules with active callbacks, without those that are switched off inside."""
    modules = {function.__module__ for functions in callbacks.values() for function in functions}
    ours = [name for name in modules if name.startswith("ultralytics.") and not name.endswith(".base")]
    return sorted(name.rpartition(".")[2] for name in ours if not _asleep(sys.modules.get(name)))


def _asleep(module: Any) -> bool:
    """Whether an always registered integration is inactive: usage events by their switch, the platform by its key."""
    events = getattr(module, "events", None)
    return getattr(events, "enabled", True) is False or not getattr(module, "_api_key", True)
