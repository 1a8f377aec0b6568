"""Make all pages of this folder from the records in results/examples: nox -s examples."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from bench.compare.findings import evaluate
from bench.compare.package_changes import format_changes, package_changes
from bench.environments.specification import Specification
from bench.records.store import read_comparison
from bench.report.comparisons.regress import plots
from bench.report.comparisons.regress.context import context
from bench.report.comparisons.rendering import write_page

PAGES = Path(__file__).resolve().parent
RESULTS = PAGES.parents[1] / "results" / "examples"

REPORTS = {
    "linux-cpu": ("linux-cpu", "ceilings", "regress-torch", "regress-ultralytics"),
    "workloads": ("workloads", "claims-cpu"),
    "formats": ("formats",),
    "ranks-and-sweep": ("ranks-cpu", "sweep-ultralytics-8.4.185", "sweep-ultralytics-8.4.190"),
}
"""Runs of each report."""

WITHOUT_PLOTS = ("workloads",)
"""Reports with plots in the page alone: in Markdown, they would need some fifty files."""

COMPARISONS = ("regress-torch", "regress-ultralytics")
"""Live comparisons with a page each, as regress writes it."""


def make_report(name: str) -> None:
    """Make a report as the command does."""
    folders = [str(RESULTS / run) for run in REPORTS[name]]
    command = [sys.executable, "-m", "bench", "report", *folders, "--output", str(PAGES / name)]
    command += ["--format", "html,csv"] if name in WITHOUT_PLOTS else []
    subprocess.run(command, check=True, cwd=PAGES.parents[1])


def make_comparison(name: str) -> None:
    """Make the page of a recorded live comparison."""
    comparison = read_comparison(RESULTS / name)
    result = evaluate(comparison)
    sides = comparison.base, comparison.head
    asked = {package for side in sides for package in Specification.parse(side.asked).names()}
    packages = format_changes(package_changes(comparison.base.packages, comparison.head.packages), asked)
    print(write_page("regress", context(result, packages), plots.draw(result), PAGES / name))


def main() -> None:
    """Make all pages; plots that are no longer drawn disappear."""
    for name in (*REPORTS, *COMPARISONS):
        shutil.rmtree(PAGES / name / "plots", ignore_errors=True)
    for name in REPORTS:
        make_report(name)
    for name in COMPARISONS:
        make_comparison(name)


if __name__ == "__main__":
    main()
