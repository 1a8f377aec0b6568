"""The kinds of devices that may be measured, and how a device is written.

A new kind is one entry here and one file in ``bench/worker/devices/``. Code asks what a kind can do, never its name.
"""

from __future__ import annotations

import functools
import re
from typing import Any, Literal, TypeVar

import msgspec

from bench.errors import UsageError

Value = TypeVar("Value")

HOST = "cpu"
"""The kind that every machine has: its own processors."""

MACHINES = re.compile(r"(?:(?P<machines>[2-9]|[1-9][0-9]{1,2})x)?(?P<devices>.+)")
"""Matches devices, with the number of machines that each have these devices."""

NAME = re.compile(r"[a-z]{2,20}")
"""A kind's name; digits in it would look like an index in a case's id."""


class DeviceKind(msgspec.Struct, frozen=True, kw_only=True):
    """Facts on a kind of device for the runner and the report.

    The defaults are those of an unknown accelerator with its own memory.

    Attributes:
        name: as torch calls it.
        title: name for readers.
        written: notation of users, for messages and help.
        indexed: whether there may be several, distinguished by an index.
        bare_index: whether a number alone means one of these.
        on_host: whether it computes on the machine's processors, so that other programs' load slows it down.
        own_memory: whether it has memory apart from the machine's.
        asynchronous: whether the host runs ahead of it.
        backend: of torch.distributed, by which several train together; empty where torch has none.
        visibility: environment variable that selects the devices that a process sees; empty without one.
        compare_losses: when the first losses are compared with the CPU's.
        weighs_steps: whether a window may weight kinds of steps instead of holding all accumulation steps.
        turn_steps: steps of a time slice where two workers take turns; None for a whole window.
        data_steps: length of a made training set in batches; long enough that a window seldom meets an epoch's end.
        seconds_per_pixel: seconds of training per unit of work; the first guess before anything was measured.
        small_case: batch and image size that keep it busy and are quick, for calibration.
        ceiling_sizes: image sizes of a ceiling where the user names none.
        collapse: share of the best throughput of smaller batches below which a batch counts as collapsed.
        memory_share: share of the machine's memory that it may take; None where it is limited in another way.
    """

    name: str
    title: str
    written: str
    indexed: bool = True
    bare_index: bool = False
    on_host: bool = False
    own_memory: bool = True
    asynchronous: bool = True
    backend: str = ""
    visibility: str = ""
    compare_losses: Literal["always", "on_request", "never"] = "always"
    weighs_steps: bool = False
    # A time slice on a GPU begins with an idle device and ends with waiting for it, and data loader processes go on
    # working while their worker waits. So a slice there is a window, which leaves out the batches that they had ready.
    turn_steps: int | None = None
    data_steps: int = 128
    seconds_per_pixel: float = 1e-7
    small_case: tuple[int, int] = (16, 640)
    ceiling_sizes: tuple[int, ...] = (320, 640)
    collapse: float = 0.5  # a driver may let a card spill into the machine's memory
    memory_share: float | None = None

    def device(self, index: int) -> str:
        """Return the name that cases give to the device of an index: ``1``, ``xpu``, ``xpu:1``."""
        if self.bare_index:
            return str(index)
        return f"{self.name}:{index}" if index else self.name

    def read(self, text: str) -> str | None:
        """Return the name that cases give to a device as users write it; None for no device of this kind."""
        prefix = f"(?:{self.name}:)?" if self.bare_index else f"{self.name}:?"
        match = re.fullmatch(rf"{self.name}|{prefix}(?P<index>[0-9]{{1,4}})", text)
        if match is None or (match["index"] and not self.indexed):
            return None
        return self.device(int(match["index"] or 0)) if self.indexed else self.name


_registry: dict[str, DeviceKind] = {}


def register(kind: DeviceKind) -> None:
    """Add a kind; its worker side is added by ``bench.worker.devices.register``.

    Raises:
        ValueError: for a name that is taken, or would be ambiguous in a case's id.
    """
    if not NAME.fullmatch(kind.name):
        raise ValueError(f"device kind {kind.name!r}: use 2 to 20 lower-case letters")
    if _registry.get(kind.name, kind) != kind:
        raise ValueError(f"device kind {kind.name!r} is registered already")
    _registry[kind.name] = kind
    parse_device.cache_clear()
    kind_of.cache_clear()


def kinds() -> dict[str, DeviceKind]:
    """Return all kinds by name, in the order in which messages list them."""
    return dict(_registry)


def by_kind(table: dict[str, Value], kind: str) -> Value:
    """Return a table's entry for a kind: its own, else that of ``cpu`` or ``accelerator``, else that of ``all``."""
    names = [kind, HOST if _registry[kind].on_host else "accelerator", "all"]
    return next(table[name] for name in names if name in table)


def _unknown(text: str) -> UsageError:
    known = ", ".join(kind.written for kind in _registry.values())
    return UsageError(f"device {text!r} is unknown: use {known}, or several as in 0+1.")


@functools.lru_cache(maxsize=1024)
def parse_device(text: str) -> str:
    """Return a device, or several joined by ``+``, as cases name them; ``2x0+1`` means two machines with two each.

    Raises:
        UsageError: for a word that no registered kind reads, and for devices of several kinds in one case.
    """
    whole = MACHINES.fullmatch(text.lower())
    parts = whole["devices"].split("+") if whole else []
    names = [next(filter(None, (kind.read(part) for kind in _registry.values())), "") for part in parts]
    if whole is None or not all(names):
        raise _unknown(text)
    titles = list(dict.fromkeys(kind_of(name).title for name in names))
    if len(titles) > 1:
        raise UsageError(f"device {text!r} mixes {' and '.join(titles)}: the devices of one case are of one kind.")
    count = f"{whole['machines']}x" if whole["machines"] else ""
    return count + "+".join(names)


@functools.lru_cache(maxsize=1024)
def _names(device: str) -> tuple[str, ...]:
    whole = MACHINES.fullmatch(device)
    return tuple(whole["devices"].split("+")) if whole else (device,)


def device_names(device: str) -> list[str]:
    """Return the devices of a case on one machine: ``["0", "1"]`` of ``0+1`` and of ``2x0+1``."""
    return list(_names(device))


@functools.lru_cache(maxsize=1024)
def kind_of(device: str) -> DeviceKind:
    """Return the kind of a case's devices.

    Raises:
        UsageError: for a kind that is not registered.
    """
    first = _names(device)[0]
    kind = next((kind for kind in _registry.values() if kind.read(first) is not None), None)
    if kind is None:
        raise _unknown(device)
    return kind


def is_on_host(device: str) -> bool:
    """Whether a case's devices compute on the machine's processors; False for a kind that is not registered."""
    try:
        return kind_of(device).on_host
    except UsageError:
        return False


def device_kind(device: str) -> str:
    """Return the name of the kind of a case's devices."""
    return kind_of(device).name


def machines(device: str) -> int:
    """Return how many machines a case takes: 2 of ``2x0+1``."""
    whole = MACHINES.fullmatch(device)
    return int((whole["machines"] if whole else None) or 1)


def ranks(device: str) -> int:
    """Return how many processes train together: 4 of ``2x0+1``."""
    return machines(device) * len(_names(device))


def named_twice(device: str) -> str:
    """Return the error of a case that names a card twice, such as ``0+0``; empty for other cases.

    A CPU has room for two processes.
    """
    names, kind = _names(device), kind_of(device)
    card = next((name for name in names if names.count(name) > 1), None)
    if card is None or not kind.indexed:
        return ""
    example = f"{kind.device(0)}+{kind.device(1)}"
    return f"device {device} names card {card} twice: each process needs a card of its own, as in {example}."


def id_token(device: str) -> str:
    """Return the name of devices in a case's id, which is a file's name: ``xpu1`` for ``xpu:1``."""
    return device.replace(":", "")


def label(device: str) -> str:
    """Return the label for readers: ``cpu``, ``xpu:1``, and ``cuda:0+1`` for ``0+1``; recorded text may be any."""
    whole = MACHINES.fullmatch(device)
    times = f"{whole['machines']}x" if whole and whole["machines"] else ""
    bare = next(kind.name for kind in _registry.values() if kind.bare_index)
    return f"{times}{bare}:{device[len(times) :]}" if all(map(str.isdecimal, _names(device))) else device


def sort_key(device: str) -> Any:
    """Return the sort key of devices in tables: GPUs, then those that share the machine's memory, then the CPU."""
    try:
        kind = kind_of(device)
    except UsageError:
        return False, False
    return kind.on_host, not kind.own_memory


for _kind in (
    DeviceKind(
        name=HOST,
        title="CPU",
        written="cpu",
        indexed=False,
        on_host=True,
        own_memory=False,
        asynchronous=False,
        backend="gloo",
        compare_losses="never",
        weighs_steps=True,  # selfcheck: it agrees with all accumulation steps, on a CPU only
        # As short as can be, since interference comes and goes within parts of a second. On a busy host the step times
        # of one slice correlated by 0.5, and those of one slice and the next by 0.25. Pairs with slices of one step
        # scattered by 1.3 % there (29 comparisons, median), with slices of two by 1.3 and 2.1 % right before. Slices
        # also end within steps, after some milliseconds. Concurrent steps then differed by 2.8 % in place of 6.1, and
        # pairs of 48 steps by 0.45 % in place of 1.6 (medians of 8 pairs each in one run; standard deviation).
        turn_steps=1,
        data_steps=64,
        seconds_per_pixel=1.4e-6,
        small_case=(4, 160),
        ceiling_sizes=(160, 320),
        collapse=0.3,  # a CPU that other work shares may be half as fast for a while
    ),
    DeviceKind(
        name="mps",
        title="Apple GPU",
        written="mps",
        indexed=False,
        own_memory=False,
        turn_steps=8,
        seconds_per_pixel=3e-7,
        collapse=0.7,  # it swaps rather than fails
        memory_share=2 / 3,  # what Metal recommends as the most on small Macs; more on large ones
    ),
    DeviceKind(
        name="cuda",
        title="CUDA GPU",
        written="a CUDA index such as 0",
        bare_index=True,
        backend="nccl",
        visibility="CUDA_VISIBLE_DEVICES",
        compare_losses="on_request",
        data_steps=256,
        seconds_per_pixel=4e-8,
    ),
    DeviceKind(
        name="xpu",
        title="Intel GPU",
        written="xpu or xpu:1",
        backend="xccl",
        visibility="ZE_AFFINITY_MASK",
    ),
    DeviceKind(
        name="npu",
        title="Ascend NPU",
        written="npu or npu:1",
        backend="hccl",
        visibility="ASCEND_RT_VISIBLE_DEVICES",
    ),
):
    register(_kind)
