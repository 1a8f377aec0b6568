"""Extension files of the user: a worker loads them, and they add workloads and device kinds to its registries."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import os
import sys
import types
from collections.abc import Sequence

from .text import one_line

trouble = ""
"""Reason why an extension could not be loaded in this process, as one sentence; each job here then ends with it."""


def load(paths: Sequence[str]) -> None:
    """Load extension files and call their ``register_worker`` with this package; a failure is kept in ``trouble``.

    An extension adds to ``worker.workloads`` and ``worker.devices`` by ``register``. It is loaded before torch, so that
    its file imports nothing but the standard library at its top. An extension without ``register_worker`` is for the
    runner alone, and is not imported here.
    """
    global trouble
    if not paths:
        return
    package = sys.modules[__package__]
    for name in ("workloads", "devices"):
        importlib.import_module(f"{__package__}.{name}")
    for path in paths:
        try:
            with open(path, encoding="utf-8") as file:
                if "register_worker" not in file.read():
                    continue
            load_file(path).register_worker(package)
        except Exception as error:
            why = f"{type(error).__name__}: {one_line(str(error)).rstrip('.')}"
            trouble = f"extension {path} cannot be loaded in a worker ({why}): correct it, or leave it out."


def load_file(path: str) -> types.ModuleType:
    """Return the module of an extension file, once per process."""
    name = f"yolopace_extension_{hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:12]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
