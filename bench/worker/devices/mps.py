"""Apple's GPU through Metal. Not run on hardware yet: tested against a fake of ``torch.mps``."""

from __future__ import annotations

import gc
import platform
from typing import Any

from .base import figure, process_peak, reset_process_peak, sampled


class Mps:
    """The one MPS device; work is enqueued, and Ultralytics' own profiler does not wait for it."""

    name = "mps"
    kind = "mps"
    asked = "mps"

    def why_unusable(self) -> str:
        """Built against available: a torch for Linux has no MPS, and macOS before 12.3 has none either."""
        import torch

        if not torch.backends.mps.is_built():
            return f"device mps: this torch {torch.__version__} is built without MPS, which needs a Mac."
        if not torch.backends.mps.is_available():
            return f"device mps: MPS needs macOS 12.3 or later and a Metal GPU; this is macOS {platform.mac_ver()[0]}."
        return ""

    def synchronize(self) -> None:
        """Wait for all command buffers."""
        import torch

        torch.mps.synchronize()

    def reset_peaks(self) -> None:
        """Begin to measure peaks anew, where torch can."""
        import torch

        reset_process_peak()
        try:
            torch.accelerator.reset_peak_memory_stats()
        except (AttributeError, RuntimeError, AssertionError):
            pass  # no peak statistics on mps before torch 2.13 (pytorch#186430): memory() then says so

    def memory(self) -> dict[str, dict[str, Any]]:
        """Peak of the allocator where torch has one (pytorch#186748), the driver's figure, and the process's."""
        import torch

        try:
            peak = figure(int(torch.accelerator.max_memory_allocated()), "torch.accelerator.max_memory_allocated")
        except (AttributeError, RuntimeError, AssertionError):
            peak = figure(None, f"torch {torch.__version__} has no peak statistics on mps")
        driver = figure(
            int(torch.mps.driver_allocated_memory()),
            "torch.mps.driver_allocated_memory at the end of the window, cache and graphs included",
        )
        own = figure(None, "an Apple GPU has no memory apart from the machine's")
        return {"allocated": peak, "reserved": driver, "process": process_peak(), "device": own}

    def facts(self) -> dict[str, Any]:
        """The working set that Metal recommends, and the macOS version."""
        import torch

        return {
            "recommended_max_memory": int(torch.mps.recommended_max_memory()),
            "macos": platform.mac_ver()[0],
        }

    def release(self) -> None:
        """Collect garbage, and give back what the allocator holds."""
        import torch

        gc.collect()
        torch.mps.empty_cache()

    def event(self) -> Any:
        """Events of MPS are not to be trusted before pytorch#196395: parts are timed in steps of their own."""
        raise NotImplementedError

    def sample(self) -> dict[str, Any]:
        """Nothing: macOS tells the clocks of its GPU to root alone, and its heat for the whole machine."""
        return sampled()
