"""Renderings of a comparison: terminal text, Markdown, JSON and a page, all of one context of plain data."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from bench import __version__
from bench.errors import UsageError
from bench.records.store import write_whole
from bench.report import labels, links, page, tables
from bench.report.plots import Plot
from bench.text import cleaned, encode

Context = dict[str, Any]
"""Content of a comparison: numbers as they are, and their texts below each ``shown``."""

SUMMARY = {"regress": "summary.md", "sweep": "sweep.md"}
"""Name of the Markdown file of a page."""

SEPARATOR = "│"
"""Separator of the cells of a row in a text template, within ``{% filter columns %}``."""


def render_json(context: Mapping[str, Any]) -> str:
    """Render the context as JSON that ends with a newline; a missing value is null."""
    return json.dumps(cleaned(context), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def render_text(kind: str, context: Mapping[str, Any]) -> str:
    """Render lines for the terminal, without a final newline and without control characters of recorded text."""
    return _environment(_shown_in_text).get_template(f"{kind}.txt.jinja").render({kind: context}).rstrip("\n")


def render_markdown(kind: str, context: Mapping[str, Any], plots: Sequence[Plot] = ()) -> str:
    """Render Markdown for a pull request, and for the summary of a step of GitHub Actions.

    Args:
        kind: of the comparison: ``regress``, ``sweep``, ``bisect`` or ``recorded_runs``.
        context: the comparison.
        plots: pictures in ``plots/`` next to the text; empty if the text is shown elsewhere.
    """
    template = _environment(_shown_in_markdown).get_template(f"{kind}.md.jinja")
    parts = template.render({kind: context}, plots=plots).split("\n\n")
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"


def render_html(kind: str, context: Mapping[str, Any], plots: Sequence[Plot]) -> str:
    """Render the page as one HTML file."""
    style = page.style_sheet("page.css", "comparison.css")
    template = page.templates(autoescape=True).get_template(f"{kind}.html.jinja")
    text = template.render(
        {kind: context},
        plots=plots,
        svg=page.inline,
        style=style,
        version=__version__,
        docs=links.docs,
        repository=links.REPOSITORY,
    )
    return page.keep_units(text)


def write_page(kind: str, context: Mapping[str, Any], plots: Sequence[Plot], folder: Path) -> Path:
    """Write ``index.html``, a summary in Markdown and ``plots/`` into a folder, which is created if missing.

    ``index.html`` needs no other file. It is written last, so that a new ``index.html`` means a complete page.

    Returns:
        The path of ``index.html``.

    Raises:
        UsageError: if the folder cannot be written to.
    """
    files = {
        f"plots/{plot.key}.{suffix}": content
        for plot in plots
        for suffix, content in (("svg", encode(plot.svg)), ("png", plot.png))
    }
    files[SUMMARY[kind]] = encode(render_markdown(kind, context, plots if kind == "sweep" else ()))
    files["index.html"] = encode(render_html(kind, context, plots))
    try:
        (folder / "plots").mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        raise UsageError(f"the page cannot be written to {folder}: {error.strerror or error}.") from error
    return folder / "index.html"


def _environment(shown: Any) -> jinja2.Environment:
    """Return an environment that passes every value through a function, so that no template has to call it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(page.TEMPLATES),
        finalize=shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["columns"] = align_columns
    return environment


def _shown_in_text(value: Any) -> str:
    return labels.to_one_line(str(value)).replace(SEPARATOR, "|")


def _shown_in_markdown(value: Any) -> str:
    return value if isinstance(value, tables.Own) else tables.escaped(str(value))


def align_columns(text: str) -> str:
    """Indent lines of cells and align their columns."""
    rows = [[cell.strip() for cell in line.split(SEPARATOR)] for line in text.splitlines() if line.strip()]
    widths = [max(map(len, column)) for column in itertools.zip_longest(*rows, fillvalue="")]
    lines = ["  " + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)) for row in rows]
    return "".join(f"{line.rstrip()}\n" for line in lines)
