"""Hooks of pytest: it picks the cases, shows progress, and gives every measured step to pytest-benchmark as a round.

Nothing is measured in this process and torch is never imported here; records under ``results/`` are the truth, and
pytest-benchmark's table and JSON are made from them. What the hooks call is in ``bench/pytest_plugin``.
"""

# ruff: noqa: E402 - Ctrl-C is one sentence from the first import on
from __future__ import annotations

from bench import __version__, early_signals

early_signals.end_uncaught_interrupt()

from collections.abc import Generator
from typing import Any

import pytest

from bench.ceiling.service import is_known
from bench.errors import BenchError, ExitCode, UsageError
from bench.machine.fingerprint import machine
from bench.pytest_plugin import command_line, endings, loop, other_plugins, output_streams, selection, terminal
from bench.pytest_plugin.fixtures import measure, refine, search
from bench.pytest_plugin.state import BENCH, SCREEN, SESSION, STREAMS

__all__ = ["measure", "refine", "search"]

HAS_LINE = "yolopace_has_line"
"""Attribute of the report of a test: whether a line of the run says how its case ended."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add the options of a run."""
    command_line.add_options(parser, pluginmanager)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Write the first line, and check what was asked for before anything is collected or started."""
    if config.option.help or config.option.version:
        return None
    try:
        loop.prepare(config)
    except BenchError as error:
        terminal.say_error(config.pluginmanager, f"yolopace: {error}")
        config.stash[STREAMS].restore()
        return int(error.code)
    except KeyboardInterrupt as interrupt:
        terminal.say_error(config.pluginmanager, f"yolopace: {endings.stopped(interrupt)}")
        config.stash[STREAMS].restore()
        return int(ExitCode.WRONG_USE)
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Prepare the run where this file was found after the command line was read; leave out pytest's own lines."""
    if STREAMS not in config.stash:
        config.stash[STREAMS] = output_streams.prepare(raising=False)  # the reporter, which comes next, writes there
    if config.option.help or config.option.version:
        return
    if BENCH not in config.stash:
        try:
            loop.prepare(config)
        except BenchError as error:
            terminal.stop(error)
    config.pluginmanager.register(endings.Endings(), "yolopace-endings")
    terminal.be_quiet(config)
    # A case that was not measured has no rounds to show.
    config.addinivalue_line("filterwarnings", "ignore:Benchmark fixture was not used at all")
    if not config.option.benchmark_columns:
        config.option.benchmark_columns = ["mean", "stddev", "median", "min", "max", "rounds"]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Keep the session: its exit status may still change when the last line is written."""
    session.config.stash[SESSION] = session


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Write what is left to write; where it cannot be written, the exit status says so."""
    if SCREEN in config.stash:
        config.stash[SCREEN].close()
    streams = config.stash.get(STREAMS, None)
    if streams is not None:
        output_streams.end(streams, config.stash.get(SESSION, None))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test per case and per ceiling."""
    selection.parametrize(metafunc, metafunc.config.stash[BENCH])


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, None, None]:
    """Put the cases into the order of the plan, and the test of ``--target-ci`` last, whatever -k and the like say."""
    bench = config.stash[BENCH]
    last = selection.take_target_tests(items, bench)
    selection.keep_planned(items, bench)
    other_plugins.lift_timeouts(config, items, bench.note)
    yield
    if items:
        items += last


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note what is left after -k and the like: that will run."""
    try:
        selection.note_selected(session.items, session.config.stash[BENCH], session.config.option.keyword)
    except UsageError as error:
        session.config.stash[BENCH].fatal = error


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Show the plan, or start the run."""
    return loop.begin(session, session.config.stash[BENCH])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Mark the report of a case that ended as its line says; an unforeseen error has none."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    setattr(report, HAS_LINE, error is None or terminal.is_outcome(error))
    return report


def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> tuple[str, str, str] | None:
    """Leave out what pytest says of a case, which has a line; an unforeseen error, with its traceback, stays."""
    if report.when != "call" or config.stash[BENCH].run is None or terminal.is_verbose(config):
        return None
    return (f"case {report.outcome}", "", "") if getattr(report, HAS_LINE, False) else None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make the report; exit status 4 where nothing was measured, 2 where records had no room in their folder."""
    bench = session.config.stash.get(BENCH, None)
    if bench is None:
        return
    if bench.run is not None:
        terminal.activity(session.config).start("writing the report")
    bench.end()
    if bench.run is not None:
        terminal.activity(session.config).stop()
    if session.exitstatus == pytest.ExitCode.INTERNAL_ERROR:  # 3 would say: not comparable
        session.exitstatus = int(ExitCode.WRONG_USE)
    if bench.fatal is not None:
        session.exitstatus = int(bench.fatal.code)
        return
    ended_well = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    if bench.run is not None and ended_well and not bench.measured and not any(map(is_known, bench.ceilings)):
        session.exitstatus = int(ExitCode.NOTHING_MEASURED)
    elif ended_well and bench.store is not None and bench.store.unsaved:
        session.exitstatus = int(ExitCode.WRONG_USE)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(config: pytest.Config) -> None:
    """Write the result."""
    bench = config.stash.get(BENCH, None)
    if bench is not None and bench.store is not None and bench.run is not None:
        terminal.write_result(config, bench)


def pytest_benchmark_generate_machine_info() -> dict[str, Any]:
    """Return stable facts only: a clock speed that changes would make every machine differ from itself."""
    here = machine()
    return {
        "fingerprint": here.fingerprint,
        "system": here.system,
        "cpu": here.cpu,
        "cores": here.cores,
        "memory_gib": here.memory_gib,
        "gpus": here.gpus,
        "yolopace": __version__,
    }
