"""Seconds per epoch against plain loops: which cases there are, and what a check says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from bench.errors import UsageError
from bench.selfcheck import truth
from bench.worker.workloads.base import Workload, family_of, workloads


@pytest.mark.parametrize("name", truth.CASES)
def test_a_case_is_of_the_workload_that_its_name_says(name: str) -> None:
    case = truth.CASES[name]
    assert name == f"{family_of(case.model).name}:{case.model}"
    assert type(family_of(case.model)).train_plainly is not Workload.train_plainly
    planned = truth.plan(case)
    assert (planned.case.mode, planned.case.batch, planned.case.imgsz) == ("train", case.batch, case.imgsz)
    assert case.steps % 2 == 0


def test_each_family_has_a_case() -> None:
    assert set(workloads()) == {name.partition(":")[0] for name in truth.CASES}


def test_some_may_be_chosen() -> None:
    assert list(truth.chosen("torch:lstm256, torch:resnet18")) == ["torch:lstm256", "torch:resnet18"]
    assert truth.chosen("") == truth.CASES
    with pytest.raises(UsageError, match="workload 'torch:none' is unknown: use ultralytics:yolov8n, "):
        truth.chosen("torch:none")


def test_both_sides_are_compared_in_as_many_processes_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = []

    def group(*arguments: Any, **named: Any) -> Any:
        groups.append(named)
        return SimpleNamespace(log=0.01 + 0.001 * (len(groups) % 2))

    launcher = SimpleNamespace(wait=lambda name: None, close=lambda: None)
    monkeypatch.setattr(truth, "group", group)
    monkeypatch.setattr(truth, "open_launcher", lambda interpreter: launcher)
    interpreter: Any = SimpleNamespace(
        why_lacking=lambda model: "" if model == "lstm256" else "torchvision is missing."
    )
    cases = truth.chosen("torch:lstm256,torch:resnet18")
    first, second, last = truth.checks(interpreter, cases, 6, lambda text: None)
    assert [named["steps"] for named in groups] == [64] * 6
    assert first.figure.startswith("+1.05 %") and first.goal == "within ± 2 %"
    assert (second.figure, second.how) == ("torchvision is missing.", "not measured")
    assert last.figure == "1 of 1, worst 1.05 %"
