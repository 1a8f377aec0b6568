"""Environments of several releases of one package, with all other packages pinned as far as possible."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.environments.builder import PreparedEnvironment, provide
from bench.environments.releases import parse_release
from bench.environments.resolver import Say, newest, resolve
from bench.environments.specification import PYTHON, RUNTIMES, ULTRALYTICS, Specification
from bench.environments.uv import ResolutionError
from bench.errors import UsageError

PINNED_WITH = {
    "torch": ("ultralytics",),
    "ultralytics": ("torch", "torchvision"),
    **{name: ("torch", "torchvision", "ultralytics", *exporters) for name, exporters in RUNTIMES.items()},
}
"""Packages that are pinned while the releases of one change. Each release of torch needs its matching torchvision."""


class ReleaseSeries(msgspec.Struct, frozen=True):
    """A package whose release varies, and the pinned rest.

    Attributes:
        package: ``torch``, ``ultralytics``, or the runtime of an exported format.
        pins: requirements, wheels and project folders of all environments.
        exclude_newer: see :func:`bench.environments.resolver.resolve`.
    """

    package: str
    pins: tuple[str | Path, ...] = ()
    exclude_newer: str = ""

    @classmethod
    def parse(cls, package: str, pins: str, exclude_newer: str) -> ReleaseSeries:
        """Parse a series without using the network.

        Args:
            package: its name.
            pins: the pinned packages, as in a specification; empty for none.
            exclude_newer: see :func:`bench.environments.resolver.resolve`.

        Raises:
            UsageError: where it is another package, or the pins name it or cannot be parsed.
        """
        name = package.strip().lower()
        if name not in PINNED_WITH:
            raise UsageError(
                f"package {package!r} is not what is measured: use torch or ultralytics, "
                f"or one of {', '.join(RUNTIMES)}."
            )
        if not pins:
            return cls(name, (), exclude_newer)
        if pins.strip().startswith(PYTHON):
            raise UsageError(f"{pins!r} is an interpreter: name requirements, such as torch==2.14.1.")
        specification = Specification.parse(f"{name},{pins}")
        own = {*ULTRALYTICS} if name == "ultralytics" else {name}
        if own & {*specification.names()[1:]}:
            raise UsageError(f"{pins!r} names {name}, whose releases are compared: name other packages.")
        return cls(name, specification.parts[1:], exclude_newer)

    def release(self, text: str) -> str:
        """Return a published release as the package index spells it: ``8.4`` is ``8.4.0``.

        Raises:
            UsageError: where it does not exist, or does not install on this Python.
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
        """Return the specification of a release's environment."""
        return Specification((f"{self.package}=={release}", *self.pins))

    def pinned_to(self, release: str, say: Say) -> ReleaseSeries:
        """Return the series with further packages pinned to their versions in the environment of one release.

        Raises:
            UsageError: where that release has no environment.
        """
        resolved = resolve(self.specification(release), self.exclude_newer, say)
        requested = {*self.specification(release).names()}
        versions = {"torch": resolved.torch, "ultralytics": resolved.ultralytics}
        pins = [
            f"{name}=={version}"
            for name in PINNED_WITH[self.package]
            if name not in requested and (version := versions.get(name) or resolved.version(name))
        ]
        return ReleaseSeries(self.package, (*self.pins, *pins), self.exclude_newer)

    def provide(self, release: str, say: Say) -> PreparedEnvironment:
        """Return the environment of a release, built unless it exists; it is named by that release alone.

        Raises:
            UsageError: where it cannot be resolved, built or used.
        """
        environment = provide(self.specification(release), self.exclude_newer, say)
        return msgspec.structs.replace(environment, requested=f"{self.package}=={release}")

    @property
    def pin_labels(self) -> tuple[str, ...]:
        """Pins as text, without folders of this machine."""
        return tuple(str(Specification((part,))) for part in self.pins)
