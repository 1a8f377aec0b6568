"""How long the runner waits for a worker, where the whole run is stopped meanwhile."""

from __future__ import annotations

import itertools
import os
import tempfile
from types import SimpleNamespace
from typing import Any

import pytest

from bench.runner import worker_process as module
from bench.runner.worker_process import Worker, WorkerTimeout
from bench.worker.protocol import PhaseBegan


class Exit:
    """A worker that lives, and says its first word when it is looked at for the second time."""

    descriptor = None

    def __init__(self, channel: int, speaks: bool) -> None:
        self.channel, self.speaks, self.looks = channel, speaks, 0

    def poll(self) -> int | None:
        self.looks += 1
        if self.speaks and self.looks == 2:
            os.write(self.channel, b'{"event": "phase", "name": "setup"}\n')
        return None

    def wait(self, seconds: float) -> int | None:
        return None


@pytest.mark.parametrize("speaks", [True, False])
def test_a_run_that_was_stopped_for_an_hour_has_not_waited_for_an_hour(
    monkeypatch: pytest.MonkeyPatch, speaks: bool
) -> None:
    read, write = os.pipe()
    grants, tell = os.pipe()
    moments = itertools.chain([0.0, 3600.0], itertools.count(3600.0, 0.02))
    monkeypatch.setattr(module, "GLANCE", 0.02)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    with tempfile.TemporaryFile() as log:
        exit_code: Any = Exit(write, speaks)
        worker = Worker(os.getpid(), read, tell, log, 0.0, exit_code=exit_code)
        if speaks:
            assert worker.next_event(0.2) == PhaseBegan("setup")
        else:
            with pytest.raises(WorkerTimeout):
                worker.next_event(0.2)
            assert exit_code.looks > 2
    for descriptor in (read, write, grants, tell):
        os.close(descriptor)
