"""Read the effective settings back from the live objects of a plain loop."""

from __future__ import annotations

from typing import Any

from ... import effective_settings
from ...devices import Device
from ...distributed import parallel
from .loop import Loop, architecture_of

PRECISIONS: dict[tuple[tuple[str, ...], ...], str] = {
    (("float32",), ("float32",)): "off",
    (("float32",), ("float16",)): "on",
    (("float32",), ("bfloat16",)): "bf16",
    (("float16",), ("float16",)): "half",
}
"""Precision by the data types of parameters and of the outputs of layers."""


def read(loop: Loop, device: Device) -> dict[str, Any]:
    """Read the settings; before the first batch, batch and size are those of the loader and of two items of it.

    Args:
        loop: live objects.
        device: of the case.
    """
    loader, model = loop.loader, loop.model
    weights = tuple(sorted({str(p.dtype).removeprefix("torch.") for p in model.parameters()}))
    outputs = tuple(loop.layer_dtypes())
    shape = loop.batch_shape or (loader.batch_size, *loop.sample()[0].shape[1:])
    sampler, others = type(loader.sampler).__name__, parallel.devices_of(model, device)
    settings = {
        "device": others or effective_settings.device_name(next(model.parameters()).device, device),
        "amp": PRECISIONS.get((weights, outputs), f"{' and '.join(weights)} with {' and '.join(outputs)}"),
        "layer_dtypes": list(outputs),
        "batch": shape[0] * loop.ranks,
        "imgsz": shape[-1] if len(shape) == 4 else shape[1],
        "workers": loader.num_workers,
        "prefetch": loader.prefetch_factor,
        "pin_memory": loader.pin_memory,
        "persistent_workers": loader.persistent_workers,
        "drop_last": loader.drop_last,
        "shuffle": sampler == "RandomSampler" or getattr(loader.sampler, "shuffle", False),
        "images": len(loader.dataset),
        "channels_last": effective_settings.channels_last(model),
        "compiled": type(model).__name__ == "OptimizedModule",
        "architecture": architecture_of(model),
        "parameters": sum(p.numel() for p in model.parameters()),
        "training": model.training,
        "parallel": parallel.wrapper(model),
        "ranks": loop.ranks,
    }
    if loop.optimizer is not None:
        group = loop.optimizer.param_groups[0]
        settings |= {
            "optimizer": type(loop.optimizer).__name__,
            "optimizer_impl": effective_settings.optimizer_kernel(loop.optimizer),
            **{name: group.get(name) for name in ("lr", "momentum", "weight_decay")},
            "loss_scaling": loop.scaler.is_enabled(),
        }
    return settings
