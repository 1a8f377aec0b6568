"""The report on disk: ``index.html``, ``report.md``, ``cases.csv`` and ``plots/``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from bench.errors import NothingMeasured, WrongUse
from bench.records.record import Record
from bench.records.store import write_whole
from bench.report import labels, tables, view

TEMPLATES = Path(__file__).with_name("templates")


def write(
    records: Sequence[Record],
    output: Path,
    epoch_images: int,
    baseline: dict[str, Any] | None,
    complaints: Sequence[str] = (),
) -> Path:
    """Write the report into a folder, which is made where it does not exist.

    ``index.html`` is one file that needs no other. It is written last, so that where it is new, all of the report is.

    Args:
        records: in the order in which they were measured.
        output: the folder.
        epoch_images: images of the epoch that times are projected to.
        baseline: values by axis that speed-ups compare with; None for what suggests itself.
        complaints: one sentence for every file that could not be read.

    Returns:
        The path of ``index.html``.

    Raises:
        NothingMeasured: without any record. Where there are records and none has a figure, the page says why.
        WrongUse: where the folder cannot be written to.
    """
    if not records:
        raise NothingMeasured(
            "There is no record to report: measure something first, with pytest bench/ --benchmark-only."
        )
    try:
        (output / "plots").mkdir(parents=True, exist_ok=True)
        for name, content in _files(view.page(records, epoch_images, baseline, complaints)).items():
            write_whole(output / name, content)
    except OSError as error:
        raise WrongUse(f"the report cannot be written to {output}: {error.strerror or error}.") from error
    return output / "index.html"


def _files(page: view.PageView) -> dict[str, bytes]:
    """All files of the report by their path within its folder, in the order in which they are written."""
    plots = {
        f"plots/{part.prefix}{plot.key}.{kind}": content
        for machine in page.machines
        for part in machine.software
        for group in part.plots
        for plot in group.panels
        for kind, content in (("svg", plot.svg.encode()), ("png", plot.png))
    }
    return {
        **plots,
        "cases.csv": tables.render(page.table, "csv").encode(),
        "report.md": markdown(page).encode(),
        "index.html": html(page).encode(),
    }


def html(page: view.PageView) -> str:
    """The page as one HTML file."""
    environment = templates(autoescape=True)
    style = Markup((TEMPLATES / "page.css").read_text())
    return environment.get_template("page.html.jinja").render(page=page, style=style, labels=labels, svg=inline)


def markdown(page: view.PageView) -> str:
    """The page as Markdown, with pictures from ``plots/``."""
    environment = templates(autoescape=False)
    environment.filters["md"] = tables.escaped
    return environment.get_template("report.md.jinja").render(page=page, labels=labels, markdown=tables.markdown)


def templates(autoescape: bool) -> jinja2.Environment:
    """All templates, HTML or Markdown: a name that they are not given is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def inline(svg: str, prefix: str) -> Markup:
    """An SVG within a page: its ids get a prefix, since those of another one may be the same.

    It was made by matplotlib, which escapes the text in it.
    """
    text = (
        svg.replace('id="', f'id="{prefix}').replace("url(#", f"url(#{prefix}").replace('href="#', f'href="#{prefix}')
    )
    return Markup(text)
