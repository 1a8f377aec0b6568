"""Facts about this interpreter, without importing measured packages: versions, and the offers of each workload."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from collections.abc import Mapping
from typing import Any

from ..monitors import macos
from ..protocol import PYTHON_FLOOR, TORCH_FLOOR
from ..workloads import Requirement, Workload, workloads
from ..workloads.base import SEPARATOR
from .identity import DISTRIBUTIONS, Unidentified, identify, modules, release
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
        versions: version of each imported module, by its name; None for a missing module.
    """
    lacking = why_lacking(versions)
    none = next(iter(lacking.values())) if lacking.keys() >= workloads().keys() else ""
    return why_too_old() or none or why_unmet(TORCH, versions.get("torch"))


def why_lacking(versions: Mapping[str, str | None]) -> dict[str, str]:
    """Return a sentence on the missing or outdated package of each family or model that lacks one.

    The key is the name of the family, or ``FAMILY:MODEL`` for a model with packages of its own.
    """
    required = {name: workload.requires for name, workload in workloads().items()} | {
        f"{name}{SEPARATOR}{model}": requires
        for name, workload in workloads().items()
        for model, requires in workload.model_requires.items()
    }
    reasons = {
        name: next(filter(None, (why_unmet(package, versions.get(package.module)) for package in requires)), "")
        for name, requires in required.items()
    }
    return {name: reason for name, reason in reasons.items() if reason}


def why_unmet(requirement: Requirement, version: str | None) -> str:
    """Say why a package is missing or its version does not suffice; empty where it does."""
    package, wanted = requirement.module, requirement.version
    if version is None:
        return f"{package} is not installed for {sys.executable}: install {requirement.text} there."
    if not release(version):
        return f"{package} states {version!r} as its version, which is no number: {requirement.text} can be measured."
    if release(version) < requirement.floor:
        return f"{package} {version} is older than {wanted}, the oldest that can be measured: upgrade it."
    return ""


def why_missing(workload: Workload, model: str = "") -> str:
    """Say which package a family, or a model of it, lacks here, as one sentence; empty where all can be imported."""
    for requirement in (*workload.requires, *workload.model_requires.get(model, ())):
        if importlib.util.find_spec(requirement.module) is None:
            return why_unmet(requirement, None)
    return ""


def facts() -> dict[str, Any]:
    """Return all facts about the environment that need no import of measured packages.

    Returns:
        ``unusable`` says why nothing at all can be measured, and ``lacking`` why a family or a model cannot
        (:func:`why_lacking`).
        ``offers`` has the result of each family's ``offers``.
    """
    identities: dict[str, dict[str, Any]] = {}
    unusable = ""
    for name in modules():
        try:
            identity = identify(name)
        except Unidentified as error:
            unusable = unusable or str(error)
            continue
        if identity is not None:
            identities[name] = identity
    imported_versions = {name: str(identity["version"]) for name, identity in identities.items()}
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "executable": sys.executable,
        "packages": versions(identities),
        "runtimes": runtime_versions(),
        "imported": identities,
        "offers": {name: workload.offers(identities) for name, workload in workloads().items()},
        "lacking": why_lacking(imported_versions),
        "unusable": unusable or why_unusable(imported_versions),
        "variables": chosen(os.environ),
        "thermal": thermal(),
    }


def runtime_versions() -> dict[str, str]:
    """Return the versions of the installed distributions that run exported formats."""
    names = dict.fromkeys(
        name
        for workload in workloads().values()
        for distributions in workload.runtimes.values()
        for name in distributions
    )
    return {name: version for name in names if (version := version_of(name)) is not None}


def thermal() -> str | None:
    """Return the system's level of thermal pressure; None where it is unknown."""
    try:
        return macos.thermal()
    except (OSError, AttributeError):
        return None


def versions(identities: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return the versions of imported packages by distribution, with one name per module, whatever installed it.

    Args:
        identities: results of :func:`.identity.identify`, by module.
    """
    known = {name: version_of(name) for name in RECORDED}
    for module, names in modules().items():
        certain = module not in DISTRIBUTIONS or module in ("ultralytics", "torch", "torchvision")
        if module in identities and (certain or identities[module]["source"] == "path"):
            known.update(dict.fromkeys(names))
            known[names[0]] = identities[module]["version"]
        elif module in ("torch", "torchvision"):
            known[module] = None
    order = ("ultralytics", *RECORDED, *(name for name in known if name != "ultralytics" and name not in RECORDED))
    return {name: version for name in order if (version := known.get(name)) is not None}
