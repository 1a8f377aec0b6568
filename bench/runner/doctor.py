"""Collect facts for ``doctor`` from this machine and a measured interpreter; train a few steps for ``--deep``."""

from __future__ import annotations

import contextlib
import platform
import re
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from bench.cases.device_kinds import kind_of
from bench.cases.plan import PlannedRun, expand_grid, profile
from bench.environments.cache_checks import check_usable, problem
from bench.environments.interpreter import Interpreter, ask, executable
from bench.environments.package_origins import imported, origins, replaced
from bench.environments.uv import find_uv
from bench.errors import UsageError
from bench.machine.doctor import Check, State, examine
from bench.machine.interpreter_info import Software
from bench.machine.paths import cache_folder
from bench.machine.system_info import SystemInfo, system_info
from bench.records.outcome import Outcome, Status
from bench.records.record import Environment
from bench.runner.jobs import probe_job
from bench.runner.launchers.local import Launcher, open_launcher, scratch_folder
from bench.runner.measure import DatasetUnavailable, find_data, run_job

DEEP_LIMIT = 120.0
"""Seconds that a few steps of training may take to warm up, and for their window."""

PRECISIONS = ("off", "on", "bf16")


def look(python: str) -> tuple[SystemInfo, Software]:
    """Read this machine and an interpreter's software; takes as long as importing torch.

    Args:
        python: the interpreter; empty for the one that runs this.

    Raises:
        UsageError: where ``python`` is no interpreter, or does not answer.
    """
    path = executable(python)
    cache = None
    with ThreadPoolExecutor(1) as pool:
        software = pool.submit(read_software, path)
        with contextlib.suppress(UsageError):
            cache = cache_folder()
        machine = system_info(cache, low_power=low_power(), uv=uv_version(), cache_trouble=problem())
        return machine, software.result()


def device_remedy(python: str, device: str) -> str:
    """Return why torch cannot use a device, and what to do, as sentences; empty where nothing can be done.

    Args:
        python: the measured interpreter, which imports torch for this.
        device: as cases name it.
    """
    kind = kind_of(device).name
    try:
        checks = examine(*look(python))
    except UsageError:
        return ""
    for check in checks:
        if check.name.split()[0] == kind and check.status is State.UNUSABLE and check.remedy:
            return f"{_sentence(check.detail)} {_sentence(check.remedy)}"
    return ""


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def read_software(path: str) -> Software:
    """Read an interpreter's software and backends; raise :class:`UsageError` where it does not answer at all."""
    try:
        answer = ask(path, "doctor")
        if answer["import_error"] and (why := replaced(imported(answer["environment"]))):
            answer["import_error"] += f"; {why.rstrip('.')}"
        backends = answer.pop("backends", {})
        others = {kind: state for kind, state in backends.items() if kind not in Software.__struct_fields__}
        own = {"environment": labelled(answer["environment"]), "accelerators": others}
        return msgspec.convert({**answer, **backends, **own}, Software)
    except (UsageError, msgspec.ValidationError) as error:  # it may crash, or hang, where torch is imported
        facts = ask(path, "facts")
        return msgspec.convert({"environment": labelled(facts), "import_error": str(error)}, Software)


def labelled(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of an interpreter, with the origin of each package added to its version."""
    package_origins = origins(imported(facts))
    environment = Environment(python=facts["python"], packages=facts["packages"], yolopace="", origins=package_origins)
    return {**facts, "packages": {name: environment.label(name) for name in environment.packages}}


def command_output(command: Sequence[str | Path]) -> str:
    """Return the output of a system program; empty where it is missing or fails."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=10, check=True
        ).stdout
    return ""


def low_power() -> bool | None:
    """Whether macOS is in its low power mode; None on other systems, and where that is unknown."""
    if platform.system() != "Darwin":
        return None
    match = re.search(r"^\s*lowpowermode\s+(\d)", command_output(["pmset", "-g"]), re.MULTILINE)
    return match[1] != "0" if match else None


def uv_version() -> str | None:
    """Return the version of uv, such as ``uv 0.13.9``; None where uv is missing."""
    try:
        command = find_uv()
    except UsageError:
        return None
    return " ".join(command_output([*command, "--version"]).split()[:2]) or None


def deep(interpreter: Interpreter, devices: Sequence[str]) -> Iterator[Check]:
    """Train a few steps on each device in each precision, and check the effective settings.

    Args:
        interpreter: interpreter whose Ultralytics trains.
        devices: devices, named as in cases.
    """
    launcher = open_launcher(interpreter)
    try:
        check_usable()
        for device in devices:
            for amp in PRECISIONS:
                yield tried(launcher, device, amp)
    except UsageError as error:
        yield Check("training", State.UNUSABLE, str(error))
    finally:
        launcher.close()


def tried(launcher: Launcher, device: str, amp: str) -> Check:
    """Train a few steps on one device in one precision, and check the effective settings."""
    values: dict[str, list[Any]] = {"mode": ["train"], "model": ["yolov8n"], "amp": [amp], "batch": [2], "imgsz": [64]}
    [planned] = expand_grid(profile("smoke"), [device], values)
    outcome = ended(launcher, planned)
    what = f"training on {device}, amp {amp}"
    if outcome.status is Status.MEASURED:
        return Check(what, State.USABLE, "runs as asked")
    return Check(what, State.UNUSABLE, f"{outcome.status.value.replace('_', ' ')}: {outcome.reason}")


def ended(launcher: Launcher, planned: PlannedRun) -> Outcome:
    """Run a short case only for its outcome."""
    try:
        data = find_data(launcher, planned)
    except DatasetUnavailable as error:
        return error.outcome
    with scratch_folder() as scratch:
        return run_job(launcher, probe_job(planned, data, scratch), DEEP_LIMIT).outcome
