"""Process group of a case, by which ranks communicate outside timed steps."""

from __future__ import annotations

import os
from typing import Any, Protocol, TypeVar

Value = TypeVar("Value")

TIMEOUT = 10_800
"""Seconds that a rank waits for the others, as Ultralytics does."""


class ProcessGroup(Protocol):
    """Processes of one case.

    Attributes:
        rank: rank of this process; rank 0 reports.
        size: number of ranks.
    """

    rank: int
    size: int

    def init(self) -> None:
        """Make the group; every rank calls it once torch.distributed is initialised."""

    def broadcast(self, value: Value) -> Value:
        """Return the value of rank 0 on every rank."""

    def all_gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in their order, on every rank."""

    def barrier(self) -> None:
        """Wait until every rank is here."""


class SingleProcess:
    """Group of a single process."""

    rank = 0
    size = 1

    def init(self) -> None:
        """Do nothing."""

    def broadcast(self, value: Value) -> Value:
        """Return the value."""
        return value

    def all_gather(self, value: Any) -> list[Any]:
        """Return the value in a list."""
        return [value]

    def barrier(self) -> None:
        """Return at once."""


class TorchProcessGroup:
    """Ranks of ``torch.distributed``, which communicate over gloo: it uses no device and synchronises no stream."""

    def __init__(self) -> None:
        self.rank = int(os.environ["RANK"])
        self.size = int(os.environ["WORLD_SIZE"])
        self._group: Any = None

    def init(self) -> None:
        """Make a separate group from the one that reduces gradients."""
        from datetime import timedelta

        import torch.distributed as dist

        self._group = dist.new_group(backend="gloo", timeout=timedelta(seconds=TIMEOUT))

    def broadcast(self, value: Value) -> Value:
        """Return the value of rank 0 on every rank."""
        import torch.distributed as dist

        held = [value]
        dist.broadcast_object_list(held, src=0, group=self._group)
        return held[0]

    def all_gather(self, value: Any) -> list[Any]:
        """Return the values of all ranks, in their order, on every rank."""
        import torch.distributed as dist

        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value, group=self._group)
        return values

    def barrier(self) -> None:
        """Wait until every rank is here."""
        import torch.distributed as dist

        dist.barrier(group=self._group)
