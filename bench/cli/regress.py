"""``python -m bench regress``: is head slower than base? Two environments compared live, with an exit code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.cli.axis_options import FIRST_DEVICE, axis_options
from bench.cli.io import say
from bench.cli.live_comparison import (
    Budget,
    Cases,
    Choice,
    DataSet,
    Json,
    Margin,
    Newer,
    Reports,
    Results,
    Resume,
    Threads,
    add_to_summary,
    check_file,
    measure,
    own_folder,
    provide_both,
    write_file,
)
from bench.errors import BenchError, ExitCode, UsageError
from bench.formatting import parse_duration, parse_percent

if TYPE_CHECKING:  # --help does without what these import
    from bench.compare.findings import ComparisonResult
    from bench.environments.builder import PreparedEnvironment
    from bench.environments.specification import Specification
    from bench.records.comparison import Comparison

RUN_PREFIX = "regress-"
"""What the folder of a comparison is called, before the time and the machine."""

SPEC = "torch==2.14.1 or ultralytics==8.4.100, several with commas between, a wheel, a project folder, or python:PATH"


@axis_options(notes=FIRST_DEVICE)
def regress(
    base: Annotated[str, typer.Option(metavar="SPEC", help=f"What head is compared with: {SPEC}.")],
    head: Annotated[str, typer.Option(metavar="SPEC", help="What may be slower; the same as base checks yolopace.")],
    case: Cases = None,
    *,
    axes: dict[str, list[Any]],
    data: DataSet = "",
    threads: Threads = 0,
    margin: Margin = "",
    memory_margin: Annotated[str, typer.Option(metavar="PERCENT", help="The same of peak memory.")] = "5%",
    time_budget: Budget = "",
    exclude_newer: Newer = "",
    results: Results = Path("results"),
    reports: Reports = Path("reports"),
    json: Json = None,
    run: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the folder; default: the time and the machine.")
    ] = "",
    resume: Resume = False,
) -> None:
    """Is head slower than base? Pairs of live processes that take turns; a verdict with its interval for every case.

    Exit status: 0 no regression; 1 slower, more memory, or a case that head cannot run any more; 2 wrong use; 3 not
    decided; 4 nothing was measured.
    """
    from bench.compare.findings import evaluate, exit_code
    from bench.compare.package_changes import format_changes, package_changes
    from bench.compare.start import begin
    from bench.environments.cache_checks import check_usable
    from bench.environments.specification import Specification
    from bench.records.store import Store, check_new_run, comparisons_of
    from bench.report.comparisons.regress import page, text

    specifications = Specification.parse(base), Specification.parse(head)
    least = parse_percent("margin", margin) if margin else None
    most_memory = parse_percent("memory-margin", memory_margin)
    budget = parse_duration(time_budget) if time_budget else None
    if run and resume:
        raise UsageError("--run names a new comparison, and --resume goes on with one: leave one of them out.")
    name = check_new_run(results, run)
    check_file(json)
    check_usable()
    choice = Choice.parse(case, axes, data, threads)
    known = [one for one in comparisons_of(results) if resume and asked_alike(one, specifications)]
    sides, exclude_newer = provide_dated(specifications, exclude_newer, known[-1].exclude_newer if known else "")
    planned = choice.planned([side.interpreter for side in sides])
    comparison = begin(sides, planned, "", exclude_newer, least, most_memory, say)
    comparison, folder = continued(comparison, known, results, least) if resume else started(comparison, results, name)
    asked = {name for one in specifications if not one.python for name in one.names()}
    packages = format_changes(package_changes(comparison.base.packages, comparison.head.packages), asked)
    say(packages)
    if trouble := Store.at(folder).save(comparison):
        say(trouble)
    try:
        measure(comparison, sides, folder, budget)
    except BenchError:
        forget_empty(comparison, folder)
        raise
    found = evaluate(comparison)
    print(text.told(found, packages))
    say(f"what was measured: {folder}")
    code = exit_code(found)
    try:
        write(found, packages, json)
        say(f"page: {page.write(found, reports / comparison.run, packages)}")
    except UsageError as error:
        if code is not ExitCode.REGRESSION:
            raise
        say(f"yolopace: {error}")  # what was found settles the exit status all the same
    raise typer.Exit(code)


def started(comparison: Comparison, results: Path, name: str) -> tuple[Comparison, Path]:
    """A comparison with a folder of its own, by the name that was asked for or by the time."""
    from bench.records.store import new_run_name

    chosen = name or RUN_PREFIX + new_run_name(comparison.machine.fingerprint)
    return comparison, own_folder(comparison, results, chosen)


def asked_alike(known: Comparison, specifications: tuple[Specification, Specification]) -> bool:
    """Whether a comparison was asked for in the same words; an interpreter is called by its version in the record."""
    asked = known.base.asked, known.head.asked
    return all(one.python or str(one) == text for one, text in zip(specifications, asked, strict=True))


def provide_dated(
    specifications: tuple[Specification, Specification], asked: str, before: str
) -> tuple[tuple[PreparedEnvironment, PreparedEnvironment], str]:
    """Both environments as of one moment, so that no release between them makes a difference that nobody asked for.

    Args:
        specifications: of base and head.
        asked: the date that the user named, or empty.
        before: that of a comparison that is gone on with, or empty.

    Returns:
        The environments, and the moment; empty where the package index does not say when releases were made.
    """
    from datetime import UTC, datetime

    exclude_newer = asked or before or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        return provide_both(*specifications, exclude_newer), exclude_newer
    except UsageError:
        if asked:
            raise
    return provide_both(*specifications, ""), ""


def continued(
    question: Comparison, known: list[Comparison], results: Path, margin: float | None
) -> tuple[Comparison, Path]:
    """The newest comparison that asks the same, one that is not decided before others."""
    from bench.compare.estimator import pending_cases
    from bench.compare.start import reopen

    same = [one for one in known if one.same_question(question)]
    if not same:
        raise UsageError(
            f"{results} holds no comparison of these environments and cases on this machine: leave --resume out."
        )
    for one in same:
        reopen(one, question, margin)
    chosen = next((one for one in reversed(same) if pending_cases(one)), same[-1])
    return chosen, results / chosen.run


def forget_empty(comparison: Comparison, folder: Path) -> None:
    """Remove the folder of a comparison that ended before its first pair."""
    from bench.records.store import Store

    if not any(one.pairs for one in comparison.cases):
        Store.at(folder).remove(comparison)


def write(found: ComparisonResult, packages: str, json: Path | None) -> None:
    """For programs: JSON where it was asked for, and the summary of a step where GitHub Actions wants one."""
    from bench.report.comparisons.regress import data, markdown

    if json is not None:
        write_file(json, data.as_json(found))
    add_to_summary(markdown.markdown(found, packages))
