"""Shared parts of launchers: limits, the output file of a worker, and the exit code of a process started here."""

from __future__ import annotations

import subprocess
import tempfile
from typing import IO

START_LIMIT = 300.0
"""Seconds that importing torch and a workload's library may take: a minute on a cold disk, and five on a slow share."""


def log_file() -> IO[bytes]:
    """Return an unnamed file for what a worker prints; it disappears when it is closed."""
    return tempfile.TemporaryFile(prefix="yolopace-")


class LocalExitCode:
    """The exit code of a process that was started here."""

    descriptor: int | None = None

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        code = self._process.poll()
        if code is not None and self._process.stdin is not None:
            self._process.stdin.close()
        return code

    def wait(self, seconds: float) -> int | None:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        return self.poll()
