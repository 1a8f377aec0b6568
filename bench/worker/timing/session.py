"""Session of one case: a workload reports its effective settings and marks its steps, until enough were timed."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .. import effective_settings
from ..channel import Channel
from ..devices import Device
from ..distributed import aggregation
from ..distributed.process_group import ProcessGroup, SingleProcess
from ..input_errors import describe_error
from ..interpreter.memory_layout import addresses
from ..monitors.interference import worth_retrying
from ..monitors.system import try_read
from ..protocol import CaseJob, Measured, PhaseBegan, RestMeasured, SettingsRead
from ..workloads import Workload
from .lockstep import LockstepClient
from .phases import PhaseTimer
from .stopwatch import MeasurementPlan, Stopwatch
from .turns import Turns
from .windows import WindowMonitors

MOST_SETTLING = 32
"""Maximum number of untimed steps at the start of a window, so that batches prefetched during the pause are consumed
first."""


class WindowComplete(Exception):
    """Raised by :meth:`Session.step_ended` when the measurement is complete; ends the workload."""


class Session:
    """Measurement of one case in one process, for any workload.

    Attributes:
        job: job that the runner sent.
        case: axes of the case, by name.
        overrides: library arguments that the recipe fixes.
        asked: further axes of the case.
        workload: family that runs the case.
        device: device of the case.
        threads: CPU threads of torch; 0 for the workload's own number.
        data: data set, as the workload's data maker or inspector named it.
        scratch: an empty folder that disappears with the case.
        with_val: whether validation and checkpoint are to be timed too, after the window.
        compare_losses: whether the first losses are to be compared with the CPU's.
        loss_scale: initial loss scale of mixed precision; None for the library's own.
        epoch_overhead: seconds of an epoch outside its steps, by the names of the record.
        checks: results of the workload's sanity checks, by name.
        extra: further facts for the record, by name.
        process_group: process group of the case; usually this process alone.
    """

    def __init__(
        self,
        job: CaseJob,
        workload: Workload,
        channel: Channel,
        device: Device,
        turns: LockstepClient | None = None,
        process_group: ProcessGroup | None = None,
    ) -> None:
        self.job, self.workload, self.device = job, workload, device
        self.process_group = process_group or SingleProcess()
        self.case, self.overrides, self.asked = job.case, job.overrides, job.asked
        self.threads, self.data, self.scratch = job.threads, job.data, job.scratch
        self.with_val, self.loss_scale = job.with_val, job.loss_scale
        self.compare_losses: bool = self.process_group.size == 1 and (
            device.compare_losses == "always" or (device.compare_losses == "on_request" and job.compare_losses)
        )
        self.epoch_overhead: dict[str, Any] = {}
        self.checks: dict[str, Any] = {}
        self.extra: dict[str, Any] = {}
        self._channel = channel
        self._turns = Turns(turns)
        self._windows = WindowMonitors(device, job.energy, job.retry_noisy)
        self._phases = PhaseTimer(device, job.separate_pass)
        self._stopwatch: Stopwatch | None = None
        self._settings: dict[str, Any] = {}

    # Set-up

    def set_threads(self) -> None:
        """Give torch the recipe's number of CPU threads, on every kind of device.

        Call this after the library selected its device, because it may override OMP_NUM_THREADS there.
        """
        import torch

        torch.set_num_threads(self.threads or self.workload.default_threads())
        if self._turns.taken:  # the runner binds it to fewer CPUs, from which torch would derive a different number
            with contextlib.suppress(RuntimeError):  # raised once these threads run: their number then stays
                torch.set_num_interop_threads(torch.get_num_interop_threads())

    def ready(
        self,
        settings: dict[str, Any],
        accumulation_steps: int,
        fixed: bool = False,
        required: dict[str, Any] | None = None,
        hints: dict[tuple[str, str | None], str] | None = None,
    ) -> None:
        """End set-up and begin warm-up with the first step.

        Args:
            settings: read back from the live objects; ``threads`` only where another runtime than torch computes.
            accumulation_steps: accumulation steps of real training.
            fixed: whether the workload cannot lower them for warm-up and a short window.
            required: further settings that this case requires, by name.
            hints: explanations of a substitution that hold for this case, as in :attr:`Workload.hints`.

        Raises:
            CaseRejected: with status ``substituted`` where ``settings`` differ from what was requested.
        """
        runs = self._with_torch(settings)
        if self.job.memory_before:
            runs["addresses"] = addresses()
        self._channel.send(SettingsRead(runs))
        effective_settings.compare(
            self.workload, self.case, {**self.overrides, **(required or {})}, runs, self.asked, hints
        )
        self._settings = runs
        gc.unfreeze()  # a forked worker collects garbage at the cost that a fresh process would have
        loaders = runs.get("workers") or 0
        self._turns.set_threads(runs["threads"])
        self.process_group.init()
        groups = aggregation.groups(self.process_group, os.getpgrp())
        self._windows.prepare(
            runs["threads"] == 1 and not loaders, not self._turns.taken, groups, self.job.memory_before
        )
        # Joules cannot be weighted by kind of step, so the window needs the real proportion of optimizer steps.
        whole = not self.device.weighs_steps or self._windows.counts_energy
        plan = MeasurementPlan.of(self.job.window, accumulation_steps, whole, extends=self.job.retry_noisy)
        if fixed:
            plan = replace(plan, align_to_accumulation=True, short_accumulation_steps=accumulation_steps)
        self._stopwatch = Stopwatch(
            plan,
            synchronize=self.device.synchronize,
            on_window=self._window_opens,
            block=self._turns.block,
            shared=self.process_group.size > 1,
            broadcast=self.process_group.broadcast,
            on_begin=self._window_begins,
            settle_steps=max(self.process_group.all_gather(min(loaders * (runs.get("prefetch") or 1), MOST_SETTLING))),
        )
        self._windows.measure_idle()
        self._channel.send(PhaseBegan("warmup"))
        self.device.set_warmup(True)
        self._stopwatch.start()

    def still_runs(self, settings: dict[str, Any]) -> None:
        """Check that settings read back after the window are those that :meth:`ready` was given before it.

        Raises:
            CaseRejected: with status ``invalid`` where something changed while it was measured.
        """
        effective_settings.check_unchanged(self._settings, self._with_torch(settings), self.workload.may_change)

    def _with_torch(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return settings with those of torch; ``threads`` of another runtime replaces the number of torch."""
        runs = {**settings, **effective_settings.torch_settings(self.workload.loggers)}
        return {**runs, "threads": settings["threads"]} if "threads" in settings else runs

    # Steps

    @property
    def stopwatch(self) -> Stopwatch:
        """The stopwatch; available once :meth:`ready` was called."""
        assert self._stopwatch is not None, "ready() comes first"
        return self._stopwatch

    @property
    def accumulation(self) -> int:
        """Accumulation steps that the optimizer has to use from the current step on."""
        return self.stopwatch.accumulation

    @property
    def warm(self) -> bool:
        """Whether warm-up is over; from then on, the workload must do nothing else that costs time."""
        return self.stopwatch.warm

    @property
    def takes_turns(self) -> bool:
        """Whether another worker measures at the same time, which work after the window would slow down."""
        return self._turns.taken

    @property
    def turns_within(self) -> bool:
        """Whether a turn may end within a step, so that the workload has to call :meth:`layer_ended`."""
        return self._turns.within

    def epoch_boundary(self) -> None:
        """Exclude the time since the last step (an epoch boundary) from step times."""
        if not self._phases.in_separate_pass:  # which the stopwatch does not time: its steps would count as a gap
            self.stopwatch.epoch_boundary()

    def batch_arrived(self) -> None:
        """Note that the batch of the current step has arrived."""
        self.stopwatch.batch_arrived()
        if self.warm:
            self._phases.step_began()

    def phase_ended(self, part: str) -> None:
        """End a phase of the current step: ``preprocess``, ``forward``, ``backward``, ``optimizer``, ..."""
        self._phases.phase_ended(part)
        self.device.sample_memory()
        if self._turns.ends_here(self._stopwatch):
            self._pause_within()

    def layer_ended(self, part: str) -> None:
        """Note the end of a layer within a phase; another worker may take its turn here."""
        if self._turns.ends_here(self._stopwatch):
            self._phases.phase_ended(part)
            self._pause_within()

    def _pause_within(self) -> None:
        """Let the other worker take its turn, and exclude the pause from step times."""
        self.device.synchronize()
        self._turns.pause(self.stopwatch)
        self._phases.resumed()

    def optimizer_stepped(self) -> None:
        """Note that the current step runs the optimizer."""
        if self._phases.in_separate_pass:
            self._phases.optimizer_stepped()
        else:
            self.stopwatch.optimizer_stepped()

    def step_ended(self, images: int) -> None:
        """End a step of ``images`` images; raise :class:`WindowComplete` if it was the last one."""
        if self._phases.in_separate_pass:
            if self._phases.separate_step_ended():
                raise WindowComplete
            return
        complete = self.stopwatch.step_ended(images)
        self._phases.window_step_ended()
        if complete:
            self._window_closes()
        else:
            self._turns.step_ended(self.stopwatch)

    # Windows

    def _window_opens(self) -> None:
        watch = self.stopwatch
        self.device.set_warmup(False)
        self._channel.send(
            PhaseBegan("window", len(watch.seconds), watch.timed_accumulation_steps, watch.planned_steps)
        )
        self._turns.wait_for_window(watch)
        self._windows.open()

    def _window_begins(self) -> None:
        """Wait for all ranks and begin to count joules, after the settling steps."""
        self.process_group.barrier()
        self._windows.begin()

    def _window_closes(self) -> None:
        self._windows.close(self._turns.peers)
        again = not self._turns.taken and any(self.process_group.all_gather(self._windows.wants_retry))
        if again and self._windows.may_retry:
            self.stopwatch.open()
            return
        self._windows.read_memory()
        self._channel.send(PhaseBegan("checking"))
        if not self._phases.begin_separate_pass():
            raise WindowComplete
        self.stopwatch.accumulation = self.stopwatch.rule.warmup_accumulation_steps

    def give_up(self) -> None:
        """Close the open window without a report."""
        self._windows.abandon()

    # Report

    def report(self) -> None:
        """Send the result; call this after :class:`WindowComplete` was raised and the sanity checks passed."""
        watch, windows = self.stopwatch, self._windows
        kept = self.process_group.broadcast(windows.least_noisy())
        start, end = watch.span(kept)
        gaps = [seconds for _, seconds in watch.epoch_gaps]
        if gaps:
            self.epoch_overhead["epoch_gap_seconds"] = round(sum(gaps) / len(gaps), 6)
        measured = Measured(
            steps=watch.reading(kept),
            phases=self._phases.report(start, end),
            memory=windows.memory,
            memory_before=windows.memory_before,
            device=try_read(self.device.info) or {},
            checks=self.checks,
            extra=self.extra,
            epoch_overhead=self.epoch_overhead,
            window=windows.readings[kept],
            energy=windows.joules(kept, sum(watch.images[start:end])),
            worth_retrying=worth_retrying(windows.readings[kept]["interference"]),
            discarded=[
                {**reading, "steps": watch.reading(index)}
                for index, reading in enumerate(windows.readings)
                if index != kept
            ],
        )
        if self.process_group.size > 1:
            measured = aggregation.aggregate_ranks(self.process_group.all_gather(measured), self.device.kind)
        if self.process_group.rank == 0:
            self._channel.send(measured)

    def report_epoch_overhead(self, measure: Callable[[], dict[str, Any]]) -> None:
        """Time the epoch overhead (validation, checkpoint) and send it; an error there does not fail the case.

        Args:
            measure: measures the epoch overhead; returns its fields in the record, by name.
        """
        self._channel.send(PhaseBegan("rest"))
        try:
            self._channel.send(RestMeasured(measure()))
        except Exception as error:
            self._channel.send(RestMeasured(failed=f"{type(error).__name__}: {describe_error(error)}"))
