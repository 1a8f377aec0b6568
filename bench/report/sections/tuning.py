"""The searches for the fastest settings: a card with the answer, its commands, and what was tried."""

from __future__ import annotations

import msgspec

from bench.records.tune import Tuning
from bench.report import labels
from bench.report import tuning as rendered
from bench.report.headline.cards import Card
from bench.report.inputs import MachineInputs
from bench.report.sections.section import Section, Table
from bench.tune.answer import Answer, Verdict, answer, present_name
from bench.tune.space import settings_text

TITLES = {
    Verdict.SET: "Fastest settings, proven",
    Verdict.KEEP: "Keep the present settings",
    Verdict.NOT_PROVEN: "Fastest settings so far, not proven",
}
"""Titles of the card."""


class Result(msgspec.Struct, frozen=True):
    """The answer of one search.

    Attributes:
        name: name of its run.
        card: the big figure.
        sentences: the verdict, its reasons, and times per epoch.
        shell, python: the command and the call of Ultralytics; may be empty.
        tried, not_tried: tables.
    """

    name: str
    card: Card
    sentences: list[str]
    shell: str
    python: str
    tried: Table
    not_tried: Table


class Searches(msgspec.Struct, frozen=True):
    """The section of one machine."""

    results: list[Result]


def build(machine: MachineInputs) -> Searches | None:
    """Return the section of a machine, newest search first; None without a search."""
    results = [_result(tuning, machine.page.epochs) for tuning in reversed(machine.tunings)]
    return Searches(results) if results else None


def _result(tuning: Tuning, epochs: int) -> Result:
    result = answer(tuning)
    chosen = tuning.winner if result.settings and tuning.winner is not None else tuning.present
    shell, python = rendered.commands(tuning, chosen)
    method = (
        f"Margin {rendered.margin_text(tuning)}; {labels.count(result.pairs, 'pair')} of winner and present settings."
    )
    return Result(
        name=tuning.run,
        card=_card(tuning, result),
        sentences=[
            rendered.first_line(result),
            *result.reasons,
            *rendered.times(tuning, result, epochs),
            *rendered.learned(result.settings),
        ],
        shell=shell,
        python=python,
        tried=_texts_first(rendered.TRIED, rendered.tried_rows(tuning), f"Searched: {tuning.design}. {method}"),
        not_tried=Table(rendered.NOT_TRIED, rendered.not_tried_rows(tuning), labels=2),
    )


def _texts_first(columns: tuple[str, ...], rows: list[tuple[str, ...]], note: str) -> Table:
    """Return a table whose last column, which holds text, follows the first one."""

    def moved(cells: tuple[str, ...]) -> tuple[str, ...]:
        return cells[0], cells[-1], *cells[1:-1]

    return Table(moved(columns), [moved(row) for row in rows], note=note, labels=2)


def _card(tuning: Tuning, result: Answer) -> Card:
    """Return the card: how many times as fast, or the present settings."""
    case = tuning.present
    place = f"{labels.mode(case.mode)} · {case.model_label} · {labels.device(case.device)} · {case.imgsz} px"
    gain = result.gain
    if not result.settings or gain is None:
        return Card(title=TITLES[result.verdict], value="1", unit="as fast", case=place)
    interval = f"95 % interval {gain.low:.2f} to {gain.high:.2f}" if gain.low is not None else "no interval"
    return Card(
        title=TITLES[result.verdict],
        value=labels.SPEEDUP.unit.show(gain.ratio),
        unit=f"as fast as {present_name(tuning)}",
        case=place,
        details=(settings_text(result.settings), interval),
        noisy=result.verdict is Verdict.NOT_PROVEN,
    )


SECTION = Section("tuning", "", build, template="tuning", question="tune")
