"""The table of the largest batches that train: by device, precision, model and size, and by card memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from bench.analysis.ceilings import format_stop_reason, setting
from bench.analysis.units import Units, units_of_case
from bench.cases.case import tokens
from bench.ceiling.findings import memory_model
from bench.formatting import format_duration
from bench.records.ceiling import Ceiling
from bench.report import labels
from bench.report.inputs import MachineInputs
from bench.report.plots import Plot, ceiling
from bench.report.sections.section import Section
from bench.report.tables import markdown

CARDS = tuple(number * 2**30 for number in (8, 12, 16, 24))
"""Memory, in bytes, of the cards that most users have."""

CARDS_NOTE = (
    "≈ is predicted by the memory model for that much memory; a prediction far beyond the tried batches is rough. "
    "Memory that the driver keeps for itself is not subtracted."
)

MODEL_NOTE = (
    "The memory model is fitted to the peaks of the batches that trained; on a CPU also to the memory before the "
    "first step, and separately for batches whose gradients wait for the optimizer. A batch that did not train is "
    "drawn at the height that the model predicts, without a model at the top."
)

COLUMNS = ("Case", "Largest batch", "Limit", "Peak memory")


class Row(msgspec.Struct, frozen=True):
    """One ceiling as texts.

    Attributes:
        cells: as in :data:`COLUMNS`, and the memory per image or other unit.
        under: remark on the largest batch: why the search stopped, or why the batch is unknown.
        broken: whether the user should look into it.
        cards: the largest batch per card size; as tried if it was tried.
    """

    cells: tuple[str, ...]
    under: str
    broken: bool
    cards: tuple[str, ...]


class Ceilings(msgspec.Struct, frozen=True):
    """The section of one machine.

    Attributes:
        columns: headings: :data:`COLUMNS`, memory per image or other unit, and the cards.
        rows: one per ceiling.
        note: how the figures were measured.
        plots: memory against batch.
        cards: whether the table has columns for cards.
    """

    columns: tuple[str, ...]
    rows: list[Row]
    note: str
    plots: list[Plot]
    cards: bool

    @property
    def cards_note(self) -> str:
        """Explanation of the last columns."""
        return CARDS_NOTE

    @property
    def model_note(self) -> str:
        """Explanation of the memory model."""
        return MODEL_NOTE

    def markdown(self) -> str:
        """Render as a Markdown table."""
        place = COLUMNS.index("Largest batch")
        lines = [
            [f"{cell}\n{row.under}" if number == place else cell for number, cell in enumerate(row.cells)]
            + list(row.cards)
            for row in self.rows
        ]
        return markdown(self.columns, lines) + (f"\n{CARDS_NOTE}\n" if self.cards else "")


def newest(ceilings: Sequence[Ceiling]) -> list[Ceiling]:
    """Return the newest known ceiling of each case, setting and limit; if none is known, the newest."""
    by_key: dict[tuple[object, ...], Ceiling] = {}
    for search in sorted(ceilings, key=lambda search: (is_known(search), search.started)):
        key = (
            setting(search),
            msgspec.structs.replace(search.case, batch=0),
            search.asked_bytes,
        )
        by_key[key] = search
    kept = set(map(id, by_key.values()))
    return [search for search in ceilings if id(search) in kept]


def is_known(search: Ceiling) -> bool:
    """Whether the largest batch is known."""
    return search.outcome.status.value == "measured"


def section(ceilings: Sequence[Ceiling], models: Sequence[str] = ()) -> Ceilings | None:
    """Return the section of the ceilings of one machine; None without ceilings.

    Args:
        ceilings: of the machine.
        models: all models of the page, in order.
    """
    ordered = in_order(newest(ceilings))
    if not ordered:
        return None
    cards = CARDS if any(search.memory_fit is not None for search in ordered) else ()
    probes = sum(len(search.probes) for search in ordered)
    seconds = sum(probe.seconds for search in ordered for probe in search.probes)
    return Ceilings(
        columns=(
            *COLUMNS,
            f"Memory per {ceiling.unit_of(ordered)}",
            *(f"In {ceiling.show_limit(size)}" for size in cards),
        ),
        rows=_rows(ordered, cards),
        note=(
            f"{_shared(ordered)}Each of {labels.count(probes, 'batch', 'batches')} was tried in a fresh process that "
            f"trains a few steps with the optimizer{_full(ordered)}, in {format_duration(seconds)}."
            f"{_held(ordered)}"
        ),
        plots=ceiling.plots(ordered, models),
        cards=bool(cards),
    )


def within(search: Ceiling) -> str:
    """Format the memory limit of a ceiling; empty without one."""
    return ceiling.limit(search)


def within_limit(search: Ceiling) -> str:
    """Format the memory limit in a sentence, with where it comes from: ``within 4 GiB (--memory-limit)``."""
    limit = within(search)
    return f"within {limit}{' (--memory-limit)' if search.limit_requested else ''}" if limit else ""


def apart(search: Ceiling, others: Sequence[Ceiling]) -> str:
    """Format differences from others, except case and limit: ``, torch 2.14.1, Ultralytics 8.4.100, steps of 8``."""
    every = [ceiling.versions_of(other) for other in (search, *others)]
    return "".join(f", {every[0][key]}" for key in every[0] if len({each[key] for each in every}) > 1)


def _full(ceilings: Sequence[Ceiling]) -> str:
    """Describe the images of a search of Ultralytics models; other workloads have no boxes."""
    known = {units_of_case(search.case).name == Units().name for search in ceilings}
    return ", on images full of boxes" if known == {True} else ""


def _held(ceilings: Sequence[Ceiling]) -> str:
    hows = labels.listing(dict.fromkeys(search.limit_method for search in ceilings if search.limit_method))
    return f" Memory was limited by: {hows}." if hows else ""


def in_order(ceilings: Sequence[Ceiling]) -> list[Ceiling]:
    """Sort by model, device, precision, size and limit."""
    models = labels.order("model", (search.case.model_label for search in ceilings))
    devices = labels.order("device", (search.case.device for search in ceilings))
    amps = labels.order("amp", (search.case.amp for search in ceilings))
    return sorted(
        ceilings,
        key=lambda search: (
            models.index(search.case.model_label),
            devices.index(search.case.device),
            amps.index(search.case.amp),
            search.case.imgsz,
            tokens(search.case.further),
            search.asked_bytes or 0,
            search.started,
        ),
    )


def _values(search: Ceiling) -> dict[str, Any]:
    """Return the case of a ceiling by axis, without mode and batch."""
    return {axis: value for axis, value in labels.case_values(search.case).items() if axis not in ("mode", "batch")}


def _same(ceilings: Sequence[Ceiling]) -> list[str]:
    """Return the axes, other than model and size, on which all ceilings are equal."""
    cases = [_values(search) for search in ceilings]
    names = [axis for axis in cases[0] if axis not in ("model", "imgsz")]
    return [axis for axis in names if all(axis in case and case[axis] == cases[0][axis] for case in cases)]


def _shared(ceilings: Sequence[Ceiling]) -> str:
    """Format the values that all ceilings share: ``On cpu, amp off. ``."""
    values = _values(ceilings[0])
    return f"On {', '.join(labels.axis_value(axis, values[axis]) for axis in _same(ceilings))}. ".replace("On . ", "")


def _rows(ceilings: Sequence[Ceiling], cards: Sequence[int]) -> list[Row]:
    known = [search.largest.peak for search in ceilings if search.largest and search.largest.peak]
    peak = labels.bytes_alike(known)
    per_image = labels.bytes_alike([search.memory_fit.slope for search in ceilings if search.memory_fit])
    shared = _same(ceilings)
    rows = []
    for search in ceilings:
        largest, line = search.largest, search.memory_fit
        cells = (
            labels.point(values := _values(search), [axis for axis in values if axis not in shared])
            + apart(search, ceilings),
            batch(search),
            within(search) or "all there is",
            peak(largest.peak) if largest and largest.peak else labels.NONE,
            per_image(line.slope) if line else labels.NONE,
        )
        broken = not is_known(search) and search.outcome.status.broken
        rows.append(Row(cells, why(search), broken, _cards(search, ceilings, cards)))
    return rows


def batch(search: Ceiling) -> str:
    """Format the largest batch: ``24``, ``at least 1,024``, ``none``, or an em dash if it is unknown."""
    if not is_known(search):
        return f"at least {search.case.batch:,}" if search.case.batch else labels.NONE
    if not search.case.batch:
        return "none"
    return f"at least {search.case.batch:,}" if search.stop_reason == "limit" else f"{search.case.batch:,}"


def why(search: Ceiling) -> str:
    """Format the reason why the search stopped."""
    if not is_known(search):
        return f"{labels.status(search.outcome.status.value)}: {search.outcome.reason}"
    steps = f", in steps of {search.granularity}" if search.granularity > 1 else ""
    if not search.case.batch:
        return f"not even batch {search.granularity} trains"
    return format_stop_reason(search) + steps


def _cards(search: Ceiling, others: Sequence[Ceiling], cards: Sequence[int]) -> tuple[str, ...]:
    """Format the largest batch per card size: as the memory model predicts it, or as tried under that limit."""
    if (grows := memory_model(search)) is None:
        return tuple(labels.NONE for _ in cards)
    batches = []
    for size in cards:
        predicted = grows.largest(size, search.granularity)
        tried = [
            other
            for other in others
            if is_known(other)
            and other.asked_bytes == size
            and setting(other) == setting(search)
            and msgspec.structs.replace(other.case, batch=search.case.batch) == search.case
        ]
        batches.append(f"{batch(tried[0])}, tried" if tried else _predicted(predicted) if predicted else "none")
    return tuple(batches)


def _predicted(batch: int) -> str:
    """Format a predicted batch with three digits, rounded down: ``≈ 1,370``."""
    unit = 10 ** max(len(str(batch)) - 3, 0)
    return f"≈ {batch // unit * unit:,}"


def build(machine: MachineInputs) -> Ceilings | None:
    """Return the section of a machine."""
    return section(machine.ceilings, machine.page.models)


SECTION = Section("ceilings", "Largest batch that trains", build, template="ceilings", question="batch")
