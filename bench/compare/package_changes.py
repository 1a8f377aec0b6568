"""List package changes between two environments that were not requested."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import msgspec

MOST = 6
"""Differences that a line spells out."""

RELEVANT = ("torchvision", "onnxruntime", "openvino", "nvidia-cudnn", "triton", "nvidia-nccl", "numpy", "opencv")
"""Beginnings of the names of packages that speed is most likely to come from: these are spelled out first."""

SAME_CODE = {"ultralytics-opencv-headless": "ultralytics"}
"""Distributions that hold the code of another one, with the same version numbers."""


class PackageChange(msgspec.Struct, frozen=True):
    """A package that two environments hold in different versions.

    Attributes:
        name: of the distribution.
        base, head: its versions; empty where a side lacks it.
    """

    name: str
    base: str
    head: str

    def __str__(self) -> str:
        if not self.base:
            return f"{self.name} {self.head} (new)"
        if not self.head:
            return f"{self.name} {self.base} (gone)"
        return f"{self.name} {self.base} → {self.head}"


def package_changes(base: Sequence[str], head: Sequence[str]) -> list[PackageChange]:
    """Return the packages that differ between two lists of ``name==version``, by name.

    Ultralytics is one package, whichever of its two distributions brings it.
    """
    before, after = _versions(base), _versions(head)
    changes = [
        PackageChange(name, before.get(name, ""), after.get(name, "")) for name in sorted(before.keys() | after.keys())
    ]
    return [change for change in changes if change.base != change.head]


def format_changes(changes: Sequence[PackageChange], asked_names: Collection[str]) -> str:
    """Describe package changes in one line: ``torch 2.14.1 → 2.15.0; it also brought triton 3.5 → 3.6 and 7 more``.

    Args:
        changes: changes of packages.
        asked_names: the distributions that were asked for; these come first, and all of them are spelled out.
    """
    if not changes:
        return "both hold the same packages"
    asked = {SAME_CODE.get(name, name) for name in asked_names}
    named = [change for change in changes if change.name in asked]
    others = [change for change in changes if change.name not in asked]
    others.sort(key=_relevance)  # stable: by name within
    if not named:
        return f"they differ in {_listed(others, MOST)}"
    first = ", ".join(map(str, named))
    if not others:
        return f"{first}; nothing else differs"
    return f"{first}; {'it' if len(named) == 1 else 'they'} also brought {_listed(others, max(MOST - len(named), 1))}"


def _relevance(change: PackageChange) -> tuple[int, bool]:
    """Return the sort key of a change that was not requested: packages that affect speed most come first."""
    places = [place for place, name in enumerate(RELEVANT) if change.name.startswith(name)]
    return (places or [len(RELEVANT)])[0], not (change.base and change.head)


def _versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions by name."""
    versions = dict(package.split("==", 1) for package in packages if "==" in package)
    for other, name in SAME_CODE.items():
        if other in versions:
            versions.setdefault(name, versions.pop(other))
    return versions


def _listed(changes: Sequence[PackageChange], most: int) -> str:
    """List the first differences, and count the others; a single remaining one is spelled out too."""
    if len(changes) <= most + 1:
        most = len(changes)
    parts = [*map(str, changes[:most]), *([f"{len(changes) - most} more"] if len(changes) > most else [])]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
