"""Build environments to measure with uv, outside this project; one with the same packages is used again."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path

import msgspec

from bench.environments import uv
from bench.environments.build_cache import build_once
from bench.environments.existing import installed
from bench.environments.interpreter import Interpreter, inspect
from bench.environments.package_origins import RECORDED_AS, below
from bench.environments.resolver import Resolved, Say, resolve
from bench.environments.specification import PYTHON, Specification
from bench.errors import UsageError
from bench.machine.paths import cache_folder

PACKAGES = "packages.txt"
"""File with the installed packages, written last: it marks an environment as complete."""


DAMAGED = re.compile("is not installed for|does not answer")
"""Matches the error of an environment that lacks some of its files."""


class BuiltEnvironment(msgspec.Struct, frozen=True):
    """An environment in the cache.

    Attributes:
        python: path of its interpreter, for :func:`bench.environments.interpreter.inspect`.
        packages: all that is installed in it, ``name==version``, sorted.
    """

    python: str
    packages: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """The environment's own folder."""
        return Path(self.python).parents[1]


class PreparedEnvironment(msgspec.Struct, frozen=True):
    """An environment ready to be measured. Only the interpreter's path names a folder of this machine.

    Attributes:
        interpreter: its interpreter.
        packages: all that is installed in it, ``name==version``, sorted.
        key: sixteen hexadecimal digits over what is installed, the same for a copy of it.
        requested: the specification, without folders; of an interpreter ``python:`` and its version.
    """

    interpreter: Interpreter
    packages: tuple[str, ...]
    key: str
    requested: str


def provide(specification: Specification, exclude_newer: str, say: Say, replica: int = 0) -> PreparedEnvironment:
    """Return the environment of a specification; it is built unless it exists.

    Args:
        specification: its packages; an interpreter is taken as it is.
        exclude_newer: see :func:`bench.environments.resolver.resolve`.
        say: called with a line before each slow step.
        replica: 0 for the environment itself; 1 for a second installation of the same packages, and so on. An
            interpreter has no replicas.

    Raises:
        UsageError: where it cannot be resolved, built or used.
    """
    if specification.python:
        interpreter = inspect(specification.python, models=())  # cases decide what it needs
        existing = installed(interpreter)
        return PreparedEnvironment(
            interpreter, existing.packages, existing.key, f"{PYTHON}{interpreter.environment.python}"
        )
    check_path()
    resolved = resolve(specification, exclude_newer, say)
    built = install(resolved, say, replica)
    return PreparedEnvironment(open_built(built, resolved), built.packages, resolved.key, str(specification))


MEASURED = ("ultralytics", "torch", "torchvision")


def check_path() -> None:
    """Check, before a build, that nothing on PYTHONPATH would be imported in place of it.

    Raises:
        UsageError: where something on it would be imported.
    """
    value = os.environ.get("PYTHONPATH", "")
    for entry in [part or "." for part in value.split(os.pathsep)] if value else []:  # an empty one: this folder
        for name in MEASURED:
            if any(os.path.isfile(os.path.join(entry, file)) for file in (f"{name}/__init__.py", f"{name}.py")):
                raise UsageError(
                    f"{name} would be imported from {entry!r}, which is on PYTHONPATH, in place of any release: take "
                    "that entry out of PYTHONPATH, or name the folder in place of a release."
                )


def open_built(built: BuiltEnvironment, resolved: Resolved) -> Interpreter:
    """Return the interpreter of an environment from the cache.

    Raises:
        UsageError: where it is damaged, or would import something else than was installed in it.
    """
    try:
        interpreter = inspect(built.python)
    except UsageError as error:
        if DAMAGED.search(str(error)):
            raise UsageError(
                f"{error} It was built by yolopace: delete {built.folder}, and it is built again."
            ) from error
        raise
    check_imported(interpreter, resolved, built.folder)
    return interpreter


def check_imported(interpreter: Interpreter, resolved: Resolved, folder: Path) -> None:
    """Check that an environment imports the packages that were installed in it, unchanged.

    Args:
        interpreter: interpreter of the environment.
        resolved: installed packages.
        folder: folder of the environment.

    Raises:
        UsageError: where something else would be imported, as by PYTHONPATH, or its files were changed.
    """
    for name, package_import in interpreter.imported.items():
        package = RECORDED_AS.get(name, name)
        if not below(package_import.file, folder):
            remedy = (
                f"take {package_import.by!r} out of PYTHONPATH, or name that folder in place of a release"
                if package_import.by
                else "find what adds its folder to sys.path (a .pth file, a sitecustomize, PYTHONHOME), and remove that"
            )
            raise UsageError(
                f"{interpreter.path} has {package} {package_import.installed or resolved.version(package)} installed "
                f"and would import {package_import.version} from {package_import.place}: {remedy}."
            )
        if not package_import.as_installed:
            raise UsageError(
                f"the files of {package} {package_import.installed} in {os.path.dirname(package_import.file)} are not "
                f"as they were installed: delete {folder}, and it is built again."
            )
    environment = interpreter.environment
    for name, runs, wanted in (
        ("torch", environment.torch, resolved.torch),
        ("Ultralytics", environment.ultralytics, resolved.ultralytics),
    ):
        if wanted and runs.partition("+")[0] != wanted.partition("+")[0]:
            raise UsageError(
                f"{interpreter.path} would import {name} {runs}, and {wanted} was installed: delete {folder}, and it "
                "is built again."
            )


def environments_folder() -> Path:
    """Return the folder of all environments, each in a folder named by :func:`name_of_folder`."""
    return cache_folder() / "environments"


def name_of_folder(key: str, replica: int) -> str:
    """Return the folder name of packages with this :attr:`bench.environments.resolver.Resolved.key`.

    The name of a replica is as long, since the length of paths alone can change how fast a program runs.
    """
    return hashlib.sha256(f"{key} {replica}".encode()).hexdigest()[: len(key)] if replica else key


def install(resolved: Resolved, say: Say, replica: int = 0) -> BuiltEnvironment:
    """Return the environment with these packages; it is built unless it exists.

    Args:
        resolved: the packages.
        say: called with a line on the build and its size.
        replica: see :func:`provide`.

    Raises:
        UsageError: where it cannot be built, with uv's own reason.
    """
    folder = environments_folder()
    final = folder / name_of_folder(resolved.key, replica)
    title = f"the environment of Ultralytics {resolved.ultralytics} and torch {resolved.torch}"
    title = f"a copy of {title}" if replica else title

    def make(partial: Path) -> Path:
        if os.statvfs(partial).f_flag & getattr(os, "ST_NOEXEC", 0):
            raise UsageError(
                f"{title} cannot be built in {folder}, for programs may not run on its disk (noexec): set "
                "YOLOPACE_CACHE to a folder on another one."
            )
        say(f"building {title}: {len(resolved.packages)} packages, minutes if they have to be fetched ...")
        return _build(resolved, partial, f"{title} cannot be built")

    try:
        build_once(
            final,
            lambda: _complete(final, resolved.packages) is not None,
            make,
            lambda: say(f"waiting for another run that builds {title} ..."),
        )
    except OSError as error:
        raise UsageError(f"{title} cannot be built in {folder}: {uv.system_reason(error)}") from error
    if built := _complete(final, resolved.packages):
        return built
    raise UsageError(f"{title} has no Python that can be started: {_python(final)}.")


def _build(resolved: Resolved, partial: Path, failure: str) -> Path:
    """Build an environment below a folder, and return its own folder."""
    place = partial / "environment"
    # Relocatable: it is moved once, and scripts that it brings would name the Python of its first place.
    uv.call(["venv", "--relocatable", "--no-project", "--python", sys.executable, str(place)], partial, failure)
    # What is listed is complete, and an override may have left something out on purpose.
    arguments = ["pip", "install", "--python", str(_python(place)), "--no-deps", "--requirements", "-"]
    uv.call(arguments, partial, failure, "".join(f"{requirement}\n" for requirement in resolved.requirements))
    written = partial / PACKAGES
    written.write_text("".join(f"{package}\n" for package in resolved.packages), encoding="utf-8")
    os.replace(written, place / PACKAGES)
    return place


def _python(environment: Path) -> Path:
    """Return the path of the interpreter of an environment."""
    return environment / "bin" / "python"


def _complete(environment: Path, wanted: tuple[str, ...]) -> BuiltEnvironment | None:
    """Return an environment that is complete, lists these packages, and has a Python that can be started; else None."""
    python = _python(environment)
    try:
        packages = (environment / PACKAGES).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return None
    whole = tuple(packages) == wanted and os.access(python, os.X_OK)
    return BuiltEnvironment(str(python), wanted) if whole else None
