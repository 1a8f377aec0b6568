"""The agent, sent to each machine of a fleet by execnet: it has the suite's code there, and starts the member.

It needs Python and nothing else. The member is the process that plans and runs the cases of the machine
(``bench.cli.fleet_member``). The agent relays lines between the member and the coordinator.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any

BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from bench.cli.fleet_member import main; main()"
"""What the member runs; its only argument is the folder of the code."""

PATIENCE = 3.0
"""Seconds in which a member has to end when it is asked to; execnet ends an agent after five."""

TAIL = 4000
"""Bytes of a member's output that are sent when it has ended."""


def cache_folder() -> Path:
    """Return the suite's cache folder, as ``bench.machine.paths`` does."""
    if chosen := os.environ.get("YOLOPACE_CACHE", "").strip():
        return Path(chosen).expanduser().resolve()
    if platform.system() == "Darwin":
        return Path.home() / "Library" / "Caches" / "yolopace"
    caches = os.environ.get("XDG_CACHE_HOME", "")
    return Path(caches if os.path.isabs(caches) else Path.home() / ".cache") / "yolopace"


def code_files(folder: Path) -> dict[str, bytes]:
    """Return the content of all files of the package ``bench`` in a folder, by their paths."""
    files = {}
    for path in sorted((folder / "bench").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[path.relative_to(folder).as_posix()] = path.read_bytes()
    return files


def code_digest(files: dict[str, bytes]) -> str:
    """Return the hash of files: of their paths and contents."""
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    return whole.hexdigest()[:24]


def installed_code(wanted: str) -> Path | None:
    """Return where the wanted code is: installed in this Python, or in the cache; None where it has to be sent."""
    places = [cache_folder() / "fleet" / "code" / wanted]
    spec = importlib.util.find_spec("bench")
    if spec is not None and spec.origin:
        places.insert(0, Path(spec.origin).resolve().parents[1])
    return next((place for place in places if code_digest(code_files(place)) == wanted), None)


def unpack(content: bytes, wanted: str) -> Path:
    """Unpack the code into the cache, and return its folder.

    Raises:
        ValueError: where it is not the wanted code.
    """
    place = cache_folder() / "fleet" / "code" / wanted
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        new = Path(scratch) / "new"
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(new)
        if code_digest(code_files(new)) != wanted:
            raise ValueError("the code of yolopace arrived damaged")
        if place.exists():  # an older copy that somebody changed
            os.replace(place, Path(scratch) / "old")
        os.replace(new, place)
    return place


def remove_other_code(kept: Path) -> None:
    """Remove copies of other versions from the cache that were not used for a month."""
    folder = cache_folder() / "fleet" / "code"
    with contextlib.suppress(OSError):
        os.utime(kept)
        for place in folder.iterdir():
            if place != kept and place.stat().st_mtime < kept.stat().st_mtime - 30 * 24 * 3600:
                shutil.rmtree(place, ignore_errors=True)


class Member:
    """The process that measures, started by the agent in a session of its own."""

    def __init__(self, code: Path) -> None:
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [sys.executable, "-c", BOOT, str(code)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            start_new_session=True,
        )
        self._lock = threading.Lock()
        self._ended = False

    def relay(self, channel: Any) -> None:
        """Send each line of the member, and how it ended."""
        assert self.process.stdout is not None
        with contextlib.suppress(OSError):  # the coordinator has gone
            for line in self.process.stdout:
                channel.send(("line", line))
            code = self.process.wait()
            self.end(0)
            size = os.fstat(self.log.fileno()).st_size
            tail = os.pread(self.log.fileno(), TAIL, max(size - TAIL, 0))
            channel.send(("ended", code, tail.decode(errors="replace")))

    def write(self, line: bytes) -> None:
        """Send a line to the member; one that has ended is left to :meth:`relay`."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError):
            self.process.stdin.write(line + b"\n")
            self.process.stdin.flush()

    def end(self, patience: float = PATIENCE) -> None:
        """End the member and all that it started: asked at first, then by force."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            if self.process.poll() is None:
                self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)


def main(channel: Any) -> None:
    """Find or receive the code, start the member, and relay until the coordinator has gone or ends it."""
    wanted = channel.receive()
    code = installed_code(wanted)
    if code is None:
        channel.send(("code",))
        code = unpack(channel.receive(), wanted)
        remove_other_code(code)
    channel.send(("ready", os.getpid()))
    member = Member(code)
    threading.Thread(target=member.relay, args=(channel,), daemon=True).start()
    try:
        for kind, content in iter(channel.receive, None):
            if kind == "line":
                member.write(content)
            else:
                member.end()
    except EOFError:  # the coordinator has gone, or the connection has
        pass
    finally:
        member.end()


if __name__ == "__channelexec__":
    main(channel)  # type: ignore[name-defined]  # noqa: F821 - execnet defines it
