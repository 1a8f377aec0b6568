"""From a profile and the user's own values to cases with recipes, in the order in which they run."""

from __future__ import annotations

import functools
import itertools
import random
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.cases.axes import find_axis, fixed_axes
from bench.cases.case import Case
from bench.cases.device_kinds import by_kind, device_kind, kind_of, ranks
from bench.cases.recipe import ENERGY_SECONDS, Recipe, overrides_for
from bench.errors import UsageError

FILE = Path(__file__).with_name("profiles.toml")


class ProfileTiming(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ``recipe`` table of a profile."""

    warmup_seconds: dict[str, float]
    window_steps: int
    window_seconds: dict[str, float]

    def warmup(self, kind: str) -> float:
        """Least seconds of warm-up on a kind of device."""
        return by_kind(self.warmup_seconds, kind)

    def least_seconds(self, kind: str, energy: bool) -> float:
        """Least seconds of a window on a kind of device; more where joules are counted."""
        asked = by_kind(self.window_seconds, kind)
        return max(asked, ENERGY_SECONDS) if energy else asked


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One profile of ``profiles.toml``."""

    about: str
    recipe: ProfileTiming
    cases: dict[str, dict[str, list[Any]]]

    def axes(self, kind: str) -> dict[str, list[Any]]:
        """Values of every axis but ``device``, on a kind of device."""
        return by_kind(self.cases, kind)


@functools.cache
def profiles() -> dict[str, Profile]:
    """All profiles by name."""
    return msgspec.convert(tomllib.loads(FILE.read_text(encoding="utf-8")), dict[str, Profile])


def profile(name: str) -> Profile:
    """A profile by name; raises :class:`UsageError` for one that does not exist."""
    known = profiles()
    if name not in known:
        raise UsageError(f"profile {name!r} is unknown: use {', '.join(known)}.")
    return known[name]


def process_name(case: Case, process: int) -> str:
    """What a process of a case is called within a run: ``train-yolov8n-cpu-fp32-b4-i160``, then ``...--p2``."""
    return case.id if process == 1 else f"{case.id}--p{process}"


class PlannedRun(msgspec.Struct, frozen=True):
    """A case with the recipe that it is measured by, in the first or a later fresh process (``process``, from 1)."""

    case: Case
    recipe: Recipe
    process: int = 1

    @property
    def name(self) -> str:
        """Unique within a run, and the name of its record (:func:`process_name`)."""
        return process_name(self.case, self.process)


def repeat(planned: Sequence[PlannedRun], processes: int, seed: str) -> list[PlannedRun]:
    """Every case in so many processes, spread over the run.

    Args:
        planned: the first round, in its order: a run that is stopped early has said the most.
        processes: of each case.
        seed: the order of every later round is random, and the same for the same seed, such as the name of the run.
    """
    found = list(planned)
    for number in range(2, processes + 1):
        again = [msgspec.structs.replace(plan, process=number) for plan in planned]
        random.Random(f"{seed} {number}").shuffle(again)
        found += again
    return found


def expand_grid(
    chosen: Profile,
    devices: Sequence[str],
    values: dict[str, list[Any]],
    data: str = "coco-like",
    threads: int = 0,
    with_val: bool = False,
    compare_losses: bool = False,
    per_device: bool = False,
    energy: bool = False,
) -> list[PlannedRun]:
    """All cases, most informative first.

    Args:
        chosen: the profile.
        devices: what the machine has; ``values["device"]`` takes its place.
        values: the user's own values by axis; each replaces the profile's list on that axis.
        data: see :class:`Recipe`.
        threads: see :class:`Recipe`.
        with_val: see :class:`Recipe`; of training.
        compare_losses: see :class:`Recipe`; of training on devices where it is a choice.
        energy: see :class:`Recipe`.
        per_device: whether batches are of each device; a case's is that of all of them.

    Returns:
        Each case once. The order is by the sum of the positions that its values have in their lists: the case of all
        first values comes first on every device, then those that differ from it in one axis (mode before the others),
        and so on.
    """
    further = [name for name in values if not find_axis(name).fixed]
    names = [*fixed_axes(), *further]
    ranked: dict[Case, tuple[int, int]] = {}
    for device in values.get("device", list(devices)):
        lists = {**chosen.axes(device_kind(device)), **values, "device": [device]}
        for mode, name in itertools.product(lists["mode"], further):
            find_axis(name).check_mode(mode)
        for point in itertools.product(*(enumerate(lists[name]) for name in names)):
            fields = {name: value for name, (_, value) in zip(names, point, strict=True)}
            if per_device:
                fields["batch"] *= ranks(device)
            case = Case.of(fields)
            positions = [position for position, _ in point]
            ranked.setdefault(case, (sum(positions), -positions[names.index("mode")]))
    timing = chosen.recipe
    recipes: dict[tuple[str, str], Recipe] = {}
    planned = []
    for case in sorted(ranked, key=ranked.__getitem__):
        kind = kind_of(case.device)
        key = case.mode, kind.name
        if key not in recipes:
            recipes[key] = Recipe(
                warmup_seconds=timing.warmup(kind.name),
                window_steps=timing.window_steps,
                window_seconds=timing.least_seconds(kind.name, energy),
                overrides=overrides_for(case.mode, case.arguments),
                threads=threads,
                data=data,
                data_steps=kind.data_steps if case.mode == "train" else 1,
                with_val=with_val and case.mode == "train",
                compare_losses=compare_losses and case.mode == "train" and kind.compare_losses == "on_request",
                energy=energy,
            )
        planned.append(PlannedRun(case, recipes[key]))
    return planned
