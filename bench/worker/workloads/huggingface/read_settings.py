"""Read the effective settings back from a live Trainer."""

from __future__ import annotations

from typing import Any

from ... import effective_settings
from ...devices import Device

ARGUMENTS = (
    "num_train_epochs",
    "gradient_accumulation_steps",
    "auto_find_batch_size",
    "max_grad_norm",
    "logging_nan_inf_filter",
    "disable_tqdm",
    "seed",
)
"""Arguments that the loop reads while it runs, so that the live arguments are effective."""

STRATEGIES = ("logging_strategy", "save_strategy", "eval_strategy")

PRECISIONS = {"torch.float16": "on", "torch.bfloat16": "bf16"}
"""Values of ``amp``, by the type of a layer's output."""

EXPECTED_CALLBACKS = ("DefaultFlowCallback", "MarkingCallback", "PrinterCallback")
"""Callbacks that every training has here; the last prints what is logged."""


def read_trainer(trainer: Any, device: Device, shape: tuple[int, ...] = ()) -> dict[str, Any]:
    """Read the settings of training back from a Trainer, after its set-up or after its window.

    Args:
        trainer: whose training has begun.
        device: of the case.
        shape: sequences and tokens of the last batch; empty before the first, so that the loader and a collated
            element say both.
    """
    args, accelerator = trainer.args, trainer.accelerator
    loader, optimizer = trainer.callback_handler.train_dataloader, trainer.optimizer.optimizer
    sampler = loader.batch_sampler
    return {
        **read_shared(trainer, loader, device, shape or (loader.total_batch_size,)),
        **{name: getattr(args, name) for name in ARGUMENTS},
        **{name: getattr(args, name).value for name in STRATEGIES},
        "accumulate": args.gradient_accumulation_steps,
        "dataloader_drop_last": sampler.drop_last,
        "shuffle": "Random" in type(sampler.sampler).__name__,
        "optimizer": type(optimizer).__name__,
        "optimizer_impl": effective_settings.optimizer_kernel(optimizer),
        "loss_scaling": bool(accelerator.scaler is not None and accelerator.scaler.is_enabled()),
    }


def read_prediction(trainer: Any, device: Device, shape: tuple[int, ...]) -> dict[str, Any]:
    """Read the settings of prediction back from a Trainer within its evaluation loop.

    Args:
        trainer: whose loop has its first batch.
        device: of the case.
        shape: sequences and tokens of the last batch.
    """
    loader = trainer.callback_handler.eval_dataloader
    names = ("auto_find_batch_size", "disable_tqdm", "seed")
    return {
        **read_shared(trainer, loader, device, shape),
        **{name: getattr(trainer.args, name) for name in names},
        "prediction_loss_only": trainer.args.prediction_loss_only,
        "eval_accumulation_steps": trainer.args.eval_accumulation_steps,
        "training": trainer.model.training,
    }


def read_shared(trainer: Any, loader: Any, device: Device, shape: tuple[int, ...]) -> dict[str, Any]:
    """Read what training and prediction have in common; a shape without tokens takes those of a collated element."""
    args, model = trainer.args, trainer.model
    batch = first_batch(trainer, loader.dataset)
    weights = next(model.parameters())
    return {
        "device": effective_settings.device_name(weights.device, device),
        "amp": precision(model, batch),
        "batch": shape[0],
        "imgsz": shape[1] if len(shape) > 1 else batch["input_ids"].shape[1],
        "report_to": ", ".join(args.report_to) or "none",
        "workers": loader.num_workers,
        "pin_memory": loader.pin_memory,
        "prefetch": loader.prefetch_factor,
        "images": len(loader.dataset),
        "native_amp": bool(trainer.accelerator.native_amp),
        "compiled": type(trainer.model_wrapped).__name__ == "OptimizedModule",
        "data_parallel": args.n_gpu > 1 or "Parallel" in type(trainer.model_wrapped).__name__,
        "n_gpu": args.n_gpu,
        "ranks": args.world_size,
        "weights_dtype": str(weights.dtype).removeprefix("torch."),
        "attention": model.config._attn_implementation,
        "parameters": sum(p.numel() for p in model.parameters()),
        "integrations": [
            name
            for callback in trainer.callback_handler.callbacks
            if (name := type(callback).__name__) not in EXPECTED_CALLBACKS
        ],
    }


def first_batch(trainer: Any, dataset: Any) -> dict[str, Any]:
    """Return the first two sequences of a data set as the Trainer collates them, on the device of its model."""
    import torch

    device = next(trainer.model.parameters()).device
    batch = trainer.data_collator([dataset[index] for index in range(min(2, len(dataset)))])
    return {name: part.to(device) for name, part in batch.items() if isinstance(part, torch.Tensor)}


def precision(model: Any, batch: dict[str, Any]) -> str:
    """Return the precision in which a model computes, from the types of what its linear layers return.

    A flag of the Trainer does not say it: on a CPU, fp16 is asked for in all of them, and nothing acts on it.
    """
    import torch

    types: set[str] = set()

    def look(module: Any, inputs: Any, output: Any) -> None:
        types.add(str(output.dtype))  # returns None: a returned value would replace the output

    layers = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
    handles = [layer.register_forward_hook(look) for layer in layers]
    training = model.training
    try:
        model.eval()  # without dropout, no random number of the training is used up
        with torch.no_grad():
            model(**batch)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return next((name for dtype, name in PRECISIONS.items() if dtype in types), "off")
