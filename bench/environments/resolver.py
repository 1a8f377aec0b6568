"""Resolve specifications to packages with uv's resolver, for this Python and platform."""

from __future__ import annotations

import contextlib
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.environments import uv
from bench.environments.local_source import LocalDistribution, find_local, this_python
from bench.environments.specification import (
    HEADLESS,
    REQUIRES_OPENCV,
    RUNTIMES,
    ULTRALYTICS,
    Specification,
    name_of,
    require_measured,
)
from bench.errors import UsageError

NO_OPENCV = 'opencv-python ; sys_platform == "never"'
"""In place of every requirement of ``opencv-python``, where ``opencv-python-headless`` is installed instead."""

Say = Callable[[str], None]


class Resolved(msgspec.Struct, frozen=True):
    """All packages of an environment.

    Attributes:
        packages: ``name==version``, sorted; what comes from this machine has the first digits of its digest in its
            version, and nothing says where it was.
        local: those that come from this machine.
    """

    packages: tuple[str, ...]
    local: tuple[LocalDistribution, ...] = ()

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits over the packages, this Python and this platform."""
        content = [*this_python(), self.packages, *sorted(distribution.digest for distribution in self.local)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    @property
    def requirements(self) -> list[str]:
        """The packages as uv takes them."""
        known = {distribution.package: distribution.requirement for distribution in self.local}
        return [known.get(package, package) for package in self.packages]

    def version(self, *names: str) -> str:
        """Version of the first of these distributions that is among the packages; empty where none is."""
        versions = dict(package.split("==", 1) for package in self.packages)
        return next((versions[name] for name in names if name in versions), "")

    @property
    def ultralytics(self) -> str:
        """Version of Ultralytics, whichever distribution brings it."""
        return self.version(*ULTRALYTICS)

    @property
    def torch(self) -> str:
        """Version of torch."""
        return self.version("torch")


def resolve(specification: Specification, exclude_newer: str = "", say: Say = lambda text: None) -> Resolved:
    """Resolve a specification; installs nothing, but builds the project folders that it names.

    Ultralytics, which brings torch, is always among them; so is what exports to the format of a named runtime. A
    release of Ultralytics is taken from the distribution without libGL where that has the version, since servers lack
    the library. Otherwise, and with a wheel or a folder of Ultralytics, OpenCV's own headless distribution replaces the
    other.

    Args:
        specification: the requested packages.
        exclude_newer: a date; releases after it are left out (uv's ``--exclude-newer``), so that environments that are
            resolved on different days hold the same.
        say: called with a line before a folder is built.

    Raises:
        UsageError: where there is no solution, with the resolver's reason, or a folder cannot be built.
    """
    if specification.python:
        raise UsageError(f"{specification} is there already: name what uv is to install, such as ultralytics==8.4.0.")
    local = [find_local(path, say) for path in specification.paths]
    names = {*map(name_of, specification.requirements), *(distribution.name for distribution in local)}
    require_measured(names, str(specification))
    wanted = [*specification.requirements, *([] if names & {*ULTRALYTICS} else ["ultralytics"])]
    exporters = dict.fromkeys(package for name in RUNTIMES if name in names for package in RUNTIMES[name])
    wanted += [package for package in exporters if name_of(package) not in names]
    if any(distribution.name == "ultralytics" for distribution in local):
        return compiled(wanted, exclude_newer, local=local, without_libgl=True)
    if all(name_of(requirement) != "ultralytics" for requirement in wanted):
        return compiled(wanted, exclude_newer, local=local)
    with contextlib.suppress(UsageError):
        headless = [_headless(requirement) for requirement in wanted]
        return compiled(headless, exclude_newer, local=local, without_libgl=bool(names & {*REQUIRES_OPENCV}))
    return compiled(wanted, exclude_newer, local=local, without_libgl=True)


def oldest(requirement: str, exclude_newer: str = "") -> str:
    """Return the oldest version that a requirement allows on this Python: ``2.6.0`` for ``torch>=2.6``.

    Raises:
        UsageError: where no version installs.
    """
    options = ("--resolution", "lowest-direct", "--no-deps")
    return compiled([requirement], exclude_newer, options).version(name_of(requirement))


def newest(requirement: str, exclude_newer: str = "") -> str:
    """Return the newest final release that a requirement allows on this Python, without yanked ones.

    Raises:
        ResolutionError: where no release installs.
        UsageError: where the package index does not answer.
    """
    options = ("--prerelease", "disallow", "--no-deps")
    return compiled([requirement], exclude_newer, options).version(name_of(requirement))


def compiled(
    requirements: Sequence[str],
    exclude_newer: str,
    options: Sequence[str] = (),
    local: Sequence[LocalDistribution] = (),
    without_libgl: bool = False,
) -> Resolved:
    """Resolve requirements with uv; without libGL, OpenCV's headless distribution replaces the other."""
    arguments = ["pip", "compile", "-", "--python", sys.executable, "--no-header", "--no-annotate", *options]
    arguments += ["--exclude-newer", exclude_newer] if exclude_newer else []
    wanted = [*requirements, *(distribution.requirement for distribution in local)]
    failure = (
        f"no environment can be made of {', '.join([*requirements, *(distribution.package for distribution in local)])}"
    )
    try:
        with tempfile.TemporaryDirectory(prefix="yolopace-") as folder:
            if without_libgl:
                file = Path(folder) / "overrides.txt"
                file.write_text(f"{NO_OPENCV}\n", encoding="utf-8")
                arguments += ["--override", str(file)]
                wanted.append("opencv-python-headless")
            lines = uv.call(arguments, Path(folder), failure, "\n".join(wanted)).splitlines()
    except OSError as error:
        raise UsageError(f"{failure}: {uv.system_reason(error)}") from error
    known = {distribution.name: distribution.package for distribution in local}
    packages = [_package(line.strip(), known) for line in lines if line.strip() and not line.startswith("#")]
    return Resolved(tuple(sorted(packages)), tuple(local))


def _package(line: str, local: dict[str, str]) -> str:
    """Return a line of the resolver as ``name==version``."""
    name, at, _ = line.partition(" @ ")
    if not at:
        return line
    if canonicalize_name(name) not in local:
        raise UsageError(f"{name} is required from an address, and no version says what is there: require a release.")
    return local[canonicalize_name(name)]


def _headless(requirement: str) -> str:
    """Replace Ultralytics' own distribution in a requirement by the headless one."""
    if name_of(requirement) != "ultralytics":
        return requirement
    return HEADLESS + requirement.strip()[len(Requirement(requirement).name) :]
