"""One Ascend NPU, which ``torch_npu`` adds to torch. Not run on hardware yet."""

from __future__ import annotations

import importlib

from ..text import one_line
from .accelerator import Accelerator


class Npu(Accelerator):
    """An NPU device by its index among those that are visible; Ultralytics trains on it from 8.4.22."""

    kind = "npu"
    title = "NPU"
    install = "install torch_npu in the measured environment"

    def why_unusable(self) -> str:
        """Load ``torch_npu``, which makes ``torch.npu``; then check it as any accelerator."""
        try:
            importlib.import_module("torch_npu")
        except ModuleNotFoundError:
            return f"device {self.name}: torch_npu is not installed: {self.install}."
        except Exception as error:  # it was made for another torch, or finds no driver
            return f"device {self.name}: torch_npu cannot be used: {one_line(str(error))}"
        return super().why_unusable()
