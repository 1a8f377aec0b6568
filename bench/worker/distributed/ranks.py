"""Start ranks by ``torch.distributed.run``, and run the job in each of them.

Its agent closes every descriptor of the ranks but the first three, so standard input is the line to the runner: a
socket that all ranks share. Rank 0 reports all events; any other rank reports only a failure.
"""

from __future__ import annotations

import importlib
import os
import resource
from pathlib import Path

from .. import tasks
from ..channel import Channel
from ..message_json import assignment_from_json
from ..protocol import JOB_VARIABLE, Event, JobEnded, PhaseBegan
from .process_group import TorchProcessGroup

LINE = 0
"""The descriptor of the line to the runner."""


def launch(options: list[str]) -> int:
    """Start the ranks by ``torch.distributed.run`` and wait for them.

    Args:
        options: command-line options of ``torch.distributed.run``.
    """
    entry = str(Path(__file__).parents[1] / "entry.py")
    importlib.import_module("torch.distributed.run").main([*options, entry, "rank"])
    return 0


class SilentRankChannel(Channel):
    """Channel of a rank that does not report: it passes on only a failure, which ends the case for all ranks."""

    def send(self, event: Event) -> None:
        """Write a :class:`JobEnded` that is a failure; nothing else."""
        if isinstance(event, JobEnded) and event.status != "measured":
            super().send(event)


class NodeLeaderChannel(Channel):
    """Channel of the first rank on a machine without rank 0: it passes on progress, but no results."""

    def send(self, event: Event) -> None:
        """Write the beginning of a phase or the end of the job; nothing else."""
        if isinstance(event, (PhaseBegan, JobEnded)):
            super().send(event)


def channel_for(rank: int, local: int) -> Channel:
    """Return the channel by which a rank reports to the runner of its machine."""
    if rank == 0:
        return Channel(LINE)
    return NodeLeaderChannel(LINE) if local == 0 else SilentRankChannel(LINE)


def run() -> None:
    """Run the assignment in this rank."""
    assignment = assignment_from_json(os.environ.pop(JOB_VARIABLE))
    if limit := getattr(assignment.job, "data_limit", 0):  # the limit of all ranks together
        share = limit // int(os.environ["LOCAL_WORLD_SIZE"])
        resource.setrlimit(resource.RLIMIT_DATA, (share, share))
    process_group, local = TorchProcessGroup(), int(os.environ["LOCAL_RANK"])
    tasks.die_with_runner(LINE)
    tasks.prepare_process(assignment.setup, alone=False)
    tasks.run(assignment.job, channel_for(process_group.rank, local), LINE, process_group, assignment.setup)
    tasks.leave()
