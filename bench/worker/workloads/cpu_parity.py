"""Comparison of the first losses and gradients on a device with the CPU's: same weights, same data, same seed.

On mps wrong numbers have come without an error in torch (pytorch#175189, #180984, #143196) and in Ultralytics
(ultralytics#22181): the speed of a wrong computation is worth nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ..rejection import CaseRejected

LOSS_TOLERANCE = 0.02
"""Maximum relative difference of a loss item. Float32 on two devices differs in the fifth digit, in the fourth where
cuDNN uses TF32. The assignment of boxes to predictions may flip on such a digit and move an item by half a percent."""

GRADIENT_TOLERANCE = 0.1
"""Maximum relative difference of the gradients' norm, which sums over all assignments that may flip."""


def compare(here: Mapping[str, float], there: Mapping[str, float], device: str, checks: dict[str, Any]) -> None:
    """Compare losses and ``gradient_norm`` of one step, and put them into ``checks["cpu_agreement"]``.

    Args:
        here: losses by name, on the device.
        there: losses by name, on the CPU.
        device: name of the device in the case.
        checks: checks of the session.

    Raises:
        CaseRejected: with status ``invalid`` where the results of the device and the CPU differ.
    """
    checks["cpu_agreement"] = {"device": here, "cpu": there}
    differing = [
        f"{name} is {here[name]:.5g} and on the CPU {there[name]:.5g}"
        for name in there
        if not close(here[name], there[name], GRADIENT_TOLERANCE if name == "gradient_norm" else LOSS_TOLERANCE)
    ]
    if differing:
        reason = f"Training on {device} computes something else than on the CPU: {', '.join(differing)}."
        raise CaseRejected("invalid", reason)


def close(here: float, there: float, tolerance: float) -> bool:
    """Return whether two numbers agree to a relative tolerance; nan agrees with nothing."""
    return math.isfinite(here) and abs(here - there) <= tolerance * max(abs(there), 1e-6)
