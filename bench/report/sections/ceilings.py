"""The largest batch that trains, as a table: by device, precision, model and size, and by the size of a card."""

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
"""Bytes of the cards that most users have."""

CARDS_NOTE = (
    "The last columns are the largest batch for so much memory by how memory grew with the batches that were tried, "
    "unless it says that it was tried. What the driver keeps of a card for itself is not in it."
)

COLUMNS = ("Model", "Size", "Device", "AMP", "Limit", "Largest batch", "Its peak", "Per image")


class Row(msgspec.Struct, frozen=True):
    """One ceiling in words.

    Attributes:
        cells: as in :data:`COLUMNS`.
        under: what else there is to say of the largest batch: what ended it, or why it is not known.
        broken: whether that is something to look into.
        cards: the largest batch by size of card; as tried where that was tried.
    """

    cells: tuple[str, ...]
    under: str
    broken: bool
    cards: tuple[str, ...]


class Ceilings(msgspec.Struct, frozen=True):
    """The section of one machine.

    Attributes:
        columns: headings, those of the cards among them.
        rows: one for each ceiling.
        note: what the figures are.
        plots: memory against batch.
        cards: whether a line says what fits a card.
    """

    columns: tuple[str, ...]
    rows: list[Row]
    note: str
    plots: list[Plot]
    cards: bool

    @property
    def cards_note(self) -> str:
        """What the last columns are."""
        return CARDS_NOTE

    def markdown(self) -> str:
        """As a Markdown table."""
        place = COLUMNS.index("Largest batch")
        lines = [
            [f"{cell}\n{row.under}" if number == place else cell for number, cell in enumerate(row.cells)]
            + list(row.cards)
            for row in self.rows
        ]
        return markdown(self.columns, lines) + (f"\n{CARDS_NOTE}\n" if self.cards else "")


def newest(ceilings: Sequence[Ceiling]) -> list[Ceiling]:
    """The newest ceiling of each question that is known; where none is, the newest that is not."""
    found: dict[tuple[object, ...], Ceiling] = {}
    for one in sorted(ceilings, key=lambda one: (is_known(one), one.started)):
        key = (
            setting(one),
            msgspec.structs.replace(one.case, batch=0),
            one.asked_bytes,
        )
        found[key] = one
    kept = set(map(id, found.values()))
    return [one for one in ceilings if id(one) in kept]


def is_known(found: Ceiling) -> bool:
    """Whether the largest batch is known."""
    return found.outcome.status.value == "measured"


def section(ceilings: Sequence[Ceiling]) -> Ceilings | None:
    """The section of the ceilings of one machine; None without any."""
    some = in_order(newest(ceilings))
    if not some:
        return None
    cards = CARDS if any(one.memory_fit is not None for one in some) else ()
    probes = sum(len(one.probes) for one in some)
    seconds = sum(probe.seconds for one in some for probe in one.probes)
    return Ceilings(
        columns=(*COLUMNS, *(f"In {ceiling.show_limit(size)}" for size in cards)),
        rows=[_row(one, some, cards) for one in some],
        note=(
            "Each batch was tried in a fresh process that trains a few steps, the optimizer among them, on images full "
            f"of boxes; {probes:,} of them in {format_duration(seconds)}.{_held(some)}"
        ),
        plots=ceiling.plots(some),
        cards=bool(cards),
    )


def within(one: Ceiling) -> str:
    """Its memory limit; empty without one."""
    return ceiling.limit(one)


def apart(one: Ceiling, others: Sequence[Ceiling]) -> str:
    """``, torch 2.14.1, Ultralytics 8.4.100, steps of 8``: what differs from others, except its case and limit."""
    every = [ceiling.versions_of(other) for other in (one, *others)]
    return "".join(f", {every[0][key]}" for key in every[0] if len({each[key] for each in every}) > 1)


def _held(ceilings: Sequence[Ceiling]) -> str:
    hows = labels.listing(dict.fromkeys(one.limit_method for one in ceilings if one.limit_method))
    return f" Memory was limited by: {hows}." if hows else ""


def in_order(ceilings: Sequence[Ceiling]) -> list[Ceiling]:
    """By model, device, precision, size and limit."""
    models = labels.order("model", (one.case.model_label for one in ceilings))
    devices = labels.order("device", (one.case.device for one in ceilings))
    amps = labels.order("amp", (one.case.amp for one in ceilings))
    return sorted(
        ceilings,
        key=lambda one: (
            models.index(one.case.model_label),
            devices.index(one.case.device),
            amps.index(one.case.amp),
            one.case.imgsz,
            tokens(one.case.further),
            one.asked_bytes or 0,
            one.started,
        ),
    )


def _row(one: Ceiling, others: Sequence[Ceiling], cards: Sequence[int]) -> Row:
    case, largest = one.case, one.largest
    line = one.memory_fit
    return Row(
        cells=(
            ", ".join([case.model_label, *(labels.axis_value(*one) for one in case.further)]) + apart(one, others),
            labels.axis_value("imgsz", case.imgsz),
            labels.device(case.device),
            case.amp,
            within(one) or "what is there",
            batch(one),
            format_bytes(largest.peak) if largest and largest.peak else labels.NONE,
            format_bytes(line.slope) if line else labels.NONE,
        ),
        under=why(one),
        broken=not is_known(one) and one.outcome.status.broken,
        cards=_cards(one, others, cards),
    )


def batch(one: Ceiling) -> str:
    """The largest batch in words: ``24``, ``at least 1,024``, ``none``, or an em dash where it is not known."""
    if not is_known(one):
        return f"at least {one.case.batch:,}" if one.case.batch else labels.NONE
    if not one.case.batch:
        return "none"
    return f"at least {one.case.batch:,}" if one.stop_reason == "limit" else f"{one.case.batch:,}"


def why(one: Ceiling) -> str:
    """What ended it, in words."""
    if not is_known(one):
        return f"{labels.status(one.outcome.status.value)}: {one.outcome.reason}"
    steps = f", in steps of {one.granularity}" if one.granularity > 1 else ""
    if not one.case.batch:
        return f"not even batch {one.granularity} trains"
    return format_stop_reason(one) + steps


def _cards(one: Ceiling, others: Sequence[Ceiling], cards: Sequence[int]) -> tuple[str, ...]:
    """The largest batch for each size of card: as its memory grows, or as tried under that limit."""
    if (grows := memory_model(one)) is None:
        return tuple(labels.NONE for _ in cards)
    found = []
    for size in cards:
        predicted = grows.largest(size, one.granularity)
        tried = [
            other
            for other in others
            if is_known(other)
            and other.asked_bytes == size
            and setting(other) == setting(one)
            and msgspec.structs.replace(other.case, batch=one.case.batch) == one.case
        ]
        found.append(f"{batch(tried[0])}, tried" if tried else f"{predicted:,}" if predicted else "none")
    return tuple(found)


SECTION = Section(
    "ceilings", "Largest batch that trains", lambda machine: section(machine.ceilings), template="ceilings"
)
