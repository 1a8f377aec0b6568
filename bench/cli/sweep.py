"""``yolopace sweep``: a row of releases, each compared live with the first of them."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from bench.cli import terminal
from bench.cli.io import say
from bench.cli.live.options import Override, Package, SharedOptions, comparison_options
from bench.errors import ExitCode, NothingMeasured

LAST = 6
"""Releases by default."""


@comparison_options
def sweep(
    package: Package,
    last: Annotated[
        Optional[int],  # noqa: UP045 - typer reads it
        typer.Option(metavar="N", help=f"The newest N releases; default: {LAST}.", show_default=False),
    ] = None,
    versions: Annotated[str, typer.Option(metavar="A,B,C", help="These releases; the first is the base.")] = "",
    pin: Override = "",
    *,
    shared: SharedOptions,
) -> None:
    """Throughput over releases: each one against the first of them, in interleaved pairs of live processes.

    One training case, unless cases are named. Everything else that the releases are measured with is the same, as far
    as they install with it: what the newest of them comes with, or what --pin names.

    Exit status, by the newest release: 0 not slower than the first; 1 slower, or it cannot run a case; 2 usage error; 3
    not decided, or it cannot be compared, as where its environment cannot be built; 4 nothing was measured.
    """
    from bench.cli.live.output import add_to_summary, write_file
    from bench.cli.live.release_sweep import ReleaseSweep, named_releases, row_of_releases
    from bench.cli.live.releases import Releases, series_of
    from bench.cli.live.request import ComparisonRequest
    from bench.report.comparisons.rendering import render_json, render_markdown, render_text, write_page
    from bench.report.comparisons.sweep import plots
    from bench.report.comparisons.sweep.context import context

    named = named_releases(last, versions)
    request = ComparisonRequest.parse(shared, single=True)
    series = series_of(package, pin, shared.exclude_newer)
    row = row_of_releases(series, named, last or LAST)
    measuring = ReleaseSweep(Releases(request, series, "sweep", row), row)
    try:
        with terminal.doing("preparing the environments"):
            measuring.run()
    except KeyboardInterrupt:
        say(measuring.releases.stopped)
    result = measuring.result()
    content = context(result)
    terminal.show(render_text("sweep", content))
    if request.json is not None:
        write_file(request.json, render_json(content))
    add_to_summary(render_markdown("sweep", content))
    say(f"page: {write_page('sweep', content, plots.draw(result), shared.reports / result.run)}")
    if result.exit_code is ExitCode.NOTHING_MEASURED:
        raise NothingMeasured("no release was compared with another: the list says why.")
    raise typer.Exit(result.exit_code)
