"""Environment specification, a SPEC of the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import msgspec
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from bench.environments.local_source import distribution
from bench.errors import UsageError

HEADLESS = "ultralytics-opencv-headless"
"""The code and the version numbers of Ultralytics without the OpenCV that needs libGL; older releases are not in it."""

ULTRALYTICS = ("ultralytics", HEADLESS)
"""The distributions that bring Ultralytics."""

RUNTIMES = {
    "onnxruntime": ("onnx", "onnxslim"),
    "onnxruntime-gpu": ("onnx", "onnxslim"),
    "openvino": (),
    "ncnn": ("pnnx==20260526",),
}
"""Distributions that run an exported format, and what Ultralytics needs to export to it."""

REQUIRES_OPENCV = ("ncnn",)
"""Distributions some releases of which require the OpenCV that needs libGL."""

MEASURED = ("torch", *ULTRALYTICS, *RUNTIMES)
"""Distributions one of which a specification names."""

PYTHON = "python:"
"""Prefix of a specification that names an interpreter."""

SEPARATOR = re.compile(r",(?![^\[]*\])(?!\s*(?:[<>=!]|~=))")
"""Matches a comma between requirements, not one within ``torch>=2.6,<2.8`` or ``ultralytics[export,solutions]``."""


class Specification(msgspec.Struct, frozen=True):
    """Requested packages, ``torch==2.6.0,ultralytics==8.4.0``, or an existing interpreter.

    Attributes:
        parts: requirements as uv takes them, and absolute paths of wheels and project folders.
        python: the interpreter, in place of parts.
    """

    parts: tuple[str | Path, ...] = ()
    python: str = ""

    @classmethod
    def parse(cls, text: str) -> Specification:
        """Read ``python:PATH``, or parts that are separated by commas.

        A part that has a slash, begins with ``.`` or ``~``, or ends in ``.whl`` is the path of a wheel or of a project
        folder. Any other part is a requirement; without a version it means the newest one.

        Raises:
            UsageError: where a part is invalid, or no part is torch, Ultralytics or a runtime of exported formats.
        """
        if text.strip().startswith(PYTHON):
            return cls(python=_interpreter(text.strip().removeprefix(PYTHON).strip()))
        specification = cls(tuple(_part(part.strip()) for part in SEPARATOR.split(text)))
        names = specification.names()
        if "" not in names:
            require_measured(names, text)
        return specification

    @property
    def requirements(self) -> tuple[str, ...]:
        """The parts that are requirements."""
        return tuple(part for part in self.parts if isinstance(part, str))

    @property
    def paths(self) -> tuple[Path, ...]:
        """The parts that are wheels and project folders."""
        return tuple(part for part in self.parts if isinstance(part, Path))

    def names(self) -> tuple[str, ...]:
        """Return the requested distributions; an empty name where it is known only after a build.

        Raises:
            UsageError: where a path leads to neither a wheel nor a project.
        """
        return tuple(name_of(part) if isinstance(part, str) else distribution(part) for part in self.parts)

    def __str__(self) -> str:
        """Return the specification without folders of this machine; a project folder is ``ultralytics/``."""
        if self.python:
            return f"{PYTHON}{Path(self.python).name}"
        return ",".join(part if isinstance(part, str) else _format_path(part) for part in self.parts)


def name_of(requirement: str) -> str:
    """Return the distribution that a requirement names, in the spelling of the package index."""
    return canonicalize_name(Requirement(requirement).name)


def require_measured(names: Iterable[str], text: str) -> None:
    """Raise :class:`UsageError` unless one of :data:`MEASURED` is among the distributions of a specification."""
    if not {*MEASURED} & set(names):
        runtimes = ", ".join(RUNTIMES)
        raise UsageError(f"{text!r} names neither torch nor ultralytics: add one of them, or one of {runtimes}.")


def require_shared(base: Specification, head: Specification) -> None:
    """Raise :class:`UsageError` where two specifications name no package in common, so that nothing is compared.

    Interpreters hold what they hold, and the package of a folder may be known only after its build.
    """
    sides = [{name.replace(HEADLESS, "ultralytics") for name in side.names()} for side in (base, head)]
    if base.python or head.python or any("" in names for names in sides):
        return
    if not sides[0] & sides[1] & {*MEASURED}:
        first, second = (" and ".join(sorted(names)) for names in sides)
        raise UsageError(f"base names {first} and head names {second}: name the same package on both sides.")


def _part(text: str) -> str | Path:
    """Parse a requirement, or the absolute path of a wheel or project folder."""
    if "/" in text or text.startswith((".", "~")) or text.endswith(".whl"):
        return _absolute(text)
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        raise UsageError(f"{text!r} is no requirement: write torch==2.14.1, or several with commas between.") from error
    if requirement.url:
        raise UsageError(f"{text!r} names an address: write a release, such as torch==2.14.1, or a path.")
    return text


def _interpreter(text: str) -> str:
    """Parse an interpreter, which is looked up on PATH unless it is given with its folder."""
    if not text:
        raise UsageError(f"{PYTHON!r} names no interpreter: write python:/path/to/bin/python.")
    return str(_absolute(text)) if "/" in text else text


def _absolute(text: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(text)))


def _format_path(path: Path) -> str:
    return path.name if path.suffix == ".whl" else f"{path.name}/"
