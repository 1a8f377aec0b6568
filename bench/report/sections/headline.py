"""The headline: warnings, cards of the reference figures, recommended settings, and the user's training time."""

from __future__ import annotations

import msgspec

from bench.analysis.reference import reference_cases
from bench.analysis.reference_ratios import reference_ratios
from bench.records.record import Record
from bench.report import labels, tuning
from bench.report.headline import cards, names, recommendation, training_time, warnings
from bench.report.history import change_sentence
from bench.report.inputs import MachineInputs
from bench.report.sections.section import Section


class Headline(msgspec.Struct, frozen=True):
    """The headline of a machine.

    Attributes:
        sentence: the reference case in one sentence.
        cautions: warnings about the figures.
        changes: how the figures differ from those of an earlier run, one sentence per mode.
        cards: big figures.
        recommendation: recommended settings for training.
        training_time: how long the user's own training takes.
    """

    sentence: str
    cautions: list[warnings.Caution]
    changes: list[str]
    cards: list[cards.Card]
    recommendation: recommendation.Recommendation | None = None
    training_time: training_time.TrainingTime | None = None


def build(machine: MachineInputs) -> Headline:
    """Return the headline of a machine."""
    table, page, ceilings = machine.table, machine.page, machine.ceilings
    references = reference_cases(table)
    records: dict[str, Record] = {record.id: record for record in machine.records}
    cautions = warnings.cautions(references, records)
    changes = [
        f"{labels.mode(mode)}: {change_sentence(change)}"
        for mode, reference in references.items()
        if (change := machine.change_since(reference.row)) is not None
    ]
    differ = len({reference.row["model"] for reference in references.values()}) > 1
    figures = [
        cards.speed_card(table, mode, reference, page.epoch_images, names_model=differ)
        for mode, reference in references.items()
    ]
    first = next(iter(references.values()), None)
    if first is not None:
        figures += [cards.ratio_card(table, ratio) for ratio in reference_ratios(table, first)]
    train = references.get("train")
    ceiling = names.widest(ceilings, train)
    if ceiling is not None and not (
        train is not None and names.is_of(ceiling, train)
    ):  # else the recommendation has it
        figures.append(cards.ceiling_card(ceiling, ceilings))
    record = records.get(train.row["id"]) if train is not None else None
    if train is None or record is None:
        return Headline(_sentence(machine), cautions, changes, figures)
    return Headline(
        _sentence(machine),
        cautions,
        changes,
        figures,
        _proven(machine) or recommendation.recommend(table, train, record, ceilings),
        training_time.training_time(train, record, page.epoch_images, page.epochs),
    )


def _proven(machine: MachineInputs) -> recommendation.Recommendation | None:
    """Return the settings that the newest search for the fastest ones has proven; None without one."""
    return next(filter(None, map(tuning.recommended, reversed(machine.tunings))), None)


def _sentence(machine: MachineInputs) -> str:
    return names.sentence(machine.table, machine.machine, machine.page.epoch_images, machine.ceilings)


SECTION = Section("headline", "", build, template="headline", question="")
