"""Probes of the largest batch, with memory that is played: what each end of a worker means."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from bench.cases.case import Case
from bench.ceiling import search
from bench.ceiling.batch_search import Search
from bench.ceiling.findings import edge, fit_memory_line
from bench.ceiling.probe_limits import AllocatorLimit, RlimitDataLimit
from bench.ceiling.search import SearchRequest, SearchResult, provide_data, search_largest_batch
from bench.ceiling.service import hard_limit
from bench.records.ceiling import Probe
from bench.records.outcome import Outcome, Status
from bench.runner.jobs import FEW_STEPS
from bench.runner.measure import WorkerResult
from bench.worker.protocol import CaseJob

GIB = 2**30
CASE = Case(mode="ceiling", model="yolov8n", device="0", amp="off", batch=0, imgsz=160)
MEASURED = Outcome(Status.MEASURED)


class Device:
    """Takes a GiB and 100 MiB an image; has 8 GiB."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.jobs: list[CaseJob] = []
        self.swap, self.swaps_from, self.slow_from = 0, 10**9, 10**9
        self.slow = 0.0
        self.outcome: dict[int, Outcome] = {}
        self.retries: set[int] = set()
        monkeypatch.setattr(search, "run_job", self.run_job)
        monkeypatch.setattr(search.psutil, "swap_memory", lambda: SimpleNamespace(used=self.swap))

    def run_job(self, launcher: Any, job: CaseJob, limit: float) -> WorkerResult:
        self.jobs.append(job)
        batch = job.case["batch"]
        if batch in self.outcome:
            return WorkerResult(self.outcome[batch])
        peak = GIB + 100 * 2**20 * batch
        if peak > 8 * GIB:
            return WorkerResult(Outcome(Status.OUT_OF_MEMORY, "CUDA out of memory."))
        if batch >= self.swaps_from:
            self.swap += GIB
        rate = self.slow if batch >= self.slow_from else 100.0
        retries = {"allocator_retries": 1} if batch in self.retries else {}
        figures = {name: {"bytes": peak, "method": "played"} for name in ("allocated", "reserved", "private", "data")}
        before = {name: {"bytes": GIB, "method": "played"} for name in figures}
        steps = {"images": batch, "seconds": [9.0, batch / rate], "warmup": 1}
        measured = {"memory": figures, "memory_before": before, "steps": steps, "device": retries}
        return WorkerResult(MEASURED, measured=measured, effective={"threads": 1})


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    return Device(monkeypatch)


def run_search(case: Case = CASE, **asked: Any) -> tuple[SearchResult, Search]:
    predicted, sure = (
        asked.pop("predicted", None) or asked.get("limit") or 8 * GIB,
        asked.pop("hard_limit", hard_limit(case)),
    )
    question = SearchRequest(case, **asked)
    batch_search = Search(question.granularity, question.max_batch, float(predicted), sure)
    reported: list[int] = []
    result, interpreter = SearchResult(), SimpleNamespace(path="python")
    search_largest_batch(
        question,
        batch_search,
        {"source": "data.yaml"},
        interpreter,  # type: ignore[arg-type]
        result,
        lambda probe: reported.append(probe.batch),
    )
    assert reported == [probe.batch for probe in result.probes]
    return result, batch_search


def test_the_largest_batch_of_a_card(device: Device) -> None:
    result, batch_search = run_search()
    assert edge(batch_search, result.probes) == (71, "out of memory")
    line = fit_memory_line(result.probes)
    assert line is not None and (line.base, line.slope) == (GIB, 100 * 2**20)
    assert len(result.probes) <= 5
    assert result.effective == {"threads": 1} and result.limit_method == "the device's own memory"


def test_every_probe_trains_dense_images_for_a_few_steps_in_a_process_of_its_own(device: Device) -> None:
    run_search(limit=4 * GIB)
    for job in device.jobs:
        assert job.window == FEW_STEPS and job.case["mode"] == "train"
        assert job.memory_limit == 4 * GIB
        assert (job.separate_pass, job.loss_scale, job.retry_noisy) == (False, 1024.0, False)
    assert search.recipe(SearchRequest(CASE)).data == "coco-like-dense"


def test_swap_ends_it_though_nothing_fails(device: Device) -> None:
    device.swaps_from = 40
    result, batch_search = run_search()
    assert edge(batch_search, result.probes) == (39, "swap")
    assert len(result.probes) <= 9, "memory said 71, and still it halves"


@pytest.mark.parametrize("predicted", [3, 5, 7, 9, 20, 80, 400])
def test_a_limit_that_is_not_what_fits_costs_a_few_probes(device: Device, predicted: int) -> None:
    """Another process holds half of the card, say, or more fits than anyone knew."""
    result, batch_search = run_search(predicted=predicted * GIB)
    assert edge(batch_search, result.probes) == (71, "out of memory")
    assert len(result.probes) <= 15, "it doubles and halves"


def test_the_peak_of_a_card_at_its_edge_is_no_point_of_the_line(device: Device) -> None:
    device.retries = {70, 71}
    result, _ = run_search()
    peaks = {probe.batch: probe.peak for probe in result.probes if probe.fits}
    assert peaks.get(71, 0) is None
    line = fit_memory_line(result.probes)
    assert line is not None and line.points == len([peak for peak in peaks.values() if peak])


@pytest.mark.parametrize(
    ("kind", "slow", "ends"),
    [
        ("mps", 60.0, True),
        ("mps", 80.0, False),
        ("0", 40.0, True),
        ("0", 60.0, False),
        ("cpu", 20.0, True),
        ("cpu", 40.0, False),
    ],
)
def test_a_collapse_ends_it(device: Device, kind: str, slow: float, ends: bool) -> None:
    """A CPU that other work shares may be half as fast for a while; what other devices lose has another reason."""
    device.slow_from, device.slow = 40, slow
    result, batch_search = run_search(Case(mode="ceiling", model="yolov8n", device=kind, amp="off", batch=0, imgsz=160))
    assert edge(batch_search, result.probes) == ((39, "collapse") if ends else (71, "out of memory"))
    assert len(result.probes) <= 9


def test_what_is_clearly_too_large_is_not_tried(device: Device) -> None:
    """Batch 68 takes 7.6 GiB, 85 would take 9.3; the allocator of a GPU might give something back."""
    cpu = msgspec.structs.replace(CASE, device="cpu")
    result, batch_search = run_search(cpu, granularity=17)
    assert edge(batch_search, result.probes) == (68, "predicted")
    assert max(probe.batch for probe in result.probes) == 68
    for kept in ({"hard_limit": False}, {"predicted": 5 * GIB}):  # of a limit that was wrong nothing is believed
        result, batch_search = run_search(cpu, granularity=17, **kept)
        assert edge(batch_search, result.probes) == (68, "out of memory")
    result, batch_search = run_search(granularity=17)
    assert edge(batch_search, result.probes) == (68, "out of memory")


def test_a_limit_is_believed_where_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, mps = (msgspec.structs.replace(CASE, device=device) for device in ("cpu", "mps"))
    assert [hard_limit(case) for case in (cpu, mps, CASE)] == [True, False, False]
    monkeypatch.setattr("bench.ceiling.probe_limits.enforced", lambda: False)  # a Mac's own CPU
    assert not hard_limit(cpu)


def test_the_largest_that_was_asked_for(device: Device) -> None:
    result, batch_search = run_search(max_batch=16, granularity=4)
    assert edge(batch_search, result.probes) == (16, "limit")


def test_what_is_neither_training_nor_want_of_memory_ends_the_search(device: Device) -> None:
    device.outcome = {8: Outcome(Status.UNSUPPORTED, "device 7: this machine has 1 CUDA device(s).")}
    result, _ = run_search()
    assert [probe.batch for probe in result.probes] == [8]
    assert result.failed == device.outcome[8]


@pytest.mark.parametrize(
    ("status", "reason", "figure", "expected"),
    [
        (Status.OUT_OF_MEMORY, "Out of memory: can't allocate memory", "private", "out of memory"),
        (Status.FAILED, "The worker was killed by SIGABRT while measuring.", "data", "out of memory"),
        (Status.FAILED, "The worker was killed by SIGABRT while measuring.", "private", ""),
        (Status.TIMED_OUT, "Still warming up after 600 s.", "private", "time"),
        (Status.UNSUPPORTED, "no.", "data", ""),
    ],
)
def test_ends_of_a_worker_where_a_smaller_batch_trained(
    status: Status, reason: str, figure: str, expected: str
) -> None:
    hold: Any = RlimitDataLimit(1) if figure == "data" else AllocatorLimit(None)
    result, smaller = WorkerResult(Outcome(status, reason)), [Probe(batch=8, outcome=MEASURED)]
    case = Case(mode="train", model="yolov8n", device="cpu", amp="off", batch=16, imgsz=160)
    assert search.stop_reason(result, hold, 0, None, smaller, case) == expected
    if status is not Status.OUT_OF_MEMORY:
        assert search.stop_reason(result, hold, 0, None, [], case) == "", "nothing says that it was memory, or size"


def test_the_rate_is_that_of_whole_batches_too() -> None:
    """The last step of an epoch has fewer images, and is over sooner."""
    steps = {"images": [64, 64, 4], "seconds": [9.0, 2.0, 0.5], "warmup": 1}
    assert search.images_per_second(WorkerResult(MEASURED, measured={"steps": steps})) == 32.0
    assert search.images_per_second(WorkerResult(MEASURED)) is None


def test_data_are_made_once_and_what_made_them_is_gone_before_the_first_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    launcher: Any = SimpleNamespace(close=lambda: made.append("closed"))
    monkeypatch.setattr(search, "find_data", lambda launcher, planned: made.append(planned.case.batch) or {})
    provide_data(SearchRequest(CASE, max_batch=512), launcher)
    assert made == [512, "closed"]


def test_a_process_that_its_group_killed_ran_out_of_memory() -> None:
    class Killed(AllocatorLimit):
        def killed(self) -> bool:
            return True

    outcome = Outcome(Status.FAILED, "The worker was killed by SIGKILL while setting up.")
    assert search.stop_reason(WorkerResult(outcome), Killed(None), 0, None, [], CASE) == "out of memory"


def test_a_probe_that_swapped_does_not_fit() -> None:
    assert not Probe(batch=8, outcome=MEASURED, stop_reason="swap").fits
    assert Probe(batch=8, outcome=MEASURED).fits


def test_without_a_limit_a_probe_on_the_cpu_leaves_the_machine_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search.psutil, "virtual_memory", lambda: SimpleNamespace(available=10 * GIB))
    cpu = Case(mode="ceiling", model="yolov8n", device="cpu", amp="off", batch=0, imgsz=160)
    monkeypatch.setattr(search, "memory_left", lambda: None)
    assert search.available_memory(cpu) == 9 * GIB
    monkeypatch.setattr(search, "memory_left", lambda: 2 * GIB)
    assert search.available_memory(cpu) == int(1.8 * GIB), "a container has less than its machine"
