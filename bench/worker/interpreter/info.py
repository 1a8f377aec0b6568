"""Facts about this interpreter, without importing what is measured: versions, and what each workload has there."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Mapping
from typing import Any

from ..protocol import PYTHON_FLOOR, TORCH_FLOOR
from ..workloads import Requirement, Workload, workloads
from .identity import DISTRIBUTIONS, Unidentified, identify, release
from .variables import chosen

TORCH = Requirement("torch", TORCH_FLOOR)

RECORDED = (
    "torch",
    "torchvision",
    "numpy",
    "opencv-python",
    "opencv-python-headless",
    "pillow",
    "triton",
    "nvidia-cudnn-cu12",
    "nvidia-cudnn-cu13",
)


def version_of(distribution: str) -> str | None:
    """Return the installed version of a distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def why_too_old() -> str:
    """Say why this Python cannot be measured, as one sentence; empty where it can."""
    if sys.version_info >= PYTHON_FLOOR:
        return ""
    has, wanted = platform.python_version(), ".".join(map(str, PYTHON_FLOOR))
    return f"Python {has} of {sys.executable} is older than {wanted}, the oldest that can be measured: use another."


def why_unusable(versions: Mapping[str, str | None]) -> str:
    """Say why nothing can be measured here, as one sentence; empty where some family can.

    Args:
        versions: by module, of what is imported; None without it.
    """
    lacking = why_lacking(versions)
    none = next(iter(lacking.values())) if len(lacking) == len(workloads()) else ""
    return why_too_old() or none or why_unmet(TORCH, versions.get("torch"))


def why_lacking(versions: Mapping[str, str | None]) -> dict[str, str]:
    """Say for each family whose packages are missing or too old, by its name, which one; as one sentence."""
    reasons = {
        name: next(filter(None, (why_unmet(one, versions.get(one.module)) for one in workload.requires)), "")
        for name, workload in workloads().items()
    }
    return {name: reason for name, reason in reasons.items() if reason}


def why_unmet(requirement: Requirement, version: str | None) -> str:
    """Say why an installed version of a package, or its absence, does not do; empty where it does."""
    package, wanted = requirement.module, requirement.version
    if version is None:
        return f"{package} is not installed for {sys.executable}: install {requirement.text} there."
    if not release(version):
        return f"{package} states {version!r} as its version, which is no number: {requirement.text} can be measured."
    if release(version) < requirement.floor:
        return f"{package} {version} is older than {wanted}, the oldest that can be measured: upgrade it."
    return ""


def why_missing(workload: Workload) -> str:
    """Say which package a family lacks here, as one sentence; empty where all can be imported."""
    for requirement in workload.requires:
        if importlib.util.find_spec(requirement.module) is None:
            return why_unmet(requirement, None)
    return ""


def facts() -> dict[str, Any]:
    """Return everything about the environment that can be known without importing what is measured.

    Returns:
        ``unusable`` says why nothing at all can be measured, ``lacking`` why a family cannot, by its name; ``offers``
        has what each family finds here.
    """
    found: dict[str, dict[str, Any]] = {}
    unusable = ""
    for name in modules():
        try:
            one = identify(name)
        except Unidentified as error:
            unusable = unusable or str(error)
            continue
        if one is not None:
            found[name] = one
    seen = {name: str(one["version"]) for name, one in found.items()}
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "packages": versions(found),
        "imported": found,
        "offers": {name: workload.offers(found) for name, workload in workloads().items()},
        "lacking": why_lacking(seen),
        "unusable": unusable or why_unusable(seen),
        "variables": chosen(os.environ),
    }


def modules() -> dict[str, tuple[str, ...]]:
    """Return the modules whose figures count with the distributions that install them, those of families included."""
    named = dict(DISTRIBUTIONS)
    for workload in workloads().values():
        for module, distributions in workload.distributions.items():
            named.setdefault(module, distributions)
    return named


def versions(found: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return versions by distribution, of what is imported; one name per module whichever distribution brought it.

    Args:
        found: by module, what :func:`.identity.identify` gave.
    """
    known = {name: version_of(name) for name in RECORDED}
    for module, names in modules().items():
        certain = module not in DISTRIBUTIONS or module in ("ultralytics", "torch", "torchvision")
        if module in found and (certain or found[module]["source"] == "path"):
            known.update(dict.fromkeys(names))
            known[names[0]] = found[module]["version"]
        elif module in ("torch", "torchvision"):
            known[module] = None
    order = ("ultralytics", *RECORDED, *(name for name in known if name != "ultralytics" and name not in RECORDED))
    return {name: version for name in order if (version := known.get(name)) is not None}
