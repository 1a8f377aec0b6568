"""Fixtures that measure: a case, a ceiling, and further processes for ``--target-ci``."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

from bench import signals
from bench.analysis.availability import answer_lines, is_answer
from bench.ceiling.service import describe
from bench.environments import failure_causes
from bench.errors import BenchError, UsageError
from bench.pytest_plugin import output_streams, terminal
from bench.pytest_plugin.case_lines import INDENT, number_text, process_note
from bench.pytest_plugin.outcomes import last_output, report_case, report_ceiling
from bench.pytest_plugin.progress import rate
from bench.pytest_plugin.session import BenchSession, BudgetExhausted
from bench.pytest_plugin.state import BENCH, LINES, STREAMS
from bench.records.record import Record
from bench.runner.run import Run
from bench.text import clean, one_line

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
        if reason := bench.run.skip_reason(plan):
            pytest.skip(reason)
        terminal.end_line(request.config)
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
        terminal.write(request.config, text)

    def search_one(name: str) -> None:
        if bench.run is None:
            pytest.skip(OFF)
        try:
            terminal.activity(request.config).start("trying batches", name)
            with _ending_the_run(request, bench):
                ceiling = bench.search(name, say)
        except BudgetExhausted:
            pytest.skip("the time budget is over")
        finally:
            terminal.activity(request.config).stop()
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
    """Measure, and end the run with one sentence where that cannot go on: what is left is skipped."""
    if is_unread(request.config):
        pytest.skip("standard output was closed")
    if bench.fatal is not None:
        pytest.skip("the run has ended")
    try:
        bench.check_process()
        yield
    except BenchError as error:
        _give_up(request, bench, error)
    except (OSError, MemoryError) as error:
        _give_up(request, bench, UsageError(failure_causes.describe_system_error(error)))


def _give_up(request: pytest.FixtureRequest, bench: BenchSession, error: BenchError) -> NoReturn:
    bench.fatal = error
    terminal.activity(request.config).stop()
    terminal.write_error(request.config, error)
    pytest.skip(clean(str(error)))


def _show(config: pytest.Config, bench: BenchSession, run: Run, record: Record) -> None:
    """Write one line on a case; cases settled by another one were counted in its line."""
    if "skipped_because_of" in record.extra and not terminal.is_verbose(config):
        return terminal.activity(config).stop()
    if is_answer(record) and not terminal.is_verbose(config):
        terminal.activity(config).stop()
        if record.case not in [plan.case for plan in bench.request.questions]:  # else the start said it
            for text in answer_lines([record]):
                terminal.write(config, text)
        return None
    row = table_row([*_earlier(run, record), record], bench.request.epoch_images) if rate(record) is not None else None
    terminal.activity(config).stop()
    terminal.end_line(config)
    screen, lines = terminal.screen_of(config), config.stash[LINES]
    over, total = bench.place()
    number = number_text(over, total)
    if row is not None:
        notes = filter(None, [process_note(record, bench.request.processes), _reused(record, bench)])
        screen.line(*lines.measured(number, record.case, row, notes, screen.width))
        if why := lines.explanation(row):
            screen.text(why, "yellow", INDENT, INDENT)
    else:
        screen.line(*lines.without_figure(number, record.case, record.outcome.status.value, screen.width))
        for text in why_without_figure(record, run):
            screen.text(text, "dim", INDENT, INDENT)
    if run.save_error:
        terminal.write(config, run.save_error, yellow=True)
    if over < total:
        terminal.activity(config).start("making the page")
        bench.refresh_page()
        terminal.activity(config).stop()


def _earlier(run: Run, record: Record) -> list[Record]:
    """Return the earlier processes of the case of a record."""
    return [other for number, other in run.processes[record.case].items() if number < record.process]


def _reused(record: Record, bench: BenchSession) -> str:
    """Say that an earlier run measured a record."""
    return "measured before" if record.name in bench.finished else ""


def table_row(records: list[Record], epoch_images: int) -> dict[str, Any]:
    """Return the row of a case, with the images of COCO in an epoch where no number is given."""
    with signals.held_back():
        from bench.analysis.table import row  # with pandas, which collecting does without
        from bench.analysis.throughput import COCO_TRAIN_IMAGES

    return row(records, epoch_images or COCO_TRAIN_IMAGES)


def why_without_figure(record: Record, run: Run) -> list[str]:
    """Return the reason of a case without a figure, what it decides, and the end of its worker's output."""
    if other := record.extra.get("skipped_because_of"):
        return [f"as {other} showed"]
    reason = one_line(record.outcome.reason)
    if implied := run.implied_count(record):
        reason += f" ({'1 more case is' if implied == 1 else f'{implied} more cases are'} skipped for that.)"
    end = last_output(record, run.place(record)) if record.outcome.status.broken else ""
    return [reason, *end.splitlines()]
