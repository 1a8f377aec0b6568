"""Titles and values of settings, as pages and comparisons show them."""

from __future__ import annotations

from typing import Any

from bench.report import labels

TITLES = {
    "threads": "CPU threads of torch",
    "interop_threads": "CPU threads of torch between operations",
    "opencv_threads": "CPU threads of OpenCV",
    "workers": "Data loader processes",
    "prefetch": "Batches that a loader process reads ahead",
    "pin_memory": "Batches in pinned memory",
    "spawns_ddp": "Ultralytics starts processes for several devices",
    "optimizer": "Optimizer",
    "optimizer_impl": "How the optimizer walks the parameters",
    "accumulate": "Batches per optimizer step",
    "nbs": "Nominal batch size",
    "autobatch": "Batch that Ultralytics takes for -1",
    "ema": "Moving average of the weights",
    "mosaic": "Probability of mosaic",
    "close_mosaic": "Epochs without mosaic at the end",
    "albumentations": "Augmentation by Albumentations",
    "multi_scale": "Another size every step",
    "rect": "Rectangular batches",
    "shuffle": "Images in random order",
    "drop_last": "Smaller last batch left out",
    "cache": "Cached images",
    "buffer": "Images kept decoded for mosaic",
    "loss_scaling": "Loss scaling",
    "channels_last": "channels_last memory format",
    "compiled": "torch.compile",
    "compile_mode": "Mode of torch.compile",
    "fused": "Convolution and batch norm fused",
    "end2end": "End to end, without NMS",
    "nms": "Whose NMS",
    "conf": "Least confidence",
    "iou": "Overlap that NMS allows",
    "max_det": "Most detections per image",
    "head_max_det": "Most detections of the head",
    "format": "Format of the model",
    "warmed_up": "Warm before the clock",
    "deterministic": "Deterministic algorithms",
    "fill_uninitialized_memory": "New tensors filled (deterministic)",
    "cudnn_deterministic": "Deterministic cuDNN",
    "cudnn_benchmark": "cuDNN picks kernels by trial",
    "cudnn_tf32": "TF32 in cuDNN",
    "matmul_tf32": "TF32 in matrix products",
    "matmul_precision": "Precision of float32 matrix products",
    "mkldnn": "oneDNN",
    "nnpack": "NNPACK",
    "mps_fallback": "CPU stands in for what MPS lacks",
    "variables": "Variables of the environment",
    "integrations": "Integrations that listen",
    "nan_recoveries": "Epochs started again after NaN",
    "assigner_fallback": "Boxes assigned image by image for want of memory",
    "warnings": "Warnings of Ultralytics before the clock",
    "architecture": "Where the model's layers came from",
    "weights": "Weights",
    "scale": "Size of the model",
    "parameters": "Parameters of the model",
    "frozen": "Parameters that are frozen",
    "classes": "Classes",
    "channels": "Channels of an image",
    "head": "Last layer",
    "reg_max": "Bins of a box side in the head",
    "strides": "Strides of the head",
    "images": "Images in the data set",
    "images_dropped": "Images that could not be read",
}
"""Titles of known settings, in the order of display. Others follow, under their own names."""


def format_value(value: Any) -> str:
    """Format the value of a setting, with all its parts."""
    if isinstance(value, dict):
        value = [f"{name}={part}" for name, part in value.items()]
    return labels.setting(", ".join(map(str, value)) or "none" if isinstance(value, list) else value)
