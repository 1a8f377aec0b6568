"""Check a model file before anything is started, by its name and its first bytes."""

from __future__ import annotations

import zipfile
from pathlib import Path

from bench.errors import UsageError

WEIGHTS, DESCRIPTIONS = (".pt",), (".yaml", ".yml")

EXPORTED = {
    ".onnx": "ONNX",
    ".engine": "TensorRT",
    ".torchscript": "TorchScript",
    ".mlpackage": "CoreML",
    ".mlmodel": "CoreML",
    ".tflite": "TensorFlow Lite",
    ".pb": "TensorFlow",
    ".mnn": "MNN",
    ".rknn": "RKNN",
    ".xml": "OpenVINO",
    ".pte": "ExecuTorch",
    ".hef": "Hailo",
    ".dlc": "Qualcomm",
    ".axm": "Axelera",
}
"""Endings of exported models, with the name of their format."""

FOLDERS = {
    "_openvino_model": "OpenVINO",
    "_saved_model": "TensorFlow",
    "_web_model": "TensorFlow.js",
    "_paddle_model": "PaddlePaddle",
    "_ncnn_model": "NCNN",
    "_imx_model": "IMX500",
    "_rknn_model": "RKNN",
    "_executorch_model": "ExecuTorch",
    "_axelera_model": "Axelera",
}
"""Endings of exported models that are folders, with the name of their format."""

ZIP, PICKLE = b"PK", b"\x80"
"""First bytes of a checkpoint: as torch has written it since 1.6, and before."""


def check(text: str, path: Path) -> None:
    """Refuse a file that holds no model that could be measured.

    Args:
        text: text of the user.
        path: path of the file.

    Raises:
        UsageError: with what is wrong, and what to name instead.
    """
    trouble = _trouble(path)
    if trouble:
        raise UsageError(f"model {text!r}: {trouble}.")


def _trouble(path: Path) -> str:
    """Describe what is wrong with a file or folder, without a full stop; empty where no error is found."""
    if path.is_dir():
        return _folder(path)
    ending = path.suffix.lower()
    if ending in EXPORTED:
        return f"an exported model ({EXPORTED[ending]}) cannot be measured yet: name the .pt file that it was made from"
    if ending not in WEIGHTS + DESCRIPTIONS:
        return "it is neither a .pt nor a .yaml file: name one of these"
    if path.suffix != ending:
        return f"its ending has to be written {ending}: rename the file"
    if not path.is_file():
        return "it is no file: name a .pt or .yaml file"
    try:
        return _weights(path) if ending in WEIGHTS else _description(path)
    except OSError as error:
        return f"it cannot be read ({error.strerror or error}): make it readable (chmod u+r)"


def _folder(path: Path) -> str:
    exported = next((name for end, name in FOLDERS.items() if path.name.endswith(end)), EXPORTED.get(path.suffix))
    if exported:
        return f"an exported model ({exported}) cannot be measured yet: name the .pt file that it was made from"
    for inner in ("best.pt", "weights/best.pt", "last.pt", "weights/last.pt"):
        if (path / inner).is_file():
            return f"it is a folder: name the file in it, {str(path / inner)!r}"
    return "it is a folder: name a .pt or .yaml file"


def _weights(path: Path) -> str:
    """Describe what is wrong with a checkpoint, without running anything in it."""
    with path.open("rb") as file:
        begins = file.read(64)
    if not begins:
        return "the file is empty: get it again"
    if begins.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS in place of the file: fetch the file with git lfs pull"
    if begins.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "it is a web page, since a download failed: get the file again"
    if not begins.startswith((ZIP, PICKLE)):
        return "it is no checkpoint of PyTorch: name a best.pt or last.pt as Ultralytics saves it"
    if not begins.startswith(ZIP):
        return ""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.rpartition("/")[2] for name in archive.namelist()]
    except zipfile.BadZipFile:
        return "the file is cut off or damaged: get it again"
    if "constants.pkl" in names:
        return "an exported model (TorchScript) cannot be measured yet: name the .pt file that it was made from"
    if "data.pkl" not in names:
        return "it is a zip archive, and no checkpoint of PyTorch: name a best.pt or last.pt as Ultralytics saves it"
    return ""


def _description(path: Path) -> str:
    """Describe what is wrong with a model yaml, judged by two keywords; the worker parses the file later."""
    text = path.read_bytes()
    if not text.strip():
        return "the file is empty: a model yaml has backbone and head"
    if b"backbone" in text and b"head" in text:
        return ""
    if b"train" in text and b"names" in text:
        return "it is a data yaml: give it to --data; a model yaml has backbone and head"
    return "it is no model yaml: that has backbone and head"
