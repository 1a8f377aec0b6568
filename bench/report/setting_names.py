"""Titles and values of settings, as pages and comparisons show them."""

from __future__ import annotations

from typing import Any

from bench.report import labels

TITLES = {
    "threads": "CPU threads of torch",
    "interop_threads": "CPU threads of torch between operations",
    "opencv_threads": "CPU threads of OpenCV",
    "workers": "data loader processes",
    "prefetch": "prefetch factor",
    "pin_memory": "batches in pinned memory",
    "spawns_ddp": "Ultralytics starts DDP processes",
    "optimizer": "optimizer",
    "optimizer_impl": "optimizer implementation: for-loop, foreach or fused",
    "accumulate": "batches per optimizer step",
    "nbs": "nominal batch size",
    "autobatch": "batch that Ultralytics takes for -1",
    "ema": "moving average of the weights",
    "mosaic": "probability of mosaic",
    "close_mosaic": "last epochs without mosaic",
    "albumentations": "augmentation by Albumentations",
    "multi_scale": "multi-scale training",
    "rect": "rectangular batches",
    "shuffle": "images in random order",
    "drop_last": "incomplete last batch dropped",
    "cache": "cached images",
    "buffer": "decoded images kept for mosaic",
    "loss_scaling": "loss scaling",
    "channels_last": "channels_last memory format",
    "compiled": "torch.compile",
    "compile_mode": "mode of torch.compile",
    "fused": "convolution and batch norm fused",
    "end2end": "end to end, without NMS",
    "nms": "NMS implementation",
    "conf": "confidence threshold",
    "iou": "IoU threshold of NMS",
    "max_det": "detections per image, at most",
    "head_max_det": "detections of the head, at most",
    "format": "format of the model",
    "warmed_up": "warmed up before timing",
    "deterministic": "deterministic algorithms",
    "fill_uninitialized_memory": "new tensors are filled (deterministic)",
    "cudnn_deterministic": "deterministic cuDNN",
    "cudnn_benchmark": "cuDNN chooses kernels by timing",
    "cudnn_tf32": "TF32 in cuDNN",
    "matmul_tf32": "TF32 in matrix products",
    "matmul_precision": "precision of float32 matrix products",
    "mkldnn": "oneDNN",
    "nnpack": "NNPACK",
    "mps_fallback": "operators without MPS run on the CPU",
    "variables": "environment variables",
    "integrations": "active integrations",
    "nan_recoveries": "NaN recoveries",
    "assigner_fallback": "boxes assigned image by image for lack of memory",
    "warnings": "warnings of Ultralytics before timing",
    "gradient_accumulation_steps": "batches per optimizer step",
    "max_grad_norm": "gradients clipped to this norm",
    "logging_nan_inf_filter": "each loss tested for nan and infinity",
    "attention": "implementation of attention",
    "native_amp": "autocast of accelerate",
    "weights_dtype": "type of the weights",
    "data_parallel": "batch shared by several cards",
    "n_gpu": "cards that the Trainer sees",
    "architecture": "source of the model's layers",
    "weights": "source of the weights",
    "scale": "size of the model",
    "parameters": "parameters of the model",
    "frozen": "frozen parameters",
    "classes": "number of classes",
    "channels": "channels of an image",
    "head": "last layer",
    "reg_max": "bins per box side in the head",
    "strides": "strides of the head",
    "images": "images of the dataset",
    "images_dropped": "images that could not be read",
}
"""What known settings are, in the order of display. Others follow, under their own names."""


def format_value(value: Any) -> str:
    """Format the value of a setting, with all its parts."""
    if isinstance(value, dict):
        value = [f"{name}={part}" for name, part in value.items()]
    return labels.setting(", ".join(map(str, value)) or "none" if isinstance(value, list) else value)
