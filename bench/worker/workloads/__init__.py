"""Workloads: a family of models per file or folder, found through the registry of :mod:`.base`."""

from . import cpu_parity, sanity_checks
from .base import Override, Requirement, Workload, find, register, workloads
from .huggingface.workload import Transformers
from .reference.workload import Torch
from .ultralytics.workload import Ultralytics

__all__ = ["Override", "Requirement", "Workload", "cpu_parity", "find", "register", "sanity_checks", "workloads"]

register(Ultralytics())
register(Transformers())
register(Torch())
