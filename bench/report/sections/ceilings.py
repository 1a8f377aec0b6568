"""The table of the largest batches that train: by device, precision, model and size, and by card memory."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.analysis.ceilings import format_stop_reason, setting
from bench.cases.case import tokens
from bench.ceiling.findings import memory_model
from bench.formatting import format_bytes, format_duration
from bench.records.ceiling import Ceiling
from bench.report import labels
from bench.report.plots import Plot, ceiling
from bench.report.sections.section import Section
from bench.report.tables import markdown

CARDS = tuple(number * 2**30 for number in (8, 12, 16, 24))
"""Memory, in bytes, of the cards that most users have."""

CARDS_NOTE = (
    "The last columns are the largest batch for a card of that memory, as the memory model of the tried batches "
    "predicts it, unless marked as tried. Memory that the driver keeps for itself is not subtracted."
)

COLUMNS = ("Model", "Size", "Device", "AMP", "Limit", "Largest batch", "Its peak", "Per image")


class Row(msgspec.Struct, frozen=True):
    """One ceiling as texts.

    Attributes:
        cells: as in :data:`COLUMNS`.
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
        columns: headings, including those of the cards.
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


def section(ceilings: Sequence[Ceiling]) -> Ceilings | None:
    """Return the section of the ceilings of one machine; None without ceilings."""
    ordered = in_order(newest(ceilings))
    if not ordered:
        return None
    cards = CARDS if any(search.memory_fit is not None for search in ordered) else ()
    probes = sum(len(search.probes) for search in ordered)
    seconds = sum(probe.seconds for search in ordered for probe in search.probes)
    return Ceilings(
        columns=(*COLUMNS, *(f"In {ceiling.show_limit(size)}" for size in cards)),
        rows=[_row(search, ordered, cards) for search in ordered],
        note=(
            "Each batch was tried in a fresh process that trains a few steps, the optimizer among them, on images full "
            f"of boxes; {probes:,} of them in {format_duration(seconds)}.{_held(ordered)}"
        ),
        plots=ceiling.plots(ordered),
        cards=bool(cards),
    )


def within(search: Ceiling) -> str:
    """Format the memory limit of a ceiling; empty without one."""
    return ceiling.limit(search)


def apart(search: Ceiling, others: Sequence[Ceiling]) -> str:
    """Format differences from others, except case and limit: ``, torch 2.14.1, Ultralytics 8.4.100, steps of 8``."""
    every = [ceiling.versions_of(other) for other in (search, *others)]
    return "".join(f", {every[0][key]}" for key in every[0] if len({each[key] for each in every}) > 1)


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


def _row(search: Ceiling, others: Sequence[Ceiling], cards: Sequence[int]) -> Row:
    case, largest = search.case, search.largest
    line = search.memory_fit
    return Row(
        cells=(
            ", ".join([case.model_label, *(labels.axis_value(axis, value) for axis, value in case.further)])
            + apart(search, others),
            labels.axis_value("imgsz", case.imgsz),
            labels.device(case.device),
            case.amp,
            within(search) or "what is there",
            batch(search),
            format_bytes(largest.peak) if largest and largest.peak else labels.NONE,
            format_bytes(line.slope) if line else labels.NONE,
        ),
        under=why(search),
        broken=not is_known(search) and search.outcome.status.broken,
        cards=_cards(search, others, cards),
    )


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
        batches.append(f"{batch(tried[0])}, tried" if tried else f"{predicted:,}" if predicted else "none")
    return tuple(batches)


SECTION = Section(
    "ceilings", "Largest batch that trains", lambda machine: section(machine.ceilings), template="ceilings"
)
