"""Recipes in words: how the cases of a mode were measured, and what was fixed for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from bench.cases.case import Case
from bench.cases.recipe import Recipe, overrides_of
from bench.records.record import Record
from bench.report import labels


class HowMeasured(msgspec.Struct, frozen=True):
    """A recipe in words, with what it fixes and why.

    Attributes:
        where: the devices that it was used on.
        rule: warm-up and window.
        cases: how many cases it was used for.
        data: name of the data, with a fingerprint and a length for each set that was used.
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
    """The recipes of some records of one mode, those of most cases first."""
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
    """Warm-up and window in one sentence."""
    least = f"{recipe.warmup_seconds:g} s"
    window = f"{recipe.window_steps} steps and {recipe.window_seconds:g} s"
    if mode == "train" and recipe.energy:
        return (
            f"Warm-up of at least {least}, and two steps more than an accumulation cycle, real or short; then a window "
            f"of at least {window}, in whole accumulation cycles, over which joules are counted."
        )
    if mode == "train":
        return (
            f"Warm-up of at least {least}, and two steps more than an accumulation cycle, real or short; then a window "
            f"of at least {window}, in whole accumulation cycles. Where those would take much longer, the optimizer "
            "runs in short cycles, and each kind of step is weighted by how often it really comes: such a figure is "
            "marked as modelled."
        )
    return f"Warm-up of at least {least} and two calls; then a window of at least {window}, a step being one call."


def data(records: Sequence[Record]) -> str:
    """``coco-like 0ced1a548774 (1,024 images)``; sets that cases of one name used are listed after it.

    Of a set of which images were left out it also says how many, why, and what is wrong with the first.
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
