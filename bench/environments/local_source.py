"""Wheels and project folders in place of a release: the distribution of each, and the wheel to install.

A folder is built from a copy of the files that its digest covers. Nothing is written into the folder, and the wheel
holds nothing else, such as the remains of an earlier build.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from bench.environments import uv
from bench.environments.build_cache import build_once
from bench.errors import UsageError
from bench.machine.paths import cache_folder

ARTEFACTS = re.compile(
    r"\.git|\.hg|\.svn|__pycache__|.*\.py[co]|.*\.egg-info|\.eggs|\.tox|\.nox|\.(?:mypy|ruff|pytest)_cache"
)
"""Names of files and folders that do not belong to a project, at any depth."""

TOP_LEVEL_OUTPUTS = {"build", "dist"}
"""Names of output folders at the top of a project; deeper down a package may have such a name."""

GIT_LOCATION_VARIABLES = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"}
"""Environment variables that make git look at another checkout, as they do in a hook of one."""

DIGEST_DIGITS = 8
"""Digits of the digest in a version."""

Say = Callable[[str], None]


class LocalDistribution(msgspec.Struct, frozen=True):
    """A distribution that comes from this machine.

    Attributes:
        name: in the spelling of the package index.
        version: that of the wheel, and the first digits of the digest: ``8.4.190+3f2a91c0``.
        digest: SHA-256 of the wheel that was named, or of all files of the folder; hexadecimal.
        wheel: path of the file to install.
    """

    name: str
    version: str
    digest: str
    wheel: str

    @property
    def package(self) -> str:
        """Entry in lists of packages."""
        return f"{self.name}=={self.version}"

    @property
    def requirement(self) -> str:
        """Requirement in the form of uv."""
        return f"{self.name} @ {Path(self.wheel).as_uri()}"


def this_python() -> list[str]:
    """Return the facts of this Python that decide which packages install."""
    return [platform.python_implementation(), platform.python_version(), sysconfig.get_platform()]


def with_local_version(version: str, digest: str) -> str:
    """Append the first digits of a digest as PEP 440 local version: ``2.15.0+cpu.3f2a91c0``."""
    return f"{version}{'.' if '+' in version else '+'}{digest[:DIGEST_DIGITS]}"


def distribution(path: Path) -> str:
    """Return the distribution of a wheel or a project folder; empty where it is known only after a build.

    Raises:
        UsageError: where it is neither.
    """
    if os.path.isdir(path):
        if not any(os.path.isfile(path / name) for name in ("pyproject.toml", "setup.py")):
            raise UsageError(f"{path} is no project: it has neither pyproject.toml nor setup.py.")
        return _project_name(path / "pyproject.toml")
    if not os.path.exists(path):
        raise UsageError(f"{path}: there is no such file or folder.")
    try:
        name = parse_wheel_filename(path.name)[0]
    except InvalidWheelFilename as error:
        if os.access(path, os.X_OK):
            raise UsageError(
                f"{path} is neither a folder nor a wheel: an interpreter is named as python:{path}."
            ) from error
        raise UsageError(f"{path} is not named like a wheel, such as ultralytics-8.4.190-py3-none-any.whl.") from error
    if not zipfile.is_zipfile(path):
        raise UsageError(f"{path} is no wheel but in its name: build or fetch it again.")
    return name


def _project_name(file: Path) -> str:
    """Return the name in a ``pyproject.toml``; empty where it has none."""
    if not os.path.isfile(file):
        return ""
    try:
        project = tomllib.loads(file.read_text(encoding="utf-8")).get("project")
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read: {getattr(error, 'strerror', '') or error}.") from error
    name = project.get("name") if isinstance(project, dict) else None
    return canonicalize_name(name) if isinstance(name, str) else ""


def find_local(path: Path, say: Say) -> LocalDistribution:
    """Return the wheel of a wheel file or a project folder, which is built once per content.

    Raises:
        UsageError: where it cannot be read, or not be built, with the build's own reason.
    """
    try:
        if os.path.isdir(path):
            digest, wheel = _built(path, say)
        else:
            digest, wheel = _digest_of_file(path), path
    except OSError as error:
        raise UsageError(f"{path} cannot be read, or no wheel be built of it: {uv.system_reason(error)}") from error
    try:
        name, version, *_ = parse_wheel_filename(wheel.name)
    except InvalidWheelFilename as error:
        raise UsageError(f"{path} makes a wheel of no known form: {wheel.name}.") from error
    return LocalDistribution(name, with_local_version(str(version), digest), digest, str(wheel))


def _built(folder: Path, say: Say) -> tuple[str, Path]:
    """Return the digest of a project, and its wheel."""
    names = files(folder)
    digest = digest_of(folder, names)
    key = hashlib.sha256(json.dumps([digest, *this_python()]).encode()).hexdigest()[:16]
    final = cache_folder() / "wheels" / key

    def make(partial: Path) -> Path:
        say(f"building a wheel of {folder.name} ...")
        source, made = partial / "source", partial / "wheel"
        _copy(folder, names, source)
        arguments = ["build", "--wheel", "--python", sys.executable, "--out-dir", str(made), str(source)]
        uv.call(arguments, partial, f"no wheel can be built of {folder}")
        return made

    build_once(
        final,
        lambda: any(map(zipfile.is_zipfile, final.glob("*.whl"))),  # a full disk may have cut it off
        make,
        lambda: say(f"waiting for another run that builds a wheel of {folder.name} ..."),
    )
    return digest, next(final.glob("*.whl"))


def files(folder: Path) -> list[str]:
    """Return the files of a project, as sorted paths below it.

    In a git checkout: tracked files, and untracked ones that are not ignored. Elsewhere: all files except those of
    builds, caches and virtual environments.
    """
    known = _known_to_git(folder) if os.path.lexists(folder / ".git") else None
    paths: set[str] = set()
    for name in [""] if known is None else known:
        # A folder: a submodule, or a link to one.
        paths.update(_walk(folder, name) if os.path.isdir(folder / name) else [name])
    return sorted(name for name in paths if os.path.isfile(folder / name))


def _known_to_git(folder: Path) -> list[str] | None:
    """Return the files that git lists in a checkout; None where git fails."""
    command = ["git", "-C", str(folder), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    variables = {name: value for name, value in os.environ.items() if name not in GIT_LOCATION_VARIABLES}
    try:
        done = subprocess.run(command, env=variables, capture_output=True, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]


def _walk(folder: Path, below: str) -> Iterator[str]:
    """Yield the paths of all files in a subfolder, links followed, without artefacts."""
    for place, folders, names in os.walk(folder / below, followlinks=True):
        here = os.path.realpath(place)
        top = Path(place) == folder
        folders[:] = [
            name
            for name in folders
            if not ARTEFACTS.fullmatch(name)
            and not (top and name in TOP_LEVEL_OUTPUTS)
            and not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))
            and not Path(here).is_relative_to(os.path.realpath(os.path.join(place, name)))  # a link to a parent
        ]
        for name in names:
            if not ARTEFACTS.fullmatch(name):
                yield os.path.relpath(os.path.join(place, name), folder)


def digest_of(folder: Path, names: Iterable[str]) -> str:
    """Return the SHA-256 over names, contents and executable bits of files."""
    content = [
        (name, bool(os.stat(folder / name).st_mode & 0o100), _digest_of_file(folder / name)) for name in sorted(names)
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _digest_of_file(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _copy(folder: Path, names: Iterable[str], place: Path) -> None:
    """Copy files to a new folder, under the same names."""
    for name in names:
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / name, target)
        with contextlib.suppress(OSError):  # a file system without modes or times
            shutil.copystat(folder / name, target)
