"""What a workload sees of the harness: it says what runs, marks its steps, and is told when to stop."""

from __future__ import annotations

import gc
import os
import resource
import time
from typing import Any

from . import effective
from .channel import Channel
from .devices import Device
from .refusal import Refused
from .stopwatch import Rule, Stopwatch


class WindowComplete(Exception):
    """Raised out of :meth:`Session.step_ended` when there is nothing more to measure; ends the workload."""


class Session:
    """One case in one process. Knows nothing of Ultralytics.

    Attributes:
        case: ``mode, model, device, amp, batch, imgsz`` as asked.
        pins: settings that the recipe fixes for this workload.
        data: path of the data set's yaml file.
        scratch: an empty folder that disappears with the case.
        phases: times of parts of a step by name, each ``{seconds: [...], how}``.
        extra: what else is worth keeping about what ran.
        subject: the live trainer or predictor, kept by the workload for its own check.
    """

    def __init__(self, job: dict[str, Any], channel: Channel, device: Device) -> None:
        self.case: dict[str, Any] = job["case"]
        self.pins: dict[str, Any] = job["pins"]
        self.threads: int = job["threads"]
        self.data: str = job["data"]
        self.scratch: str = job["scratch"]
        self.device = device
        self.extra: dict[str, Any] = {}
        self.phases: dict[str, dict[str, Any]] = {}
        self.subject: Any = None
        self._rule: dict[str, Any] = job["window"]
        self._channel = channel
        self._opened: tuple[float, float, int] | None = None
        self._closed: dict[str, Any] | None = None
        self._stopwatch: Stopwatch | None = None

    def set_threads(self) -> None:
        """Give torch the recipe's number of CPU threads, on every device alike.

        0 stands for Ultralytics' own number, which it sets on cpu and mps only. Call this after Ultralytics selected
        its device: that is when it overrides what OMP_NUM_THREADS says.
        """
        import torch
        from ultralytics.utils import NUM_THREADS

        torch.set_num_threads(self.threads or NUM_THREADS)

    def ready(self, settings: dict[str, Any], cycle: int) -> None:
        """Set-up is over: ``settings`` run, the optimizer steps every ``cycle`` steps, the first step begins.

        Raises:
            Refused: with status ``substituted`` where ``settings`` differ from the case.
        """
        runs = {**settings, **effective.torch_settings()}
        self._channel.send("effective", settings=runs)
        effective.compare(self.case, runs)
        gc.unfreeze()  # a forked worker collects garbage at the cost that a fresh process would have
        self.device.reset_peaks()
        self._stopwatch = Stopwatch(
            rule=Rule(cycle=cycle, **self._rule), synchronize=self.device.synchronize, on_window=self._window_opens
        )
        self._channel.send("phase", name="warmup")
        self._stopwatch.start()

    @property
    def stopwatch(self) -> Stopwatch:
        """The stopwatch, once :meth:`ready` was called."""
        assert self._stopwatch is not None, "ready() comes first"
        return self._stopwatch

    def step_ended(self, images: int) -> None:
        """A step with ``images`` images ended; raises :class:`WindowComplete` when that was the last."""
        if self.stopwatch.step_ended(images):
            self._closed = {"usage": self._read_usage(), "memory": self.device.memory()}
            raise WindowComplete

    def _window_opens(self) -> None:
        self._channel.send("phase", name="window")
        self._opened = self._read_usage()

    @staticmethod
    def _read_usage() -> tuple[float, float, int]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return time.perf_counter(), usage.ru_utime + usage.ru_stime, usage.ru_nivcsw

    def report(self) -> None:
        """Send what was measured; call once the workload has ended and was found to have worked.

        Raises:
            Refused: with status ``failed`` if the workload ended before the window was complete.
        """
        if self._closed is None or self._opened is None:
            raise Refused("failed", "The workload ended by itself before its window was complete.")
        begin, end = self._opened, self._closed["usage"]
        self._channel.send(
            "measured",
            steps=self.stopwatch.reading(),
            phases=self.phases,
            memory=self._closed["memory"],
            device=self.device.facts(),
            extra=self.extra,
            window={
                "wall_seconds": round(end[0] - begin[0], 6),
                "cpu_seconds": round(end[1] - begin[1], 6),
                "involuntary_switches": end[2] - begin[2],
                "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            },
        )
