"""The settings that may be tried: values by axis, and the cases that they make."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import msgspec

from bench.cases import Case
from bench.cases.axes import axes, find_axis, further_axes, value_text
from bench.cases.device_kinds import DeviceKind, kind_of
from bench.errors import UsageError
from bench.records.tune import changes
from bench.worker.workloads.base import family_of

ALLOWED = {
    "batch": "another batch changes what is learned: the learning rate may have to change with it",
    "amp": "half precision changes what is learned a little: compare the accuracy",
    "deterministic": "without it, two trainings with the same seed differ",
}
"""Axes that are searched only where the user allows it, and what each changes."""

LEARNED = {
    "optimizer": "another optimizer learns differently",
    "rect": "rectangular batches leave mosaic out, and so learn differently",
    "multi_scale": "a varying size learns differently",
    "nbs": "another nominal batch learns differently",
    "accumulate": "more accumulation steps learn differently",
    "imgsz": "another size learns differently",
}
"""Further axes that change what is learned; they are searched only where the user names their values."""


class Space(msgspec.Struct, frozen=True):
    """Settings that may be tried.

    Attributes:
        present: the case with the present settings.
        values: by axis, the values to try, without the present one.
    """

    present: Case
    values: dict[str, list[Any]]

    def with_changes(self, changed: dict[str, Any]) -> Case:
        """Return the present case with other values on some axes."""
        return Case.of({**self.present.values, **changed})

    def product(self) -> Iterator[Case]:
        """Yield all combinations but the present settings."""
        choices = [[None, *((name, value) for value in values)] for name, values in self.values.items()]
        for point in itertools.product(*choices):
            changed = dict(filter(None, point))
            if changed:
                yield self.with_changes(changed)

    @property
    def size(self) -> int:
        """Number of combinations without the present settings."""
        count = 1
        for values in self.values.values():
            count *= len(values) + 1
        return count - 1

    def single_changes(self, most: int) -> list[Case]:
        """Return the cases that differ from the present settings on one axis, the axes by turns.

        Of an axis with more than ``most`` numbers, it takes so many: the smallest, the largest, and some between.
        """
        columns = [
            [self.with_changes({name: value}) for value in spread(values, most)] for name, values in self.values.items()
        ]
        return [case for row in itertools.zip_longest(*columns) for case in row if case is not None]

    def neighbours(self, case: Case) -> list[Case]:
        """Return the cases that differ from a case on one axis; of an axis of numbers, by the next ones.

        Axes interact: what another one holds up shows its effect only once that one is changed.
        """
        changed, cases = changes(self.present, case), []
        for name, values in self.values.items():
            others = {other: value for other, value in changed.items() if other != name}
            own = self.present.value(name)
            for value in next_to(case.value(name), [*values, own]):
                cases.append(self.with_changes(others if value == own else {**others, name: value}))
        return [neighbour for neighbour in cases if neighbour != self.present]

    def without(self, name: str, value: Any) -> Space:
        """Return the space without a value of an axis."""
        values = {
            axis: [other for other in others if (axis, other) != (name, value)] for axis, others in self.values.items()
        }
        return Space(self.present, {axis: others for axis, others in values.items() if others})


def settings_text(changed: dict[str, Any]) -> str:
    """Return settings as ``cache=ram, workers=4``."""
    return ", ".join(f"{name}={value_text(name, value)}" for name, value in changed.items())


def is_number(value: Any) -> bool:
    """Whether a value of an axis is a number, 0 or larger."""
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def next_to(value: Any, values: list[Any]) -> list[Any]:
    """Return the other ones of some values; where all are numbers, the next smaller and the next larger one."""
    if not all(map(is_number, [value, *values])):
        return [other for other in values if other != value]
    ordered = sorted({value, *values})
    place = ordered.index(value)
    return ordered[max(place - 1, 0) : place] + ordered[place + 1 : place + 2]


def spread(values: list[Any], most: int) -> list[Any]:
    """Return all values, or so many numbers among them, from the smallest to the largest."""
    if len(values) <= most or not all(map(is_number, values)):
        return values
    ordered = sorted(values)
    return [ordered[round(index * (len(ordered) - 1) / (most - 1))] for index in range(most)]


def describe_change(present: Case, case: Case) -> str:
    """Return the settings of a case that differ from the present ones; ``present settings`` where none does."""
    return settings_text(changes(present, case)) or "present settings"


FORMATS = ("torchscript", "onnx")
"""Formats of exported models that are searched on every device, where there is an axis with them."""


def formats(kind: DeviceKind) -> list[Any]:
    """Return the formats to search on a kind of device; empty where no axis of that name takes them."""
    axis = further_axes().get("format")
    if axis is None:
        return []
    own = "openvino" if kind.on_host else "engine" if kind.own_memory else "coreml"
    values = []
    for name in (*FORMATS, own):
        with contextlib.suppress(UsageError):
            values.append(axis.parse(name))
    return values


def default_values(
    present: Case, allowed: list[str], cores: int, threads: int
) -> tuple[dict[str, list[Any]], list[tuple[str, str]]]:
    """Return the values to try where the user names no axis, and what is not searched, with the reasons.

    Args:
        present: the case with the present settings.
        allowed: names of axes of :data:`ALLOWED` that the user allows.
        cores: CPUs that a process may use.
        threads: CPU threads that the recipe sets; 0 for the library's choice.
    """
    kind, workload = kind_of(present.device), family_of(present.model)
    counts = sorted({count for count in (1, cores // 2, cores) if count > 0})
    loaders = sorted({count for count in (2, 4, 8, 16, cores) if count <= cores})
    batches = sorted({max(present.batch * factor // 4, 1) for factor in (2, 8, 16)} - {present.batch})
    values: dict[str, list[Any]] = {}
    left_out: list[tuple[str, str]] = []
    if present.mode == "train":
        values["cache"] = ["ram", "disk"]
        if not kind.on_host and kind.own_memory:
            values["workers"] = loaders
        else:
            left_out.append(("workers", f"Ultralytics loads images in the training process on {kind.title}"))
    else:
        values["batch"] = [batch for batch in (1, 4, 8, 16, 32) if batch != present.batch]
    if kind.on_host and not threads:
        values["threads"] = counts
    if kind.own_memory and not kind.on_host:
        values |= {"channels_last": ["on"], "compile": ["on"]}
    else:
        left_out.append(("compile", f"compiling may take many minutes on {kind.title}: name --compile on to try it"))
        left_out.append(("channels_last", "Ultralytics trains with it on CUDA alone"))
    if present.mode == "predict":
        values["format"] = formats(kind)
    left_out.append(("prefetch", "Ultralytics has no setting for the batches that a loader prepares"))
    offers: dict[str, list[Any]] = {
        "batch": batches if present.mode == "train" else [],
        "amp": [amp for amp in ("off", "on", "bf16") if amp != present.amp],
        "deterministic": ["off"] if present.mode == "train" else [],
    }
    for name, others in offers.items():
        if name in allowed:
            values |= {name: others} if others else {}
        elif others:
            left_out.append((name, f"not allowed: {ALLOWED[name]}; --allow {name} includes it"))
    taken = {
        name: others
        for name, others in values.items()
        if others
        and (find_axis(name).fixed or not workload.refuses_axis(name))
        and present.mode in find_axis(name).modes
    }
    return taken, left_out


def check_allowed(text: str) -> list[str]:
    """Parse ``--allow batch,amp``; raise :class:`UsageError` for a name that needs no permission."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in ALLOWED:
            raise UsageError(f"allow {name!r} is unknown: use {', '.join(ALLOWED)}.")
    return names


def parse_present(text: str) -> dict[str, Any]:
    """Parse the user's own settings, such as ``workers=8,batch=16``.

    Raises:
        UsageError: for an unknown axis, or a value that it does not have.
    """
    values: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals or name.strip() not in axes():
            known = ", ".join(dict.fromkeys(["batch", "amp", *further_axes()]))
            raise UsageError(f"present {part!r} is no setting: write NAME=VALUE with one of {known}.")
        values[name.strip()] = find_axis(name.strip()).parse(value.strip())
    return values
