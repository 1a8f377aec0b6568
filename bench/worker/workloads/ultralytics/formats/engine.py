"""TensorRT: an engine belongs to one card, driver and version, and is replayed from a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .base import Reading, Runtime
from .coreml import PRECISIONS


class Engine(Runtime):
    """Engines of TensorRT on an NVIDIA card."""

    name = "engine"
    title = "TensorRT"
    suffix = ".engine"
    packages = (("tensorrt", "tensorrt"),)
    export_packages = (
        ("onnx", "onnx>=1.16,<2"),
        ("onnxslim", "onnxslim>=0.1.82"),
    )
    recorded = ("tensorrt", "onnx", "onnxslim")
    kinds = ("cuda",)
    precisions = ("off", "on", "int8")
    on_hardware = False

    def identity(self, device: str) -> dict[str, Any]:
        """Return the card and the CUDA version, which an engine is made for."""
        import torch

        return {"card": torch.cuda.get_device_name(torch.device(device)), "cuda": str(torch.version.cuda)}

    def read_back(self, backend: Any, facts: dict[str, Any]) -> Reading:
        """Read the device, the precision in the header of the engine, and whether a CUDA graph is replayed.

        An engine does not say in which type each layer computes, unless it was built to.
        """
        import torch

        amp = PRECISIONS.get(backend.metadata.get("args", {}).get("quantize"), "unknown")
        details = {
            "cuda_graph": getattr(backend, "graph", None) is not None,
            "bindings": {name: str(binding.dtype) for name, binding in backend.bindings.items()},
        }
        why = "" if amp == facts["amp"] else "the header of the engine says so"
        return Reading(amp, backend.device, torch.get_num_threads(), "TensorRT", why, details)

    def bare(self, backend: Any, array: Any) -> Callable[[], Any]:
        """Replay the graph of the engine, or execute it, and wait for it."""
        import torch

        images, forward = torch.from_numpy(array).to(backend.device), backend.forward

        def run() -> Any:
            outputs = forward(images)
            torch.cuda.synchronize(backend.device)
            return outputs

        return run


RUNTIME = Engine()
