"""Environments of several releases of one package, in which all else stays as it is as far as that can be."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.environments.builder import PreparedEnvironment, provide
from bench.environments.releases import parse_release
from bench.environments.resolver import Say, newest, resolve
from bench.environments.specification import PYTHON, ULTRALYTICS, Specification
from bench.environments.uv import ResolutionError
from bench.errors import UsageError

BESIDE = {"torch": ("ultralytics",), "ultralytics": ("torch", "torchvision")}
"""By package: what is held while its releases change. A release of torch takes a torchvision of its own."""


class ReleaseSeries(msgspec.Struct, frozen=True):
    """A package whose releases change, and what does not.

    Attributes:
        package: ``torch`` or ``ultralytics``.
        parts: requirements, wheels and project folders that all environments hold.
        exclude_newer: see :func:`bench.environments.resolver.resolve`.
    """

    package: str
    parts: tuple[str | Path, ...] = ()
    exclude_newer: str = ""

    @classmethod
    def parse(cls, package: str, beside: str, exclude_newer: str) -> ReleaseSeries:
        """Check what was asked for; asks the network nothing.

        Args:
            package: its name.
            beside: what is held, as in a specification; empty for nothing.
            exclude_newer: see :func:`bench.environments.resolver.resolve`.

        Raises:
            WrongUse: where it is another package, or cannot be held.
        """
        name = package.strip().lower()
        if name not in BESIDE:
            raise UsageError(f"package {package!r} is not what is measured: use torch or ultralytics.")
        if not beside:
            return cls(name, (), exclude_newer)
        if beside.strip().startswith(PYTHON):
            raise UsageError(f"{beside!r} is an interpreter: name requirements, such as torch==2.14.1.")
        specification = Specification.parse(f"{name},{beside}")
        own = {*ULTRALYTICS} if name == "ultralytics" else {name}
        if own & {*specification.names()[1:]}:
            raise UsageError(f"{beside!r} names {name}, whose releases are compared: name what is held beside it.")
        return cls(name, specification.parts[1:], exclude_newer)

    def release(self, text: str) -> str:
        """A published release as the package index spells it: ``8.4`` is ``8.4.0``.

        Raises:
            WrongUse: where there is none of that number, or it does not install on this Python.
        """
        parse_release(text)
        try:
            return newest(f"{self.package}=={text}", self.exclude_newer)
        except ResolutionError:
            before = f" up to {self.exclude_newer}" if self.exclude_newer else ""
            raise UsageError(
                f"{self.package} {text} was not published{before}, or does not install on this Python."
            ) from None

    def specification(self, release: str) -> Specification:
        """What the environment of a release has to hold."""
        return Specification((f"{self.package}=={release}", *self.parts))

    def as_with(self, release: str, say: Say) -> ReleaseSeries:
        """The same with what stands beside the package held as it is with one of its releases.

        Raises:
            WrongUse: where that has no environment.
        """
        resolved = resolve(self.specification(release), self.exclude_newer, say)
        asked = {*self.specification(release).names()}
        versions = {"torch": resolved.torch, "ultralytics": resolved.ultralytics}
        found = [
            f"{name}=={version}"
            for name in BESIDE[self.package]
            if name not in asked and (version := versions.get(name) or resolved.version(name))
        ]
        return ReleaseSeries(self.package, (*self.parts, *found), self.exclude_newer)

    def provide(self, release: str, say: Say) -> PreparedEnvironment:
        """The environment of a release, built unless it is there; it is called by that release alone.

        Raises:
            WrongUse: where it cannot be resolved, built or used.
        """
        found = provide(self.specification(release), self.exclude_newer, say)
        return msgspec.structs.replace(found, asked=f"{self.package}=={release}")

    @property
    def shown(self) -> tuple[str, ...]:
        """What is held, without folders of this machine."""
        return tuple(str(Specification((part,))) for part in self.parts)
