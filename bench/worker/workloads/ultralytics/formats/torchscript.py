"""TorchScript: torch runs it, so threads and device are those of torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from .base import Reading, Runtime, precision_of

NAMES = {"torch.float32": "f32", "torch.float16": "f16", "torch.bfloat16": "bf16"}


class TorchScript(Runtime):
    """Models that torch traces and saves; torch alone is needed."""

    name = "torchscript"
    title = "TorchScript"
    suffix = ".torchscript"
    kinds = ("cpu", "cuda", "mps")
    precisions = ("off", "on")

    def refuses(self, amp: str, kind: str) -> str:
        """Ultralytics exports in float16 on a GPU only."""
        if amp == "on" and kind == "cpu":
            return "amp on requested: Ultralytics exports TorchScript in float16 on a GPU only."
        return ""

    def read_back(self, backend: Any, facts: dict[str, Any]) -> Reading:
        """Read the types of the weights, and torch's own threads and device."""
        import torch

        weights = [tensor for tensor in backend.model.parameters() if tensor.dim() > 1]
        types = Counter(NAMES.get(str(tensor.dtype), str(tensor.dtype)) for tensor in weights)
        amp, why = precision_of(types, facts["amp"])
        device = next((tensor.device for tensor in weights), backend.device)
        return Reading(amp, device, torch.get_num_threads(), "torch", why)

    def bare(self, backend: Any, array: Any) -> Callable[[], Any]:
        """Run the traced module."""
        import torch

        images, model = torch.from_numpy(array).to(backend.device), backend.model

        def run() -> Any:
            with torch.inference_mode():
                return model(images)

        return run


RUNTIME = TorchScript()
