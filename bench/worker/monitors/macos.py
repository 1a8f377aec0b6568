"""Readings of macOS that need neither root nor a subprocess. Not run on hardware yet: tested against fakes."""

from __future__ import annotations

import ctypes
import sys

THERMAL_KEY = b"com.apple.system.thermalpressurelevel"
"""Darwin notification of the thermal level; ``NSProcessInfo`` calls both ``moderate`` and ``heavy`` fair."""

THERMAL_LEVELS = ("nominal", "moderate", "heavy", "trapping", "sleeping")
"""Names of macOS's ``OSThermalPressureLevel``, from 0."""

SYSTEM = "/usr/lib/libSystem.B.dylib"
POWER = "/System/Library/Frameworks/IOKit.framework/IOKit"
FOUNDATION = "/System/Library/Frameworks/CoreFoundation.framework/CoreFoundation"
UTF8 = 0x08000100  # kCFStringEncodingUTF8


def thermal() -> str | None:
    """Return the system's level of thermal pressure; None on other systems, and where it does not answer."""
    if sys.platform != "darwin":
        return None
    library = ctypes.CDLL(SYSTEM)
    register, state, cancel = library.notify_register_check, library.notify_get_state, library.notify_cancel
    register.argtypes, register.restype = (ctypes.c_char_p, ctypes.POINTER(ctypes.c_int)), ctypes.c_uint32
    state.argtypes, state.restype = (ctypes.c_int, ctypes.POINTER(ctypes.c_uint64)), ctypes.c_uint32
    cancel.argtypes, cancel.restype = (ctypes.c_int,), ctypes.c_uint32
    token, level = ctypes.c_int(), ctypes.c_uint64()
    if register(THERMAL_KEY, ctypes.byref(token)) != 0:
        return None
    try:
        if state(token, ctypes.byref(level)) != 0 or level.value >= len(THERMAL_LEVELS):
            return None
        return THERMAL_LEVELS[level.value]
    finally:
        cancel(token)


class _Swap(ctypes.Structure):
    """``struct xsw_usage`` of sys/sysctl.h."""

    _fields_ = (
        ("total", ctypes.c_uint64),
        ("avail", ctypes.c_uint64),
        ("used", ctypes.c_uint64),
        ("pagesize", ctypes.c_uint32),
        ("encrypted", ctypes.c_bool),
    )


def swap_used() -> int | None:
    """Return the bytes of swap in use; None on other systems, and where the system does not answer."""
    if sys.platform != "darwin":
        return None
    ask = ctypes.CDLL(SYSTEM).sysctlbyname
    ask.argtypes = (ctypes.c_char_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    ask.restype = ctypes.c_int
    usage, size = _Swap(), ctypes.c_size_t(ctypes.sizeof(_Swap))
    if ask(b"vm.swapusage", ctypes.byref(usage), ctypes.byref(size), None, 0) != 0:
        return None
    return int(usage.used)


def on_battery() -> bool | None:
    """Whether the machine runs on its battery; None on other systems, and where it does not answer."""
    if sys.platform != "darwin":
        return None
    power, foundation = ctypes.CDLL(POWER), ctypes.CDLL(FOUNDATION)
    power.IOPSCopyPowerSourcesInfo.argtypes, power.IOPSCopyPowerSourcesInfo.restype = (), ctypes.c_void_p
    source = power.IOPSGetProvidingPowerSourceType
    source.argtypes, source.restype = (ctypes.c_void_p,), ctypes.c_void_p
    text = foundation.CFStringGetCString
    text.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_long, ctypes.c_uint32)
    text.restype = ctypes.c_ubyte
    foundation.CFRelease.argtypes, foundation.CFRelease.restype = (ctypes.c_void_p,), None
    snapshot = power.IOPSCopyPowerSourcesInfo()
    if not snapshot:
        return None
    try:
        name, buffer = source(snapshot), ctypes.create_string_buffer(64)  # "AC Power", "Battery Power", "UPS Power"
        if not name or not text(name, buffer, len(buffer), UTF8):
            return None
        return buffer.value == b"Battery Power"
    finally:
        foundation.CFRelease(snapshot)
