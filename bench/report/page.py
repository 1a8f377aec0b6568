"""The report on disk: ``index.html``, ``share.png``, ``report.md``, ``cases.csv`` and ``plots/``."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from bench.errors import NothingMeasured, UsageError
from bench.records.store import write_whole
from bench.report import context, gha, labels, links, tables
from bench.report.inputs import Inputs
from bench.report.plots import Plot, palette, style
from bench.text import encode

__all__ = ["FORMATS", "LIVE_SECONDS", "TEMPLATES", "USUAL", "Inputs", "gather", "parse_formats", "save", "write"]

TEMPLATES = Path(__file__).with_name("templates")

LIVE_SECONDS = 10
"""Seconds between two reloads of the page of an unfinished run, and the minimum between two writes of it."""

STYLES = ("page.css", "headline.css")
"""Style sheets of the page, which has them inline."""

SHARE = "share.png"
"""File name of the picture for shared links, which the page names but does not need."""

NO_BREAK = "\N{NO-BREAK SPACE}"

MOST_TEXT = 20_000
"""Maximum length of a text on the page, in characters; lists and commands may join many parts."""

FORMATS = ("html", "md", "csv", "svg", "png", "gha")
"""Formats of a report: the page, Markdown, the table, plots of two kinds, and JSON for github-action-benchmark."""

USUAL = FORMATS[:-1]


def parse_formats(text: str) -> tuple[str, ...]:
    """Parse formats such as ``html,csv``; an empty text gives the usual ones.

    Raises:
        UsageError: for an unknown format.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for name in names:
        if name not in FORMATS:
            raise UsageError(f"format {name!r} is unknown: use {', '.join(FORMATS)}.")
    return names or USUAL


def write(inputs: Inputs, output: Path, formats: Sequence[str] = USUAL) -> Path:
    """Gather the page of some inputs, and write it: :func:`gather` and :func:`save`."""
    return save(gather(inputs), output, formats)


def gather(inputs: Inputs) -> context.PageView:
    """Gather the content of the page.

    Args:
        inputs: the results, with the epoch and the baseline to report them by.

    Raises:
        NothingMeasured: if there is nothing to show. If there are records but no figures, the page says why.
    """
    if inputs.empty:
        raise NothingMeasured(
            "There is no record to report: measure something first, with pytest bench/ --benchmark-only."
        )
    return context.page(inputs)


def save(page: context.PageView, output: Path, formats: Sequence[str] = USUAL) -> Path:
    """Write the report into a folder, which is created if missing.

    ``index.html`` needs no other file. It is written last, so that a new ``index.html`` means a complete report.

    Args:
        page: the content.
        output: the folder.
        formats: some of :data:`FORMATS`; Markdown includes the pictures that it shows.

    Returns:
        The path of the file that was written last: ``index.html``, if it is among the formats.

    Raises:
        UsageError: if the folder cannot be written to.
    """
    files = _files(page, formats)
    try:
        output.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (output / name).parent.mkdir(exist_ok=True)
            write_whole(output / name, content, lasting=not name.startswith("plots/"))
    except OSError as error:
        raise UsageError(f"the report cannot be written to {output}: {error.strerror or error}.") from error
    return output / list(files)[-1]


def _files(page: context.PageView, formats: Sequence[str]) -> dict[str, bytes]:
    """Return all files of the report by their path within its folder, in the order of writing."""
    kinds = [kind for kind in ("svg", "png") if kind in formats or (kind == "png" and "md" in formats)]
    files: dict[str, Callable[[], bytes]] = {
        f"plots/{name}.{kind}": functools.partial(_picture, plot, kind)
        for name, plot in page.plots.items()
        for kind in kinds
    }
    if "html" in formats and page.is_shared:
        files[SHARE] = lambda: page.share.png
    csv = functools.cache(lambda: encode(tables.render(page.table, "csv")))
    texts: dict[str, tuple[str, Callable[[], bytes]]] = {
        "csv": ("cases.csv", csv),
        "gha": ("gha.json", lambda: encode(gha.render(page.table))),
        "md": ("report.md", lambda: encode(markdown(page))),
        "html": ("index.html", lambda: html(page, csv())),
    }
    files |= {name: make for kind, (name, make) in texts.items() if kind in formats}
    waiting = {name for name in files if name.startswith("plots/") or name == "index.html"}
    made = {name: files[name]() for name in sorted(files, key=waiting.__contains__)}  # the others while the pool draws
    return {name: made[name] for name in files}


def _picture(plot: Plot, kind: str) -> bytes:
    return encode(plot.svg) if kind == "svg" else plot.png


class Places:
    """Places of the large parts of a page: its plots and its table, which are most of its bytes.

    A template gets a mark for each, so that only the text of the page is rendered and looked through.

    Attributes:
        parts: as they come into the page, by number.
    """

    MARK = re.compile(r'<svg place="(\d+)"></svg>')

    def __init__(self) -> None:
        """Start without parts."""
        self.parts: list[bytes] = []

    def plot(self, svg: str, prefix: str) -> Markup:
        """Return the mark of a plot."""
        return self.mark(encode(inline(svg, prefix)))

    def mark(self, part: bytes) -> Markup:
        """Return the mark of a part; no text on a page can be one, since a page escapes it."""
        self.parts.append(part)
        return Markup(f'<svg place="{len(self.parts) - 1}"></svg>')

    def fill(self, text: str) -> bytes:
        """Return the page of a text with marks."""
        pieces = self.MARK.split(text)
        return b"".join(self.parts[int(piece)] if place % 2 else encode(piece) for place, piece in enumerate(pieces))


def html(page: context.PageView, csv: bytes) -> bytes:
    """Render the page as one HTML file, which includes its table as ``cases.csv``."""
    places = Places()
    text = (
        templates(autoescape=True)
        .get_template("page.html.jinja")
        .render(
            page=page,
            style=style_sheet(*STYLES),
            labels=labels,
            svg=places.plot,
            unbroken=unbroken,
            whole_options=whole_options,
            csv=places.mark(base64.b64encode(csv)),
            docs=links.docs,
            repository=links.REPOSITORY,
            seconds=LIVE_SECONDS,
            picture=SHARE,
        )
    )
    return places.fill(keep_units(text))


def style_sheet(*names: str) -> Markup:
    """Return the style sheet of a page: some files of the templates, and the colours of plots."""
    return Markup("".join((TEMPLATES / name).read_text(encoding="utf-8") for name in names) + palette.css())


UNITS = re.compile(r"(?<=\d) (?=(?:%|GiB|MiB|KiB|px|images/s|ms|s|min|h|W)(?![\w/]))")
APART = re.compile(r"(<(pre|svg|style)\b.*?</\2>)", re.DOTALL)


OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*(?: \d+)?")


def keep_units(html: str) -> str:
    """Keep each number of a page on one line with its unit, except in commands and plots."""
    parts = APART.split(html)  # text, whole element, its tag, text, and so on
    return "".join(
        UNITS.sub(NO_BREAK, part) if place % 3 == 0 else part for place, part in enumerate(parts) if place % 3 != 2
    )


def markdown(page: context.PageView) -> str:
    """Render the page as Markdown, with pictures from ``plots/``."""
    environment = templates(autoescape=False)
    environment.filters["md"] = tables.escaped
    return environment.get_template("report.md.jinja").render(
        page=page, labels=labels, markdown=tables.markdown, docs=links.docs, repository=links.REPOSITORY
    )


def templates(autoescape: bool) -> jinja2.Environment:
    """Return the environment of all templates, HTML or Markdown; an undefined name is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=autoescape,
        finalize=clean_text if autoescape else None,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def clean_text(value: object) -> object:
    """Clean recorded text for a page, line by line: cut it to a maximum length and remove control characters."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    cut = value if len(value) <= MOST_TEXT else f"{value[:MOST_TEXT]}…"
    return "\n".join(labels.to_one_line(line, len(line)) for line in cut.split("\n"))


def unbroken(case: str) -> Markup:
    """Format the name of a case for a narrow place: lines break between its parts, and not within one."""
    parts = [part.replace(" ", NO_BREAK) for part in str(clean_text(case)).split(" · ")]
    return Markup(f"{NO_BREAK}· ").join(parts)


def whole_options(text: str) -> Markup:
    """Format a sentence for a narrow place: no line breaks within an option such as ``--processes 5``."""
    return Markup(OPTION.sub(r'<span class="whole">\g<0></span>', str(escape(clean_text(text)))))


def inline(svg: str, prefix: str) -> Markup:
    """Embed an SVG in a page: its ids get a prefix, since another SVG may have the same ids.

    Matplotlib made the SVG and escaped the text in it. The style sheet of the page has its colours.
    """
    text = (
        svg.replace(style.STANDALONE, "")
        .replace('id="', f'id="{prefix}')
        .replace("url(#", f"url(#{prefix}")
        .replace('href="#', f'href="#{prefix}')
    )
    return Markup(text)
