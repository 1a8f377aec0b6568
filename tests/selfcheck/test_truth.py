"""Seconds per epoch against plain loops: which cases there are, and what a check says."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.compare.lockstep import WorkerFailed
from bench.errors import UsageError
from bench.records.outcome import Status
from bench.selfcheck import truth
from bench.worker.workloads.base import Workload, family_of, workloads
from tests.builders import make_environment


@pytest.mark.parametrize("name", truth.CASES)
def test_a_case_is_of_the_workload_that_its_name_says(name: str) -> None:
    case = truth.CASES[name]
    assert name == f"{family_of(case.model).name}:{case.model}"
    assert type(family_of(case.model)).train_plainly is not Workload.train_plainly
    planned = truth.plan(case)
    assert (planned.case.mode, planned.case.batch, planned.case.imgsz) == ("train", case.batch, case.imgsz)
    assert planned.recipe.data_steps == case.steps and case.steps % case.turn == 0
    cycle = max(round(int(planned.recipe.overrides.get("nbs", case.batch)) / case.batch), 1)
    assert case.steps % cycle == 0  # so that windows have optimizer steps in their real proportion


def test_each_family_has_a_case() -> None:
    assert set(workloads()) == {name.partition(":")[0] for name in truth.CASES}


def test_some_may_be_chosen() -> None:
    assert list(truth.chosen("torch:lstm256, torch:resnet18")) == ["torch:lstm256", "torch:resnet18"]
    assert truth.chosen("") == truth.CASES
    with pytest.raises(UsageError, match="workload 'torch:none' is unknown: use ultralytics:yolov8n, "):
        truth.chosen("torch:none")


class FakeGroups:
    """Stands for measured pairs: their results in turn, or errors."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *results: float | BaseException) -> None:
        self.calls: list[dict[str, Any]] = []
        self.heaps: list[str | None] = []
        self.results = list(results)
        launcher = SimpleNamespace(wait=lambda name: None, close=lambda: None)
        monkeypatch.setattr(truth, "group", self.group)
        monkeypatch.setattr(truth, "find_data", lambda launcher, planned: {})
        monkeypatch.setattr(truth, "first_steps", lambda launcher, planned, data, count: [0.1, 0.2, 0.4][:count])
        monkeypatch.setattr(truth, "open_launcher", lambda interpreter: launcher)

    def group(self, *arguments: Any, **named: Any) -> Any:
        self.calls.append(named)
        self.heaps.append(os.environ.get("GLIBC_TUNABLES"))
        result = self.results.pop(0)
        if isinstance(result, BaseException):
            raise result
        return SimpleNamespace(log_of_same=result)


def interpreter(torch: str = "2.14.1") -> Any:
    """An environment that lacks what resnet18 needs."""
    return SimpleNamespace(
        why_lacking=lambda model: "torchvision is missing." if model == "resnet18" else "",
        environment=make_environment(torch),
    )


def test_both_sides_are_compared_in_as_many_processes_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = FakeGroups(monkeypatch, *[0.01, 0.011] * 3)
    cases = truth.chosen("torch:lstm256,torch:resnet18")
    cost, first, second, last = truth.checks(interpreter(), cases, 6, lambda text: None)
    assert (cost.name, cost.figure, cost.goal) == ("Fixed cost, torch:lstm256", "0.20 s", "<= 0.5 s")
    assert [(named["seed"], named["steps"], named["turn"]) for named in groups.calls] == [(n, 48, 4) for n in range(6)]
    assert first.figure.startswith("+1.05 %") and first.goal == "within ± 2 %"
    assert (second.figure, second.how) == ("torchvision is missing.", "not measured")
    assert last.figure == "1 of 1, worst 1.05 %"


def test_a_case_that_fails_is_reported_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGroups(monkeypatch, 0.0, WorkerFailed("a worker died", Status.FAILED), 0.001, 0.002)
    _, first, _, second, last = truth.checks(
        interpreter(), truth.chosen("torch:vit_b_16,torch:lstm256"), 2, lambda text: None
    )
    assert (first.figure, first.how) == ("a worker died", "not measured")
    assert second.figure.startswith("+0.15 %") and last.figure == "1 of 1, worst 0.15 %"


def test_the_fixed_cost_is_that_of_the_largest_model(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGroups(monkeypatch, 0.0, 0.0)
    cost, *_ = truth.checks(interpreter(), truth.chosen("transformers:bert-tiny"), 2, lambda text: None)
    assert cost.name == "Fixed cost, transformers:bert-base" and "train-bert-base-cpu-fp32-b8-i128" in cost.how


@pytest.mark.parametrize("own", [None, "glibc.malloc.check=1"])
def test_both_sides_keep_freed_memory_and_the_environment_is_as_before(
    monkeypatch: pytest.MonkeyPatch, own: str | None
) -> None:
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if own:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    groups = FakeGroups(monkeypatch, 0.0, 0.0)
    list(truth.checks(interpreter(), truth.chosen("torch:lstm256"), 2, lambda text: None))
    assert groups.heaps == [truth.STEADY_HEAP] * 2
    assert os.environ.get("GLIBC_TUNABLES") == own


def test_pairs_are_kept_as_they_come_and_not_measured_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    groups = FakeGroups(monkeypatch, 0.01, KeyboardInterrupt())
    cases, folder = truth.chosen("torch:lstm256"), tmp_path / "kept"
    with pytest.raises(KeyboardInterrupt):
        list(truth.checks(interpreter(), cases, 3, lambda text: None, folder))
    groups = FakeGroups(monkeypatch, 0.02, 0.03)
    _, first, _ = truth.checks(interpreter(), cases, 3, lambda text: None, folder)
    assert [named["seed"] for named in groups.calls] == [1, 2]
    assert first.figure.startswith("+2.00 %")
    _, again, _ = truth.checks(interpreter(), cases, 3, lambda text: None, folder)
    assert again == first
    groups = FakeGroups(monkeypatch, 0.0, 0.0)  # pairs of other versions do not count
    list(truth.checks(interpreter("2.15.0"), cases, 2, lambda text: None, folder))
    assert len(groups.calls) == 2


def test_a_file_of_kept_pairs_that_cannot_be_used_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    FakeGroups(monkeypatch, 0.0, 0.0)
    (tmp_path / "torch-lstm256.jsonl").write_text("no pair\n")
    with pytest.raises(UsageError, match=r"torch-lstm256\.jsonl cannot be read: .*Remove it to measure again"):
        list(truth.checks(interpreter(), truth.chosen("torch:lstm256"), 2, lambda text: None, tmp_path))
    with pytest.raises(UsageError, match=r"lstm256\.jsonl cannot be "):
        file = tmp_path / "file"
        file.write_text("")
        list(truth.checks(interpreter(), truth.chosen("torch:lstm256"), 2, lambda text: None, file))
