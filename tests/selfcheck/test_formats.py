"""The forward pass of formats against loops of their runtimes: which cells there are, and what a check says."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from bench.records.outcome import Outcome, Status
from bench.runner.measure import WorkerResult
from bench.selfcheck import formats


def test_there_are_eight_cells() -> None:
    plans = [formats.plan(name, batch) for name in formats.FORMATS for batch in formats.BATCHES]
    assert len({plan.case.id for plan in plans}) == 8
    assert {plan.case.value("format") or "pt" for plan in plans} == set(formats.FORMATS)
    assert all(plan.recipe.seeded for plan in plans)


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Jobs that were run: the forward pass takes 1 % longer than the loop; OpenVINO is missing."""
    ran: list[Any] = []

    def run_job(launcher: Any, job: Any, limit: float) -> WorkerResult:
        ran.append(job)
        if dict(job.case.get("further", ())).get("format") == "openvino":
            return WorkerResult(Outcome(Status.UNSUPPORTED, "format openvino needs openvino."))
        seconds = {"forward": [0.0101, 0.0101, 0.5], "preprocess": [1.0] * 3}
        measured = {"phases": {"seconds": seconds}, "extra": {"bare_seconds": [0.01, 0.01, 0.01]}}
        return WorkerResult(Outcome(Status.MEASURED), measured=measured)

    monkeypatch.setattr(formats, "run_job", run_job)
    monkeypatch.setattr(formats, "find_data", lambda launcher, planned: {"source": "data.yaml"})
    launcher = SimpleNamespace(wait=lambda: None, close=lambda: None)
    monkeypatch.setattr(formats, "open_launcher", lambda interpreter: launcher)
    return ran


def test_each_cell_is_compared_in_as_many_processes_as_asked(jobs: list[Any]) -> None:
    lines: list[str] = []
    checks = list(formats.checks(SimpleNamespace(), 2, lines.append))  # type: ignore[arg-type]
    assert len(jobs) == 6 * 2 + 2 and all(job.bare and not job.retry_noisy for job in jobs)
    assert len(checks) == 9 and len(lines) == 6 * 2 + 2
    assert checks[0].figure == f"+{math.log(1.01) * 100:.2f} % ± 0.00 %"
    assert [check.figure for check in checks[6:8]] == ["format openvino needs openvino."] * 2
    assert checks[-1].figure == "6 of 6, worst 1.00 %"
