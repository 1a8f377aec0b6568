"""The start of a run, once all tests are collected: its plan, or its folder and the first worker."""

from __future__ import annotations

import pytest

from bench import signals
from bench.environments import failure_causes
from bench.errors import BenchError, UsageError, describe_unexpected
from bench.pytest_plugin import selection, start
from bench.pytest_plugin.fixtures import is_unread
from bench.pytest_plugin.progress import model_lines, plan_lines
from bench.pytest_plugin.session import BenchSession
from bench.pytest_plugin.terminal import reporter, write
from bench.runner.estimate import from_history


def begin(session: pytest.Session, bench: BenchSession) -> bool | None:
    """Show the plan or begin the run; True where pytest has no test to run after that."""
    config = session.config
    if bench.request.plan_only:
        _show_plan(config, bench)
        return True
    nothing = not bench.selected and not bench.selected_searches
    if config.getoption("collectonly", False) or nothing or config.option.benchmark_disable:
        return None
    if is_unread(config):
        return True
    reporter(config).showfspath = False  # one line per case takes the place of pytest's dots
    try:
        config.add_cleanup(signals.interrupt_on_signals())
        notes = start.notes(bench.request, bench.selected)  # before our own workers are part of the load
        bench.begin()
    except BenchError as error:
        bench.fatal = error
    except (OSError, MemoryError, RuntimeError) as error:
        bench.fatal = UsageError(failure_causes.describe_system_error(error) or describe_unexpected(error))
    if bench.fatal is not None:
        write(config, f"yolopace: {bench.fatal}", red=True)
        return True
    for text in model_lines(plan.case for plan in bench.selected):
        write(config, text)
    for note in notes:
        write(config, note.text, yellow=note.kind == "warning")
    selection.sort(session.items, bench.order)
    return None


def _show_plan(config: pytest.Config, bench: BenchSession) -> None:
    unavailable = start.unavailable(bench.request, bench.selected)
    verbose = config.getoption("verbose", 0) > 0
    for text in plan_lines(bench.cases, from_history(bench.request.results), unavailable, verbose):
        write(config, text)
    for name in bench.selected_searches:
        write(config, f"ceiling {name}: a search of some batches, without an estimate")
