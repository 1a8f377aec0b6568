"""Several processes that train together: what they settle with each other, outside of what is timed."""

from __future__ import annotations

import os
from typing import Any, Protocol, TypeVar

Value = TypeVar("Value")

FOREVER = 10_800
"""Seconds that one waits for the others, as Ultralytics does."""


class ProcessGroup(Protocol):
    """The processes of one case.

    Attributes:
        rank: of this process, 0 for the one that reports.
        size: how many there are.
    """

    rank: int
    size: int

    def join(self) -> None:
        """Call on all of them once they know each other."""

    def decide(self, value: Value) -> Value:
        """What rank 0 says, on all of them."""

    def gather(self, value: Any) -> list[Any]:
        """What each of them says, in the order of ranks, on all of them."""

    def meet(self) -> None:
        """Wait until all of them are here."""


class SingleProcess:
    """One process: nothing to settle."""

    rank = 0
    size = 1

    def join(self) -> None:
        """Nobody to join."""

    def decide(self, value: Value) -> Value:
        """The same."""
        return value

    def gather(self, value: Any) -> list[Any]:
        """Of one."""
        return [value]

    def meet(self) -> None:
        """It is here."""


class TorchProcessGroup:
    """Ranks of ``torch.distributed``, which talk over gloo: that costs no device anything and orders no stream."""

    def __init__(self) -> None:
        self.rank = int(os.environ["RANK"])
        self.size = int(os.environ["WORLD_SIZE"])
        self._group: Any = None

    def join(self) -> None:
        """Make a group of their own beside the one that gradients are reduced in."""
        from datetime import timedelta

        import torch.distributed as dist

        self._group = dist.new_group(backend="gloo", timeout=timedelta(seconds=FOREVER))

    def decide(self, value: Value) -> Value:
        """Broadcast from rank 0; the others' values count for nothing."""
        import torch.distributed as dist

        held = [value]
        dist.broadcast_object_list(held, src=0, group=self._group)
        return held[0]

    def gather(self, value: Any) -> list[Any]:
        """Gather on all ranks."""
        import torch.distributed as dist

        found: list[Any] = [None] * self.size
        dist.all_gather_object(found, value, group=self._group)
        return found

    def meet(self) -> None:
        """A barrier."""
        import torch.distributed as dist

        dist.barrier(group=self._group)
