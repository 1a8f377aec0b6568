"""The plots that help to answer one question of the page."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import msgspec

from bench.report.inputs import MachineInputs
from bench.report.plots import Plot
from bench.report.questions import QUESTIONS
from bench.report.sections.section import Section


class Group(msgspec.Struct, frozen=True):
    """Plots of one kind.

    Attributes:
        title: heading, with the versions if the page has several.
        caption: of all its plots; if it is empty, each plot has its own.
        panels: at least one.
    """

    title: str
    caption: str
    panels: list[Plot]


class Drawings(msgspec.Struct, frozen=True):
    """The groups of plots of one question."""

    groups: list[Group]

    @property
    def plots(self) -> list[Plot]:
        """All its plots."""
        return [plot for group in self.groups for plot in group.panels]


def groups(drawn: Sequence[Plot], versions: str = "") -> list[Group]:
    """Group plots by their titles.

    Args:
        drawn: the plots.
        versions: to add to each title; empty for none.
    """
    plot_groups = []
    for title in dict.fromkeys(plot.title for plot in drawn):
        panels = [plot for plot in drawn if plot.title == title]
        captions = {plot.caption for plot in panels}
        caption = captions.pop() if len(captions) == 1 else ""
        plot_groups.append(Group(f"{title} · {versions}" if versions else title, caption, panels))
    return plot_groups


def build(question: str, machine: MachineInputs) -> Drawings | None:
    """Return the plots of a machine that help to answer a question."""
    parts = machine.drawn
    plot_groups = [
        group
        for title, drawn in parts
        for group in groups([plot for plot in drawn if plot.question == question], title if len(parts) > 1 else "")
    ]
    return Drawings(plot_groups) if plot_groups else None


SECTIONS = [
    Section(f"plots_{key}", "", functools.partial(build, key), template="drawings", question=key) for key in QUESTIONS
]
