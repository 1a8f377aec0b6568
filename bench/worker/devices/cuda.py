"""One NVIDIA GPU. Not run on hardware yet: tested against a fake of ``torch.cuda``."""

from __future__ import annotations

from typing import Any

from .base import figure, process_peak, reset_process_peak


class Cuda:
    """A CUDA device by its index as torch counts."""

    kind = "cuda"

    def __init__(self, name: str) -> None:
        self.name = name

    def why_unusable(self) -> str:
        """What torch was built for, against the devices that it sees."""
        import torch

        if not torch.backends.cuda.is_built():
            return f"device {self.name}: this torch {torch.__version__} is built without CUDA; install a CUDA build."
        count = torch.cuda.device_count()
        if count == 0:
            return f"device {self.name}: torch {torch.__version__} sees no CUDA device on this machine."
        if not self.name.isdigit() or int(self.name) >= count:
            return f"device {self.name}: this machine has {count} CUDA device(s), numbered from 0."
        return ""

    @property
    def _index(self) -> int:
        return int(self.name)

    def synchronize(self) -> None:
        """Wait for all streams of the device."""
        import torch

        torch.cuda.synchronize(self._index)

    def reset_peaks(self) -> None:
        """Begin to measure the caching allocator's peaks anew."""
        import torch

        reset_process_peak()
        torch.cuda.reset_peak_memory_stats(self._index)

    def memory(self) -> dict[str, dict[str, Any]]:
        """Allocator peaks; the device figure is what is in use on the whole card now, other processes included."""
        import torch

        free, total = torch.cuda.mem_get_info(self._index)
        return {
            "allocated": figure(torch.cuda.max_memory_allocated(self._index), "torch.cuda.max_memory_allocated"),
            "reserved": figure(torch.cuda.max_memory_reserved(self._index), "torch.cuda.max_memory_reserved"),
            "process": process_peak(),
            "device": figure(total - free, "torch.cuda.mem_get_info, whole card at the end of the window"),
        }

    def facts(self) -> dict[str, Any]:
        """Name, capability, versions, and allocator retries (above 0: it ran at the edge of memory)."""
        import torch

        properties = torch.cuda.get_device_properties(self._index)
        return {
            "name": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "total_memory": properties.total_memory,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "allocator_retries": torch.cuda.memory_stats(self._index).get("num_alloc_retries", 0),
        }
