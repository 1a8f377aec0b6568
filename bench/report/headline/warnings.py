"""Warnings above the figures of the headline: why they are noisy, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from bench.analysis.intervals import WIDENED
from bench.analysis.reference import Doubt, ReferenceCase
from bench.records.record import Record
from bench.report import labels
from bench.report.headline import names

REMEDIES = {
    "battery": "Connect the power supply, and measure again.",
    "clocks": "Let the device cool down, and measure again.",
    "thermal": "Let the machine cool down, and measure again.",
    "quota": "Raise the CPU quota, or read the figures as those of this quota.",
    "memory": "Close other programs or use a smaller batch, and measure again.",
    "swap": "Close other programs or use a smaller batch, and measure again.",
    "hypervisor": "Measure again when the host is less busy.",
    "suspended": "Keep the machine awake, and measure again.",
}
"""Remedies by a word of the interference."""

BUSY = "Close other programs, and measure again."
"""Remedy for interference by other processes."""


class Caution(msgspec.Struct, frozen=True):
    """A warning: why a figure is doubtful, and what to do about it."""

    reason: str
    remedy: str


def cautions(references: Mapping[str, ReferenceCase], records: Mapping[str, Record]) -> list[Caution]:
    """Return one warning for each kind of doubt about the reference cases; empty where they can be trusted.

    Args:
        references: by mode.
        records: of the reference cases, by the id of their row.
    """
    doubtful: dict[Doubt, list[str]] = {}
    for mode, reference in references.items():
        for doubt in reference.doubts:
            doubtful.setdefault(doubt, []).append(mode)
    lines = []
    for doubt, modes in doubtful.items():
        rows = [references[mode].row for mode in modes]
        what = labels.listing(labels.mode(mode).lower() for mode in modes)
        match doubt:
            case Doubt.INTERFERED:
                causes = _one_of_each(cause for row in rows for cause in _causes(records.get(row["id"]), row))
                remedies = dict.fromkeys(_remedy(cause) for cause in causes)
                reason = f"The figures of {what} are probably too slow: {'; '.join(causes)}."
                lines.append(Caution(reason, " ".join(remedies)))
            case Doubt.WIDE:
                widths = labels.listing(dict.fromkeys(map(names.precision, rows)))
                reason = f"The interval of {what} is wide: {widths}."
                if all(row["interval_kind"] == WIDENED for row in rows):
                    reason = f"{reason[:-1]}, because calibrate found that single processes differ on this machine."
                    lines.append(Caution(reason, "Measure again with --processes 5."))
                else:
                    lines.append(Caution(reason, "Measure again with --processes 5, and with nothing else running."))
            case Doubt.NO_INTERVAL:
                reason = f"Too few steps of {what} for an interval: the figures show that it works, not how fast it is."
                lines.append(Caution(reason, "Measure with --profile quick."))
    return lines


def _causes(record: Record | None, row: dict[str, object]) -> list[str]:
    """Describe the interference with a case; CPU time of other processes is one cause, however it was noticed."""
    window = record.window if record is not None else None
    if window is None or not window.interference:
        return [str(row["flags"])]
    others, count = window.other_processes_cpus, window.machine_processors or window.processors
    causes = []
    for phrase in window.interference:
        if "others used" in phrase and others is not None:
            causes.append(f"other processes used {others:.1f} of {count} cores")
        else:
            causes.append(labels.to_one_line(phrase, 200))
    return causes


def _one_of_each(causes: Iterable[str]) -> list[str]:
    """Return the first of all causes that differ in their numbers only."""
    kinds: dict[str, str] = {}
    for cause in causes:
        kinds.setdefault(re.sub(r"[\d.]+", "", cause), cause)
    return list(kinds.values())


def _remedy(cause: str) -> str:
    return next((remedy for word, remedy in REMEDIES.items() if word in cause), BUSY)
