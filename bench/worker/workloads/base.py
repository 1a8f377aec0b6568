"""Interface of workloads: description of a family of models, its methods in a worker, and the registry.

Needs the standard library alone: the runner, the commands and the page read descriptions from here. Methods below the
line "In a worker" run in a measured process, and import the family's library within themselves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..channel import Channel
    from ..protocol import DataJob, ExportJob, PlainJob
    from ..timing.lockstep import LockstepClient
    from ..timing.session import Session

SEPARATOR = ":"
"""Separator between a family and a model where a user names both, as in ``ultralytics:yolov8n``."""


@dataclass(frozen=True)
class Override:
    """A library argument that the recipe fixes, with its reason."""

    key: str
    value: bool | int | float | str
    why: str


@dataclass(frozen=True)
class Requirement:
    """A package that a family needs.

    Attributes:
        module: name by which it is imported.
        floor: oldest version that can be measured.
        distribution: name in the package index; empty where that is the module's name.
    """

    module: str
    floor: tuple[int, ...]
    distribution: str = ""

    @property
    def version(self) -> str:
        """The oldest version that can be measured, as a text."""
        return ".".join(map(str, self.floor))

    @property
    def text(self) -> str:
        """``ultralytics>=8.3.230``, as an installer takes it."""
        return f"{self.distribution or self.module}>={self.version}"


Derived = Callable[[dict[str, Any], dict[str, Any]], Any]
"""Function that returns the required value of a setting for a case and its overrides; None allows any value."""


class Workload:
    """A family of models and how it trains and predicts; a subclass describes one, in one file or folder.

    Attributes:
        name: name of the family; a model may be named as ``NAME:MODEL``.
        title: name of its library in messages and headings.
        modes: its modes, such as ``train``.
        unit: singular noun for the elements of a batch.
        size_unit: unit of an image size.
        epoch_items: number of items in the epoch for which times are projected.
        data: name of the made data set.
        dense_data: name of the made data set on which training takes the most memory; empty where that is ``data``.
        takes_data: whether a user may name an own data set.
        validates: whether it can time validation and the saving of a checkpoint.
        data_parallel: whether one process may train on several devices, by torch's DataParallel.
        library: module of its library; empty for torch alone.
        requires: packages that have to be installed besides torch.
        model_requires: by model, further packages that it needs.
        precisions: values of ``amp`` that it takes; a case with another one is unsupported.
        distributions: by module, the distributions that may install it; their versions are recorded.
        runtimes: by value of the axis ``format``, the distributions that run it; only its cases record their versions.
        preload: modules that a fork server imports before it forks.
        loggers: names of the loggers whose warnings are recorded.
        overrides: by mode, the library arguments that the recipe fixes.
        replaced: by argument of a further axis, the override that it replaces, where the two have other names.
        further_axes: further axes that it takes; None for all that its library has an argument for.
        derived: settings that follow from a case: the overrides that a rule needs, and the rule.
        may_change: settings that the library may change while it is measured.
        hints: explanation of a substitution, by setting and requested value; None stands for any value.
        scope: axes of the case that decide whether an axis is honoured.
    """

    name: str = ""
    title: str = ""
    modes: tuple[str, ...] = ("train",)
    unit: str = "image"
    size_unit: str = "px"
    epoch_items: int = 118_287
    data: str = ""
    dense_data: str = ""
    takes_data: bool = False
    validates: bool = False
    data_parallel: bool = False
    library: str = ""
    requires: tuple[Requirement, ...] = ()
    model_requires: Mapping[str, tuple[Requirement, ...]] = {}
    precisions: tuple[str, ...] = ("off", "on", "bf16")
    distributions: Mapping[str, tuple[str, ...]] = {}
    runtimes: Mapping[str, tuple[str, ...]] = {}
    preload: tuple[str, ...] = ("torch",)
    loggers: tuple[str, ...] = ()
    overrides: Mapping[str, tuple[Override, ...]] = {}
    replaced: Mapping[str, str] = {}
    further_axes: tuple[str, ...] | None = ()
    derived: Mapping[str, tuple[tuple[str, ...], Derived]] = {}
    may_change: tuple[str, ...] = ()
    hints: Mapping[tuple[str, str | None], str] = {}
    scope: Mapping[str, tuple[str, ...]] = {
        "device": ("device",),
        "amp": ("mode", "model", "device", "amp"),
        "imgsz": ("mode", "model", "imgsz"),
        "batch": (),
    }

    def claims(self, model: str) -> bool:
        """Return whether a model without the family's name before it is meant for this family."""
        raise NotImplementedError

    def offers(self, identities: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """Return what an interpreter has for this family, without importing its library.

        Args:
            identities: identity of each imported module, by its name (``worker/interpreter/identity.py``).
        """
        return {}

    def data_for(self, model: str, imgsz: int, dense: bool = False) -> str:
        """Return the name of the made data set of a model at a size.

        Args:
            model: without the family's name.
            imgsz: of the case.
            dense: whether training is to take the most memory, as a search for the largest batch needs it.
        """
        return self.dense_data or self.data if dense else self.data

    def makes(self, data: str) -> bool:
        """Return whether a data set is one that this family makes."""
        return data in (self.data, self.dense_data or self.data)

    def why_unknown(self, model: str, offers: Mapping[str, Any], version: str) -> str:
        """Say what is wrong with a model's name, as one sentence; empty where nothing is.

        Args:
            model: without the family's name.
            offers: result of :meth:`offers` in the measured interpreter; empty where that is unknown.
            version: version of the family's library there.
        """
        return "" if self.claims(model) else f"model {model!r} is unknown to the workload {self.name}."

    def refuses_axis(self, axis: str) -> str:
        """Say why this family does not take a further axis, as one sentence; empty where it does."""
        if self.further_axes is None or axis in self.further_axes:
            return ""
        takes = f"it takes {', '.join(self.further_axes)}" if self.further_axes else "it takes no further axis"
        return f"axis {axis!r} is not taken by the workload {self.name}: {takes}."

    def why_no_amp(self, mode: str, kind: str, amp: str) -> str:
        """Say why a precision is expected to be unavailable on a kind of device; empty where it is not.

        A plan leaves such cases out. A run asks once whether that is so, by measuring one of them.
        """
        return ""

    def why_no_precision(self, amp: str) -> str:
        """Say why no case of this family has a precision, as one sentence; empty where some may have it."""
        if amp in self.precisions:
            return ""
        return f"amp {amp} requested: the workload {self.name} takes {', '.join(self.precisions)}."

    def overrides_of(self, mode: str, model: str) -> tuple[Override, ...]:
        """Return the library arguments that the recipe fixes for a model in a mode."""
        return self.overrides.get(mode, ())

    def natural_values(self, model: str) -> dict[str, list[Any]]:
        """Return a model's own values of ``batch`` and ``imgsz``, where the user names none."""
        return {}

    def natural_batches(self, model: str, imgsz: int) -> list[int]:
        """Return a model's own batches at a size, where the user names none; empty for those of the profile."""
        return list(self.natural_values(model).get("batch", ()))

    def units(self, model: str, imgsz: int) -> dict[str, Any]:
        """Return ``unit``, ``size_unit`` and ``epoch_items`` of a model at a size."""
        return {"unit": self.unit, "size_unit": self.size_unit, "epoch_items": self.epoch_items}

    def work(self, case: Mapping[str, Any]) -> float:
        """Return the work of one step in arbitrary units, for the estimate of a case's duration."""
        return float(case["batch"] * case["imgsz"])

    def accumulation(self, case: Mapping[str, Any], overrides: Mapping[str, Any]) -> int:
        """Return the accumulation steps of training, for the estimate of a case's duration."""
        return 1

    # In a worker

    def before_import(self, config: str, network: bool, alone: bool = True) -> None:
        """Set the environment variables that libraries read as they are imported.

        Args:
            config: folder for settings of libraries, in place of the user's own.
            network: whether the user named something that may have to be fetched.
            alone: False for one of several ranks.
        """

    def after_import(self) -> None:
        """Import the library and make it ready; a fork server does that once for all its workers."""

    def check_imports(self) -> None:
        """Load the packages that the library needs, for ``doctor``; raise the error of the first failing import."""

    def weights(self) -> list[str]:
        """Return names of weight files that are found without the network, for ``doctor``."""
        return []

    def default_threads(self) -> int:
        """Return the number of CPU threads where the recipe names none."""
        return min(8, max(1, (os.cpu_count() or 1) - 1))

    def provide_data(self, job: DataJob) -> dict[str, Any]:
        """Make a data set that does not exist yet; return the fields of :class:`~..protocol.DataProvided`."""
        return {"source": job.name, "fingerprint": "", "images": job.images}

    def inspect_data(self, job: DataJob) -> dict[str, Any]:
        """Inspect the user's own data set; return the fields of :class:`~..protocol.DataProvided`."""
        raise NotImplementedError

    def export(self, job: ExportJob) -> dict[str, Any]:
        """Export the model of a case; return the details of :class:`~..protocol.Exported`."""
        raise NotImplementedError

    def run(self, session: Session) -> None:
        """Run the case until the session raises :class:`~..timing.session.WindowComplete`, and let that pass.

        Set up; call ``session.set_threads``; call ``session.ready`` with the settings that were read back from the live
        objects (``device``, ``amp``, ``batch``, ``imgsz`` and more). Mark each step by ``session.batch_arrived``,
        ``phase_ended``, ``optimizer_stepped``, ``step_ended``, and each new epoch by ``epoch_boundary``. At the end
        check that training works; call ``session.still_runs`` and ``session.report``.
        """
        raise NotImplementedError

    def train_plainly(self, job: PlainJob, channel: Channel, turns: LockstepClient | None) -> None:
        """Train as a user of the library would, for the comparison of ``selfcheck``."""
        raise NotImplementedError


_registry: dict[str, Workload] = {}


def register(workload: Workload) -> None:
    """Add a family. It replaces a family of the same name, and goes before earlier ones that claim the same models.

    Raises:
        ValueError: for a name that is no lower-case identifier.
    """
    if not workload.name.isidentifier() or not workload.name.islower():
        raise ValueError(f"workload {workload.name!r}: use lower-case letters, digits and _")
    _registry.pop(workload.name, None)
    _registry[workload.name] = workload


def unregister(name: str) -> None:
    """Remove a family."""
    _registry.pop(name, None)


def workloads() -> dict[str, Workload]:
    """Return all families by name."""
    return dict(_registry)


def split_model(model: str) -> tuple[str, str]:
    """Split the text of a model into the family that it names, or an empty text, and the rest."""
    family, separator, rest = model.partition(SEPARATOR)
    return (family, rest) if separator and "/" not in family else ("", model)


def find(name: str) -> Workload | None:
    """Return a family by its name; None for one that is not registered."""
    return _registry.get(name)


def family_of(model: str) -> Workload:
    """Return the family of a model: the one that it names, else the last that claims it, else the first one.

    The first one also stands for a named family that is not registered, as a record may have: see
    :func:`why_no_family`.
    """
    named, rest = split_model(model)
    families = list(_registry.values())
    if named:
        return _registry.get(named, families[0])
    return next((family for family in reversed(families) if family.claims(rest)), families[0])


def why_no_family(model: str) -> str:
    """Say why a model that a user names has no family, as one sentence; empty where it has one."""
    named, _ = split_model(model)
    if not named or named in _registry:
        return ""
    return f"model {model!r}: there is no workload {named!r}: use {', '.join(_registry)}."


def canonical_model(model: str) -> str:
    """Return a model without its family's name where that is not needed, so that cases have one spelling."""
    named, rest = split_model(model)
    family = family_of(rest)
    return rest if named and family.name == named and family.claims(rest) else model


def is_made(data: str) -> bool:
    """Return whether a data set is one that some family makes."""
    return any(workload.makes(data) for workload in _registry.values())


def own_name(model: str) -> str:
    """Return the name of a model within its family."""
    return split_model(model)[1]
