"""A model as a user writes it: a name such as ``yolov8n``, or the path of a file."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from bench.cases import model_file
from bench.cases.model_file import DESCRIPTIONS, EXPORTED, WEIGHTS
from bench.errors import UsageError
from bench.text import is_shown
from bench.worker.workloads.base import canonical_model, split_model, why_no_family

LONGEST_NAME = 100
"""Maximum length of a model's name, which becomes part of a file's name."""


def nameable(what: str, path: str) -> str:
    """Return a path that can stand in a record and on a page.

    Raises:
        UsageError: for one that is no text, which JSON cannot hold, and for one with control characters.
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
    """Return a model as cases name it.

    A name such as ``yolov8n`` (its yaml, random weights), a ``.pt`` or ``.yaml`` file, or either of them after the name
    of a workload, as in ``ultralytics:yolov8n``.
    """
    path = Path(text)
    nameable("model", text)
    family, model = split_model(text)
    if family and not model.startswith("/") and not _exists(path):
        if why := why_no_family(text):
            raise UsageError(why)
        return canonical_model(f"{family}:{parse_model(model)}")
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


def split_files(text: str) -> list[str]:
    """Split a list in which paths may have commas: the most parts that together name a file are one entry."""
    parts, entries = text.split(","), []
    while parts:
        ends = range(len(parts), 1, -1)
        length = next((end for end in ends if _exists(Path(",".join(parts[:end]).strip()))), 1)
        entries.append(",".join(parts[:length]))
        parts = parts[length:]
    return entries
