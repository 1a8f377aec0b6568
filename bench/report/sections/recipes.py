"""Recipes as texts: how the cases of a mode were measured, and the settings that were fixed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.cases.case import Case
from bench.cases.recipe import Recipe, overrides_of
from bench.records.record import Record
from bench.report import labels
from bench.report.inputs import MachineInputs
from bench.report.sections.section import Section


class HowMeasured(msgspec.Struct, frozen=True):
    """A recipe as texts, with its overrides and their reasons.

    Attributes:
        where: devices on which it was used.
        rule: warm-up and window.
        cases: number of cases for which it was used.
        data: name of the data, with a fingerprint and a length per set that was used.
        overrides: setting, value and reason.
        fingerprint: of the recipe.
    """

    where: str
    rule: str
    cases: int
    data: str
    overrides: tuple[tuple[str, str, str], ...]
    fingerprint: str


def recipes(records: Sequence[Record]) -> list[HowMeasured]:
    """Describe the recipes of records of one mode, those with most cases first."""
    by_fingerprint: dict[str, list[Record]] = {}
    for record in records:
        by_fingerprint.setdefault(record.recipe.fingerprint, []).append(record)
    descriptions = [
        HowMeasured(
            where=", ".join(map(labels.device, labels.order("device", (record.case.device for record in members)))),
            rule=rule(members[0].recipe, members[0].case.mode),
            cases=len(members),
            data=data(members),
            overrides=overrides(members[0].recipe, members[0].case),
            fingerprint=fingerprint,
        )
        for fingerprint, members in by_fingerprint.items()
    ]
    return sorted(descriptions, key=lambda how: -how.cases)


def rule(recipe: Recipe, mode: str) -> str:
    """Describe warm-up and window."""
    least = f"{recipe.warmup_seconds:g} s"
    window = f"{recipe.window_steps} steps and {recipe.window_seconds:g} s"
    window += f", and at most {recipe.most_seconds} s" if recipe.most_seconds else ""
    if mode == "train" and recipe.energy:
        return (
            f"Warm-up of at least {least}, and two steps more than the accumulation steps, real or reduced. Then a "
            f"window of at least {window}, in whole multiples of the accumulation steps, over which joules are counted."
        )
    if mode == "train":
        return (
            f"Warm-up of at least {least}, and two steps more than the accumulation steps, real or reduced. Then a "
            f"window of at least {window}, in whole multiples of the accumulation steps. Where those would take much "
            "longer, the accumulation steps are reduced, and each kind of step is weighted by how often it really "
            "comes. Such a figure is marked as modelled."
        )
    return f"Warm-up of at least {least} and two calls; then a window of at least {window}, a step being one call."


def data(records: Sequence[Record]) -> str:
    """Format the data: ``coco-like 0ced1a548774 (1,024 images)``; all sets with one name are listed after it.

    If images were left out, add their number, the reasons, and the error of the first.
    """
    names: dict[str, dict[str, None]] = {}
    for record in records:
        if record.data is not None:
            length = labels.count(record.data.images, "image")
            if record.data.left_out:
                reasons = ", ".join(f"{count:,} {why}" for why, count in record.data.left_out.items())
                length += f" used; left out: {reasons}; the first is {record.data.left_out_first}"
            names.setdefault(record.data.name, {})[f"{record.data.fingerprint} ({length})"] = None
    if not names:
        return Path(records[0].recipe.data).name
    return "; ".join(f"{name} {', '.join(sets)}" for name, sets in names.items())


def overrides(recipe: Recipe, case: Case) -> tuple[tuple[str, str, str], ...]:
    """Return the arguments that the recipe fixes, with the reasons that the case's workload has for them."""
    why = {override.key: override.why for override in overrides_of(case.mode, case.model)}
    return tuple((key, labels.setting(value), why.get(key, "")) for key, value in recipe.overrides.items())


class Mode(msgspec.Struct, frozen=True):
    """The recipes of one mode."""

    title: str
    recipes: list[HowMeasured]


def build(machine: MachineInputs) -> list[Mode] | None:
    """Return the recipes of each mode of a machine; None if nothing was measured."""
    measured = [record for record in machine.records if record.outcome.status.value == "measured"]
    modes = labels.order("mode", (record.case.mode for record in measured))
    return [
        Mode(labels.mode(mode), recipes([record for record in measured if record.case.mode == mode])) for mode in modes
    ] or None


SECTION = Section("recipes", "", build, template="recipes", question="method")
