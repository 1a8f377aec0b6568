"""One Intel GPU. Not run on hardware yet."""

from __future__ import annotations

from ..monitors.energy import EnergyMeter, EnergyUnavailable
from .accelerator import Accelerator


class Xpu(Accelerator):
    """An XPU device by its index among those that are visible; Ultralytics trains on it from 8.4.111."""

    kind = "xpu"
    title = "XPU"
    install = "install a build of torch for Intel GPUs"

    def is_built(self) -> bool:
        """Whether this torch was built with XPU: ``torch.xpu`` exists without it too."""
        import torch

        return bool(torch.xpu._is_compiled())

    def energy(self) -> EnergyMeter:
        """Raise: ``torch.xpu`` has only power, averaged over 100 ms for which it blocks the caller."""
        raise EnergyUnavailable("torch counts no joules of an Intel GPU")
