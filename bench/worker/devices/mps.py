"""Apple's GPU through Metal. Not run on hardware yet: tested against a fake of ``torch.mps``."""

from __future__ import annotations

import platform
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any

from ..monitors.energy import EnergyMeter, machine_meter
from .accelerator import Accelerator, major_minor
from .base import device_status, memory_value, process_peak, share_of

Probe = Callable[[Any], Any]

NMS = "torchvision nms"


def operators() -> dict[str, Probe]:
    """Return operators that guides call unsupported on mps and YOLO or its losses use; each takes 1 x 3 x 8 x 8."""
    import torch

    functional = torch.nn.functional
    boxes = [[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9]]
    return {
        "adaptive_avg_pool2d to a size that does not divide": lambda x: functional.adaptive_avg_pool2d(x, (3, 5)),
        "bicubic interpolate": lambda x: functional.interpolate(x, scale_factor=1.5, mode="bicubic"),
        "grid_sample": lambda x: functional.grid_sample(x, x.new_zeros(1, 4, 4, 2), align_corners=False),
        "max_pool2d backward": lambda x: functional.max_pool2d(x.requires_grad_(), 5, 1, 2).sum().backward(),
        "cumsum": lambda x: x.cumsum(-1),
        "topk of 300": lambda x: x.flatten().repeat(3).topk(300),
        "unique": lambda x: x.unique(),
        "index_add": lambda x: x.index_add(0, x.new_zeros(1).long(), x),
        NMS: lambda x: _nms(x.new_tensor(boxes), x.new_tensor([1.0, 0.5])),
        "linalg.inv": lambda x: torch.linalg.inv(torch.eye(3, device=x.device)),
        "linalg.svd": lambda x: torch.linalg.svd(x[0, 0]),
    }


def _nms(boxes: Any, scores: Any) -> None:
    import torchvision

    torchvision.ops.nms(boxes, scores, 0.5)


def probe_backend() -> dict[str, Any]:
    """Return torch's facts about MPS, for :mod:`bench.machine.doctor`.

    Returns:
        ``built``, ``available``; where MPS is available also ``bytes`` (the working set that Metal recommends) and
        ``operators``: for each of :func:`operators` ``native``, ``falls back``, or the error.
    """
    import torch

    backend = torch.backends.mps
    facts: dict[str, Any] = {"built": backend.is_built(), "available": backend.is_available()}
    if facts["available"]:
        facts["bytes"] = int(torch.mps.recommended_max_memory())
        facts["operators"] = try_operators()
    return facts


def try_operators(importing: bool = True) -> dict[str, str]:
    """Try each of :func:`operators` on MPS: ``native``, ``falls back``, or the error.

    Args:
        importing: whether torchvision may be imported for its operator; that changes which one Ultralytics uses.
    """
    probes = operators()
    if not importing and "torchvision" not in sys.modules:
        probes.pop(NMS, None)
    return {name: _tried(probe) for name, probe in probes.items()}


def _tried(probe: Probe) -> str:
    """Run one operator; torch warns where the CPU computes it instead (``PYTORCH_ENABLE_MPS_FALLBACK``)."""
    import torch

    before = torch.is_warn_always_enabled()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.set_warn_always(True)  # otherwise torch warns only of the first operator that falls back
        try:
            probe(torch.linspace(0.0, 1.0, 192, device="mps").reshape(1, 3, 8, 8))
            torch.mps.synchronize()
        except Exception as error:  # NotImplementedError, or an error of Metal
            return f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        finally:
            torch.set_warn_always(before)
    return "falls back" if any("fall back" in str(warning.message) for warning in caught) else "native"


FELL_BACK = re.compile(r"operator '([^']+)'.*fall back", re.DOTALL)
"""Pattern of torch's warning of a fallback, with the operator's name."""


class Fallbacks:
    """Operators that torch computes on the CPU, by its warnings where ``PYTORCH_ENABLE_MPS_FALLBACK`` is set.

    Attributes:
        names: names of these operators, in the order of their first use.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._before: tuple[Any, bool] | None = None

    def listen(self) -> None:
        """Collect all warnings from here on; by default torch warns of the first operator alone."""
        import torch

        self._before = warnings.showwarning, torch.is_warn_always_enabled()
        show = warnings.showwarning

        def collect(message: Any, *rest: Any, **more: Any) -> None:
            if match := FELL_BACK.search(str(message)):
                if match[1] not in self.names:
                    self.names.append(match[1])
            else:
                show(message, *rest, **more)

        warnings.showwarning = collect
        warnings.filterwarnings("always", message=".*fall back.*")
        torch.set_warn_always(True)

    def stop(self) -> None:
        """Restore the handling of warnings before :meth:`listen`."""
        import torch

        if self._before is not None:
            warnings.showwarning, always = self._before
            torch.set_warn_always(always)
            self._before = None


class Mps(Accelerator):
    """The one MPS device; work is enqueued, and Ultralytics' own profiler does not wait for it."""

    kind = "mps"
    title = "MPS"
    indexed = False
    own_memory = False
    events_since = (2, 15)  # before, they do not wait for what they time (pytorch#196395)

    def __init__(self, name: str = "mps", rank: int = 0) -> None:
        """Take no device yet; the process is always alone, since the runner starts no ranks on MPS."""
        super().__init__(name, rank)
        self._fallbacks = Fallbacks()

    @classmethod
    def probe_backend(cls) -> dict[str, Any]:
        """See :func:`probe_backend`."""
        return probe_backend()

    def why_unusable(self) -> str:
        """Check that torch is built with MPS and that macOS has it: a torch for Linux and an older macOS do not."""
        import torch

        if not torch.backends.mps.is_built():
            return f"device mps: this torch {torch.__version__} is built without MPS, which needs a Mac."
        if not torch.backends.mps.is_available():
            oldest = "14" if major_minor(torch.__version__) >= (2, 12) else "12.3"  # what its wheels are made for
            here = platform.mac_ver()[0]
            return f"device mps: MPS needs macOS {oldest} or later and a Metal GPU; this is macOS {here}."
        return ""

    def limit_memory(self, size: int) -> None:
        """Hold the allocator to a fraction of the working set that Metal recommends.

        By default it may take 1.7 times that, which is more than the machine has: macOS then swaps, and nothing fails.
        """
        import torch

        recommended = torch.mps.recommended_max_memory()
        torch.mps.set_per_process_memory_fraction(share_of(self.name, size, recommended) if size else 1.0)

    def memory(self) -> dict[str, dict[str, Any]]:
        """Return the allocator's peak, kept by torch or sampled, and the memory of the driver and the process."""
        import torch

        driver = memory_value(
            int(torch.mps.driver_allocated_memory()),
            "torch.mps.driver_allocated_memory at the end of the window, cache and graphs included",
        )
        own = memory_value(None, "an Apple GPU has no memory apart from the machine's")
        allocated = self._peak("max_memory_allocated") or self._sampled_peak()
        return {"allocated": allocated, "reserved": driver, "process": process_peak(), "device": own}

    def info(self) -> dict[str, Any]:
        """Return the working set that Metal recommends, the macOS version, and operators that fell back to the CPU.

        Call it after the window, since it also tries some operators.
        """
        import torch

        return {
            "recommended_max_memory": int(torch.mps.recommended_max_memory()),
            "macos": platform.mac_ver()[0],
            "fell_back": list(self._fallbacks.names),
            "operators": try_operators(importing=False),
            **self.why_no_events(),
        }

    def energy(self) -> EnergyMeter:
        """Return Apple's estimate of GPU, CPU and memory, which share one chip and all work in training."""
        return machine_meter(("gpu", "cpu_total", "dram"))

    def set_warmup(self, begins: bool) -> None:
        """Collect operators that fall back to the CPU while warming up; each warning costs time later on."""
        if begins:
            self._fallbacks.listen()
        else:
            self._fallbacks.stop()

    def read_status(self) -> dict[str, Any]:
        """Return nothing: macOS shows its GPU's clocks to root alone, and its heat for the whole machine."""
        return device_status()
