"""The axes of a case: what their values are called and which are allowed. A new axis is one entry in :data:`AXES`."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from bench.cases import model_file
from bench.cases.device_kinds import named_twice, parse_device
from bench.cases.model_file import DESCRIPTIONS, EXPORTED, WEIGHTS
from bench.errors import UsageError
from bench.text import is_shown

MODES = ("train", "predict")
PRECISIONS = {"off": "fp32", "on": "amp", "bf16": "bf16"}
"""Values of ``amp`` and what a case's id calls them."""

LONGEST_NAME = 100
"""Characters of a model's name, which becomes part of a file's name."""


def parse_mode(text: str) -> str:
    """``train`` or ``predict``."""
    if text not in MODES:
        raise UsageError(f"mode {text!r} is unknown: use {' or '.join(MODES)}.")
    return text


def parse_amp(text: str) -> str:
    """``off``, ``on`` or ``bf16``."""
    if text not in PRECISIONS:
        raise UsageError(f"amp {text!r} is unknown: use {', '.join(PRECISIONS)}.")
    return text


def _whole(name: str, least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise UsageError(f"{name} {text!r} is not allowed: use a whole number from {least} to {most}.")
        return int(text)

    return parse


def nameable(what: str, path: str) -> str:
    """A path that can stand in a record and on a page.

    Raises:
        WrongUse: for one that is no text, which JSON cannot hold, and for one with control characters.
    """
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        encoding = sys.getfilesystemencoding()
        remedy = "rename it, or make a link to it" if encoding == "utf-8" else "set LC_ALL=C.UTF-8"
        shown = path.encode("utf-8", "backslashreplace").decode("utf-8")
        raise UsageError(
            f"{what} '{shown}': its name is not valid {encoding}, so no record can hold it: {remedy}."
        ) from None
    if not is_shown(path):
        raise UsageError(f"{what} {path!r}: its name has control characters: rename it, or make a link to it.")
    return path


def parse_model(text: str) -> str:
    """A model name such as ``yolov8n`` (its yaml, random weights), or a ``.pt`` or ``.yaml`` file."""
    path = Path(text)
    nameable("model", text)
    if len(path.name) > LONGEST_NAME:
        raise UsageError(f"model {text[:20] + '...'!r} has too long a name: use at most {LONGEST_NAME} characters.")
    if "://" in text or text.startswith("ul:/"):
        raise UsageError(f"model {text!r}: nothing is fetched from an address: get the file, and name it by its path.")
    named = path.name == text  # without a folder: a model of Ultralytics, unless a file of such a name is there
    if _exists(path) and (not named or path.suffix.lower() in (*WEIGHTS, *DESCRIPTIONS, *EXPORTED)):
        model_file.check(text, path)
        whole = str(path.resolve())  # a link may stand for a name that cannot be shown
        return whole if is_shown(whole) else nameable("model", os.path.abspath(path))
    if not named or path.suffix == ".yml" or path.is_symlink():
        raise UsageError(f"model {text!r}: there is no such file.")
    if path.is_dir():
        model_file.check(text, path)
    if path.suffix.lower() in EXPORTED:
        raise UsageError(
            f"model {text!r}: there is no such file; exported models cannot be measured yet: name the .pt file."
        )
    name = text.removesuffix(".yaml")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"model {text!r} is no model name: use one such as yolov8n, or a .pt or .yaml file.")
    return name


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder that may not be looked into, or too long a name
        return False


class Axis(msgspec.Struct, frozen=True):
    """One axis: its name in a case, in the options and in the tables.

    Attributes:
        name: field of :class:`~bench.cases.case.Case`, and the option ``--name``.
        title: heading in tables and plots.
        parse: text to value; raises :class:`~bench.errors.UsageError` with one sentence.
        help: what the option's help says.
    """

    name: str
    title: str
    parse: Callable[[str], Any]
    help: str


AXES = {
    axis.name: axis
    for axis in (
        Axis("mode", "Mode", parse_mode, "train,predict"),
        Axis("model", "Model", parse_model, "yolov8n,yolo11n (random weights), or .pt and .yaml files"),
        Axis("device", "Device", parse_device, "cpu,mps,0, or several in one case: 0+1"),
        Axis("amp", "AMP", parse_amp, "off,on,bf16"),
        Axis("batch", "Batch", _whole("batch", 1, 65536), "images a step, such as 4,8"),
        Axis("imgsz", "Image size", _whole("imgsz", 1, 16384), "pixels a side, such as 160,320"),
    )
}


def parse_values(axis: Axis, text: str) -> list[Any]:
    """The values of an option such as ``4,8``, each once, in the order given."""
    parts = split_files(text) if axis.name == "model" else text.split(",")
    values = [axis.parse(part.strip()) for part in parts if part.strip()]
    if not values:
        raise UsageError(f"--{axis.name} needs at least one value: {axis.help}.")
    if axis.name == "device" and all(map(named_twice, values)):  # else each ends its own cases
        raise UsageError(named_twice(values[0]))
    return list(dict.fromkeys(values))


def split_files(text: str) -> list[str]:
    """The parts of a list in which paths may have commas: as many parts together as name a file are one."""
    parts, found = text.split(","), []
    while parts:
        ends = range(len(parts), 1, -1)
        length = next((end for end in ends if _exists(Path(",".join(parts[:end]).strip()))), 1)
        found.append(",".join(parts[:length]))
        parts = parts[length:]
    return found
