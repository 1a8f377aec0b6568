"""What macOS tells, against fakes of the two libraries that keep to the C signatures."""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from bench.worker.monitors import macos

SNAPSHOT, NAME = 0x7F0000001000, 0x7F0000002000
"""Addresses beyond 32 bits: a function whose types were not declared would cut them off."""


class Function:
    """A C function: arguments pass through the types that were declared for it, as ctypes would have them."""

    def __init__(self, body: Any) -> None:
        self.body = body
        self.argtypes: tuple[Any, ...] | None = None
        self.restype: Any = ctypes.c_int

    def __call__(self, *arguments: Any) -> Any:
        assert self.argtypes is not None, "the types have to be declared"
        assert len(arguments) == len(self.argtypes)
        given = [kind.from_param(argument) for kind, argument in zip(self.argtypes, arguments, strict=True)]
        del given  # from_param raises for an argument of a wrong type
        result = self.body(*arguments)
        return result if self.restype is None or result is None else self.restype(result).value


class Library(SimpleNamespace):
    """Functions by their names; another one is an AttributeError, as it is for a real library."""


def target(reference: Any) -> Any:
    """What ``ctypes.byref`` points to."""
    return reference._obj


class FakeMac:
    """``libSystem``, ``IOKit`` and ``CoreFoundation``, with what they hold at the moment."""

    def __init__(self) -> None:
        self.level = 0
        self.register_status = 0
        self.state_status = 0
        self.tokens: list[int] = []
        self.source: bytes | None = b"AC Power"
        self.snapshots: list[int] = []
        self.swap = 3 << 30
        self.swap_status = 0
        self.libraries = {
            "/usr/lib/libSystem.B.dylib": Library(
                notify_register_check=Function(self.register),
                notify_get_state=Function(self.state),
                notify_cancel=Function(self.cancel),
                sysctlbyname=Function(self.sysctl),
            ),
            "/System/Library/Frameworks/IOKit.framework/IOKit": Library(
                IOPSCopyPowerSourcesInfo=Function(self.copy), IOPSGetProvidingPowerSourceType=Function(self.providing)
            ),
            "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation": Library(
                CFStringGetCString=Function(self.text), CFRelease=Function(self.snapshots.remove)
            ),
        }

    def register(self, name: bytes, token: Any) -> int:
        assert name == b"com.apple.system.thermalpressurelevel"
        if self.register_status == 0:
            target(token).value = 41
            self.tokens.append(41)
        return self.register_status

    def state(self, token: Any, level: Any) -> int:
        assert token.value in self.tokens
        target(level).value = self.level
        return self.state_status

    def cancel(self, token: Any) -> int:
        self.tokens.remove(token.value)
        return 0

    def sysctl(self, name: bytes, buffer: Any, size: Any, new: None, length: int) -> int:
        assert (name, new, length) == (b"vm.swapusage", None, 0)
        assert target(size).value == ctypes.sizeof(target(buffer)) == 32
        target(buffer).total, target(buffer).used = 4 << 30, self.swap
        return self.swap_status

    def copy(self) -> int:
        if self.source is None:
            return 0
        self.snapshots.append(SNAPSHOT)
        return SNAPSHOT

    def providing(self, snapshot: int) -> int:
        assert snapshot in self.snapshots
        return NAME if self.source else 0

    def text(self, string: int, buffer: Any, size: int, encoding: int) -> int:
        assert string == NAME
        assert encoding == 0x08000100
        assert self.source is not None
        if len(self.source) + 1 > size:
            return 0
        buffer.value = self.source
        return 1


@pytest.fixture
def mac_os(monkeypatch: pytest.MonkeyPatch) -> FakeMac:
    fake = FakeMac()
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", lambda path: fake.libraries[path])
    return fake


@pytest.mark.parametrize(
    ("level", "word"),
    [(0, "nominal"), (1, "moderate"), (2, "heavy"), (3, "trapping"), (4, "sleeping"), (5, None), (2**63, None)],
)
def test_thermal_pressure(mac_os: FakeMac, level: int, word: str | None) -> None:
    mac_os.level = level
    assert macos.thermal() == word
    assert mac_os.tokens == []  # cancelled


def test_thermal_pressure_that_is_unavailable(mac_os: FakeMac) -> None:
    mac_os.state_status = 1
    assert macos.thermal() is None
    assert mac_os.tokens == []
    mac_os.register_status = 1000000
    assert macos.thermal() is None


@pytest.mark.parametrize(
    ("source", "expected"),
    [(b"AC Power", False), (b"Battery Power", True), (b"UPS Power", False), (b"", None), (b"x" * 99, None)],
)
def test_power_source(mac_os: FakeMac, source: bytes, expected: bool | None) -> None:
    mac_os.source = source
    assert macos.on_battery() is expected
    assert mac_os.snapshots == []  # released


def test_power_source_that_is_unavailable(mac_os: FakeMac) -> None:
    mac_os.source = None
    assert macos.on_battery() is None


def test_swap(mac_os: FakeMac) -> None:
    assert macos.swap_used() == 3 << 30
    mac_os.swap_status = -1
    assert macos.swap_used() is None


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS answers")
def test_other_systems_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", None)
    assert macos.thermal() is None
    assert macos.on_battery() is None
    assert macos.swap_used() is None
