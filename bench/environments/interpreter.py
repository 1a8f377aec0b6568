"""The interpreter that is measured: its packages, models and environment variables."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench import __version__
from bench.cases import Case
from bench.environments import bytecode_cache, failure_causes
from bench.environments.package_origins import Imported, imported, origins
from bench.errors import UsageError
from bench.extensions import loaded_paths
from bench.machine.paths import cache_folder, home_folder
from bench.records.record import Environment
from bench.worker.protocol import ProcessSetup
from bench.worker.workloads.base import SEPARATOR, family_of, own_name, workloads

ENTRY = Path(__file__).resolve().parents[1] / "worker" / "entry.py"
"""The file that every worker is started with; it needs nothing of this project around it."""


class Interpreter(msgspec.Struct, frozen=True):
    """A Python that is measured.

    Attributes:
        path: of its executable.
        environment: versions.
        offers: what each workload finds in it, by family (``Workload.offers``).
        lacking: why a workload cannot run in it, by family, or by ``FAMILY:MODEL`` for one of its models.
        imported: imports of the packages that count, by name. With folders: not for records.
        runtimes: versions of the packages that run exported formats.
        variables: environment variables that change speed, as a worker finds them.
        thermal: level of thermal pressure when it was inspected; None where the system does not report it.
    """

    path: str
    environment: Environment
    offers: dict[str, dict[str, Any]] = {}
    lacking: dict[str, str] = {}
    imported: dict[str, Imported] = {}
    runtimes: dict[str, str] = {}
    variables: dict[str, str] = {}
    thermal: str | None = None

    def why_lacking(self, model: str) -> str:
        """Say which package is missing for a model, as one sentence; empty where none is."""
        family = family_of(model).name
        return self.lacking.get(family) or self.lacking.get(f"{family}{SEPARATOR}{own_name(model)}", "")

    def environment_of(self, *cases: Case) -> Environment:
        """Return the versions that count in some cases: those of the runtimes of their formats too."""
        names = [
            name
            for case in cases
            for name in family_of(case.model).runtimes.get(str(case.value("format")), ())
            if name in self.runtimes
        ]
        if not names:
            return self.environment
        packages = {**self.environment.packages, **{name: self.runtimes[name] for name in names}}
        return msgspec.structs.replace(self.environment, packages=packages)

    def check_models(self, models: Iterable[str]) -> None:
        """Raise :class:`UsageError` where a package is missing for each of some models."""
        reasons = [self.why_lacking(model) for model in models]
        if reasons and all(reasons):
            raise UsageError(reasons[0])


def variables() -> dict[str, str]:
    """Return the environment variables of a worker.

    CUDA devices are numbered as by the driver, so that the same number means the same card to everyone.

    Where the user's shell keeps Python from writing compiled files, importing torch and Ultralytics takes four times as
    long, once per run. So they are compiled into this suite's own cache, and the user's folders stay as they are.
    """
    chosen = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", **os.environ, **variables_without_user()}
    chosen.pop("PYTHONINSPECT", None)  # a program would wait for the user's commands at its end
    if (own := bytecode_cache.folder()) is not None:
        del chosen[bytecode_cache.UNWANTED]
        chosen[bytecode_cache.PREFIX] = str(own)
    return chosen


def variables_without_user() -> dict[str, str]:
    """Return further variables for a user without a home or a name in the system.

    Libraries ask for both as they are imported: torch for the name, Ultralytics and matplotlib for the home. Without a
    home that can be written, matplotlib would collect all fonts again in every process.
    """
    extra = {}
    home = home_folder()
    try:
        cache = cache_folder()
    except UsageError:
        return {}
    if home is None:
        extra["HOME"] = str(cache / "home")
    if home is None or not os.access(home, os.W_OK):
        extra.update({"MPLCONFIGDIR": str(cache / "matplotlib")} if "MPLCONFIGDIR" not in os.environ else {})
    try:
        getpass.getuser()
    except (KeyError, OSError):  # OSError from Python 3.13 on
        extra["LOGNAME"] = str(os.getuid())
    return extra


def inspect(python: str = "", models: Iterable[str] = ("",)) -> Interpreter:
    """Inspect an interpreter; takes two tenths of a second, since nothing heavy is imported.

    Args:
        python: an executable; empty for the one that runs this.
        models: of which at least one has to be able to run; an empty name stands for any model of the first workload.

    Raises:
        UsageError: where it does not exist or answer, or lacks torch or what the models need, or has it too old.
    """
    path = executable(python)
    facts = ask(path, "facts")
    if facts["unusable"]:
        raise UsageError(facts["unusable"])
    imports = imported(facts)
    environment = Environment(
        python=facts["python"], packages=facts["packages"], yolopace=__version__, origins=origins(imports)
    )
    interpreter = Interpreter(
        path=path,
        environment=environment,
        offers=facts.get("offers", {}),
        lacking=facts.get("lacking", {}),
        imported=imports,
        runtimes=facts.get("runtimes", {}),
        variables=facts.get("variables", {}),
        thermal=facts.get("thermal"),
    )
    interpreter.check_models(models)
    return interpreter


def executable(python: str) -> str:
    """Return the path of an interpreter (empty: of the one that runs this); raises :class:`UsageError` without one."""
    path = shutil.which(python) if python else sys.executable
    if path is None:
        raise UsageError(f"python {python!r}: there is no such executable.")
    return path


def ask(path: str, word: str) -> dict[str, Any]:
    """Return what ``PYTHON entry.py WORD`` prints, with extensions loaded: one JSON object, in a line.

    Raises:
        UsageError: where it does not answer.
    """
    try:
        return answer_in(printed_by([path, str(ENTRY), word, *loaded_paths()]))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise UsageError(f"python {path} does not answer {failure_causes.describe_call_failure(error)}") from error


def answer_in(printed: str) -> dict[str, Any]:
    """Return the JSON object in a line of a program's output; a sitecustomize may print more around it.

    Raises:
        ValueError: where no line is one.
    """
    for line in reversed(printed.splitlines()):
        with contextlib.suppress(ValueError):
            if isinstance(answer := json.loads(line), dict):
                return answer
    raise ValueError("no line is an answer of this project's own program")


def printed_by(command: Sequence[str]) -> str:
    """Return the output of a command of a measured interpreter; broken compiled files in the cache are deleted once.

    Raises:
        OSError, subprocess.SubprocessError: where it cannot be started, fails, or takes more than a minute.
    """
    for again in (True, False):
        try:
            return subprocess.run(
                command,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=60,
                env=variables(),
                check=True,
            ).stdout
        except subprocess.CalledProcessError as error:
            if not (again and bytecode_cache.remove_broken_bytecode(error.stderr, command[0])):
                raise
    raise AssertionError("the second try returns or raises")


def process_setup(interpreter: Interpreter, workload: str, network: bool) -> ProcessSetup:
    """Return the settings that a process of an interpreter needs before it imports anything.

    Args:
        interpreter: measured interpreter.
        workload: family whose libraries the process imports; empty for the first one.
        network: whether a case may have to download something.
    """
    return ProcessSetup(
        workload=workload or next(iter(workloads())),
        config=str(config_folder(interpreter)),
        network=network,
        imported=msgspec.to_builtins(interpreter.imported),
        extensions=loaded_paths(),
    )


def config_folder(interpreter: Interpreter) -> Path:
    """Return the folder of Ultralytics' settings and label caches, one per interpreter: versions do not share it."""
    key = hashlib.sha256(os.fsencode(interpreter.path)).hexdigest()[:8]
    folder = cache_folder() / "config" / f"ultralytics-{interpreter.environment.ultralytics}-{key}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the cache {cache_folder()} cannot be written ({error.strerror}): set YOLOPACE_CACHE to another folder."
        ) from error
    return folder
