"""Requested cases and data, checked before anything is started; pytest and commands use it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec

from bench.cases.availability import divide
from bench.cases.case import model_name
from bench.cases.model_argument import nameable
from bench.cases.model_labels import show_together
from bench.cases.plan import PlannedRun, Profile, expand_grid, profile
from bench.cases.recipe import check_threads
from bench.environments.interpreter import Interpreter
from bench.errors import UsageError
from bench.machine.fingerprint import devices
from bench.worker.workloads.base import family_of, own_name


class RunOptions(msgspec.Struct, frozen=True):
    """Options of a requested run: its cases, and how they are measured."""

    chosen: Profile
    values: dict[str, list[Any]]
    data: str
    threads: int
    with_val: bool = False
    compare_losses: bool = False
    per_device: bool = False
    energy: bool = False

    def planned(self) -> tuple[list[PlannedRun], list[PlannedRun]]:
        """The cases in the order in which they run, and those that only ask whether a precision is available.

        Where the user names precisions, all of them are cases.
        """
        flags = {name: getattr(self, name) for name in ("with_val", "compare_losses", "per_device", "energy")}
        planned = expand_grid(self.chosen, devices(), self.values, self.data, self.threads, **flags)
        return (planned, []) if "amp" in self.values else divide(planned)


def parse(
    name: str,
    values: dict[str, list[Any]],
    data: str,
    threads: int,
    interpreter: Interpreter,
    *,
    with_val: bool = False,
    compare_losses: bool = False,
    per_device: bool = False,
    energy: bool = False,
) -> RunOptions:
    """Check the options of a run.

    Args:
        name: of the profile.
        values: of the axes that the user named, by axis.
        data: a data yaml, or empty for a made data set.
        threads: CPU threads; 0 leaves the workload's own choice.
        interpreter: the one that will be measured; it knows the models and data sets that go by a name.
        with_val: whether validation and the saving of a checkpoint are timed too.
        compare_losses: whether the first losses are compared with the CPU's on cuda too.
        per_device: whether batches are of each device, where a case has several.
        energy: whether joules are counted.
    """
    check_threads(threads, values)
    flags = with_val, compare_losses, per_device, energy
    request = RunOptions(profile(name), values, find_data(data, interpreter), threads, *flags)
    models = values.get("model", [])
    for model in models:
        check_model(model, interpreter)
    check_names(models)
    show_together(models)
    return request


def check_names(models: list[str]) -> None:
    """Refuse two model files whose cases would have the same id: six digits of a path are not always enough."""
    named: dict[str, str] = {}
    for model in models:
        other = named.setdefault(model_name(model).lower(), model)
        if other != model:
            raise UsageError(f"models {other!r} and {model!r} would get the same name in records: rename one of them.")


def check_model(model: str, interpreter: Interpreter) -> None:
    """Refuse a model name that the interpreter's workload does not know; files are left to the worker."""
    workload = family_of(model)
    version = interpreter.environment.packages.get(workload.library, "")
    if why := workload.why_unknown(own_name(model), interpreter.offers.get(workload.name, {}), version):
        raise UsageError(why)


def find_data(data: str, interpreter: Interpreter) -> str:
    """Return the absolute path of a data yaml or a folder of classes, the name of a data set that Ultralytics brings.

    Without ``data``, return an empty text: a made set.
    """
    if not data:
        return ""
    path = Path(data)
    nameable("data", data)
    if path.is_file():  # a link stays what it is: without 'path:', images are looked for next to it
        return nameable("data", os.path.abspath(path))
    if path.is_dir() and has_classes(path):
        return nameable("data", os.path.abspath(path))
    if path.is_dir():
        inside = sorted(file.name for file in path.iterdir() if file.suffix in (".yaml", ".yml"))
        hint = f" ({', '.join(inside[:3])})" if inside else ""
        classes = "for a classification model, name a folder with train/CLASS/ and val/CLASS/"
        raise UsageError(f"data {data!r} is a folder: name the data yaml in it{hint}; {classes}.")
    if "://" in data:
        raise UsageError(f"data {data!r}: nothing is fetched; fetch and unpack it yourself, and name its data yaml.")
    named = {name for offers in interpreter.offers.values() for name in offers.get("datasets", ())}
    if data.removesuffix(".yaml") in named:
        return f"{data.removesuffix('.yaml')}.yaml"
    raise UsageError(f"data {data!r}: there is no such file, and Ultralytics brings no dataset of that name.")


def has_classes(folder: Path) -> bool:
    """Whether a folder holds folders of classes for training, as classification takes them."""
    train = folder / "train"
    inside = {entry.name for entry in train.iterdir() if entry.is_dir()} if train.is_dir() else set()
    return bool(inside - {"images", "labels"})


def needs_network(planned: list[PlannedRun]) -> bool:
    """Whether weights or a data set were asked for by a name that Ultralytics may have to fetch."""
    return any(
        (plan.case.model.endswith(".pt") and not Path(plan.case.model).is_absolute())
        or (plan.recipe.data.endswith(".yaml") and not Path(plan.recipe.data).is_absolute())
        for plan in planned
    )
