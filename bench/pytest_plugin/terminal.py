"""Lines of a run in pytest's terminal: shown while output is captured, with as little of pytest's own as possible."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import pytest

from bench.analysis.availability import is_answer
from bench.ceiling.service import is_known
from bench.errors import BenchError
from bench.machine.description import Machine
from bench.machine.fingerprint import machine
from bench.pytest_plugin import output_streams, result_block
from bench.pytest_plugin.activity import Activity
from bench.pytest_plugin.result_block import Result
from bench.pytest_plugin.screen import Screen, width_of, wrap
from bench.pytest_plugin.session import BenchSession
from bench.pytest_plugin.state import ACTIVITY, SCREEN, STREAMS
from bench.text import clean


def uncaptured_output(manager: pytest.PytestPluginManager) -> contextlib.AbstractContextManager[None]:
    """Show what is printed meanwhile, in place of capturing it as the output of a test."""
    capture = manager.get_plugin("capturemanager")  # missing with -p no:capture
    context: contextlib.AbstractContextManager[None] = (
        capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
    )
    return context


class _Plain:
    """Replacement for pytest's reporter where another plugin has removed it."""

    def write_line(self, text: str, **_: bool) -> None:
        print(text)

    def ensure_newline(self) -> None:
        pass


def reporter(config: pytest.Config) -> Any:
    """Return pytest's reporter, or one that prints."""
    return config.pluginmanager.get_plugin("terminalreporter") or _Plain()


def screen_of(config: pytest.Config) -> Screen:
    """Return the screen of a run, which pytest does not capture."""
    if SCREEN not in config.stash:
        if STREAMS not in config.stash:
            config.stash[STREAMS] = output_streams.prepare(raising=False)
        config.stash[SCREEN] = Screen(config.stash[STREAMS].duplicate("stdout"))
        config.stash[ACTIVITY] = Activity(config.stash[SCREEN])
    return config.stash[SCREEN]


def activity(config: pytest.Config) -> Activity:
    """Return what shows what the run does now."""
    screen_of(config)
    return config.stash[ACTIVITY]


def write(config: pytest.Config, text: str, **markup: bool) -> None:
    """Write a text between pytest's own lines, in as many lines as it needs."""
    end_line(config)
    screen_of(config).text(text, " ".join(name for name, wanted in markup.items() if wanted))


def write_error(config: pytest.Config, error: BenchError) -> None:
    """Write the sentence of an error: a terminal gets lines that fit, a pipe one line."""
    end_line(config)
    screen = screen_of(config)
    text = f"yolopace: {error}"
    for line in wrap(screen.readable(text), screen.width, "  ") if screen.is_terminal else [text]:
        screen.line((line, "red"))


def end_line(config: pytest.Config) -> None:
    """End the line that pytest has begun, if it has."""
    if is_verbose(config):
        with uncaptured_output(config.pluginmanager):
            reporter(config).ensure_newline()


def is_verbose(config: pytest.Config) -> bool:
    """Whether pytest's own output is wanted, with ``-v``."""
    return int(config.getoption("verbose", 0) or 0) > 0


def be_quiet(config: pytest.Config) -> None:
    """Leave out the header, the dots and the summary of pytest, and the tables of pytest-benchmark, unless wanted."""
    option = config.option
    if is_verbose(config) or config.getoption("collectonly", False):
        return
    option.verbose = -2  # pytest has no other way to leave out its header and its last line
    asked = ("benchmark_verbose", "benchmark_compare", "benchmark_histogram", "benchmark_cprofile")
    if not any(config.getoption(name, None) for name in asked):
        option.benchmark_quiet = True


def is_outcome(error: BaseException) -> bool:
    """Whether an error is the outcome of a case: a skip, or a failure without a traceback."""
    return isinstance(error, pytest.skip.Exception) or (isinstance(error, pytest.fail.Exception) and not error.pytrace)


def say_error(manager: pytest.PytestPluginManager, text: str) -> None:
    """Write a sentence on standard error: a terminal gets lines that fit, a pipe one line."""
    with uncaptured_output(manager):
        columns = width_of(sys.stderr) if sys.stderr.isatty() else 0
        print("\n".join(wrap(clean(text), columns, "  ")) if columns else clean(text), file=sys.stderr)


Stop = type("yolopace", (pytest.exit.Exception,), {"__module__": "builtins"})
"""Ends pytest, which prints the name of this class and a colon before the sentence: ``yolopace: ...``."""


def stop(error: BenchError) -> None:
    """End pytest with the sentence of an error."""
    raise Stop(clean(str(error)), returncode=int(error.code))


def write_result(config: pytest.Config, bench: BenchSession) -> None:
    """Write the result, and where everything is."""
    assert bench.store is not None and bench.run is not None
    from bench.analysis.throughput import COCO_TRAIN_IMAGES

    cases = len({plan.case for plan in bench.cases})
    found_ceilings = sum(map(is_known, bench.ceilings))
    result = Result(
        machine=machine_name(machine()),
        cases=cases,
        measured=bench.measured,
        processes=bench.measured_processes,
        ceilings=(found_ceilings, len(bench.selected_searches)) if bench.selected_searches else None,
        seconds=bench.seconds,
        records=[record for record in bench.run.records if not is_answer(record)],
        epoch_images=bench.request.epoch_images or COCO_TRAIN_IMAGES,
        is_coco=not bench.request.epoch_images,
        notes=bench.notes,
        resume=bench.resume,
        report=bench.report_path,
        folder=bench.store.folder,
    )
    result_block.write(screen_of(config), result)


def machine_name(here: Machine) -> str:
    """Return a short name of a machine: its first GPU without the memory, else its CPU."""
    return here.gpus[0].partition(" (")[0] if here.gpus else here.cpu_name
