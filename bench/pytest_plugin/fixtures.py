"""Fixtures that measure: a case, a ceiling, and further processes for ``--target-ci``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

from bench.analysis.availability import answer_lines, is_answer
from bench.ceiling.service import describe
from bench.environments import failure_causes
from bench.errors import BenchError, UsageError
from bench.pytest_plugin import output_streams
from bench.pytest_plugin.outcomes import report_case, report_ceiling
from bench.pytest_plugin.progress import line, so_far
from bench.pytest_plugin.session import BenchSession, BudgetExhausted
from bench.pytest_plugin.state import BENCH, STREAMS
from bench.pytest_plugin.terminal import write
from bench.records.record import Record
from bench.runner.run import Run
from bench.text import clean

OFF = "benchmarks are switched off (--benchmark-disable)"

REPEATED = (
    "another plugin ran tests again: each case was measured once, and its result was repeated. To measure each case "
    "several times, use --processes."
)


@pytest.fixture
def measure(request: pytest.FixtureRequest, benchmark: Any) -> Callable[[str], None]:
    """Measure a process of a case by its name: rounds for pytest-benchmark, or a skip or failure with the reason."""
    bench = request.config.stash[BENCH]

    def measure_case(name: str) -> None:
        if bench.run is None:
            pytest.skip(OFF)
        plan = bench.planned[name]
        if (over := bench.run.over(plan)) is not None:
            bench.note(REPEATED)
            return report_case(over, benchmark, bench.run.place(over))
        if reason := bench.run.spare(plan):
            pytest.skip(reason)
        with _ending_the_run(request, bench):
            record = bench.measure(plan)
        _show(request.config, bench, bench.run, record)
        report_case(record, benchmark, bench.run.place(record))

    return measure_case


@pytest.fixture
def search(request: pytest.FixtureRequest, benchmark: Any) -> Callable[[str], None]:
    """Search for a ceiling by its name: a round for every batch that was tried, or a failure with the reason."""
    bench = request.config.stash[BENCH]

    def say(text: str) -> None:
        write(request.config, text)

    def search_one(name: str) -> None:
        if bench.run is None:
            pytest.skip(OFF)
        try:
            with _ending_the_run(request, bench):
                ceiling = bench.search(name, say)
        except BudgetExhausted:
            pytest.skip("the time budget is over")
        for text in describe(ceiling, []):
            say(text)
        report_ceiling(ceiling, benchmark)

    return search_one


@pytest.fixture
def refine(request: pytest.FixtureRequest, benchmark: Any) -> Callable[[], None]:
    """Add processes until every interval is narrow enough; ``benchmark`` keeps --benchmark-only from skipping it."""
    bench = request.config.stash[BENCH]

    def refine_all() -> None:
        if bench.run is None or bench.target is None:
            pytest.skip(OFF)
        with _ending_the_run(request, bench):
            for record in bench.target.refine():
                _show(request.config, bench, bench.run, record)

    return refine_all


def is_unread(config: pytest.Config) -> bool:
    """Whether the reader of standard output has gone."""
    failure = config.stash[STREAMS].failure
    return failure is not None and output_streams.status(failure) == output_streams.BROKEN_PIPE


@contextlib.contextmanager
def _ending_the_run(request: pytest.FixtureRequest, bench: BenchSession) -> Iterator[None]:
    """Measure, and end the run with one sentence where that cannot go on."""
    if is_unread(request.config):
        request.session.shouldstop = "yolopace: standard output was closed"
        pytest.skip("standard output was closed")
    try:
        bench.check_process()
        yield
    except BenchError as error:
        _give_up(request, bench, error)
    except (OSError, MemoryError) as error:
        _give_up(request, bench, UsageError(failure_causes.describe_system_error(error)))


def _give_up(request: pytest.FixtureRequest, bench: BenchSession, error: BenchError) -> NoReturn:
    bench.fatal = error
    request.session.shouldstop = clean(f"yolopace: {error}")
    pytest.skip(clean(str(error)))


def _show(config: pytest.Config, bench: BenchSession, run: Run, record: Record) -> None:
    """Write one line on a case; cases settled by another one were counted in its line."""
    if "skipped_because_of" in record.extra and not config.getoption("verbose", 0):
        return
    if is_answer(record) and not config.getoption("verbose", 0):
        if record.case not in [plan.case for plan in bench.request.questions]:  # else the start said it
            for text in answer_lines([record]):
                write(config, text)
        return
    number, total = bench.place()
    text = line(
        record,
        number,
        total,
        left=run.seconds_left(),
        reused=record.name in bench.finished,
        implied_count=run.implied_count(record),
        width=max(len(plan.case.id) for plan in bench.selected),
        processes=bench.request.processes,
        running_mean=so_far([other for other in run.measured(record.case) if other.process <= record.process]),
    )
    write(config, text)
    if run.trouble:
        write(config, run.trouble, yellow=True)
    if number < total and (page := bench.refresh_page()) is not None:
        write(config, f"to watch it: {page}")
