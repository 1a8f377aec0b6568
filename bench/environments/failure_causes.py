"""Recognise why the system refused something in the output or the error of a process, and name the remedy."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import signal
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

from bench.environments import bytecode_cache
from bench.errors import UsageError, save_text


class Cause(NamedTuple):
    """A kind of refusal.

    Attributes:
        signs: matches what is printed or raised where it happens.
        remedy: what it means and what to do, as a whole sentence.
        anywhere: whether it counts in any line of a log. Otherwise only in the last error and the last line, since
            libraries go on after warnings of that kind.
    """

    signs: re.Pattern[str]
    remedy: str
    anywhere: bool = True


def _signs(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE)


MEMORY = "There is not enough memory: close other programs, or raise the limit (ulimit -v, the container's memory)."
PROCESSES = (
    "No more processes or threads may be started: raise the limit (ulimit -u, --pids-limit of a container, pids.max of "
    "a control group), or end other programs of this user."
)
FILES = "Too many files are open: raise the limit (ulimit -n)."
SHARED = "Shared memory is full or too small: make /dev/shm larger (--shm-size of a container)."
DISK = "There is no room left on the disk: make room, or choose another folder."
QUOTA = "The disk quota is used up: make room, or choose another folder."
SIZE = "A file exceeds the limit of file sizes: raise it (ulimit -f)."
PERMISSION = "Access is denied: check the owner and the mode of the file or the folder, or choose another one."
READ_ONLY = "The file system is read-only: choose another folder."
NO_EXECUTION = (
    "A library cannot be loaded from its folder: the file system is mounted with noexec, or a security policy forbids "
    "it. Install the environment elsewhere."
)
PROCESSOR = (
    "The processor lacks instructions (such as AVX) that an installed package was built for: install a build for this "
    "processor."
)
SYSTEM = "An installed package was built for a newer system: install a build for this one, or use a newer system."
NETWORK = "The network was needed and could not be reached: fetch the file yourself and name it by its path."
PORT = "A network port is already in use: end the program that uses it, or choose another port."

CAUSES = (
    Cause(_signs(r"\bbus error", r"shared memory", r"/dev/shm", r"\bshm_open\b"), SHARED),
    Cause(
        _signs(
            r"can't start new thread",
            r"pthread_create",
            r"thread creation failed",
            r"failed to create (a )?thread",
            r"OMP: Error #34",
            r"(cannot|can't|unable to) fork",
            r"fork: .*(retry|resource|unavailable)",
            r"BlockingIOError",
            r"unable to create .*thread",
        ),
        PROCESSES,
    ),
    Cause(_signs(r"too many open files", r"\[Errno (23|24)\]", r"items of ancdata"), FILES),
    Cause(
        _signs(
            r"\bMemoryError\b",
            r"std::bad_alloc",
            r"(cannot|can't) allocate memory",
            r"memory allocation (still )?failed",
            r"not enough memory",
            r"\[Errno 12\]",
        ),
        MEMORY,
    ),
    Cause(_signs(r"no space left on device", r"\[Errno 28\]"), DISK),
    Cause(_signs(r"quota exceeded", r"\[Errno (122|69)\]"), QUOTA),
    Cause(_signs(r"file too large", r"\[Errno 27\]", r"file size limit exceeded"), SIZE),
    Cause(_signs(r"read-only file system", r"\[Errno 30\]"), READ_ONLY),
    Cause(_signs(r"failed to map segment from shared object"), NO_EXECUTION),
    Cause(_signs(r"illegal instruction", r"baseline (cpu )?optimizations"), PROCESSOR),
    Cause(_signs(r"version `?\w+_[\d.]+'? not found"), SYSTEM),
    Cause(
        _signs(
            r"name resolution",
            r"name or service not known",
            r"nodename nor servname",
            r"failed to resolve",
            r"getaddrinfo failed",
            r"network is unreachable",
            r"max retries exceeded",
            r"download failure",
        ),
        NETWORK,
        False,
    ),
    Cause(_signs(r"address already in use", r"\[Errno (98|48)\]"), PORT, False),
    Cause(
        _signs(r"permission denied", r"\bPermissionError\b", r"operation not permitted", r"\[Errno (1|13)\]"),
        PERMISSION,
        False,
    ),
)
"""Recognised causes; of several in one line the first counts."""


LIBRARY = re.compile(
    r"(lib[\w.+-]+?\.so[.\d]*): cannot open shared object file|Library not loaded: \S*?([\w.+-]+\.dylib)"
)
"""A shared library that is missing, on Linux and on macOS."""

MODULE = re.compile(r"No module named '?([\w.]+)'?")

SIGNALS = {
    signal.SIGILL: PROCESSOR,
    signal.SIGBUS: SHARED,
    signal.SIGXFSZ: SIZE,
    signal.SIGXCPU: "The limit on processor time is used up: raise it (ulimit -t).",
}
"""Causes by the signal that ended a process."""

KILLED = (
    "Linux kills a process when memory runs out, and job schedulers do at their limits: see dmesg and the scheduler's "
    "log."
)

UNKNOWN = "The cause is not known"
SYNTAX = "This Python is too old, or the file it ran is damaged: use Python 3.10 or later."


LAST_ERROR = re.compile(r"[\w.]*(Error|Exception|CaseRejected)\b.*")
"""The line of a traceback that names the error."""


def recognised(text: str) -> str:
    """Return the known cause of a text, with the remedy, or an empty string.

    Args:
        text: what a process printed, or an error's message.
    """
    if broken := bytecode_cache.advice(text):
        return broken
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    lines.reverse()
    errors = [line for line in lines if LAST_ERROR.match(line)]
    for line in [*errors[:1], *lines[:1]]:
        if remedy := _of_line(line):
            return remedy
    return next(filter(None, (_of_line(line, anywhere=True) for line in lines)), "")


def _of_line(line: str, anywhere: bool = False) -> str:
    for cause in CAUSES:
        if (cause.anywhere or not anywhere) and cause.signs.search(line):
            # The loader says the same where the address space is used up and where nothing may be executed.
            return MEMORY if cause.remedy == NO_EXECUTION and _address_space_limited() else cause.remedy
    if anywhere:
        return ""
    if library := LIBRARY.search(line):
        return _missing_library(library[1] or library[2])
    if module := MODULE.search(line):
        if module[1] == "encodings":
            return "This Python does not find its own library: unset PYTHONHOME, or install this Python again."
        return f"The Python package {module[1].partition('.')[0]} is missing: install it in that environment."
    return ""


def _address_space_limited() -> bool:
    """Whether this process, and so what it started, has a limit of its address space (``ulimit -v``)."""
    return resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY


def _missing_library(name: str) -> str:
    if name.startswith(("libGL", "libgthread", "libglib", "libSM", "libXext")):
        remedy = "install ultralytics-opencv-headless in place of ultralytics, or the library by the system's packages"
    elif name.startswith(("libcu", "libnv", "libnccl")):
        remedy = "install a build of torch for this system, with its packages for CUDA or for the CPU alone"
    else:
        remedy = "install it by the system's packages"
    return f"The library {name} is missing: {remedy}."


def describe_system_error(error: BaseException) -> str:
    """One sentence on an error of the system that this process met; empty for any other error."""
    if isinstance(error, MemoryError):
        return MEMORY
    text = " ".join(str(error).split())
    if not isinstance(error, OSError):
        remedy = recognised(f"{type(error).__name__}: {text}")
        return f"{text}. {remedy}" if remedy else ""
    place = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, str | bytes) else ""
    # The number is the same in every language of the system; what it means here does not depend on the words.
    code = errno.errorcode.get(error.errno or 0, "")
    remedy = BY_CODE.get(code) or "Put that right, and run it again."
    return f"{error.strerror or text or type(error).__name__}{place}. {remedy}"


BY_CODE = {
    "EAGAIN": PROCESSES,
    "EMFILE": FILES,
    "ENFILE": FILES,
    "ENOMEM": MEMORY,
    "ENOSPC": DISK,
    "EDQUOT": QUOTA,
    "EFBIG": SIZE,
    "EROFS": READ_ONLY,
    "EACCES": PERMISSION,
    "EPERM": PERMISSION,
    "EADDRINUSE": PORT,
}
"""The remedy for an error number."""


def describe_signal(code: int) -> str:
    """Return the cause of a process's end by signal, from its negative exit code; empty where unknown."""
    try:
        return SIGNALS.get(signal.Signals(-code), "") if code < 0 else ""
    except ValueError:
        return ""


def describe_early_exit(code: int, text: str) -> str:
    """Return the cause of a process's early end; empty where unknown.

    Args:
        code: its exit code, negative for a signal.
        text: what it printed.
    """
    return describe_signal(code) or recognised(text) or (KILLED if code == -signal.SIGKILL else "")


def unknown(text: str) -> str:
    """Return a sentence for a process that ended for no known cause; its output is saved in a file."""
    if not text.strip():
        return f"{UNKNOWN}: it printed nothing."
    file = save_text(text, "log")
    return f"{UNKNOWN}; its output is in {file}." if file else f"{UNKNOWN}, and its output could not be saved."


def describe_call_failure(error: Exception) -> str:
    """Return why a short call of another program failed: the detail in brackets, then the cause.

    Args:
        error: of :mod:`subprocess`, of the system, or of reading what the program printed.
    """
    if isinstance(error, subprocess.TimeoutExpired):
        return f"(nothing in {error.timeout:g} s)."
    if isinstance(error, OSError):
        return f"({error.strerror or error}). {BY_CODE.get(errno.errorcode.get(error.errno or 0, ''), UNKNOWN + '.')}"
    if not isinstance(error, subprocess.CalledProcessError):
        return f"(what it printed cannot be read: {error})."
    output = str(error.stderr or "")
    last = (output.strip().splitlines() or [f"it {describe_exit(error.returncode)}"])[-1].rstrip(".")
    if "SyntaxError" in last:
        return f"({last}). {SYNTAX}"
    return f"({last}). {describe_early_exit(error.returncode, output) or unknown(output)}"


def describe_exit(code: int) -> str:
    """``was killed by SIGKILL`` or ``ended with exit status 3``."""
    if code < 0:
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"
    return f"ended with exit status {code}"


@contextlib.contextmanager
def as_usage_error(failure: str) -> Iterator[None]:
    """Turn a system error within this context into a :class:`UsageError` of one sentence.

    Args:
        failure: how the sentence begins: ``no worker can be started``.

    Raises:
        UsageError: in place of the error.
    """
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        if sentence := describe_system_error(error):
            raise UsageError(f"{failure}: {sentence}") from error
        raise
