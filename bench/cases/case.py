"""One point of the matrix."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from bench.cases import model_labels
from bench.cases.axes import AXES, LONGEST_NAME, PRECISIONS
from bench.cases.device_kinds import device_kind, id_token, parse_device
from bench.errors import UsageError
from bench.text import is_shown

ID = re.compile(r"([a-z][a-z_]*)-(.+)-([a-z0-9+]+)-([a-z0-9]+)-b([0-9]+)-i([0-9]+)")
"""Of :attr:`Case.id`: mode, model, device, precision, batch and size."""


MODE = re.compile(r"[a-z][a-z_]{0,30}")
LARGEST_BATCH, LARGEST_SIZE = 2**24, 2**16


def model_name(model: str) -> str:
    """A model without folders; a file carries six digits of its path, since names repeat."""
    if "/" not in model:
        return model
    name = re.sub(r"[^A-Za-z0-9._]+", "_", Path(model).name)
    return f"{name}_{hashlib.sha256(model.encode()).hexdigest()[:6]}"


class Case(msgspec.Struct, frozen=True, order=True):
    """What is measured; :class:`~bench.cases.recipe.Recipe` says how.

    Attributes:
        mode: ``train`` or ``predict``.
        model: a model name, or the absolute path of a ``.pt`` or ``.yaml`` file.
        device: ``cpu``, ``mps``, ``xpu:1``, a CUDA index, or several joined by ``+``; ``2x0+1``: two machines with two.
        amp: ``off``, ``on`` or ``bf16``.
        batch: images a step, over all devices together.
        imgsz: pixels a side.
    """

    mode: str
    model: str
    device: str
    amp: str
    batch: int
    imgsz: int

    @property
    def id(self) -> str:
        """Readable, unique within a run, and fit for a file name: ``train-yolov8n-cpu-fp32-b4-i160``."""
        device = id_token(self.device)
        return f"{self.mode}-{self.model_name}-{device}-{PRECISIONS[self.amp]}-b{self.batch}-i{self.imgsz}"

    @property
    def model_name(self) -> str:
        """See :func:`model_name`."""
        return model_name(self.model)

    @property
    def model_label(self) -> str:
        """The model as a reader sees it: see :mod:`bench.cases.model_labels`."""
        return model_labels.label(self.model) or self.model_name

    @property
    def device_kind(self) -> str:
        """Name of the kind of its devices: see :mod:`bench.cases.device_kinds`."""
        return device_kind(self.device)


def check(case: Case) -> None:
    """Raise :class:`ValueError` for a case that nobody can have asked for: records come from anywhere."""
    if not MODE.fullmatch(case.mode):
        raise ValueError("case: a mode that is none")
    if case.amp not in PRECISIONS:
        raise ValueError(f"case: a precision that is none: use {', '.join(PRECISIONS)}")
    if not is_shown(case.model) or not case.model or len(case.model_name) > LONGEST_NAME + 7:
        raise ValueError("case: a model without a name, or with too long a one")
    if not 0 <= case.batch <= LARGEST_BATCH or not 1 <= case.imgsz <= LARGEST_SIZE:
        raise ValueError("case: a batch or a size that is none")
    try:
        parse_device(case.device)
    except UsageError:
        raise ValueError("case: a device that is none") from None


def check_measured(case: Case) -> None:
    """The same for a case that is run: only a ceiling may have a batch of no images."""
    check(case)
    if not case.batch:
        raise ValueError("case: a batch of no images")


def parse_case(text: str) -> Case:
    """The case of an id such as ``train-yolov8n-cpu-fp32-b4-i160``.

    Raises:
        WrongUse: where it is none, or one of a model file, whose id does not say where the file is.
    """
    found = ID.fullmatch(text.strip())
    precisions = {precision: amp for amp, precision in PRECISIONS.items()}
    if not found or found[4] not in precisions:
        raise UsageError(f"case {text!r} is no id of a case: write one such as train-yolov8n-cpu-fp32-b4-i160.")
    mode, model, device, precision, batch, imgsz = found.groups()
    if re.fullmatch(r".+\.(pt|ya?ml)_[0-9a-f]{6}", model):
        raise UsageError(f"case {text!r} is of a model file: name the file with --model, and the rest by options too.")
    values = {"mode": mode, "model": model, "device": device, "amp": precisions[precision]}
    return Case(
        **{name: AXES[name].parse(value) for name, value in (*values.items(), ("batch", batch), ("imgsz", imgsz))}
    )
