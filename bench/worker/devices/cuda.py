"""One NVIDIA GPU. Not run on hardware yet: tested against a fake of ``torch.cuda``."""

from __future__ import annotations

import gc
import os
from typing import Any

from ..monitors import nvml
from ..monitors.energy import EnergyMeter, Nvml
from ..text import one_line
from .base import device_status, memory_value, process_peak, reset_process_peak, share_of


def probe_backend() -> dict[str, Any]:
    """What torch says of CUDA, for :mod:`bench.machine.doctor`.

    Returns:
        ``built``: the CUDA that torch was built for, None without. ``error``: what it says where CUDA does not start.
        ``architectures``: that it has kernels for, such as ``sm_80``. ``cards``: ``name``, ``capability`` (two numbers)
        and ``bytes`` of each visible one. ``nccl``: whether it has NCCL. ``tf32``: whether convolutions take TF32 in
        float32.
    """
    import torch

    found: dict[str, Any] = {"built": torch.version.cuda, "error": "", "architectures": [], "cards": []}
    if not torch.backends.cuda.is_built():
        return {**found, "built": None, "nccl": False, "tf32": False}
    found["nccl"] = bool(torch.distributed.is_available() and torch.distributed.is_nccl_available())
    found["tf32"] = bool(torch.backends.cudnn.allow_tf32)
    try:
        count = torch.cuda.device_count()
        if count:
            torch.cuda.init()
            found["architectures"] = torch.cuda.get_arch_list()
        for index in range(count):
            one = torch.cuda.get_device_properties(index)
            card = {"name": one.name, "capability": [one.major, one.minor], "bytes": one.total_memory}
            found["cards"].append(card)
    except Exception as error:  # a driver that is too old, or a card that fell off the bus: DeferredCudaCallError too
        found["error"] = one_line(str(error))
    return found


class Cuda:
    """A CUDA device by its index among those that are visible to the user, or one of several.

    The process is narrowed to the case's cards before CUDA starts in it. Ultralytics before 8.4.120 rewrites
    CUDA_VISIBLE_DEVICES by itself: it would make card 1 the first, or leave the card that the user had chosen.
    """

    kind = "cuda"

    def __init__(self, name: str, rank: int = 0) -> None:
        """Take nothing yet.

        Args:
            name: of the case: an index, or several joined by ``+``.
            rank: which of them is this process's.
        """
        self.name = name
        self.index = rank
        """Of its card among those that are left visible."""
        self._wanted = name.rpartition("x")[2].split("+")
        self.asked = ",".join(map(str, range(len(self._wanted))))
        self.own = str(rank)
        self._card: nvml.Card | None = None
        self._looked_up = False

    def why_unusable(self) -> str:
        """What torch was built for, against the devices that it sees; also takes the card."""
        import torch

        if not torch.backends.cuda.is_built():
            return f"device {self.name}: this torch {torch.__version__} is built without CUDA; install a CUDA build."
        count = torch.cuda.device_count()
        if count == 0:
            return f"device {self.name}: torch {torch.__version__} sees no CUDA device on this machine."
        if max(map(int, self._wanted)) >= count:
            return f"device {self.name}: this machine has {count} CUDA device(s), numbered from 0."
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = [visible.split(",")[int(one)] for one in self._wanted] if visible else self._wanted
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names)
        try:
            torch.cuda.init()  # from here on, what anyone writes into the variable means nothing
        except (RuntimeError, AssertionError) as error:
            return f"device {self.name}: CUDA does not start: {one_line(str(error))}"
        if torch.cuda.device_count() != len(self._wanted):
            return f"device {self.name}: it cannot be told apart from the others; set CUDA_VISIBLE_DEVICES to it alone."
        if len(self._wanted) > 1:
            torch.cuda.set_device(self.index)
        return ""

    def synchronize(self) -> None:
        """Wait for all streams of the device."""
        import torch

        torch.cuda.synchronize(self.index)

    def limit_memory(self, size: int) -> None:
        """Hold the caching allocator to a fraction of the card; what is beside it (context, NCCL) does not count."""
        import torch

        if size:
            total = torch.cuda.get_device_properties(self.index).total_memory
            torch.cuda.set_per_process_memory_fraction(share_of(self.name, size, total), self.index)

    def reset_peaks(self) -> None:
        """Begin to measure the caching allocator's peaks anew."""
        import torch

        reset_process_peak()
        torch.cuda.reset_peak_memory_stats(self.index)

    def memory(self) -> dict[str, dict[str, Any]]:
        """Allocator peaks; the device figure is what is in use on the whole card now, other processes included."""
        import torch

        free, total = torch.cuda.mem_get_info(self.index)
        return {
            "allocated": memory_value(torch.cuda.max_memory_allocated(self.index), "torch.cuda.max_memory_allocated"),
            "reserved": memory_value(torch.cuda.max_memory_reserved(self.index), "torch.cuda.max_memory_reserved"),
            "process": process_peak(),
            "device": memory_value(total - free, "torch.cuda.mem_get_info, whole card at the end of the window"),
        }

    def sample_memory(self) -> None:
        """Nothing: peaks are kept."""

    def facts(self) -> dict[str, Any]:
        """Name, capability, versions, and allocator retries (above 0: it ran at the edge of memory)."""
        import torch

        properties = torch.cuda.get_device_properties(self.index)
        return {
            "name": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "tensor_cores": properties.major >= 7,  # Volta was the first
            "total_memory": properties.total_memory,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "allocator_retries": torch.cuda.memory_stats(self.index).get("num_alloc_retries", 0),
        }

    def release(self) -> None:
        """Collect garbage, and give back what the caching allocator holds."""
        import torch

        gc.collect()
        torch.cuda.empty_cache()

    def event(self) -> Any:
        """An event of the current stream, which measures time."""
        import torch

        return torch.cuda.Event(enable_timing=True)

    def energy(self) -> EnergyMeter:
        """The card's own counter."""
        return Nvml(self._by_driver())

    def warming(self, begins: bool) -> None:
        """Nothing to look for."""

    def sample(self) -> dict[str, Any]:
        """What NVML tells; nothing where the interpreter has no ``pynvml``. The first call starts it."""
        card = self._by_driver()
        return card.sample() if card else device_status()

    def _by_driver(self) -> nvml.Card | None:
        import torch

        if not self._looked_up:
            self._looked_up = True
            self._card = nvml.open_card(torch.cuda.get_device_properties(self.index))
        return self._card
