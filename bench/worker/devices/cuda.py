"""One NVIDIA GPU. Not run on hardware yet: tested against a fake of ``torch.cuda``."""

from __future__ import annotations

import os
from typing import Any

from ..monitors import nvml
from ..monitors.energy import EnergyMeter, EnergyUnavailable, Nvml
from ..text import one_line
from .accelerator import Accelerator
from .base import device_status, devices_of_node


def probe_backend() -> dict[str, Any]:
    """Return torch's facts about CUDA, for :mod:`bench.machine.doctor`.

    Returns:
        - ``built``: CUDA version that torch was built for; None without CUDA.
        - ``error``: torch's message where CUDA does not start.
        - ``architectures``: architectures that torch has kernels for, such as ``sm_80``.
        - ``cards``: ``name``, ``capability`` (two numbers) and ``bytes`` of each visible card.
        - ``nccl``: whether torch has NCCL.
        - ``tf32``: whether convolutions use TF32 in float32.
    """
    import torch

    facts: dict[str, Any] = {"built": torch.version.cuda, "error": "", "architectures": [], "cards": []}
    if not torch.backends.cuda.is_built():
        return {**facts, "built": None, "nccl": False, "tf32": False}
    facts["nccl"] = bool(torch.distributed.is_available() and torch.distributed.is_nccl_available())
    facts["tf32"] = bool(torch.backends.cudnn.allow_tf32)
    try:
        count = torch.cuda.device_count()
        if count:
            torch.cuda.init()
            facts["architectures"] = torch.cuda.get_arch_list()
        for index in range(count):
            properties = torch.cuda.get_device_properties(index)
            card = {
                "name": properties.name,
                "capability": [properties.major, properties.minor],
                "bytes": properties.total_memory,
            }
            facts["cards"].append(card)
    except Exception as error:  # a driver that is too old, or a card that fell off the bus: DeferredCudaCallError too
        facts["error"] = one_line(str(error))
    return facts


class Cuda(Accelerator):
    """A CUDA device by its index among those that are visible to the user, or one of several.

    The process is narrowed to the case's cards before CUDA starts in it. Ultralytics before 8.4.120 rewrites
    CUDA_VISIBLE_DEVICES by itself: card 1 would then be the first card, or a different one from the user's choice.
    """

    kind = "cuda"
    title = "CUDA"
    compare_losses = "on_request"

    def __init__(self, name: str, rank: int = 0) -> None:
        """Take no card yet; the index counts the cards that are left visible."""
        super().__init__(name, rank)
        self._wanted = devices_of_node(name)
        self.index = rank
        self.indices = list(range(len(self._wanted)))
        self.device_argument = ",".join(map(str, range(len(self._wanted))))
        self.local_name = self.called(rank)
        self._card: nvml.Card | None = None
        self._looked_up = False

    @classmethod
    def called(cls, index: int) -> str:
        """Return the index alone, as users of CUDA write it."""
        return str(index)

    @classmethod
    def probe_backend(cls) -> dict[str, Any]:
        """See :func:`probe_backend`."""
        return probe_backend()

    def why_unusable(self) -> str:
        """Check that torch was built with CUDA and sees the case's cards; also takes the card."""
        import torch

        if not torch.backends.cuda.is_built():
            return f"device {self.name}: this torch {torch.__version__} is built without CUDA; install a CUDA build."
        count = torch.cuda.device_count()
        if count == 0:
            return f"device {self.name}: torch {torch.__version__} sees no CUDA device on this machine."
        if max(map(int, self._wanted)) >= count:
            return f"device {self.name}: this machine has {count} CUDA device(s), numbered from 0."
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = [visible.split(",")[int(index)] for index in self._wanted] if visible else self._wanted
        os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(names)
        try:
            torch.cuda.init()  # from here on, writing the variable has no effect
        except (RuntimeError, AssertionError) as error:
            return f"device {self.name}: CUDA does not start: {one_line(str(error))}"
        if torch.cuda.device_count() != len(self._wanted):
            return f"device {self.name}: the other cards stay visible; set CUDA_VISIBLE_DEVICES to it alone."
        if len(self._wanted) > 1:
            torch.cuda.set_device(self.index)
        return ""

    def info(self) -> dict[str, Any]:
        """Return name, capability, versions, and allocator retries (above 0: it ran at the edge of memory)."""
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
            **self.why_no_events(),
        }

    def energy(self) -> EnergyMeter:
        """Return the card's own counter; raise :class:`EnergyUnavailable` where this process takes several cards."""
        if self.taken > 1:
            raise EnergyUnavailable("a counter reads one card, and one process takes several here")
        return Nvml(self._by_driver())

    def read_status(self) -> dict[str, Any]:
        """Return what NVML reports; nothing where the interpreter has no ``pynvml``. The first call starts it."""
        card = self._by_driver()
        return card.read_status() if card else device_status()

    def _by_driver(self) -> nvml.Card | None:
        import torch

        if not self._looked_up:
            self._looked_up = True
            self._card = nvml.open_card(torch.cuda.get_device_properties(self.index))
        return self._card
