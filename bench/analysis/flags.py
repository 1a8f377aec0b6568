"""Flags: caveats on a figure, as phrases for the column ``flags``."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bench.records.record import Phase, Record

if TYPE_CHECKING:
    import pandas as pd

DATA_BOUND = 0.2
"""Largest share of a training step spent waiting for data; beyond it the data loader limits the figure."""

UNEVEN_SHARE = 0.02
"""Difference of a window's pixels from an epoch's, as a share of them, that gets no flag."""

LEFT_OUT_SHARE = 0.01
"""Share of a data set's images that may be left out without a flag."""

INTERFERED = "interfered"
DATA = "data bound"
MODELLED = "modelled"
FAILED = "a repeat failed"
NO_TENSOR_CORES = "fp16 without tensor cores"
FELL_BACK = "operators on the CPU"
LEFT_OUT = "images left out"
FORCED = "forced"
UNEVEN = "batch sizes"

LEGEND = {
    INTERFERED: (
        "Other processes, the hypervisor, a CPU quota, a stop of the process, heat or a battery slowed the window. It "
        "was measured again up to twice, except for a quota, heat or a battery, which last."
    ),
    DATA: (
        f"Waiting for data takes more than {DATA_BOUND:.0%} of the step. On a GPU give Ultralytics more workers; on "
        "cpu and mps it forces 0 workers, so use cache=ram or smaller source images."
    ),
    MODELLED: (
        "The optimizer ran more often in the window than it does in training, and every kind of step is weighted by "
        "how often it really comes."
    ),
    FAILED: "A later process of the case was started and gave no figure.",
    NO_TENSOR_CORES: "The card is older than Volta (capability below 7.0): fp16 saves memory and hardly any time.",
    FELL_BACK: (
        "PYTORCH_ENABLE_MPS_FALLBACK is set, and operators that mps lacks ran on the CPU: no speed of mps alone."
    ),
    LEFT_OUT: (
        "Ultralytics leaves out images that it cannot read and those whose labels are wrong: the figure is of the rest "
        "of the dataset. Correct them, or remove them; the dataset's line below says what is wrong with the first."
    ),
    FORCED: (
        "yolopace forced a setting that Ultralytics does not offer on this device: no figure of what Ultralytics does."
    ),
    UNEVEN: (
        "With rect, batches come in the order of their shapes, and those of the window have more or fewer pixels than "
        "those of an epoch. Measure a longer window, as profile full does."
    ),
}
"""Meaning of each flag, and its remedy."""


def data_wait_share(record: Record) -> float | None:
    """Return the share of the mean training step spent waiting for data; None in other modes."""
    steps = record.steps
    if steps is None or record.case.mode != "train":
        return None
    waits = steps.data_wait[steps.warmup :]
    return float(sum(map(operator.mul, steps.weights, waits))) / steps.step_seconds


def phase_seconds(record: Record, name: str) -> float | None:
    """Return the seconds of a phase in the mean step; None where it was not measured."""
    phase: Phase | None = record.phases.get(name)
    return phase.mean(record.steps) if phase is not None and record.steps is not None else None


def fell_back(record: Record) -> list[str]:
    """Return the operators that ran on the CPU, since mps lacks them."""
    names = record.device.get("fell_back")
    return [str(name) for name in names] if isinstance(names, list) else []


def left_out(record: Record) -> str:
    """Describe the images of the data set that were left out; empty where they are less than 1 % of it."""
    data = record.data
    if data is None or data.left_out_share < LEFT_OUT_SHARE:
        return ""
    every = data.images + sum(data.left_out.values())
    reasons = ", ".join(why.replace(";", ",") for why in data.left_out)
    return f"{sum(data.left_out.values()):,} of {every:,}: {reasons}"


def pixels_over_epoch(record: Record) -> float:
    """Return the mean pixels of a window's batches over those of an epoch; 1 where they do not vary by request."""
    sizes = record.extra.get("batch_sizes")
    window, epoch = (sizes.get(key) for key in ("pixels", "epoch_pixels")) if isinstance(sizes, dict) else (None, None)
    if not isinstance(window, (int, float)) or not isinstance(epoch, (int, float)) or epoch <= 0:
        return 1.0
    return window / epoch


def failed(record: Record) -> bool:
    """Whether a process ended without a figure; one that was stopped does not count."""
    return record.outcome.status.value not in ("measured", "interrupted")


def flags_of(measured: Sequence[Record], others: Sequence[Record]) -> list[str]:
    """Return the flags of a case.

    Args:
        measured: its measured processes.
        others: processes of it that have no figure.

    Returns:
        Phrases that begin with a key of :data:`LEGEND`.
    """
    flags = []
    interfered = [record.window for record in measured if record.window is not None and record.window.interference]
    if interfered:
        what = _each_kind(phrase for window in interfered for phrase in window.interference)
        where = f" in {len(interfered)} of {len(measured)} processes" if len(measured) > 1 else ""
        flags.append(f"{INTERFERED}{where} ({', '.join(what)})".replace(";", ","))
    shares = [share for record in measured if (share := data_wait_share(record)) is not None]
    if shares and sum(shares) / len(shares) > DATA_BOUND:
        flags.append(DATA)
    if any(record.steps is not None and record.steps.modelled for record in measured):
        flags.append(MODELLED)
    if any(record.case.amp == "on" and record.device.get("tensor_cores") is False for record in measured):
        flags.append(NO_TENSOR_CORES)
    if names := dict.fromkeys(name for record in measured for name in fell_back(record)):
        flags.append(f"{FELL_BACK} ({', '.join(names)})".replace(";", ","))
    flags += [f"{LEFT_OUT} ({what})" for what in dict.fromkeys(filter(None, map(left_out, measured)))]
    if any(abs(pixels_over_epoch(record) - 1) > UNEVEN_SHARE for record in measured):
        flags.append(UNEVEN)
    if measured and measured[0].case.is_forced:
        flags.append(FORCED)
    if measured and any(map(failed, others)):
        flags.append(FAILED)
    return flags


def _each_kind(phrases: Iterable[str]) -> list[str]:
    """Return the first of all phrases that differ in their numbers only."""
    by_kind: dict[str, str] = {}
    for phrase in phrases:
        by_kind.setdefault(_kind(phrase), phrase)
    return list(by_kind.values())


def _kind(phrase: str) -> str:
    """Return a phrase without its numbers."""
    return re.sub(r"\d[\d.,]*", "", phrase)


def commonest(records: Iterable[Record]) -> str:
    """Return the most frequent interference in the windows of some records; empty without any."""
    phrases = [phrase for record in records if record.window is not None for phrase in record.window.interference]
    counts = Counter(map(_kind, phrases))
    return max(phrases, key=lambda phrase: counts[_kind(phrase)], default="")


def without_forced(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a table whose cases force nothing."""
    return table[table["flags"].map(lambda flags: FORCED not in kinds(str(flags))).astype(bool)]


def kinds(text: str) -> list[str]:
    """Return the keys of :data:`LEGEND` in a cell of the column ``flags``."""
    phrases = text.split("; ")
    return [key for key in LEGEND if any(phrase.startswith(key) for phrase in phrases)]
