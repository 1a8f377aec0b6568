"""The machines of a fleet, as the user writes them: ``mac=ssh://me@mac.local,box=ssh://box,here``, or fleet.toml."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.errors import UsageError

FILE = Path("fleet.toml")
"""File of the machines in the current folder."""

HERE = "here"
"""What stands for this machine."""

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
HOST = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?(?:[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.%a-z]+\])")
PYTHON = re.compile(r"[A-Za-z0-9~/][A-Za-z0-9._/+~-]*")


class MachineSpec(msgspec.Struct, frozen=True):
    """One machine.

    Attributes:
        name: folder of its records, and the end of its run's name.
        host: for ssh, ``me@mac.local``; empty for this machine.
        port: of ssh; 0 for the usual one.
        python: interpreter there; empty for ``python3``, or for this interpreter on this machine.
        options: options of a run for this machine alone.
        lock: lock that is held while measuring; agents of ``--local`` have one each.
    """

    name: str
    host: str = ""
    port: int = 0
    python: str = ""
    options: dict[str, Any] = {}
    lock: str = "machine"

    @property
    def interpreter(self) -> str:
        """The interpreter of the agent."""
        return self.python or ("python3" if self.host else sys.executable)

    @property
    def address(self) -> str:
        """The machine as a user writes it."""
        port = f":{self.port}" if self.port else ""
        python = f"/{self.python}" if self.python.startswith("/") else ""
        login, at, host = self.host.rpartition("@")
        return f"ssh://{login}{at}{f'[{host}]' if ':' in host else host}{port}{python}" if self.host else HERE


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    """One table of fleet.toml."""

    on: str
    python: str = ""
    options: dict[str, Any] = {}


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """The content of fleet.toml."""

    machines: dict[str, _Entry]


def parse_address(name: str, text: str, python: str = "", options: dict[str, Any] | None = None) -> MachineSpec:
    """Read ``here`` or ``ssh://[user@]host[:port][//path/to/python]``.

    Raises:
        UsageError: for anything else.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"machine {name!r}: use letters, digits, dashes and underscores, at most 40.")
    if text == HERE:
        return MachineSpec(name, python=_checked_python(name, python), options=options or {})
    rest = text.removeprefix("ssh://")
    place, slash, path = rest.partition("/")
    login = place.rpartition("@")[0]
    if ":" in login:
        raise UsageError(f"machine {name!r}: leave the password out of its address: ssh takes keys.")
    if rest == text:
        raise UsageError(f"machine {name!r} has no address that can be used: write {HERE}, or ssh://host.")
    host, _, port = place.rpartition(":") if re.search(r":\d+$", place) else (place, "", "")
    if not HOST.fullmatch(host) or (port and not 0 < int(port) < 2**16):
        raise UsageError(f"machine {name!r} has no address that can be used: write ssh://user@host:port.")
    if slash and not path.startswith("/"):
        raise UsageError(f"machine {name!r}: a Python is named by two slashes, as in ssh://{place}//path/to/python.")
    python = _checked_python(name, path or python)
    return MachineSpec(name, host.replace("[", "").replace("]", ""), int(port or 0), python, options or {})


def _checked_python(name: str, python: str) -> str:
    """Return the path of an interpreter that a shell reads as one word."""
    if python and not PYTHON.fullmatch(python):
        raise UsageError(f"machine {name!r}: python {python!r} cannot be used: name a path without spaces or signs.")
    return python


def read_file(file: Path) -> dict[str, MachineSpec]:
    """Return the machines of a fleet.toml by name; none where there is no such file.

    Raises:
        UsageError: where it cannot be read.
    """
    try:
        content = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _File)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:  # msgspec's and tomllib's errors are of the latter kind
        raise UsageError(f"{file} cannot be read: {str(error).rstrip('.')}.") from error
    return {
        name: parse_address(name, entry.on, entry.python, entry.options) for name, entry in content.machines.items()
    }


def parse_machines(text: str, known: dict[str, MachineSpec]) -> list[MachineSpec]:
    """Return the machines that ``--on`` names; all of fleet.toml without it.

    Args:
        text: ``mac=ssh://me@mac.local,box,here``; a bare name is one of ``known``.
        known: machines of fleet.toml.

    Raises:
        UsageError: where one cannot be meant, or a name is given twice.
    """
    machines = []
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, address = part.partition("=")
        if equals:
            machines.append(parse_address(name.strip(), address.strip()))
        elif name in known:
            machines.append(known[name])
        elif name == HERE:
            machines.append(parse_address(HERE, HERE))
        else:
            hint = f"{FILE} has {', '.join(known)}" if known else f"there is no {FILE}"
            raise UsageError(f"machine {name!r} is unknown ({hint}): write name=ssh://host, or {HERE}.")
    machines = machines if text.strip() else list(known.values())
    if not machines:
        raise UsageError(f"no machine is named: use --on name=ssh://host,{HERE}, or write {FILE}.")
    _check_names(machines)
    return machines


def local_machines(count: int) -> list[MachineSpec]:
    """Return agents on this machine that stand for several."""
    return [MachineSpec(f"local{number}", lock=f"local{number}") for number in range(1, count + 1)]


def _check_names(machines: Sequence[MachineSpec]) -> None:
    """Refuse names whose folders would be one on some file systems, and two machines with one address."""
    for key in ("name", "address"):
        values = [getattr(machine, key).lower() for machine in machines]
        if twice := next((value for value in values if values.count(value) > 1), ""):
            raise UsageError(f"{key} {twice!r} is given twice: each machine measures one case at a time.")
