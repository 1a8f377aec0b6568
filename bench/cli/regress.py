"""``yolopace regress``: is head slower than base? Two environments compared live, with an exit code."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli import terminal
from bench.cli.io import say
from bench.cli.live.options import SharedOptions, comparison_options
from bench.errors import BenchError, ExitCode, UsageError
from bench.formatting import parse_percent

SPEC = "torch==2.14.1 or ultralytics==8.4.100, several with commas between, a wheel, a project folder, or python:PATH"


@comparison_options
def regress(
    base: Annotated[str, typer.Option(metavar="SPEC", help=f"The environment to compare with: {SPEC}.")],
    head: Annotated[
        str,
        typer.Option(metavar="SPEC", help="The environment that may be slower; the same as --base makes an A/A test."),
    ],
    *,
    shared: SharedOptions,
    memory_margin: Annotated[str, typer.Option(metavar="PERCENT", help="Equivalence margin of peak memory.")] = "5%",
    run: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the folder; default: the time and the machine.")
    ] = "",
) -> None:
    """Is head slower than base? Interleaved pairs of live processes; a verdict with its interval for every case.

    Exit status: 0 no regression; 1 slower, more memory, or a case that head cannot run any more; 2 usage error; 3 not
    decided; 4 nothing was measured.
    """
    from bench.cli.live import regression
    from bench.cli.live.output import add_to_summary, write_file
    from bench.cli.live.pairs import measure
    from bench.cli.live.request import ComparisonRequest
    from bench.compare.findings import evaluate, exit_code
    from bench.compare.package_changes import format_changes, package_changes
    from bench.compare.start import begin
    from bench.environments.specification import Specification, require_shared
    from bench.records.store import Store, check_new_run, comparisons_of
    from bench.report.comparisons.regress import plots
    from bench.report.comparisons.regress.context import context
    from bench.report.comparisons.rendering import render_json, render_markdown, render_text, write_page

    specifications = Specification.parse(base), Specification.parse(head)
    require_shared(*specifications)
    most_memory = parse_percent("memory-margin", memory_margin)
    results, resume = shared.results, shared.resume
    if run and resume:
        raise UsageError("--run names a new comparison, and --resume goes on with one: leave one of them out.")
    name = check_new_run(results, run)
    request = ComparisonRequest.parse(shared)
    known = [
        candidate
        for candidate in comparisons_of(results)
        if resume and regression.asked_alike(candidate, specifications)
    ]
    with terminal.doing("preparing both environments"):
        sides, exclude_newer = regression.provide_dated(
            specifications, shared.exclude_newer, known[-1].exclude_newer if known else ""
        )
    planned = request.choice.planned([side.interpreter for side in sides])
    comparison = begin(sides, planned, "", exclude_newer, request.margin, most_memory, say)
    if resume:
        comparison, folder = regression.continued(comparison, known, results, request.margin)
    else:
        comparison, folder = regression.started(comparison, results, name)
    asked = {
        package for specification in specifications if not specification.python for package in specification.names()
    }
    packages = format_changes(package_changes(comparison.base.packages, comparison.head.packages), asked)
    say(packages)
    if trouble := Store.at(folder).save(comparison):
        say(trouble)
    try:
        measure(comparison, sides, folder, request.budget)
    except BenchError:
        regression.forget_empty(comparison, folder)
        raise
    result = evaluate(comparison)
    content = context(result, packages)
    terminal.show(render_text("regress", content))
    say(f"records: {folder}")
    code = exit_code(result)
    try:
        if request.json is not None:
            write_file(request.json, render_json(content))
        add_to_summary(render_markdown("regress", content))
        say(f"page: {write_page('regress', content, plots.draw(result), shared.reports / comparison.run)}")
    except UsageError as error:
        if code is not ExitCode.REGRESSION:
            raise
        say(f"yolopace: {error}")  # the exit status does not depend on what could be written
    raise typer.Exit(code)
