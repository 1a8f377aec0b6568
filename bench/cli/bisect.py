"""``yolopace bisect``: with which release did it become slower? A binary search by live comparisons."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli import terminal
from bench.cli.io import say
from bench.cli.live.options import Override, Package, SharedOptions, comparison_options


@comparison_options
def bisect(
    package: Package,
    good: Annotated[str, typer.Option(metavar="VERSION", help="A release that was fast enough.")],
    bad: Annotated[str, typer.Option(metavar="VERSION", help="A later one that is slower.")],
    pin: Override = "",
    *,
    shared: SharedOptions,
) -> None:
    """With which release did it become slower? A binary search, every probe compared live with the good end.

    One training case, unless cases are named; of several, those that are slower at the bad end are searched by. The
    two neighbours that it ends with are compared with each other once more. Releases that were yanked, or that cannot
    be installed or measured, are skipped.

    Exit status: 1 found and confirmed; 2 usage error; 3 not confirmed, not decided, or the bad end is not slower; 4
    nothing was measured.
    """
    from bench.cli.live.output import add_to_summary, write_file
    from bench.cli.live.release_bisection import releases_between, search
    from bench.cli.live.releases import Releases, series_of
    from bench.cli.live.request import ComparisonRequest
    from bench.compare.bisection import Bisection, Search
    from bench.report.comparisons.bisect import context, title
    from bench.report.comparisons.regress import plots
    from bench.report.comparisons.rendering import render_json, render_markdown, render_text, write_page

    request = ComparisonRequest.parse(shared, single=True)
    series = series_of(package, pin, shared.exclude_newer)
    row = Search(tuple(releases_between(series, good.strip(), bad.strip())))
    releases = Releases(request, series, "bisect", row.releases)
    bisection = Bisection(package=series.package, search=row)
    say(
        f"{title(bisection)}: up to {row.most + 2} comparisons, which are the ends, {row.most} probes, and "
        "the two neighbours"
    )
    try:
        with terminal.doing("preparing the environments"):
            search(bisection, releases)
    except KeyboardInterrupt:
        say(releases.stopped)
    content = context(bisection)
    last, result = content["last"] or content["ends"], bisection.last or bisection.ends
    terminal.show(render_text("bisect", content))
    if last:
        terminal.show(f"\n{render_text('regress', last)}")
    if request.json is not None:
        write_file(request.json, render_json(content))
    add_to_summary(render_markdown("bisect", content))
    if last and result:
        page = write_page("regress", last, plots.draw(result), shared.reports / result.comparison.run)
        say(f"page of the last comparison: {page}")
    raise typer.Exit(bisection.exit_code)
