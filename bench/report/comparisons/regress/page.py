"""The page of a live comparison on disk: ``index.html``, ``summary.md`` and ``plots/``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from bench import __version__
from bench.compare.findings import ComparisonResult
from bench.compare.package_changes import package_changes
from bench.errors import UsageError
from bench.formatting import format_duration
from bench.records.comparison import SIDES
from bench.records.store import write_whole
from bench.report import labels
from bench.report import page as report
from bench.report.comparisons.regress import markdown, plots, words
from bench.report.plots import Plot
from bench.report.sections import settings
from bench.text import encode


def write(found: ComparisonResult, folder: Path, packages: str) -> Path:
    """Write the page into a folder, which is made where it does not exist.

    ``index.html`` is one file that needs no other. It is written last, so that where it is new, all of the page is.

    Args:
        found: the comparison.
        folder: where to.
        packages: what differs between the environments, in one line.

    Returns:
        The path of ``index.html``.

    Raises:
        WrongUse: where the folder cannot be written to.
    """
    drawn = plots.draw(found)
    files = {
        f"plots/{plot.key}.{kind}": content
        for plot in drawn
        for kind, content in (("svg", encode(plot.svg)), ("png", plot.png))
    }
    files["summary.md"] = encode(markdown.markdown(found, packages))
    files["index.html"] = encode(html(found, packages, drawn))
    try:
        (folder / "plots").mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        raise UsageError(f"the page cannot be written to {folder}: {error.strerror or error}.") from error
    return folder / "index.html"


def html(found: ComparisonResult, packages: str, drawn: Sequence[Plot]) -> str:
    """The page as one HTML file."""
    style = "".join((report.TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "upgrade.css"))
    return (
        report.templates(autoescape=True)
        .get_template("upgrade.html.jinja")
        .render(
            found=found,
            comparison=found.comparison,
            about=words.about(found, packages),
            changes=package_changes(found.comparison.base.packages, found.comparison.head.packages),
            forests=[plot for plot in drawn if plot.title == plots.FOREST],
            parts=[plot for plot in drawn if plot.title == plots.PARTS],
            titles=settings.TITLES,
            sides=SIDES,
            duration=format_duration,
            rate=labels.rate,
            words=words,
            svg=report.inline,
            style=Markup(style),
            version=__version__,
        )
    )
