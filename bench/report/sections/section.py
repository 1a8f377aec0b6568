"""The interface of a section of the page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from bench.report.inputs import MachineInputs
from bench.report.plots import Plot
from bench.report.tables import markdown


class Section(msgspec.Struct, frozen=True):
    """One section of a machine.

    Attributes:
        key: unique among sections.
        title: heading; empty for none.
        build: gathers its data; None if there is nothing to show, so that the page omits the section.
        template: first part of the names of its two templates, for HTML and Markdown, below
            ``templates/sections``. ``table`` shows a :class:`Table`.
        plots: returns the plots of its data; their file names have the prefix of the machine.
        question: that it helps to answer, a key of :data:`bench.report.questions.QUESTIONS`; empty for the top.
    """

    key: str
    title: str
    build: Callable[[MachineInputs], Any | None]
    template: str = "table"
    plots: Callable[[Any], Sequence[Plot]] = lambda data: getattr(data, "plots", ())
    question: str = "more"


class Table(msgspec.Struct, frozen=True):
    """The data of a section that is one table.

    Attributes:
        columns: headings.
        rows: cells as text; further lines of the first cell are a remark.
        note: how to read it.
        labels: number of columns at the left that hold text; the others hold numbers.
        plots: plots below it.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    labels: int = 1
    plots: Sequence[Plot] = ()

    def markdown(self) -> str:
        """Render as a Markdown table."""
        return markdown(self.columns, [list(row) for row in self.rows])
