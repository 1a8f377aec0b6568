"""The page of a row of releases on disk: ``index.html``, ``sweep.md`` and ``plots/``."""

from __future__ import annotations

from pathlib import Path

from markupsafe import Markup

from bench import __version__
from bench.compare.sweep import Sweep
from bench.errors import UsageError
from bench.records.store import write_whole
from bench.report import labels
from bench.report import page as report
from bench.report.comparisons.sweep import markdown, plots, words
from bench.report.plots import Plot
from bench.text import encode


def write(found: Sweep, folder: Path) -> Path:
    """Write the page into a folder, which is made where it does not exist.

    ``index.html`` is one file that needs no other. It is written last, so that where it is new, all of the page is.

    Returns:
        The path of ``index.html``.

    Raises:
        WrongUse: where the folder cannot be written to.
    """
    drawn = tuple(plots.draw(found))
    files = {
        f"plots/{plot.key}.{kind}": content
        for plot in drawn
        for kind, content in (("svg", encode(plot.svg)), ("png", plot.png))
    }
    files["sweep.md"] = encode(markdown.markdown(found, drawn))
    files["index.html"] = encode(html(found, drawn))
    try:
        (folder / "plots").mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        raise UsageError(f"the page cannot be written to {folder}: {error.strerror or error}.") from error
    return folder / "index.html"


def html(found: Sweep, drawn: tuple[Plot, ...]) -> str:
    """The page as one HTML file."""
    style = "".join((report.TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "upgrade.css"))
    return (
        report.templates(autoescape=True)
        .get_template("sweep.html.jinja")
        .render(
            found=found,
            drawn=drawn,
            words=words,
            rate=labels.rate,
            svg=report.inline,
            style=Markup(style),
            version=__version__,
        )
    )
