"""What may be measured: axes, cases, recipes, profiles. Pure: nothing here starts, reads or writes anything else."""

from .axes import AXES, Axis
from .case import Case
from .recipe import Recipe

__all__ = ["AXES", "Axis", "Case", "Recipe"]
