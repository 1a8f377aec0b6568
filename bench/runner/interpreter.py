"""The interpreter that is measured, and what it offers."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from bench import __version__
from bench.errors import WrongUse
from bench.records.record import Environment
from bench.runner import causes
from bench.runner.paths import cache_folder

ENTRY = Path(__file__).resolve().parents[1] / "worker" / "entry.py"
"""The file that every worker is started with; it needs nothing of this project around it."""


class Interpreter(msgspec.Struct, frozen=True):
    """A Python with torch and ultralytics.

    Attributes:
        path: of its executable.
        environment: versions.
        models: names of the model files that its Ultralytics brings, without ``.yaml``.
        datasets: the same for data sets.
    """

    path: str
    environment: Environment
    models: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()


def variables() -> dict[str, str]:
    """Environment variables of a worker.

    CUDA devices are numbered as the driver does, so that the same number means the same card to everyone.

    Where the user's shell keeps Python from writing compiled files, importing torch and Ultralytics takes four times as
    long, once a run: they are then compiled into this suite's own cache, and the user's folders stay as they are.
    """
    chosen = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", **os.environ}
    if chosen.pop("PYTHONDONTWRITEBYTECODE", ""):
        chosen.setdefault("PYTHONPYCACHEPREFIX", str(cache_folder() / "pycache"))
    return chosen


def inspect(python: str = "") -> Interpreter:
    """Ask an interpreter what it offers; takes a tenth of a second, since nothing heavy is imported.

    Args:
        python: an executable; empty for the one that runs this.

    Raises:
        WrongUse: where there is none, or it lacks torch or Ultralytics, or has them too old.
    """
    path = executable(python)
    facts = ask(path, "facts")
    if facts["unusable"]:
        raise WrongUse(facts["unusable"])
    environment = Environment(python=facts["python"], packages=facts["packages"], yolopace=__version__)
    return Interpreter(
        path=path, environment=environment, models=tuple(facts["models"]), datasets=tuple(facts["datasets"])
    )


def executable(python: str) -> str:
    """The path of an interpreter; empty for the one that runs this; raises :class:`WrongUse` where there is none."""
    path = shutil.which(python) if python else sys.executable
    if path is None:
        raise WrongUse(f"python {python!r}: there is no such executable.")
    return path


def ask(path: str, word: str) -> dict[str, Any]:
    """What ``PYTHON entry.py WORD`` prints: one JSON object, in its last line.

    Raises:
        WrongUse: where it does not answer.
    """
    try:
        command = [path, str(ENTRY), word]
        answer = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=60, env=variables(), check=True
        )
        told: dict[str, Any] = json.loads(answer.stdout.strip().rpartition("\n")[2])
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise WrongUse(f"python {path} does not answer {causes.of_call(error)}") from error
    return told


def config_folder(interpreter: Interpreter) -> Path:
    """Folder for Ultralytics' settings and label caches, one an interpreter: versions do not rewrite each other's."""
    key = hashlib.sha256(os.fsencode(interpreter.path)).hexdigest()[:8]
    folder = cache_folder() / "config" / f"ultralytics-{interpreter.environment.ultralytics}-{key}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WrongUse(
            f"the cache {cache_folder()} cannot be written ({error.strerror}): set YOLOPACE_CACHE to another folder."
        ) from error
    return folder
