"""Axes, cases, recipes and profiles: what may be measured. Pure: nothing here starts, reads or writes anything else."""

from . import scenario_axes, ultralytics_axes, workload_axes  # noqa: F401 - registers them
from .case import Case
from .recipe import Recipe

__all__ = ["Case", "Recipe"]
