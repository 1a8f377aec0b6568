"""Notes for the start of a run: what is not available, what is left out, and warnings. Data only; others print it."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Literal

import msgspec

from bench.cases.availability import unavailable_lines, why_unavailable
from bench.cases.device_kinds import device_names
from bench.cases.plan import PlannedRun
from bench.environments.interpreter import Interpreter
from bench.errors import UsageError
from bench.machine.doctor import State
from bench.machine.doctor.backends import not_free
from bench.machine.doctor.meters import disk, heat, load, memory, power, swap
from bench.machine.fingerprint import visible_cards
from bench.machine.interpreter_info import Packages, Software
from bench.machine.nvml import nvidia_gpus
from bench.machine.paths import cache_folder
from bench.machine.system_info import SystemInfo, system_info
from bench.pytest_plugin.request import RunRequest
from bench.runner.doctor import low_power


class Note(msgspec.Struct, frozen=True):
    """One line of the start block.

    Attributes:
        kind: what the line is about; a warning says that figures may be worse than the machine can do.
        text: one line without a full stop, or several sentences.
    """

    kind: Literal["unavailable", "hint", "warning"]
    text: str


def notes(request: RunRequest, selected: Sequence[PlannedRun]) -> list[Note]:
    """Return the notes of a run before anything is measured; takes some tenths of a second.

    Args:
        request: of the run.
        selected: processes that are left after pytest's own selection.
    """
    cache = None
    with contextlib.suppress(UsageError):
        cache = cache_folder()
    machine = system_info(cache, low_power=low_power())
    return [
        *(Note("unavailable", line) for line in unavailable(request, selected)),
        *(Note("hint", line) for line in several_cards(request)),
        *(Note("warning", line) for line in warnings(machine, request.interpreter, _devices(selected))),
    ]


def unavailable(request: RunRequest, selected: Sequence[PlannedRun]) -> list[str]:
    """Return one line for each precision that a device does not offer and the user did not name."""
    asked = [plan.case for plan in request.questions if plan in selected]
    return unavailable_lines([(case, why_unavailable(case)) for case in asked], {plan.case.mode for plan in selected})


def several_cards(request: RunRequest) -> Iterator[str]:
    """Yield one line for each kind of card of which the machine has several and the run measures one."""
    if "device" in request.named or not request.cases:
        return
    cards = {index: nvidia_gpus()[place][0] for index, place in enumerate(visible_cards()) if place is not None}
    for name, count in Counter(cards.values()).items():
        if count > 1:
            together = "+".join(str(index) for index, other in cards.items() if other == name)
            yield f"{count} \N{MULTIPLICATION SIGN} {name} found; measuring one. All together: --device {together}"


def _devices(selected: Sequence[PlannedRun]) -> set[str]:
    """Return the devices that are measured, such as ``cpu`` and ``0``."""
    return {name for plan in selected for name in device_names(plan.case.device)}


def warnings(machine: SystemInfo, interpreter: Interpreter, devices: Collection[str]) -> Iterator[str]:
    """Yield one line for each condition that makes figures worse: load, memory, power, heat, cards in use.

    Args:
        machine: what is known of the machine.
        interpreter: the measured one.
        devices: devices that are measured; other cards are not looked at.
    """
    software = Software(Packages(interpreter.environment.python), thermal=interpreter.thermal)
    checks = [load(machine), memory(machine), swap(machine), disk(machine), power(machine)]
    checks += [heat(software)] if interpreter.thermal else []
    for check in checks:
        if check.status is not State.USABLE and check.remedy:
            yield f"{check.name}: {check.detail}: {check.remedy.rstrip('.')}"
    for index, place in enumerate(visible_cards()):
        if str(index) not in devices:
            continue
        card = machine.nvidia.cards[place] if place is not None and place < len(machine.nvidia.cards) else None
        for reservation, remedy in not_free(card) if card else []:
            yield f"cuda {index}: {reservation}: {remedy}"
