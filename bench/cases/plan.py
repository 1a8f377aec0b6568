"""Make cases with recipes, in the order in which they run, from a profile and the user's own values."""

from __future__ import annotations

import functools
import itertools
import random
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bench.cases.axes import find_axis, fixed_axes
from bench.cases.case import Case
from bench.cases.device_kinds import by_kind, device_kind, kind_of, kinds, ranks
from bench.cases.recipe import ENERGY_SECONDS, Recipe, overrides_for
from bench.errors import UsageError
from bench.worker.workloads.base import family_of, own_name

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
    reference: dict[str, dict[str, list[Any]]] = {}
    predict: dict[str, list[Any]] = {}

    def axes(self, kind: str, run_kinds: Collection[str] = (), mode: str = "") -> dict[str, list[Any]]:
        """Values of every axis but ``device``, on a kind of device.

        Args:
            kind: name of the kind.
            run_kinds: all kinds of the run; with an accelerator among them, the CPU measures reference cases.
            mode: in which the values are used; prediction may have values of its own.
        """
        with_accelerator = any(not kinds()[name].on_host for name in run_kinds)
        if with_accelerator and kind in self.reference:
            return self.reference[kind]
        return by_kind(self.cases, kind) | (self.predict if mode == "predict" else {})


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
    """Return the name of a process of a case within a run: ``train-yolov8n-cpu-fp32-b4-i160``, then ``...--p2``."""
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
    """Plan every case in several processes, spread over the run.

    Args:
        planned: the first round, in its order, so that a run that is stopped early shows the most.
        processes: number of processes per case.
        seed: the order of every later round is random, and the same for the same seed, such as the name of the run.
    """
    plans = list(planned)
    for number in range(2, processes + 1):
        again = [msgspec.structs.replace(plan, process=number) for plan in planned]
        random.Random(f"{seed} {number}").shuffle(again)
        plans += again
    return plans


def expand_grid(
    chosen: Profile,
    devices: Sequence[str],
    values: dict[str, list[Any]],
    data: str = "",
    threads: int = 0,
    with_val: bool = False,
    compare_losses: bool = False,
    per_device: bool = False,
    energy: bool = False,
) -> list[PlannedRun]:
    """All cases, most informative first.

    Args:
        chosen: the profile.
        devices: devices of the machine; ``values["device"]`` replaces them.
        values: the user's own values by axis; each replaces the profile's list on that axis.
        data: the user's own data set; empty for the one that each workload makes.
        threads: see :class:`Recipe`.
        with_val: see :class:`Recipe`; of training.
        compare_losses: see :class:`Recipe`; of training on devices where it is a choice.
        energy: see :class:`Recipe`.
        per_device: whether batches are per device; a case's batch is that of all its devices.

    Returns:
        Each case once. The order is by the sum of the positions that its values have in their lists. On every device
        the case of all first values comes first, then those that differ from it in one axis (mode before the others),
        and so on.
    """
    further = [name for name in values if not find_axis(name).fixed]
    names = [*fixed_axes(), *further]
    ranked: dict[Case, tuple[int, int]] = {}
    named = values.get("device", list(devices))
    run_kinds = set(map(device_kind, named))
    for device in named:
        lists = {**chosen.axes(device_kind(device), run_kinds), **values, "device": [device]}
        modes = check_workloads(lists["model"], lists["mode"], further, "mode" in values, data, with_val)
        for mode, name in itertools.product(modes, further):
            find_axis(name).check_mode(mode)
            check_needs(name, lists)
        by_mode = [
            {**lists, **chosen.axes(device_kind(device), run_kinds, mode), **values, "device": [device], "mode": [mode]}
            for mode in modes
        ]
        for point in itertools.chain.from_iterable(points(own, names, values) for own in by_mode):
            fields = {name: value for name, (_, value) in zip(names, point, strict=True)}
            if per_device:
                fields["batch"] *= ranks(device)
            case = Case.of(adapt(fields, values))
            if case.mode not in family_of(case.model).modes:
                continue
            place = modes.index(fields["mode"])
            ranked.setdefault(case, (place + sum(position for position, _ in point), -place))
    timing = chosen.recipe
    recipes: dict[tuple[str, str, str, int], Recipe] = {}
    planned = []
    for case in sorted(ranked, key=ranked.__getitem__):
        kind = kind_of(case.device)
        workload = family_of(case.model)
        key = case.mode, kind.name, case.model, case.imgsz
        if key not in recipes:
            recipes[key] = Recipe(
                warmup_seconds=timing.warmup(kind.name),
                window_steps=timing.window_steps,
                window_seconds=timing.least_seconds(kind.name, energy),
                overrides=overrides_for(case.mode, case.arguments, case.model),
                threads=threads,
                data=data or workload.data_for(own_name(case.model), case.imgsz),
                data_steps=kind.data_steps if case.mode == "train" else 1,
                with_val=with_val and case.mode == "train" and workload.validates,
                compare_losses=compare_losses and case.mode == "train" and kind.compare_losses == "on_request",
                energy=energy,
                seeded=case.mode == "predict" and "format" in values and not case.model.endswith(".pt"),
            )
        planned.append(PlannedRun(case, lengthen(recipes[key], case)))
    return planned


def check_needs(name: str, lists: Mapping[str, list[Any]]) -> None:
    """Raise :class:`UsageError` where other axes lack what a further axis, or one of its values, needs."""
    for other, value in find_axis(name).needs.items():
        if value not in lists.get(other, ()):
            raise UsageError(f"axis {name!r} means something with {other}={value} alone: add it, or leave {name} out.")
    for value, other in find_axis(name).requires.items():
        if value in lists[name] and other not in lists:
            option = other.replace("_", "-")
            raise UsageError(f"{name} {value} needs --{option} too: {find_axis(other).help}.")


def adapt(fields: dict[str, Any], named: Collection[str]) -> dict[str, Any]:
    """Return the values of a case without further axes that mean nothing in it, and with their defaults.

    Args:
        fields: values by axis.
        named: the axes whose values the user named.
    """
    kept = {
        name: value
        for name, value in fields.items()
        if all(fields.get(other) == needed for other, needed in find_axis(name).needs.items())
    }
    for name, value in list(kept.items()):
        kept |= {other: own for other, own in find_axis(name).defaults(value).items() if other not in named}
    return kept


def lengthen(recipe: Recipe, case: Case) -> Recipe:
    """Return a recipe with the least values of its fields that the further axes of a case ask for."""
    for axis, value in case.asked:
        least = axis.least(value)
        if least:
            recipe = msgspec.structs.replace(
                recipe, **{name: max(number, getattr(recipe, name)) for name, number in least.items()}
            )
    return recipe


def points(
    lists: dict[str, list[Any]], names: Sequence[str], named: Collection[str]
) -> Iterator[tuple[tuple[int, Any], ...]]:
    """All combinations of the values of the axes, each value with its position in its list.

    Args:
        lists: values by axis.
        names: the axes, in the order of a combination.
        named: the axes whose values the user named; the others take a model's own values where it has them.
    """
    for ranked in enumerate(lists["model"]):
        family, model = family_of(ranked[1]), own_name(ranked[1])
        own = family.natural_values(model)
        values = {**lists, **{name: own[name] for name in own if name not in named}}
        chosen = {name: list(enumerate(values[name])) for name in names} | {"model": [ranked]}
        parts = [chosen]
        if "batch" in own and "batch" not in named:  # which depends on the size
            batches = {size: list(enumerate(family.natural_batches(model, size))) for size in values["imgsz"]}
            parts = [chosen | {"imgsz": [size], "batch": batches[size[1]]} for size in chosen["imgsz"]]
        for part in parts:
            yield from itertools.product(*(part[name] for name in names))


def check_workloads(
    models: Sequence[str],
    modes: Sequence[str],
    further: Sequence[str],
    modes_named: bool,
    data: str,
    with_val: bool = False,
) -> list[str]:
    """Return the modes that some workload of the models has.

    Args:
        models: of the cases.
        modes: of the cases, or of the profile.
        further: names of further axes.
        modes_named: whether the user named the modes: each model then has to have all of them.
        data: the user's own data set, or empty.
        with_val: whether validation is to be timed: some workload then has to have it.

    Raises:
        UsageError: for a mode, a further axis, a data set or validation that a workload does not take.
    """
    families = {family_of(model).name: family_of(model) for model in models}
    for name, workload in families.items():
        missing = [mode for mode in modes if mode not in workload.modes]
        if missing and (modes_named or len(missing) == len(modes)):
            raise UsageError(
                f"mode {missing[0]!r} is not one of the workload {name}: use --mode {','.join(workload.modes)}."
            )
        if refused := next(filter(None, map(workload.refuses_axis, further)), ""):
            raise UsageError(refused)
        if data and not workload.takes_data:
            raise UsageError(f"data {data!r}: the workload {name} runs on a dataset of its own: leave out --data.")
    if with_val and not any(workload.validates for workload in families.values()):
        raise UsageError(f"with-val: the workload {next(iter(families))} times no validation: leave it out.")
    return [mode for mode in modes if any(mode in workload.modes for workload in families.values())]
