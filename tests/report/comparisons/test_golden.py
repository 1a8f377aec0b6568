"""Each renderer against one file of what it wrote before: a change of words or layout has to be meant.

``python -m tests.report.comparisons.test_golden`` writes the files again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench import __version__
from bench.compare.findings import evaluate
from bench.compare.recorded_runs import compare_runs
from bench.machine.description import Conditions
from bench.report.comparisons import bisect, recorded_runs
from bench.report.comparisons.regress.context import context as regress_context
from bench.report.comparisons.rendering import render_html, render_markdown, render_text
from bench.report.comparisons.sweep.context import context as sweep_context
from tests.builders import make_compared, make_environment
from tests.report import rows
from tests.report.comparisons import comparisons
from tests.report.comparisons.test_recorded_runs import runs

GOLDEN = Path(__file__).with_name("golden")


def regress() -> dict[str, object]:
    return regress_context(evaluate(comparisons.eventful()), comparisons.PACKAGES)


def sweep() -> dict[str, object]:
    return sweep_context(rows.eventful())


def search() -> dict[str, object]:
    return bisect.context(rows.search(make_compared(*rows.SLOWER)))


def recorded() -> dict[str, object]:
    newer = runs(environment=make_environment("2.15.0"), conditions=Conditions(governor="powersave"))
    return recorded_runs.context(compare_runs(*newer))


def body(kind: str, context: dict[str, object]) -> str:
    """A page without its style, and without the version of the suite."""
    html = render_html(kind, context, ())
    return html[html.index("<main>") :].replace(__version__, "VERSION")


FILES: dict[str, Callable[[], str]] = {
    "regress.txt": lambda: render_text("regress", regress()),
    "regress.md": lambda: render_markdown("regress", regress()),
    "regress.html": lambda: body("regress", regress()),
    "sweep.txt": lambda: render_text("sweep", sweep()),
    "sweep.md": lambda: render_markdown("sweep", sweep()),
    "sweep.html": lambda: body("sweep", sweep()),
    "bisect.txt": lambda: render_text("bisect", search()),
    "bisect.md": lambda: render_markdown("bisect", search()),
    "recorded_runs.md": lambda: render_markdown("recorded_runs", recorded()),
}


@pytest.mark.parametrize("name", FILES)
def test_it_is_written_as_before(name: str) -> None:
    assert FILES[name]() == (GOLDEN / name).read_text(encoding="utf-8")


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for file, write in FILES.items():
        (GOLDEN / file).write_text(write(), encoding="utf-8")
