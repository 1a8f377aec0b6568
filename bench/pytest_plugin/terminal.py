"""Lines in pytest's terminal: shown while output is captured, and readable where a plugin removed the reporter."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from bench.ceiling.service import is_known
from bench.errors import BenchError
from bench.pytest_plugin.session import BenchSession
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


def write(config: pytest.Config, text: str, **markup: bool) -> None:
    """Write a line between pytest's own."""
    target = reporter(config)
    with uncaptured_output(config.pluginmanager):
        target.ensure_newline()
        target.write_line(clean(text), **markup)


Stop = type("yolopace", (pytest.exit.Exception,), {"__module__": "builtins"})
"""Ends pytest, which prints the name of this class and a colon before the sentence: ``yolopace: ...``."""


def stop(error: BenchError) -> None:
    """End pytest with the sentence of an error."""
    raise Stop(clean(str(error)), returncode=int(error.code))


def write_summary(bench: BenchSession, terminal: Any) -> None:
    """Write how much was measured and where everything is."""
    assert bench.store is not None
    terminal.section("yolopace")
    several = f" in {bench.measured_processes} processes" if bench.measured_processes > bench.measured else ""
    cases = len({plan.case for plan in bench.cases})
    lines = []
    if bench.selected_searches:
        count = sum(map(is_known, bench.ceilings))
        lines.append(f"{count} of {len(bench.selected_searches)} ceilings found: {bench.store.folder}")
    if cases:
        lines.append(f"{bench.measured} of {cases} cases measured{several}; records: {bench.store.folder}")
    if bench.report_path is not None:
        lines.append(f"report: {bench.report_path}")
    for line in lines:
        terminal.write_line(clean(line))
    for note in bench.notes:
        terminal.write_line(clean(note), yellow=True)
