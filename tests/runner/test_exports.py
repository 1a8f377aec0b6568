"""Exports of a run: made once for each case, before it, and a case without one starts no worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.cases.plan import PlannedRun, repeat
from bench.records.outcome import Outcome, Status
from bench.records.store import Store
from bench.runner import measure, run
from bench.runner.estimate import Estimator
from bench.runner.jobs import case_job, export_job
from bench.runner.measure import DatasetUnavailable, WorkerResult
from bench.runner.run import Run
from bench.worker.protocol import ExportJob
from tests.builders import make_record
from tests.fake_workers import plan

DATA = {"source": "data.yaml", "fingerprint": "f", "images": 4}


def exported(name: str = "onnx", **axes: Any) -> PlannedRun:
    return plan(mode="predict", further=(("format", name),), **axes)


def test_the_original_needs_no_export() -> None:
    assert export_job(plan(mode="predict"), DATA, "") is None
    job = export_job(exported(), DATA, "/scratch")
    assert isinstance(job, ExportJob)
    assert (job.data, job.scratch, Path(job.root).name) == ("data.yaml", "/scratch", "exports")
    assert job.case["further"] == [["format", "onnx"]] or job.case["further"] == (("format", "onnx"),)


def test_the_case_is_given_its_export() -> None:
    assert case_job(exported(), {**DATA, "export": {"file": "model.onnx"}}, "").export == {"file": "model.onnx"}
    assert case_job(exported(), DATA, "").export == {}


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Export jobs that were run; a job of OpenVINO ends without an export."""
    ran: list[Any] = []

    def run_job(launcher: Any, job: Any, *arguments: Any, **named: Any) -> WorkerResult:
        ran.append(job)
        name = dict(job.case["further"])["format"]
        if name == "openvino":
            return WorkerResult(Outcome(Status.UNSUPPORTED, "format openvino needs openvino.", ("mode", "format")))
        if name == "ncnn":
            return WorkerResult(Outcome(Status.FAILED, "The worker died."), worker_output="its log")
        return WorkerResult(Outcome(Status.MEASURED), export={"file": __file__, "made": len(ran) == 1})

    monkeypatch.setattr(measure, "run_job", run_job)
    return ran


def test_an_export_joins_the_data_of_a_case(jobs: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path))
    assert measure.with_export(None, exported(), DATA)["export"]["made"] is True  # type: ignore[arg-type]
    assert measure.with_export(None, plan(), DATA) == DATA  # type: ignore[arg-type]
    assert len(jobs) == 1
    assert list((tmp_path / "scratch").iterdir()) == [], "whatever it left is gone"


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("openvino", "unsupported", "format openvino needs openvino."),
        ("ncnn", "failed", "No export: The worker died."),
    ],
)
def test_without_an_export_a_case_ends_by_that(
    jobs: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, status: str, reason: str
) -> None:
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path))
    with pytest.raises(DatasetUnavailable) as caught:
        measure.with_export(None, exported(name), DATA)  # type: ignore[arg-type]
    assert (caught.value.outcome.status.value, caught.value.outcome.reason) == (status, reason)


@pytest.fixture
def runs(jobs: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs plans with exports and measurements that are played."""
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(run, "look_for_data", lambda launcher, planned: dict(DATA))

    def measured(launcher: Any, planned: PlannedRun, data: dict[str, Any], *arguments: Any, **named: Any) -> Any:
        assert data["export"]["file"] == __file__
        return make_record(case=planned.case, recipe=planned.recipe, process=planned.process)

    monkeypatch.setattr(run, "measure", measured)

    def play(launcher: Any, plans: list[PlannedRun]) -> list[Any]:
        made = Run(plans, Store(tmp_path / "results", "r1"), launcher, Estimator())
        return [made.measure(planned) for planned in plans]

    return play


def test_processes_of_a_case_share_its_export(launcher: Any, runs: Any, jobs: list[Any]) -> None:
    records = runs(launcher, repeat([exported(), exported(batch=8)], 3, "r1"))
    assert [record.outcome.status.value for record in records] == ["measured"] * 6
    assert len(jobs) == 2


def test_missing_packages_settle_the_other_cases_of_a_format(launcher: Any, runs: Any, jobs: list[Any]) -> None:
    records = runs(launcher, [exported("openvino"), exported("openvino", batch=8), exported("onnx")])
    assert [record.outcome.status.value for record in records] == ["unsupported", "unsupported", "measured"]
    assert len(jobs) == 2
    assert records[1].extra["skipped_because_of"] == records[0].case.id


def test_a_failed_export_costs_its_own_case_only(launcher: Any, runs: Any, jobs: list[Any]) -> None:
    records = runs(launcher, [exported("ncnn"), exported("ncnn", batch=8), exported("onnx")])
    assert [record.outcome.status.value for record in records] == ["failed", "failed", "measured"]
    assert records[0].worker_output == "its log"


def test_an_estimate_knows_of_exports() -> None:
    estimator = Estimator()
    assert estimator.seconds(exported()) == pytest.approx(estimator.seconds(plan(mode="predict")) + 8.0)
    later = repeat([exported()], 2, "r1")[1]
    assert estimator.seconds(later) == estimator.seconds(plan(mode="predict")), "later processes use it again"
