"""Pairs of two environments, with workers that are played: what is measured, in which order, and how it ends."""

from __future__ import annotations

import math
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.cases.plan import PlannedRun
from bench.compare import pairs
from bench.compare.background_load import BackgroundLoadMonitor
from bench.compare.scheduler import BALANCE, MAX_RETRIES, PairScheduler, head_starts_first
from bench.environments.interpreter import Interpreter
from bench.errors import UsageError
from bench.records.comparison import CaseComparison, Comparison, EnvironmentSide
from bench.records.outcome import Status
from bench.records.record import Environment
from bench.records.store import read_comparison
from bench.runner.launchers.local import SpawnLauncher
from bench.worker.protocol import CaseJob, Job, Window
from tests.builders import make_machine, make_steps
from tests.fake_workers import FAKE, plan

Launchers = tuple[SpawnLauncher, SpawnLauncher]


@pytest.fixture
def launchers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Launchers:
    """Base and head, which is 10 % slower."""
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(BackgroundLoadMonitor, "interference", lambda self, workers: [])
    sides = []
    for name, factor in (("base", 1.0), ("head", 1.1)):
        python = tmp_path / name
        python.write_text(f'#!/bin/sh\nFAKE_FACTOR={factor} exec {sys.executable} -S {FAKE} "$@"\n')
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        sides.append(SpawnLauncher(Interpreter(path=str(python), environment=environment())))
    return sides[0], sides[1]


def environment() -> Environment:
    return Environment(python="3.11.0", packages={"torch": "2.9", "ultralytics": "8.4"}, yolopace="0")


def comparison(*planned: PlannedRun) -> Comparison:
    side = EnvironmentSide(asked="torch==2.9", key="0", packages=[], environment=environment())
    return Comparison(
        run="run",
        started="2026-11-25T10:10:10+00:00",
        machine=make_machine(),
        base=side,
        head=side,
        margin=0.03,
        margin_from="",
        memory_margin=0.02,
        cases=[CaseComparison(case=planned_run.case, recipe=planned_run.recipe) for planned_run in planned],
    )


def until(count: int) -> Callable[[Comparison], dict[str, bool]]:
    """Wants so many pairs of every case that has any."""
    return lambda result: {
        case.case.id: False
        for case in result.cases
        if case.both_runnable and not case.error and len(case.pairs) < count
    }


Measure = Callable[..., tuple[Comparison, list[str]]]


@pytest.fixture
def measure(launchers: Launchers, tmp_path: Path) -> Iterator[Measure]:
    def run(*models: str, count: int = 1, **options: Any) -> tuple[Comparison, list[str]]:
        result = comparison(*(plan(model) for model in models))
        heard: list[str] = []
        regress = PairScheduler(
            result, launchers, tmp_path, until(count), lambda compared, message: heard.append(message), **options
        )
        regress.run()
        assert regress.unsaved == ""
        return result, heard

    yield run


def test_a_pair_is_the_ratio_of_two_processes_that_took_turns(measure: Measure, tmp_path: Path) -> None:
    result, heard = measure("yolov8n")
    [compared] = result.cases
    [pair] = compared.pairs
    assert pair.log == pytest.approx(math.log(1.1))
    assert (pair.lockstep, pair.retries, pair.interference, pair.confirmation) == (True, 0, [], False)
    assert pair.seconds > 0
    assert compared.base is not None and compared.head is not None
    assert compared.base.effective["threads"] == compared.head.effective["threads"] == 3
    assert heard == [""]
    assert result.seconds >= pair.seconds
    assert read_comparison(tmp_path) == msgspec.structs.replace(result, run=tmp_path.name)


def test_each_side_starts_first_equally_often_and_rounds_hold_every_case(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    before = pairs.run_interleaved

    def spied(pairing: pairs.PairInputs, *rest: Any, **more: Any) -> pairs.PairRun:
        order.append(pairing.planned.case.model)
        return before(pairing, *rest, **more)

    monkeypatch.setattr(pairs, "run_interleaved", spied)
    result, _ = measure("yolov8n", "yolo11n", count=BALANCE)
    assert [Counter(order[start : start + 2]) for start in range(0, 8, 2)] == [Counter(["yolov8n", "yolo11n"])] * 4
    for compared in result.cases:
        assert Counter(pair.head_first for pair in compared.pairs) == {True: 2, False: 2}


def test_who_starts_first_is_random_and_balanced() -> None:
    orders = set()
    for run in map(str, range(20)):
        order = [head_starts_first(run, "a", number) for number in range(8)]
        assert sum(order[:4]) == sum(order[4:]) == 2
        assert order == [head_starts_first(run, "a", number) for number in range(8)]
        orders.add(tuple(order))
    assert len(orders) > 10


def test_all_processes_do_the_steps_that_the_first_one_settled(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows: list[Window] = []
    before = SpawnLauncher.start

    def spied(self: SpawnLauncher, job: Job) -> Any:
        if isinstance(job, CaseJob):
            windows.append(job.window)
        return before(self, job)

    monkeypatch.setattr(SpawnLauncher, "start", spied)
    measure("yolov8n", count=2)
    assert windows[0].warmup_steps == 0  # only the very first process goes by time
    same = Window(warmup_steps=18, warmup_seconds=0.0, shared_accumulation_steps=6, window_steps=24, window_seconds=0.0)
    assert windows[1:] == [same] * 3


def test_a_worker_that_dies_within_a_pair_costs_that_pair_alone(measure: Measure) -> None:
    result, heard = measure("dies-in-turns", count=2)
    [compared] = result.cases
    assert [pair.retries for pair in compared.pairs] == [1, 0]
    [died] = compared.pairs[0].worker_failures
    assert died.partition(":")[0] in ("base", "head") and "was killed by SIGKILL" in died
    assert compared.error == "" and heard == ["", ""]


def test_workers_that_always_die_end_the_case_and_it_says_how(measure: Measure) -> None:
    result, heard = measure("dies-in-turns-always", "yolov8n", count=2)
    died, fine = result.cases
    assert died.pairs == [] and died.both_runnable
    assert "A worker was killed by SIGKILL while it took turns." in died.error
    assert died.error in heard
    assert len(fine.pairs) == 2


def test_an_interfered_pair_is_measured_again(measure: Measure) -> None:
    result, _ = measure("interfered-once")
    [pair] = result.cases[0].pairs
    assert (pair.retries, pair.interference) == (1, [])


def test_a_pair_that_stays_interfered_is_kept_and_flagged(measure: Measure) -> None:
    result, _ = measure("always-interfered")
    [pair] = result.cases[0].pairs
    assert (pair.retries, pair.interference) == (MAX_RETRIES, ["background load"])


def test_where_the_machine_is_never_calm_no_further_pair_is_measured_again(measure: Measure) -> None:
    result, _ = measure("always-interfered", count=3)
    assert [pair.retries for pair in result.cases[0].pairs] == [MAX_RETRIES, 0, 0]


def test_persistent_interference_is_not_measured_again(measure: Measure) -> None:
    result, _ = measure("on-battery")
    [pair] = result.cases[0].pairs
    assert (pair.retries, pair.interference) == (0, ["the machine ran on its battery"])


def test_a_case_that_one_side_cannot_run_says_which_and_why(measure: Measure) -> None:
    result, heard = measure("runs-on-base-alone")
    [compared] = result.cases
    assert compared.pairs == [] and not compared.both_runnable
    assert compared.base is not None and compared.base.outcome.status is Status.MEASURED
    assert compared.head is not None
    assert (compared.head.outcome.status, compared.head.outcome.reason) == (Status.SUBSTITUTED, "No such thing.")
    assert heard == [""]


def test_a_case_that_neither_side_can_run(measure: Measure) -> None:
    result, _ = measure("broken")
    [compared] = result.cases
    for ran in (compared.base, compared.head):
        assert ran is not None and ran.outcome.reason == "ValueError: no."


def test_where_memory_ends_processes_run_one_after_the_other(measure: Measure) -> None:
    result, _ = measure("has-no-room-in-turns", count=2)
    [compared] = result.cases
    assert [pair.lockstep for pair in compared.pairs] == [False, False]
    assert (
        compared.sequential_reason.startswith("both cannot run at once: ")
        and "There is no memory." in compared.sequential_reason
    )
    assert compared.pairs[0].log == pytest.approx(math.log(1.1))


def test_memory_is_looked_at_before_the_second_process_starts(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "footprint", lambda pid: 2**60)
    result, _ = measure("yolov8n", count=2)
    [compared] = result.cases
    assert [pair.lockstep for pair in compared.pairs] == [False, False]
    assert compared.sequential_reason.startswith("memory does not hold both processes at once: one process needs 10737")


def test_the_time_budget_ends_it_after_a_pair_of_each(launchers: Launchers, tmp_path: Path) -> None:
    result = comparison(plan("yolov8n"), plan("yolo11n"))
    regress = PairScheduler(result, launchers, tmp_path, until(8), lambda *_: None, budget=0.01)
    regress.run()
    assert [len(case.pairs) for case in result.cases] == [1, 1]
    assert regress.over_budget == 2


def test_ctrl_c_keeps_what_was_measured_and_it_goes_on_from_there(launchers: Launchers, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    result = comparison(plan("yolov8n"))

    def stop(compared: CaseComparison, message: str) -> None:
        if len(compared.pairs) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PairScheduler(result, launchers, folder, until(4), stop).run()
    kept = read_comparison(folder)
    assert len(kept.cases[0].pairs) == 2
    PairScheduler(kept, launchers, folder, until(4), lambda *_: None).run()
    assert Counter(pair.head_first for pair in read_comparison(folder).cases[0].pairs) == {True: 2, False: 2}


def test_a_folder_that_cannot_be_written_is_said_and_nothing_ends(launchers: Launchers, tmp_path: Path) -> None:
    heard: list[str] = []
    result = comparison(plan("yolov8n"))
    regress = PairScheduler(
        result, launchers, tmp_path / "no", until(2), lambda compared, message: heard.append(message)
    )
    regress.run()
    assert len(result.cases[0].pairs) == 2
    assert regress.unsaved and heard == [regress.unsaved] * 2
    assert "could not be written" in regress.unsaved


def test_data_that_cannot_be_used_end_it(launchers: Launchers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unusable(*_: object) -> None:
        raise UsageError("data 'x.yaml': there is no such file.")

    monkeypatch.setattr("bench.compare.scheduler.find_data", unusable)
    with pytest.raises(UsageError, match="no such file"):
        PairScheduler(comparison(plan("yolov8n")), launchers, tmp_path, until(1), lambda *_: None).run()


def test_steps_keep_the_last_one_of_warm_up_which_settles_the_kind_of_the_first() -> None:
    steps = make_steps(
        [0.1] * 6, warmup=[0.5] * 3, accumulation_steps=3, images=[1, 2, 3, 4, 5, 6, 7, 8, 9], optimizer=[2, 5, 8]
    )
    kept = pairs.trimmed(steps)
    assert (kept.warmup, kept.warmup_discarded, len(kept.seconds), kept.images) == (1, 2, 7, [3, 4, 5, 6, 7, 8, 9])
    assert (kept.kinds, kept.window, kept.optimizer) == (steps.kinds, steps.window, [0, 3, 6])
    bare = make_steps([0.1] * 4, warmup=[])
    assert pairs.trimmed(bare) == bare


def test_every_pair_has_parents_of_its_own(
    launchers: Launchers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name, launcher in zip(("base", "head"), launchers, strict=True):
        for what in ("prepare", "close"):
            monkeypatch.setattr(launcher, what, lambda *_, event=f"{what} {name}": done.append(event))
    result = comparison(plan("yolov8n"))
    PairScheduler(result, launchers, tmp_path, until(3), lambda compared, message: done.append("pair")).run()
    both = ["prepare base", "prepare head"]
    again = ["close base", "close head", *both, "pair"]
    assert done == [*both, "pair", *again, *again]


def test_ranks_take_no_turns(launchers: Launchers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.runner.launchers.local.is_distributed", lambda job: False)  # played by one process
    monkeypatch.setattr("bench.runner.measure.is_distributed", lambda job: False)
    planned_run = plan("yolov8n")
    result = comparison(
        msgspec.structs.replace(planned_run, case=msgspec.structs.replace(planned_run.case, device="cpu+cpu", batch=4))
    )
    PairScheduler(result, launchers, tmp_path, until(1), lambda compared, message: None).run()
    assert result.cases[0].sequential_reason == "the ranks of several devices take no turns"
    assert [pair.lockstep for pair in result.cases[0].pairs] == [False]
