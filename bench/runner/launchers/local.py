"""Launchers of this machine: fork workers from a fork server (Linux), or spawn them (other systems)."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Protocol

import psutil

from bench.environments import failure_causes
from bench.environments.interpreter import ENTRY, Interpreter, process_setup, variables
from bench.machine.paths import cache_folder
from bench.runner.launchers.base import LocalExitCode, log_file
from bench.runner.launchers.fork_server import ForkServer
from bench.runner.launchers.torchrun import is_distributed, launch_ranks
from bench.runner.worker_process import Worker
from bench.worker.message_json import to_json
from bench.worker.protocol import Assignment, CaseJob, Job
from bench.worker.workloads.base import workloads


class Launcher(Protocol):
    """Starts workers in one environment."""

    interpreter: Interpreter

    def prepare(self, workload: str = "") -> None:
        """Begin to prepare for jobs of a family (empty: the default one), without waiting."""

    def wait(self, workload: str = "") -> None:
        """Wait until :meth:`start` can start at once; raise :class:`UsageError` where the environment is broken."""

    def start(self, job: Job) -> Worker:
        """Start one job in a separate process."""

    def close(self) -> None:
        """End everything that was started."""


def open_launcher(interpreter: Interpreter, network: bool = False) -> Launcher:
    """Return the launcher for this system."""
    return (
        ForkServerLauncher(interpreter, network)
        if platform.system() == "Linux"
        else SpawnLauncher(interpreter, network)
    )


class SpawnLauncher:
    """Spawns a Python per worker, which imports for three to four seconds."""

    def __init__(
        self,
        interpreter: Interpreter,
        network: bool = False,
        started: Callable[[int], None] = lambda pid: None,
        fixed_layout: bool = False,
    ) -> None:
        """Start nothing.

        Args:
            interpreter: measured interpreter.
            network: whether a case may have to download something.
            started: called with each worker's process ID before the worker has done anything.
            fixed_layout: whether workers that do the same get the same memory layout, for peaks that agree.
        """
        self.interpreter = interpreter
        self._network = network
        self._started = started
        self._first = ["--fixed-layout"] if fixed_layout else []

    def prepare(self, workload: str = "") -> None:
        """Do nothing ahead."""

    def wait(self, workload: str = "") -> None:
        """Wait for nothing."""

    def close(self) -> None:
        """Close nothing: every worker ends with its own case."""

    @failure_causes.as_usage_error("no worker can be started")
    def start(self, job: Job) -> Worker:
        """Start one job, sent as the first line of the worker's standard input, which stays open as a sign of life."""
        if is_distributed(job):
            assert isinstance(job, CaseJob)
            return launch_ranks(
                self.interpreter, job, self._network, self._started, LocalExitCode, log_file(), first=self._first
            )
        requested = time.monotonic()
        log = log_file()
        read, write = os.pipe()
        control_read, control = os.pipe()
        try:
            process = subprocess.Popen(
                [self.interpreter.path, str(ENTRY), *self._first, "job", str(write), str(control_read)],
                pass_fds=[write, control_read],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env=variables(),
            )
        finally:
            os.close(write)
            os.close(control_read)
        try:
            self._started(process.pid)
        except OSError:  # the caller could not place the process, which may not run anywhere else
            process.kill()
            process.wait()
            raise
        setup = process_setup(self.interpreter, getattr(job, "workload", ""), self._network)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already, which its channel shows
            process.stdin.write(to_json(Assignment(setup, job)).encode() + b"\n")
            process.stdin.flush()
        return Worker(process.pid, read, control, log, requested, exit_code=LocalExitCode(process))


class ForkServerLauncher:
    """Forks workers from a fork server for each workload: libraries of one family may change another one."""

    def __init__(self, interpreter: Interpreter, network: bool = False) -> None:
        self.interpreter = interpreter
        self._network = network
        self._servers: dict[str, ForkServer] = {}

    def server(self, workload: str = "") -> ForkServer:
        """Return the fork server of a family (empty: the first one); it may not have been started yet."""
        name = workload or next(iter(workloads()))
        if name not in self._servers:
            self._servers[name] = ForkServer(self.interpreter, name, self._network)
        return self._servers[name]

    def prepare(self, workload: str = "") -> None:
        """Start the fork server of a family; it imports while the caller goes on."""
        self.server(workload).prepare()

    def wait(self, workload: str = "") -> None:
        """Wait until the fork server of a family has imported everything."""
        self.server(workload).wait()

    def start(self, job: Job) -> Worker:
        """Fork one worker; ranks of several devices are new processes."""
        if is_distributed(job):
            assert isinstance(job, CaseJob)
            return launch_ranks(self.interpreter, job, self._network, lambda pid: None, LocalExitCode, log_file())
        return self.server(getattr(job, "workload", "")).start(job)

    def close(self) -> None:
        """End all fork servers, and with them their workers."""
        for server in self._servers.values():
            server.close()


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Provide a folder for the files of one worker; remove folders that a killed runner left behind."""
    place = cache_folder() / "scratch"
    place.mkdir(parents=True, exist_ok=True)
    for left in place.iterdir():
        owner = left.name.partition("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(prefix=f"{os.getpid()}-", dir=place, ignore_cleanup_errors=True)
