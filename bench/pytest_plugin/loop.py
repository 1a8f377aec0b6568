"""The start of a run, once all tests are collected: its plan, or its folder and the first worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from bench import signals
from bench.environments import failure_causes
from bench.errors import BenchError, UsageError, describe_unexpected
from bench.machine.fingerprint import machine
from bench.pytest_plugin import other_plugins, selection, start, start_block, terminal
from bench.pytest_plugin.case_lines import CaseLines
from bench.pytest_plugin.first_line import WRITTEN, first_line
from bench.pytest_plugin.fixtures import is_unread
from bench.pytest_plugin.progress import plan_lines
from bench.pytest_plugin.request import RunRequest
from bench.pytest_plugin.resume import SELECTION
from bench.pytest_plugin.session import BenchSession
from bench.pytest_plugin.state import BENCH, LINES
from bench.pytest_plugin.terminal import reporter, write
from bench.runner.estimate import from_history


def prepare(config: pytest.Config) -> None:
    """Write the first line and check the request.

    Raises:
        BenchError: where it is impossible.
    """
    screen = terminal.screen_of(config)
    quiet = config.getoption("collectonly", False) or _option(config, "plan")
    if not quiet and not config.pluginmanager.has_plugin(WRITTEN):
        screen.line((first_line(_option(config, "profile"), _option(config, "resume")), "bold"))
    try:
        other_plugins.check_alone(config)
        request = RunRequest.parse(lambda name: _option(config, name), config.invocation_params.dir)
        for name, own in SELECTION.items():  # a run that goes on has those of its start
            setattr(config.option, own, request.options.options[name])
        config.stash[BENCH] = BenchSession(request)
    except BenchError:
        raise
    except Exception as error:
        raise UsageError(failure_causes.describe_system_error(error) or describe_unexpected(error)) from error


def _option(config: pytest.Config, name: str) -> Any:
    return config.getoption(SELECTION.get(name, other_plugins.PREFIX + name))


def begin(session: pytest.Session, bench: BenchSession) -> bool | None:
    """Show the plan or begin the run; True where pytest has no test to run after that."""
    config = session.config
    if bench.fatal is not None:
        terminal.write_error(config, bench.fatal)
        return True
    if bench.request.plan_only:
        _show_plan(config, bench)
        return True
    nothing = not bench.selected and not bench.selected_searches
    if config.getoption("collectonly", False) or nothing or config.option.benchmark_disable:
        return None
    if is_unread(config):
        return True
    reporter(config).showfspath = False  # one line per case takes the place of pytest's dots
    terminal.activity(config).start("preparing")
    try:
        config.add_cleanup(signals.interrupt_on_signals())
        notes = start.notes(bench.request, bench.selected)  # before our own workers are part of the load
        bench.begin()
    except BenchError as error:
        bench.fatal = error
    except (OSError, MemoryError, RuntimeError) as error:
        bench.fatal = UsageError(failure_causes.describe_system_error(error) or describe_unexpected(error))
    terminal.activity(config).stop()
    if bench.fatal is not None:
        terminal.write_error(config, bench.fatal)
        return True
    _show_start(config, bench, notes)
    selection.sort(session.items, bench.order)
    return None


def _show_start(config: pytest.Config, bench: BenchSession, notes: Sequence[start.Note]) -> None:
    """Write what will be measured where, and prepare the lines of the cases."""
    assert bench.run is not None and bench.launcher is not None
    screen, run, here = terminal.screen_of(config), bench.run, machine()
    plans = bench.cases
    cases = list(dict.fromkeys(plan.case for plan in plans))
    start_block.write(
        screen,
        machine=here,
        environment=bench.request.interpreter.environment,
        plan=start_block.plan_text(cases, len(plans), run.estimate(), len(bench.selected_searches)),
        cases=cases,
        notes=[note.text for note in notes if note.kind != "warning"],
        warnings=[note.text for note in notes if note.kind == "warning"],
        report=bench.page_path,
    )
    lines = CaseLines(cases, len(plans), bench.request.epoch_images)
    config.stash[LINES] = lines
    run.watch = terminal.activity(config).watch(lines, bench.place, run.seconds_left)
    if cases and (header := lines.header(screen.width)):
        screen.line((header, "dim"))


def _show_plan(config: pytest.Config, bench: BenchSession) -> None:
    unavailable = start.unavailable(bench.request, bench.selected)
    verbose = config.getoption("verbose", 0) > 0
    estimator, questions = from_history(bench.request.results), bench.questions
    for text in plan_lines(bench.cases, estimator, unavailable, verbose, questions):
        write(config, text)
    for name in bench.selected_searches:
        write(config, f"ceiling {name}: a search of some batches, without an estimate")
