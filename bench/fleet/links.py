"""Connections to machines by execnet, over ssh or to a process of this machine."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from bench.environments.failure_causes import describe_exit
from bench.errors import UsageError
from bench.fleet import agent, package
from bench.fleet.machines import MachineSpec
from bench.text import one_line

SSH = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=4"]
"""Options of ssh: it asks nothing, and notices a machine that has left. Host keys are checked as ssh is set up."""

NEEDED = {
    "torch": "torch",
    "pytest": "pytest",
    "pytest_benchmark": "pytest-benchmark",
    "numpy": "numpy",
    "scipy": "scipy",
    "msgspec": "msgspec",
    "typer": "typer",
    "rich": "rich",
    "psutil": "psutil",
    "packaging": "packaging",
    "filelock": "filelock",
}
"""Modules that the member imports, and the packages that have them."""

OLDEST = (3, 11)

MARK = "yolopace-machine "

PROBE = f"""
import importlib.util, json, sys
missing = [name for name in {sorted(NEEDED)!r} if not importlib.util.find_spec(name)]
print({MARK!r} + json.dumps([list(sys.version_info[:2]), sys.executable, missing]))
"""
"""What an interpreter is asked before an agent starts in it."""

ANSWER_SECONDS = 120.0
"""Seconds in which a machine has to answer; an interpreter on a network share starts slowly."""


class Unreachable(Exception):
    """A machine cannot be used now; its text is a sentence. ``final`` says that waiting does not help."""

    def __init__(self, text: str, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


class Link(Protocol):
    """A connection to the member of a machine."""

    def send(self, line: bytes) -> None:
        """Send a line to the member; a connection that has ended takes none, without an error."""

    def end(self) -> None:
        """Ask the agent to end the member now."""

    def close(self) -> None:
        """Close the connection, which ends what is left there."""


Post = Callable[[str, Any], None]
"""Receives ``line`` with bytes, ``ended`` with a sentence, or ``lost`` with a sentence; from any thread."""

Connect = Callable[[MachineSpec, Post], Link]
"""Connects to a machine; raises :class:`Unreachable`."""


def ssh_arguments(spec: MachineSpec) -> list[str]:
    """Return the arguments of ssh for a machine, its name last."""
    return [*SSH, "-T", *(["-p", str(spec.port)] if spec.port else []), spec.host]


def probe(spec: MachineSpec) -> str:
    """Return the path of the interpreter of a machine, once it has answered and has all that is needed.

    Raises:
        Unreachable: with what stands in the way.
    """
    remote = ["ssh", *ssh_arguments(spec), f"{spec.interpreter} -"]
    command = remote if spec.host else [spec.interpreter, "-"]
    try:
        with _without_interrupts():
            done = subprocess.run(
                command,
                input=PROBE,
                capture_output=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                timeout=ANSWER_SECONDS,
            )
    except FileNotFoundError:
        what = "the program ssh is not installed here" if spec.host else f"there is no Python {spec.interpreter!r}"
        raise Unreachable(f"{what}.", final=True) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unreachable(f"it does not answer: {one_line(str(error), 200)}.") from None
    for line in done.stdout.splitlines():
        if line.startswith(MARK):
            version, path, missing = json.loads(line.removeprefix(MARK))
            break
    else:
        raise _why_no_answer(spec, done.returncode, done.stderr)
    if tuple(version) < OLDEST:
        is_old = f"its Python {path} is {version[0]}.{version[1]}, and yolopace needs {OLDEST[0]}.{OLDEST[1]}"
        raise Unreachable(f"{is_old}: {_NAME_PYTHON}.", final=True)
    if missing:
        names = ", ".join(NEEDED[name] for name in missing if name in NEEDED)
        raise Unreachable(
            f"its Python {path} has no {names}: install yolopace[headless] there, or {_NAME_PYTHON}.", final=True
        )
    return str(path)


_NAME_PYTHON = "name another Python, as in ssh://host//path/to/python"

CAUSES = (
    (r"IDENTIFICATION HAS CHANGED", "its host key has changed: if that is right, remove the old one from known_hosts"),
    (r"Host key verification failed", "its host key is not known here: connect to it by ssh once, and check the key"),
    (r"Permission denied|Too many authentication", "ssh is not let in: put a key there, or into the agent of ssh"),
    (r"Could not resolve|Name or service not known", "there is no machine of that name"),
    (r"Connection refused", "nothing answers ssh there"),
    (r"timed? ?out|No route to host|unreachable", "it cannot be reached"),
)
"""Messages of ssh, and what to say; the first that matches counts."""

FINAL = r"IDENTIFICATION HAS CHANGED|Host key verification|Permission denied|Too many authentication"
"""Messages of ssh after which waiting does not help."""


def _why_no_answer(spec: MachineSpec, code: int, errors: str) -> Unreachable:
    """Return why an interpreter did not answer, from the status and the errors of ssh or of a shell."""
    last = one_line((errors.strip().splitlines() or ["no message"])[-1], 200).rstrip(".")
    if spec.host and code == 255:
        cause = next((text for pattern, text in CAUSES if re.search(pattern, errors, re.IGNORECASE)), "ssh failed")
        return Unreachable(f"{cause} ({last}).", final=bool(re.search(FINAL, errors)))
    if code in (126, 127) or re.search(r"not found|No such file", errors):
        return Unreachable(f"there is no Python {spec.interpreter!r} there ({last}): {_NAME_PYTHON}.", final=True)
    return Unreachable(f"its Python {spec.interpreter!r} does not work: {last}.", final=True)


@contextlib.contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C in this terminal does not reach: a running case is to end first."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class ExecnetLink:
    """A connection by execnet."""

    def __init__(self, gateway: Any, channel: Any) -> None:
        self._gateway = gateway
        self._channel = channel

    def send(self, line: bytes) -> None:
        """Send a line to the member, if the connection still is."""
        with contextlib.suppress(OSError):
            self._channel.send(("line", line))

    def end(self) -> None:
        """Ask the agent to end the member now."""
        with contextlib.suppress(OSError):
            self._channel.send(("end", b""))

    def close(self) -> None:
        """Close the connection; a process that does not end is killed after some seconds, in a thread."""
        threading.Thread(target=_close, args=(self._gateway,), daemon=False).start()


def _close(gateway: Any, patience: float = 8.0) -> None:
    """End the process of a gateway: ssh, or a Python of this machine."""
    with contextlib.suppress(Exception):  # whatever state the connection is in
        gateway.exit()
    process = gateway._io.popen
    try:
        process.wait(patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def check_installed() -> None:
    """Raise :class:`UsageError` where execnet is missing."""
    try:
        import execnet  # noqa: F401
    except ImportError:
        raise UsageError("a fleet needs execnet: uv pip install -e '.[fleet]'.") from None


def connect(spec: MachineSpec, post: Post) -> Link:
    """Connect to a machine, give it the suite's code, and start the member.

    Raises:
        Unreachable: where that cannot be done.
    """
    import execnet

    python = probe(spec)
    quiet = ["-o", "LogLevel=QUIET"]  # what is wrong with the connection was seen by the probe
    kind = f"ssh={' '.join([*quiet, *ssh_arguments(spec)])}" if spec.host else "popen"
    try:
        with _without_interrupts():
            gateway = execnet.Group().makegateway(f"{kind}//python={spec.python or python}")
    except Exception as error:  # execnet's own, and those of a process that ends at once
        raise Unreachable(
            f"no agent could be started there ({type(error).__name__}: {one_line(str(error), 200)})."
        ) from None
    try:
        channel = gateway.remote_exec(agent)
        channel.send(package.digest())
        answer = channel.receive(ANSWER_SECONDS)
        if answer == ("code",):
            channel.send(package.archive())
            answer = channel.receive(ANSWER_SECONDS)
        if not isinstance(answer, tuple) or answer[:1] != ("ready",):
            raise Unreachable("its agent answers something else.")
    except (EOFError, OSError, execnet.RemoteError, execnet.TimeoutError) as error:
        _close(gateway)
        last = one_line(str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__, 200)
        raise Unreachable(f"its agent ended: {last.rstrip('.')}.") from None

    def receive(message: Any) -> None:
        match message:
            case ("line", bytes(line)):
                post("line", line)
            case ("ended", int(code), str(tail)):
                last = one_line((tail.strip().splitlines() or [""])[-1], 300).rstrip(".")
                post("ended", f"its process {describe_exit(code)}{f': {last}' if last else ''}")
            case None:
                post("lost", "the connection ended")
            case _:
                post("line", b"")  # no event, which is refused

    channel.setcallback(receive, endmarker=None)
    return ExecnetLink(gateway, channel)
