"""How a case is measured; two figures are comparable only where their recipes are the same."""

from __future__ import annotations

import functools
from collections.abc import Collection

import msgspec

from bench.cases.fingerprints import digest
from bench.errors import UsageError
from bench.worker.workloads.base import Override, family_of, own_name

VERSION = 2
"""Raise it when the way of measuring changes in any way that the fields below do not show."""


ENERGY_SECONDS = 10.0
"""Least seconds of a window whose joules are counted: counters move in steps of up to a tenth of a second."""


class Recipe(msgspec.Struct, dict=True, frozen=True):
    """How to measure one case.

    Attributes:
        warmup_seconds: warm-up lasts at least this long, and two steps more than the accumulation steps, real or short.
        window_steps: least steps of the window, rounded up to a multiple of the accumulation steps.
        window_seconds: least seconds of the window.
        most_seconds: seconds after which a window ends whatever its steps; 0: no such limit.
        threads: CPU threads of torch, set for every case; 0 for the workload's own number, min(8, cores - 1).
        data: name of a set that is made on the spot, such as ``coco-like``, or the path of the user's own.
        data_steps: length of a made data set, in batches; an epoch gap within the window belongs to no step.
        data_seed: seed of a made data set.
        overrides: library arguments that are fixed; :func:`overrides_of` has the reasons.
        with_val: whether validation and the saving of a checkpoint are timed too, once, after the window.
        compare_losses: whether the first losses are compared with the CPU's on cuda too; on mps they always are.
        energy: whether joules are counted, over windows of at least :data:`ENERGY_SECONDS`.
        seeded: whether a model without weights gets the seeded ones that find objects, as an export has them.
        version: of the way of measuring itself.
    """

    warmup_seconds: float
    window_steps: int
    window_seconds: float
    overrides: dict[str, bool | int | float | str]
    threads: int = 0
    data: str = "coco-like"
    data_steps: int = 64
    data_seed: int = 0
    with_val: bool = False
    compare_losses: bool = False
    energy: bool = False
    seeded: bool = False
    version: int = VERSION
    most_seconds: int = 0

    @functools.cached_property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits over all fields of the recipe."""
        return digest(
            {
                "warmup_seconds": self.warmup_seconds,
                "window_steps": self.window_steps,
                "window_seconds": self.window_seconds,
                "pins": self.overrides,
                "threads": self.threads,
                "data": self.data,
                "data_steps": self.data_steps,
                "data_seed": self.data_seed,
                "with_val": self.with_val,
                "compare_losses": self.compare_losses,
                "energy": self.energy,
                "version": self.version,
            },
            {"seeded": (self.seeded, False), "most_seconds": (self.most_seconds, 0)},
        )


def overrides_for(mode: str, without: Collection[str] = (), model: str = "") -> dict[str, bool | int | float | str]:
    """Return the library arguments that the recipe of a mode fixes.

    Args:
        mode: of the case.
        without: arguments that the further axes of the case set.
        model: of the case, which decides the workload; empty for the first workload.
    """
    replaced = family_of(model).replaced
    gone = {*without, *(replaced[name] for name in without if name in replaced)}
    return {override.key: override.value for override in overrides_of(mode, model) if override.key not in gone}


def overrides_of(mode: str, model: str = "") -> tuple[Override, ...]:
    """Return the library arguments that the recipe of a mode fixes, with their reasons."""
    return family_of(model).overrides_of(mode, own_name(model))


def check_threads(threads: int, values: Collection[str] = ()) -> None:
    """Raise :class:`UsageError` for an impossible number of CPU threads; ``values`` names the axes asked for."""
    if threads < 0:
        raise UsageError(f"threads {threads} is not allowed: use a whole number, or 0 for the workload's own choice.")
    if threads and "threads" in values:
        raise UsageError(f"threads is named twice: leave out --threads {threads}, or the axis 'threads'.")
