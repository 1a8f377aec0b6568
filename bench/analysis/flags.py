"""What a reader has to know of a figure beside its interval: phrases for the column ``marks``."""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from bench.records.record import Phase, Record

DATA_BOUND = 0.2
"""Share of a training step that may pass in waiting for data; beyond it the figure is that of the data loader."""

LEFT_OUT_SHARE = 0.01
"""Share of a data set's images that may be left out without a word."""

INTERFERED = "interfered"
DATA = "data bound"
MODELLED = "modelled"
FAILED = "a repeat failed"
NO_TENSOR_CORES = "fp16 without tensor cores"
FELL_BACK = "operators on the CPU"
LEFT_OUT = "images left out"

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
        "of the data set. Correct them, or remove them; the data set's line below says what is wrong with the first."
    ),
}
"""What each mark means, and what to do about it."""


def data_wait_share(record: Record) -> float | None:
    """Share of the mean step of training spent waiting for data; None where nothing was trained."""
    steps = record.steps
    if steps is None or record.case.mode != "train":
        return None
    waits = steps.data_wait[steps.warmup :]
    return float(sum(map(operator.mul, steps.weights, waits))) / steps.step_seconds


def phase_seconds(record: Record, name: str) -> float | None:
    """Seconds of a phase in the mean step; None where it was not seen."""
    phase: Phase | None = record.phases.get(name)
    return phase.mean(record.steps) if phase is not None and record.steps is not None else None


def fell_back(record: Record) -> list[str]:
    """Operators that ran on the CPU since mps lacks them."""
    names = record.device.get("fell_back")
    return [str(name) for name in names] if isinstance(names, list) else []


def left_out(record: Record) -> str:
    """How many images of the data set were not used, and why; empty where they are less than 1 % of it."""
    data = record.data
    if data is None or data.left_out_share < LEFT_OUT_SHARE:
        return ""
    every = data.images + sum(data.left_out.values())
    reasons = ", ".join(why.replace(";", ",") for why in data.left_out)
    return f"{sum(data.left_out.values()):,} of {every:,}: {reasons}"


def failed(record: Record) -> bool:
    """Whether a process came to an end without a figure; one that was stopped says nothing of its case."""
    return record.outcome.status.value not in ("measured", "interrupted")


def flags_of(measured: Sequence[Record], others: Sequence[Record]) -> list[str]:
    """The marks of a case.

    Args:
        measured: its measured processes.
        others: processes of it that have no figure.

    Returns:
        Phrases that begin with a key of :data:`LEGEND`.
    """
    found = []
    disturbed = [record.window for record in measured if record.window is not None and record.window.interference]
    if disturbed:
        what = _each_kind(phrase for window in disturbed for phrase in window.interference)
        where = f" in {len(disturbed)} of {len(measured)} processes" if len(measured) > 1 else ""
        found.append(f"{INTERFERED}{where} ({', '.join(what)})".replace(";", ","))
    shares = [share for record in measured if (share := data_wait_share(record)) is not None]
    if shares and sum(shares) / len(shares) > DATA_BOUND:
        found.append(DATA)
    if any(record.steps is not None and record.steps.modelled for record in measured):
        found.append(MODELLED)
    if any(record.case.amp == "on" and record.device.get("tensor_cores") is False for record in measured):
        found.append(NO_TENSOR_CORES)
    if names := dict.fromkeys(name for record in measured for name in fell_back(record)):
        found.append(f"{FELL_BACK} ({', '.join(names)})".replace(";", ","))
    found += [f"{LEFT_OUT} ({what})" for what in dict.fromkeys(filter(None, map(left_out, measured)))]
    if measured and any(map(failed, others)):
        found.append(FAILED)
    return found


def _each_kind(phrases: Iterable[str]) -> list[str]:
    """The first of all phrases that differ but in their numbers."""
    found: dict[str, str] = {}
    for phrase in phrases:
        found.setdefault(_kind(phrase), phrase)
    return list(found.values())


def _kind(phrase: str) -> str:
    """A phrase without its numbers."""
    return re.sub(r"\d[\d.,]*", "", phrase)


def commonest(records: Iterable[Record]) -> str:
    """What disturbed most of the windows of some records, in the words of the first of them; empty if nothing did."""
    phrases = [phrase for record in records if record.window is not None for phrase in record.window.interference]
    counts = Counter(map(_kind, phrases))
    return max(phrases, key=lambda phrase: counts[_kind(phrase)], default="")


def kinds(text: str) -> list[str]:
    """The keys of :data:`LEGEND` in a cell of the column ``marks``."""
    phrases = text.split("; ")
    return [key for key in LEGEND if any(phrase.startswith(key) for phrase in phrases)]
