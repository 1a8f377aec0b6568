"""One rank of several that ``torch.distributed.run`` starts, and that itself.

Its agent closes every descriptor of the ranks but the first three, so standard input is the line to the runner: a
socket that all ranks share. Rank 0 tells what happens; another one speaks only to say that it cannot go on.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import signal
import threading
from pathlib import Path
from typing import Any

from .. import tasks
from ..channel import Channel
from ..workloads.ultralytics import isolation
from .process_group import TorchProcessGroup

JOB = "YOLOPACE_JOB"
"""The environment variable that holds the job."""

LINE = 0
"""The descriptor of the line to the runner."""


def launch(options: list[str]) -> int:
    """Start the ranks by ``torch.distributed.run`` and wait for them.

    Args:
        options: of it.
    """
    entry = str(Path(__file__).parents[1] / "entry.py")
    importlib.import_module("torch.distributed.run").main([*options, entry, "rank"])
    return 0


class SilentRankChannel(Channel):
    """The line of a rank that does not report: only what ends the case for all of them is told."""

    def send(self, event: str, **fields: Any) -> None:
        """Write an ``ended`` that says what went wrong; nothing else."""
        if event == "ended" and fields.get("status") != "measured":
            super().send(event, **fields)


class NodeLeaderChannel(Channel):
    """The line of the first rank on a machine that has not rank 0: how far it is, and not what was measured."""

    def send(self, event: str, **fields: Any) -> None:
        """Write phases and the end."""
        if event in ("phase", "ended"):
            super().send(event, **fields)


def channel_for(rank: int, local: int) -> Channel:
    """What a rank tells the runner of its machine."""
    if rank == 0:
        return Channel(LINE)
    return NodeLeaderChannel(LINE) if local == 0 else SilentRankChannel(LINE)


def run() -> None:
    """Run the job in this rank."""
    wanted = json.loads(os.environ.pop(JOB))
    if limit := wanted.get("data_limit"):  # of all ranks together
        share = limit // int(os.environ["LOCAL_WORLD_SIZE"])
        resource.setrlimit(resource.RLIMIT_DATA, (share, share))
    team, local = TorchProcessGroup(), int(os.environ["LOCAL_RANK"])
    threading.Thread(target=_die_with_runner, daemon=True).start()
    isolation.before_import(wanted["config"], wanted["network"], alone=False)
    isolation.after_import()
    tasks.run(wanted, channel_for(team.rank, local), LINE, team)
    tasks.leave()


def _die_with_runner() -> None:
    """End, with the data loader processes, when the runner closes the line; it never writes to it."""
    while os.read(LINE, 1):
        pass
    if os.getpgrp() == os.getpid():  # the agent gives every rank a session of its own
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)
