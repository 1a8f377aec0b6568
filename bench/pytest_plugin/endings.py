"""Ends of a run that pytest would announce in its own way: Ctrl-C, a signal, and a path that is not there."""

from __future__ import annotations

import re
from collections.abc import Generator

import pytest

from bench import signals
from bench.errors import BenchError, UsageError
from bench.pytest_plugin import terminal
from bench.pytest_plugin.state import BENCH


class RunStopped(BenchError):
    """Ctrl-C or a signal ended the run."""


def stopped(interrupt: BaseException, kept: bool = False) -> RunStopped:
    """Return the error of a run that was interrupted.

    Args:
        interrupt: such as a :class:`KeyboardInterrupt`.
        kept: whether the run has figures.
    """
    end = ": what was measured is kept." if kept else " before anything was measured."
    return RunStopped(f"stopped by {signals.name_of(interrupt)}{end}")


def describe_usage_error(error: pytest.UsageError) -> UsageError:
    """Return an error of pytest's own in one sentence, without pytest's usage and files."""
    text = str(error)
    if match := re.search(r"error: (.*)", text):
        text = match[1]
    text = "; ".join(filter(None, map(str.strip, text.splitlines()))).removesuffix(".")
    return UsageError(f"{text}; see yolopace run --help.")


class Endings:
    """A plugin of pytest that ends a run with one sentence, and then with its result."""

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self, session: pytest.Session) -> Generator[None, object, object]:
        """Keep what is wrong with the arguments for the start of the run, which says it."""
        try:
            return (yield)
        except pytest.UsageError as error:
            session.config.stash[BENCH].fatal = describe_usage_error(error)
        except KeyboardInterrupt as interrupt:
            session.config.stash[BENCH].fatal = stopped(interrupt)
        return True

    @pytest.hookimpl(wrapper=True)
    def pytest_runtestloop(self, session: pytest.Session) -> Generator[None, object, object]:
        """End the run where it was interrupted."""
        try:
            return (yield)
        except session.Interrupted:  # -x and the like
            raise
        except KeyboardInterrupt as interrupt:
            config = session.config
            bench = config.stash[BENCH]
            bench.fatal = stopped(interrupt, kept=bool(bench.measured or bench.ceilings))
            terminal.activity(config).stop()
            terminal.write_error(config, bench.fatal)
        return True
