"""Where and how it was measured, in words: machine, versions, conditions, recipes, and the command that repeats it."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.analysis.recorded_limits import phrases as limit_phrases
from bench.cases import Case
from bench.cases.axes import value_text
from bench.cases.case import FIXED
from bench.cases.device_kinds import machines
from bench.cases.plan import ProfileTiming, profiles
from bench.cases.recipe import OVERRIDES, Recipe
from bench.formatting import format_bytes, format_exact_bytes
from bench.machine.description import Conditions
from bench.records.ceiling import Ceiling
from bench.records.comparison import Comparison
from bench.records.record import Record
from bench.report import labels
from bench.text import clean, is_shown

LONGEST_COMMAND = 20_000
"""Characters of a command: names of many cases may stand in one."""

Facts = list[tuple[str, str]]
"""Headings with their text."""

Seen = Record | Ceiling
"""What knows its machine, its software and its conditions."""


def machine_facts(records: Sequence[Seen]) -> Facts:
    """What all records of one machine say of it first; what differs from case to case is a range or a list."""
    cases = [record for record in records if isinstance(record, Record)]
    measured = sum(record.outcome.status.value == "measured" for record in cases)
    facts = [
        ("Machine", records[0].machine.title),
        ("Software", software(records)),
        ("CPU threads", _list(_threads(record) for record in records)),
        ("Conditions", conditions([record.conditions for record in records])),
        ("Variables", variables([record.conditions for record in records])),
        ("Cases", f"{measured} of {len(cases)} measured, {_days(cases)}" if cases else ""),
    ]
    return [(heading, text) for heading, text in facts if text]


def details(records: Sequence[Seen]) -> Facts:
    """What is there to know of a machine beyond that."""
    facts = [
        *_devices([record for record in records if isinstance(record, Record)]),
        ("Other packages", _list(_packages(record) for record in records)),
        ("Runs", _list(record.run for record in records)),
        ("Fingerprint", records[0].machine.fingerprint),
    ]
    return [(heading, text) for heading, text in facts if text]


def software(records: Sequence[Seen]) -> str:
    """``Python 3.12.4 · torch 2.14.1 · Ultralytics 8.4.100 · yolopace 0.1.0``; several versions of one in a list."""
    found = (
        ("Python", _list(record.environment.python for record in records)),
        ("torch", _list(record.environment.label("torch") for record in records)),
        ("Ultralytics", _list(record.environment.label("ultralytics") for record in records)),
        ("yolopace", _list(record.environment.yolopace for record in records)),
    )
    return " · ".join(f"{name} {versions}" for name, versions in found if versions)


def _list(values: Iterable[str]) -> str:
    return ", ".join(labels.plain(value) for value in dict.fromkeys(values) if value)


def _packages(record: Seen) -> str:
    known = ("torch", "ultralytics")
    return " · ".join(
        f"{name} {record.environment.label(name)}" for name in record.environment.packages if name not in known
    )


def _threads(record: Seen) -> str:
    threads = record.effective.get("threads")
    return "" if threads is None else labels.setting(threads)


def _days(records: Sequence[Record]) -> str:
    days = sorted({record.started[:10] for record in records})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _devices(records: Sequence[Record]) -> Facts:
    """What each device says of itself."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        if record.device:
            told = " · ".join(f"{key.replace('_', ' ')} {_fact(key, value)}" for key, value in record.device.items())
            found.setdefault(labels.device(record.case.device), {})[told] = None
    return [(f"Device {device}", "; ".join(told)) for device, told in found.items()]


def _fact(key: str, value: Any) -> str:
    if "memory" in key and isinstance(value, int):
        return format_bytes(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else labels.setting(value)


def conditions(seen: Sequence[Conditions]) -> str:
    """What the machine was like when its cases began, and what limited them; what is not known is left out."""
    swap = [value for value in _told(seen, "swap_used_bytes") if value > 0]
    battery = set(_told(seen, "on_battery"))
    parts = [
        _range("load", _told(seen, "load"), "{:.2f}".format),
        _range("memory available", _told(seen, "memory_available_bytes"), format_bytes),
        _range("swap in use", swap, format_bytes) if swap else "no swap in use" * bool(_told(seen, "swap_used_bytes")),
        {True: "on battery", False: "on mains power"}[battery.pop()] if len(battery) == 1 else "",
        "on battery in some cases, on mains power in others" if len(battery) > 1 else "",
        "governor " + labels.listing(dict.fromkeys(governors)) if (governors := _told(seen, "governor")) else "",
        *limits(seen),
    ]
    return ", ".join(part for part in parts if part)


def limits(seen: Sequence[Conditions]) -> list[str]:
    """What held processes to less than the machine has, a phrase each, with how many cases where it is not all."""
    counts = Counter(phrase for one in seen if one.limits is not None for phrase in limit_phrases(one.limits))
    return [phrase if count == len(seen) else f"{phrase} in {count} of {len(seen)}" for phrase, count in counts.items()]


def variables(seen: Sequence[Conditions]) -> str:
    """Variables of the environment that change speed, as they were set; with how many cases where it is not all."""
    counts = Counter(f"{name}={value}" for one in seen for name, value in (one.variables or {}).items())
    said = (text if count == len(seen) else f"{text} in {count} of {len(seen)}" for text, count in counts.items())
    return ", ".join(map(labels.plain, said))


def _told(seen: Sequence[Conditions], name: str) -> list[Any]:
    return [value for value in (getattr(one, name) for one in seen) if value is not None]


def _range(what: str, values: Sequence[float], show: Callable[[float], str]) -> str:
    if not values:
        return ""
    low, high = show(min(values)), show(max(values))
    return f"{what} {low}" if low == high else f"{what} {low} to {high}"


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
    found = [
        HowMeasured(
            where=", ".join(map(labels.device, labels.order("device", (record.case.device for record in members)))),
            rule=rule(members[0].recipe, members[0].case.mode),
            cases=len(members),
            data=data(members),
            overrides=overrides(members[0].recipe, members[0].case.mode),
            fingerprint=fingerprint,
        )
        for fingerprint, members in by_fingerprint.items()
    ]
    return sorted(found, key=lambda how: -how.cases)


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


def overrides(recipe: Recipe, mode: str) -> tuple[tuple[str, str, str], ...]:
    """Settings that the recipe fixes, with the reasons that :data:`OVERRIDES` has for them."""
    why = {override.key: override.why for override in OVERRIDES.get(mode, ())}
    return tuple((key, labels.setting(value), why.get(key, "")) for key, value in recipe.overrides.items())


def commands(records: Sequence[Record], processes: Mapping[str, int] | None = None) -> list[str]:
    """The commands that measure the cases of some records again: one for all that have the same options.

    Args:
        records: one a case.
        processes: how many processes gave the figure of a case, by the id of its record; 1 where nothing is said.
    """
    groups: dict[tuple[str, ...], list[Record]] = {}
    for device in labels.order("device", (record.case.device for record in records)):
        for record in records:
            if record.case.device == device:
                key = (
                    device,
                    _profile([record]),
                    str(record.recipe.energy),
                    _variables(record),
                    _further(record.case),
                    *_options(record),
                )
                groups.setdefault(key, []).append(record)
    found: list[str] = []
    for members in groups.values():
        if machines(members[0].case.device) > 1:
            found += map(_node_command, members)
            continue
        parts = ["pytest", "bench/", "--benchmark-only"]
        profile = _profile(members)
        if profile:
            parts += ["--profile", profile]
        parts += _axes([record.case for record in members])
        parts += _options(members[0])
        parts += ["--with-val"] * any(record.recipe.with_val for record in members)
        parts += ["--compare-losses"] * any(record.recipe.compare_losses for record in members)
        parts += ["--energy"] * members[0].recipe.energy
        repeats = max((processes or {}).get(record.id, 1) for record in members)
        parts += ["--processes", str(repeats)] if repeats > 1 else []
        found.append(_command(parts, _variables(members[0])))
    return found


HIDDEN = "(not recorded)"
"""What a record has in place of a value that may be a secret (``bench/worker/interpreter/variables.py``)."""


def _variables(record: Record) -> str:
    """Variables of the environment that change speed, as a shell sets them for one command."""
    known = (record.conditions.variables or {}).items()
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in known if value != HIDDEN)


def _node_command(record: Record) -> str:
    """The command that starts a case of several machines on the first of them; others have another ``--machine``."""
    parts = ["python", "-m", "bench", "node", "--machine", "0", "--meet", "HOST:29500"]
    parts += ["--profile", profile] if (profile := _profile([record])) else []
    return _command([*parts, *_axes([record.case], without=("mode",)), *_options(record)])


def _axes(cases: Sequence[Case], without: Sequence[str] = ()) -> list[str]:
    """Options that name every value of the axes of some cases, files by their whole path."""
    parts: list[str] = []
    for axis in cases[0].values:
        found = ",".join(dict.fromkeys(value_text(axis, case.value(axis)) for case in cases))
        if axis not in without:
            parts += [f"--{axis}", found] if axis in FIXED else ["--axis", f"{axis}={found}"]
    return parts


def _further(case: Case) -> str:
    """Names of the further axes of a case."""
    return " ".join(name for name, _ in case.further)


def _options(record: Record) -> tuple[str, ...]:
    """Options of a record that hold for a whole command: data, threads, and the measured interpreter."""
    recipe, python = record.recipe, record.extra.get("python")
    return (
        *(("--data", recipe.data) if recipe.data != "coco-like" else ()),
        *(("--threads", str(recipe.threads)) if recipe.threads else ()),
        *(("--python", python) if isinstance(python, str) else ()),
    )


def _command(parts: Sequence[str], variables: str = "") -> str:
    """For a shell, on one line whatever was recorded: it stands in a block that a line of its own could end.

    Spaces of all kinds stay, since the name of a file may have them.
    """
    text = f"{variables} {shlex.join(parts)}".strip()
    short = text if len(text) <= LONGEST_COMMAND else f"{text[: LONGEST_COMMAND - 1]}…"
    return "".join(sign if is_shown(sign) else " " for sign in clean(short))


def ceiling_commands(ceilings: Sequence[Ceiling]) -> list[str]:
    """The commands that search for some ceilings again, those of one limit and granularity together."""
    groups: dict[tuple[int | None, int, int, str], list[Ceiling]] = {}
    for one in ceilings:
        groups.setdefault((one.asked_bytes, one.granularity, one.recipe.threads, _further(one.case)), []).append(one)
    found = []
    for (limit, granularity, threads, _), members in groups.items():
        parts = ["python", "-m", "bench", "ceiling"]
        parts += _axes([one.case for one in members], without=("mode", "batch"))
        parts += ["--memory-limit", format_exact_bytes(limit)] if limit else []
        parts += ["--granularity", str(granularity)] if granularity > 1 else []
        parts += ["--threads", str(threads)] if threads else []
        found.append(_command(parts))
    return found


def regress_commands(comparisons: Sequence[Comparison]) -> list[str]:
    """The commands that compare the same environments again."""
    found = []
    for one in comparisons:
        asked = [re.sub("^python:.*", "python:PATH", side.asked) for side in (one.base, one.head)]  # kept without path
        parts = ["python", "-m", "bench", "regress", "--base", asked[0], "--head", asked[1]]
        files = any("/" in compared.case.model for compared in one.cases)
        if files:  # an id does not say where a file is
            parts += _axes([compared.case for compared in one.cases])
        else:
            parts += [part for compared in one.cases for part in ("--case", compared.case.id)]
        own = dict.fromkeys(compared.recipe.data for compared in one.cases if compared.recipe.data != "coco-like")
        parts += ["--data", *own] if len(own) == 1 else []
        threads = {compared.recipe.threads for compared in one.cases}
        parts += ["--threads", str(*threads)] if len(threads) == 1 and threads != {0} else []
        found.append(_command(parts))
    return found


def _profile(records: Sequence[Record]) -> str:
    """The profile whose timing all recipes have, or an empty string."""
    for name, profile in profiles().items():
        if all(_timed(record, profile.recipe) for record in records):
            return name
    return ""


def _timed(record: Record, timing: ProfileTiming) -> bool:
    recipe, kind = record.recipe, record.case.device_kind
    return (recipe.warmup_seconds, recipe.window_steps, recipe.window_seconds) == (
        timing.warmup(kind),
        timing.window_steps,
        timing.least_seconds(kind, recipe.energy),
    )
