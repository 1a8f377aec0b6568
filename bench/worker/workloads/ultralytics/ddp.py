"""Run Ultralytics' trainer as one rank of a process group that yolopace started itself.

On CUDA only the number of ranks is overridden, because Ultralytics counts the cards of one machine. On the CPU
Ultralytics has no distributed training; three overrides add it, so that the whole path can be tested without a card.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from ...rejection import CaseRejected
from ...timing.session import Session


def as_rank(trainer: type, session: Session) -> type:
    """Return a trainer class that takes part in the training of all ranks.

    Args:
        trainer: trainer class of a task.
        session: session with more than one process in its process group.
    """
    process_group, on_cpu = session.process_group, session.device.on_host

    class RankTrainer(trainer):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.world_size = process_group.size  # Ultralytics counts the cards of this machine, and none on the CPU
            self.ddp = False

        def _setup_ddp(self, *args: Any) -> None:
            if not on_cpu:
                check_card(super()._setup_ddp, process_group.rank)
                super()._setup_ddp(*args)
                return
            import torch.distributed as dist

            dist.init_process_group("gloo", rank=process_group.rank, world_size=process_group.size)

        def _setup_train(self, *args: Any) -> Any:
            with without_device_ids() if on_cpu else contextlib.nullcontext():
                return super()._setup_train(*args)

    return RankTrainer


def check_card(setup: Any, rank: int) -> None:
    """Refuse an older Ultralytics that uses the rank over all machines as the index of the card, which may not exist.

    Raises:
        CaseRejected: on all machines but the first.
    """
    local = int(os.environ.get("LOCAL_RANK", rank))
    if local != rank and "LOCAL_RANK" not in setup.__code__.co_names:
        reason = "This Ultralytics trains on one machine alone: it takes the card by the rank over all machines."
        raise CaseRejected("unsupported", reason, scope=("device",))


@contextlib.contextmanager
def without_device_ids() -> Iterator[None]:
    """Ignore the device that Ultralytics gives to DistributedDataParallel, which takes no device on the CPU."""
    import torch.nn.parallel as parallel

    stock = parallel.DistributedDataParallel

    class OnCpu(stock):  # type: ignore[misc, valid-type]
        def __init__(self, module: Any, device_ids: Any = None, **kwargs: Any) -> None:
            super().__init__(module, **kwargs)

    parallel.DistributedDataParallel = OnCpu
    try:
        yield
    finally:
        parallel.DistributedDataParallel = stock
