"""The axes of a case: names and allowed values. A new axis is one call of :func:`register`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from bench.cases import device_kinds
from bench.cases.device_kinds import named_twice, parse_device
from bench.cases.model_argument import parse_model, split_files
from bench.errors import UsageError

MODES = ("train", "predict")
PRECISIONS = {
    "off": "fp32",
    "on": "amp",
    "bf16": "bf16",
    "half": "half",
    "forced-bf16": "forcedbf16",
    "forced-fp16": "forcedfp16",
    "int8": "int8",
}
"""Values of ``amp``, with their names in a case's id."""

FORCED = "forced"
"""Beginning of the values of ``amp``, and of the names of further axes, that go against what a library offers."""


def parse_mode(text: str) -> str:
    """``train`` or ``predict``."""
    if text not in MODES:
        raise UsageError(f"mode {text!r} is unknown: use {' or '.join(MODES)}.")
    return text


def parse_amp(text: str) -> str:
    """``off``, ``on``, ``bf16``, ``half`` or a forced precision."""
    if text not in PRECISIONS:
        raise UsageError(f"amp {text!r} is unknown: use {', '.join(PRECISIONS)}.")
    return text


def whole_number(name: str, least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers within bounds."""

    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise UsageError(f"{name} {text!r} is not allowed: use a whole number from {least} to {most}.")
        return int(text)

    return parse


Value = bool | int | float | str

NOT_ASKED = ""
"""Value of a further axis in the table where a case does not have it; no value of an axis is an empty text."""

NAME = re.compile(r"[a-z][a-z_]*[a-z]")
TOKEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+]{0,59}")
"""Text of a value in a case's id: part of a file's name, and between two hyphens."""

NOUNS = {"train": "training", "predict": "prediction", "ceiling": "the search for the largest batch"}
"""Modes in a sentence."""


class Axis(msgspec.Struct, frozen=True):
    """One axis: its name in a case, in the options and in the tables.

    The first six are fixed: every case has them. A further axis belongs to a case only where it was asked for.

    Attributes:
        name: of the axis, and of its option.
        title: heading in tables and plots.
        parse: text to value; raises :class:`~bench.errors.UsageError` with one sentence.
        help: text of the option's help.
        text: value to the text that ``parse`` reads.
        label: value in words, where it stands without a heading, such as ``batch 16``.
        token: value in a case's id; ``text`` if None.
        order: sort key of values; None keeps the order in which they come.
        fixed: whether every case has it.
        numeric: whether values are numbers that a plot may have as its x-axis.
        across: whether its values are columns of a table of two dimensions, and not rows.
        modes: which modes take it.
        arguments: value to the arguments that Ultralytics is given.
        job: value to further changes of the worker's job.
        setting: key in the effective settings.
        expected: value to the required value of ``setting``.
        extra_seconds: value to the seconds by which set-up and warm-up may take longer.
        least: value to the least values of fields of the recipe.
        defaults: value to the values of fixed axes that the user did not name.
        needs: values of other axes without which a case does not have it.
        requires: values that need another axis, which then has to be named too.
        step_seconds: value to the least mean seconds of a step, for the estimate of a case's duration.
        option: whether it has a separate option, as well as ``--axis``.
        absent: value that no case carries: a case without the axis has it; None where every value is carried.
        prepare_seconds: value to the seconds that go before the first case of its kind, for estimates.
    """

    name: str
    title: str
    parse: Callable[[str], Any]
    help: str
    text: Callable[[Any], str] = str
    label: Callable[[Any], str] = str
    token: Callable[[Any], str] | None = None
    order: Callable[[Any], Any] | None = None
    fixed: bool = False
    numeric: bool = False
    across: bool = False
    modes: tuple[str, ...] = ("train", "predict")
    arguments: Callable[[Any], dict[str, Value]] = lambda value: {}
    job: Callable[[Any], dict[str, Any]] = lambda value: {}
    setting: str = ""
    expected: Callable[[Any], Any] = lambda value: value
    extra_seconds: Callable[[Any], float] = lambda value: 0.0
    least: Callable[[Any], dict[str, int]] = lambda value: {}
    defaults: Callable[[Any], dict[str, Any]] = lambda value: {}
    needs: Mapping[str, Any] = {}
    requires: Mapping[Any, str] = {}
    step_seconds: Callable[[Any], float] = lambda value: 0.0
    option: bool = True
    absent: Any = None
    prepare_seconds: Callable[[Any], float] = lambda value: 0.0

    def check_mode(self, mode: str) -> None:
        """Raise :class:`~bench.errors.UsageError` for a mode that does not take the axis."""
        if ("train" if mode == "ceiling" else mode) not in self.modes:
            remedy = f": use --mode {','.join(self.modes)}" if self.modes else ""
            raise UsageError(f"axis {self.name!r} is not taken by {NOUNS.get(mode, mode)}{remedy}.")


_registry: dict[str, Axis] = {}


def register(axis: Axis) -> Axis:
    """Add an axis to those that a case may have.

    Raises:
        ValueError: for a name that is taken, that ids could confuse with another one, or that is not a plain word.
    """
    if not NAME.fullmatch(axis.name):
        raise ValueError(f"axis {axis.name!r}: a name has two lower-case letters or more, and _ between them.")
    if axis.name in _registry:
        raise ValueError(f"axis {axis.name!r} is registered already.")
    for other in further_axes():
        shorter, longer = sorted((axis.name, other), key=len)
        if longer.startswith(shorter) and longer[len(shorter) : len(shorter) + 1] != "_":
            raise ValueError(f"axis {axis.name!r}: ids of cases could confuse it with axis {other!r}.")
    _registry[axis.name] = axis
    return axis


def unregister(name: str) -> None:
    """Forget a further axis."""
    if not _registry[name].fixed:
        del _registry[name]


def axes() -> dict[str, Axis]:
    """All axes by name: the fixed ones first."""
    return dict(_registry)


def fixed_axes() -> dict[str, Axis]:
    """The axes that every case has, in the order of its id."""
    return {name: axis for name, axis in _registry.items() if axis.fixed}


def further_axes() -> dict[str, Axis]:
    """The axes that a case has only where they were asked for."""
    return {name: axis for name, axis in _registry.items() if not axis.fixed}


def find_axis(name: str) -> Axis:
    """Return an axis by its name; raise :class:`UsageError` for an unregistered one."""
    if name not in _registry:
        raise UsageError(f"axis {name!r} is unknown: use {', '.join(_registry)}.")
    return _registry[name]


def value_text(name: str, value: Any) -> str:
    """A value below a heading that names the axis; of an unknown axis too."""
    axis = _registry.get(name)
    if value == NOT_ASKED and axis is not None and axis.needs:
        return "none"
    if value == NOT_ASKED:
        return "default" if axis is None or axis.absent is None else axis.text(axis.absent)
    return str(value) if axis is None else axis.text(value)


def value_label(name: str, value: Any) -> str:
    """A value in words, such as ``batch 16``, ``640 px`` or ``workers 2``; of an unknown axis too."""
    axis = _registry.get(name)
    return axis.label(value) if axis is not None and axis.fixed else f"{name} {value_text(name, value)}"


def sort_values(name: str, values: Iterable[Any]) -> list[Any]:
    """The distinct values of an axis as a table lists them, the default first; in the order given where it has none."""
    distinct = list(dict.fromkeys(values))
    axis = _registry.get(name)
    if axis is not None and axis.order is not None:
        asked = [value for value in distinct if value != NOT_ASKED]
        distinct = [NOT_ASKED] * (len(asked) < len(distinct)) + sorted(asked, key=axis.order)
    return distinct


def parse_values(axis: Axis, text: str) -> list[Any]:
    """The values of an option such as ``4,8``, each once, in the order given."""
    parts = split_files(text) if axis.name == "model" else text.split(",")
    values = [axis.parse(part.strip()) for part in parts if part.strip()]
    if not values:
        raise UsageError(f"{'--' if axis.fixed else '--axis '}{axis.name} needs at least one value: {axis.help}.")
    if axis.name == "device" and all(map(named_twice, values)):  # else each ends its own cases
        raise UsageError(named_twice(values[0]))
    return list(dict.fromkeys(values))


def parse_options(options: Mapping[str, str | None], further: Iterable[str] = ()) -> dict[str, list[Any]]:
    """The values of the axes that a user named, by axis.

    Args:
        options: text of each axis' own option by name, None where it was not given.
        further: texts of ``--axis``, such as ``workers=0,2``.

    Raises:
        UsageError: for an axis that is unknown or named twice, and for a value that it does not have.
    """
    texts = {name: text for name, text in options.items() if text is not None}
    for given in further:
        name, equals, text = given.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise UsageError(f"axis {given!r}: write NAME=VALUES, such as workers=0,2.")
        axis = find_axis(name)
        if name in texts:
            raise UsageError(f"axis {name!r} is named twice: give all its values at once, as in {axis.name}=A,B.")
        texts[name] = text
    return {name: parse_values(find_axis(name), texts[name]) for name in (*_registry, *texts) if name in texts}


def order_of(values: Sequence[str]) -> Callable[[Any], int]:
    """Return the sort key of some names: their order, others last."""
    return lambda value: values.index(value) if value in values else len(values)


def mode_label(value: str) -> str:
    """``Training``, ``Prediction``; an unknown mode is shown by its own name."""
    return (NOUNS[value] if value in MODES else value).capitalize()


for fixed_axis in (
    Axis("mode", "Mode", parse_mode, "train,predict", label=mode_label, order=order_of(MODES), fixed=True),
    Axis("model", "Model", parse_model, "yolov8n,yolo11n (random weights), or .pt and .yaml files", fixed=True),
    Axis(
        "device",
        "Device",
        parse_device,
        "cpu,mps,0, or several in one case: 0+1",
        label=device_kinds.label,
        order=device_kinds.sort_key,
        fixed=True,
        setting="device",
        across=True,
    ),
    Axis(
        "amp",
        "AMP",
        parse_amp,
        "off,on,bf16; int8 of exports; forced-bf16,forced-fp16 where Ultralytics has none; half of reference models",
        label=lambda value: f"amp {value}",
        token=PRECISIONS.__getitem__,
        order=order_of(list(PRECISIONS)),
        fixed=True,
        setting="amp",
        across=True,
    ),
    Axis(
        "batch",
        "Batch",
        whole_number("batch", 1, 65536),
        "images per step, such as 4,8",
        label=lambda value: f"batch {value}",
        token=lambda value: f"b{value}",
        order=int,
        fixed=True,
        setting="batch",
        numeric=True,
        across=True,
    ),
    Axis(
        "imgsz",
        "Image size",
        whole_number("imgsz", 1, 16384),
        "pixels per side, such as 160,320",
        label=lambda value: f"{value} px",
        token=lambda value: f"i{value}",
        order=int,
        fixed=True,
        setting="imgsz",
        numeric=True,
    ),
):
    register(fixed_axis)
