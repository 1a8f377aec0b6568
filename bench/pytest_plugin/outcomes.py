"""Outcomes of cases and ceilings as pytest and pytest-benchmark have them: rounds, a skip or a failure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.analysis.units import size_text
from bench.pytest_plugin.benchmark_bridge import replay
from bench.pytest_plugin.progress import rate
from bench.records.ceiling import Ceiling
from bench.records.outcome import Status
from bench.records.record import Record
from bench.text import clean, one_line

LAST_LINES = 3
"""Lines of a worker's output that the terminal shows; the record has all that was kept."""


def report_case(record: Record, benchmark: Any, file: Path) -> None:
    """Report the outcome of a case: a round per step, or a skip or failure with the reason.

    Args:
        record: of the case.
        benchmark: the fixture of pytest-benchmark.
        file: of the record.
    """
    case, outcome = record.case, record.outcome
    if outcome.status is not Status.MEASURED:
        text = one_line(f"{outcome.status.value}: {outcome.reason}")
        if outcome.status.broken:
            pytest.fail(clean("\n".join(filter(None, [text, last_output(record, file)]))), pytrace=False)
        pytest.skip(text)
    assert record.steps is not None
    # The rounds of a modelled window have another mean than training: its optimizer ran more often than it does.
    modelled = ", modelled: see step_seconds" if record.steps.modelled else ""
    benchmark.group = f"{case.mode}, batch {case.batch}, {size_text(case)}: time of a step{modelled}"
    benchmark.extra_info.update(
        record=record.id,
        process=record.process,
        schema=record.schema,
        images_per_second=rate(record),
        step_seconds=record.steps.step_seconds,
        modelled=record.steps.modelled,
        batch=case.batch,
        device=record.effective.get("device"),
        amp=record.effective.get("amp"),
        machine=record.machine.fingerprint,
        torch=record.environment.label("torch"),
        ultralytics=record.environment.label("ultralytics"),
        recipe=record.recipe.fingerprint,
    )
    benchmark.extra_info.update(dict(case.further))
    benchmark.extra_info.update(
        {f"{name}_bytes": figure.bytes for name, figure in record.memory.items() if figure.bytes is not None}
    )
    replay(benchmark, record.steps.window)


def report_ceiling(ceiling: Ceiling, benchmark: Any) -> None:
    """Report the outcome of a search: a round per batch that was tried, or a skip or failure with the reason."""
    status = ceiling.outcome.status
    if status is not Status.MEASURED:
        text = clean(f"{status.value}: {ceiling.outcome.reason}")
        pytest.fail(text, pytrace=False) if status.broken else pytest.skip(text)
    benchmark.group = "ceiling: time of a batch that was tried"
    benchmark.extra_info.update(
        record=ceiling.id,
        largest_batch=ceiling.case.batch,
        stop_reason=ceiling.stop_reason,
        limit_bytes=ceiling.limit_bytes,
        machine=ceiling.machine.fingerprint,
        torch=ceiling.environment.label("torch"),
        ultralytics=ceiling.environment.label("ultralytics"),
    )
    replay(benchmark, [probe.seconds for probe in ceiling.probes])


def last_output(record: Record, file: Path) -> str:
    """Return the last lines of a worker's output that the reason does not say already, and where the rest is."""
    last = [one_line(text, 300) for text in record.worker_output.splitlines() if text.strip()][-LAST_LINES:]
    end = [text for text in last if text not in record.outcome.reason and record.outcome.reason not in text]
    trace = any("Traceback (most recent call last)" in text for text in record.worker_output.splitlines())
    lines = [] if trace else end  # the reason says what a traceback ends with
    return "\n".join([*lines, f"The whole log is in {file}." if record.worker_output else ""]).strip()
