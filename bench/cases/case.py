"""One point of the matrix."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from bench.cases import model_labels
from bench.cases.axes import FORCED, NAME, NOT_ASKED, PRECISIONS, TOKEN, Axis, Value, fixed_axes, further_axes
from bench.cases.device_kinds import device_kind, id_token, parse_device
from bench.cases.model_argument import LONGEST_NAME
from bench.errors import UsageError
from bench.text import is_shown
from bench.worker.workloads.base import SEPARATOR

ID = re.compile(r"([a-z][a-z_]*)-(.+)-([a-z0-9+]+)-([a-z0-9]+)-b([0-9]+)-i([0-9]+)((?:-[a-z][^-]+)*)")
"""Of :attr:`Case.id`: mode, model, device, precision, batch, size, and the further axes."""


MODE = re.compile(r"[a-z][a-z_]{0,30}")
FAMILY_MARK = "~"
"""Stands for the colon of ``family:model`` in ids, which are names of files."""

LARGEST_BATCH, LARGEST_SIZE = 2**24, 2**16


def model_name(model: str) -> str:
    """A model without folders; a file carries six digits of its path, since names repeat."""
    if "/" not in model:
        return model.replace(SEPARATOR, FAMILY_MARK)
    name = re.sub(r"[^A-Za-z0-9._]+", "_", Path(model).name)
    return f"{name}_{hashlib.sha256(model.encode()).hexdigest()[:6]}"


class Case(msgspec.Struct, frozen=True, order=True, omit_defaults=True):
    """A case to measure; :class:`~bench.cases.recipe.Recipe` says how.

    Attributes:
        mode: ``train`` or ``predict``.
        model: a model name, or the absolute path of a ``.pt`` or ``.yaml`` file.
        device: ``cpu``, ``mps``, ``xpu:1``, a CUDA index, or several joined by ``+``; ``2x0+1``: two machines with two
            devices each.
        amp: ``off``, ``on``, ``bf16``, ``half`` or a forced precision.
        batch: images per step, over all devices together.
        imgsz: pixels per side.
        further: values of further axes that were asked for, as pairs of name and value by rising name.
    """

    mode: str
    model: str
    device: str
    amp: str
    batch: int
    imgsz: int
    further: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Case:
        """The case of some values by axis; a further axis may be missing, and one with its absent value is left out."""
        absent = {name: axis.absent for name, axis in further_axes().items() if axis.absent is not None}
        given = [(name, value) for name, value in values.items() if name not in FIXED]
        further = sorted((name, value) for name, value in given if absent.get(name) != value)
        return cls(**{name: values[name] for name in FIXED}, further=tuple(further))

    @property
    def values(self) -> dict[str, Any]:
        """Values of all axes that the case has, by name: the fixed ones first."""
        return {**{name: getattr(self, name) for name in FIXED}, **dict(self.further)}

    def value(self, axis: str) -> Any:
        """The value on an axis; :data:`~bench.cases.axes.NOT_ASKED` where the case does not have it."""
        return getattr(self, axis) if axis in FIXED else dict(self.further).get(axis, NOT_ASKED)

    @property
    def asked(self) -> list[tuple[Axis, Any]]:
        """The further axes of the case with their values; unregistered ones are left out."""
        known = further_axes()
        return [(known[name], value) for name, value in self.further if name in known]

    @property
    def arguments(self) -> dict[str, Value]:
        """Arguments of Ultralytics for the further axes."""
        return {name: given for axis, value in self.asked for name, given in axis.arguments(value).items()}

    @property
    def id(self) -> str:
        """Readable, unique within a run, and fit for a file name: ``train-yolov8n-cpu-fp32-b4-i160``.

        Further axes follow: ``train-yolov8n-cpu-fp32-b4-i160-cacheram-workers2``.
        """
        size = f"{self.model_name}-{id_token(self.device)}-{PRECISIONS[self.amp]}-b{self.batch}-i{self.imgsz}"
        return f"{self.mode}-{size}{tokens(self.further)}"

    @property
    def search_id(self) -> str:
        """The id without mode and batch, for a search for the largest batch: ``yolov8n-cpu-fp32-i160``."""
        return f"{self.model_name}-{id_token(self.device)}-{PRECISIONS[self.amp]}-i{self.imgsz}{tokens(self.further)}"

    @property
    def model_name(self) -> str:
        """See :func:`model_name`."""
        return model_name(self.model)

    @property
    def model_label(self) -> str:
        """The model as a reader sees it: see :mod:`bench.cases.model_labels`."""
        return model_labels.label(self.model) or (self.model_name if "/" in self.model else self.model)

    @property
    def is_forced(self) -> bool:
        """Whether it goes against what its library offers: its figure is no figure of that library."""
        return self.amp.startswith(FORCED) or any(name.startswith(FORCED) for name, _ in self.further)

    @property
    def device_kind(self) -> str:
        """Name of the kind of its devices: see :mod:`bench.cases.device_kinds`."""
        return device_kind(self.device)


FIXED = Case.__struct_fields__[:-1]
"""Names of the axes that every case has."""


def tokens(further: Iterable[tuple[str, Value]]) -> str:
    """The part of an id that names further axes, such as ``-cacheram-workers2``; empty without any."""
    known = further_axes()
    return "".join(f"-{name}{_token(known.get(name), value)}" for name, value in further)


def _token(axis: Axis | None, value: Value) -> str:
    """A value in an id; one of an unregistered axis is spelled as it is."""
    text = str(value) if axis is None else (axis.token or axis.text)(value)
    return re.sub(r"[^A-Za-z0-9._+]+", "_", text)


def _parse_tokens(text: str) -> dict[str, Value]:
    """Parse the further axes of an id, from the part that :func:`tokens` gives; raises :class:`UsageError`."""
    values: dict[str, Value] = {}
    for token in text.split("-")[1:]:
        names = [name for name in further_axes() if token.startswith(name) and TOKEN.fullmatch(token[len(name) :])]
        if not names:
            raise UsageError(f"{token!r} names no axis with a value: use one of {', '.join(further_axes())}.")
        axis = further_axes()[max(names, key=len)]
        if axis.name in values:
            raise UsageError(f"axis {axis.name!r} is named twice.")
        values[axis.name] = axis.parse(token[len(axis.name) :])
    return values


def check(case: Case) -> None:
    """Raise :class:`ValueError` for an impossible case, as a record from elsewhere may have."""
    if not MODE.fullmatch(case.mode):
        raise ValueError(f"case: unknown mode {case.mode[:LONGEST_NAME]!r}")
    if case.amp not in PRECISIONS:
        raise ValueError(f"case: unknown amp {case.amp[:LONGEST_NAME]!r}: use {', '.join(PRECISIONS)}")
    if not is_shown(case.model) or not case.model or len(case.model_name) > LONGEST_NAME + 7:
        raise ValueError("case: a model without a name, or with too long a one")
    if not 0 <= case.batch <= LARGEST_BATCH or not 1 <= case.imgsz <= LARGEST_SIZE:
        raise ValueError("case: batch or imgsz out of range")
    names = [name for name, _ in case.further]
    if names != sorted(set(names)) or any(not NAME.fullmatch(name) or name in FIXED for name in names):
        raise ValueError("case: further axes with impossible names, or not in the order of their names")
    if any(not is_shown(str(value)) or not 0 < len(str(value)) <= 60 for _, value in case.further):
        raise ValueError("case: an empty, too long or unprintable value of a further axis")
    try:
        for axis, value in case.asked:
            if axis.parse(axis.text(value)) != value:
                raise ValueError(f"case: {axis.name} cannot be {value!r}")
    except UsageError as error:
        raise ValueError(f"case: {str(error).rstrip('.')}") from None
    try:
        parse_device(case.device)
    except UsageError:
        raise ValueError(f"case: unknown device {case.device[:LONGEST_NAME]!r}") from None


def check_measured(case: Case) -> None:
    """Raise :class:`ValueError` for a case that cannot be measured, because it is impossible or has batch 0."""
    check(case)
    if not case.batch:
        raise ValueError("case: a batch of no images")


def parse_case(text: str) -> Case:
    """Return the case of an ID such as ``train-yolov8n-cpu-fp32-b4-i160``.

    Raises:
        UsageError: for a text that is no ID, and for the ID of a model file, which does not contain its folder.
    """
    match = ID.fullmatch(text.strip())
    precisions = {precision: amp for amp, precision in PRECISIONS.items()}
    if not match or match[4] not in precisions:
        raise UsageError(f"case {text!r} is no id of a case: write one such as train-yolov8n-cpu-fp32-b4-i160.")
    mode, model, device, precision, batch, imgsz, further = match.groups()
    if re.fullmatch(r".+\.(pt|ya?ml)_[0-9a-f]{6}", model):
        raise UsageError(f"case {text!r} is of a model file: name the file with --model, and the rest by options too.")
    texts = (mode, model.replace(FAMILY_MARK, SEPARATOR), device, precisions[precision], batch, imgsz)
    values = {axis.name: axis.parse(value) for axis, value in zip(fixed_axes().values(), texts, strict=True)}
    case = Case.of({**values, **_parse_tokens(further)})
    for axis, _ in case.asked:
        axis.check_mode(mode)
    return case
