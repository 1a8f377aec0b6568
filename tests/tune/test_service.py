"""A whole search with workers that are played: records, proof, Ctrl-C and what a second search knows."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from bench.compare import pairs
from bench.compare.background_load import BackgroundLoadMonitor
from bench.compare.lockstep import WorkerFailed
from bench.compare.pairs import InsufficientMemory, PairInputs
from bench.compare.scheduler import PairScheduler
from bench.errors import NothingMeasured
from bench.records import store
from bench.records.comparison import SIDES
from bench.records.outcome import Outcome, Status
from bench.records.record import Data
from bench.records.tune import NotTried, Tuning
from bench.runner.launchers import local
from bench.runner.launchers.local import SpawnLauncher
from bench.runner.measure import DatasetUnavailable
from bench.runner.run import Run
from bench.tune.answer import Verdict, answer
from bench.tune.measurer import CaseMeasurer, Planner
from bench.tune.search import LEAST_PAIRS
from bench.tune.service import TuneRequest, begin, tune
from bench.tune.space import Space
from tests.builders import make_case, make_ceiling, make_record, make_steps
from tests.fake_workers import fake_launcher

PRESENT = make_case(batch=4, imgsz=64)
LARGER = PRESENT.of({**PRESENT.values, "batch": 8})


@pytest.fixture
def launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SpawnLauncher:
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(BackgroundLoadMonitor, "interference", lambda self, workers: [])
    played = fake_launcher(tmp_path)
    monkeypatch.setattr(local, "open_launcher", lambda interpreter, network=False: SpawnLauncher(interpreter))
    return played


def request(**changes: Any) -> TuneRequest:
    """A search for a batch: a step of a played worker takes as long with any, so the larger is twice as fast."""
    fields: dict[str, Any] = {
        "space": Space(PRESENT, {"batch": [8]}),
        "left_out": [NotTried("workers", "not here")],
        "budget": 600.0,
        "margin": 0.03,
    }
    return TuneRequest(**(fields | changes))


def run(
    launcher: SpawnLauncher, results: Path, tuning: Tuning | None = None, **changes: Any
) -> tuple[Tuning, list[str]]:
    lines: list[str] = []
    asked = request(**changes)
    tuning = tuning or begin(asked, launcher, lines.append)
    kept = tune(
        asked, tuning, launcher, results, say=lines.append, on_pair=lambda compared, problem: lines.append(problem)
    )
    assert kept.rescue() == ""
    return tuning, lines


def names_of(tuning: Tuning) -> list[str]:
    """Names of all records of a search."""
    return [name for block in tuning.blocks for name in block.records]


def test_a_search_is_proven_and_recorded_like_any_run_and_another_starts_from_it(
    launcher: SpawnLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: Counter[int] = Counter()
    before = pairs.case_job

    def spied(planned: Any, *rest: Any) -> Any:
        batches[planned.case.batch] += 1
        return before(planned, *rest)

    monkeypatch.setattr(pairs, "case_job", spied)
    tuning, lines = run(launcher, tmp_path / "results")
    result = answer(tuning)
    assert (result.verdict, result.settings) == (Verdict.SET, {"batch": 8})
    assert result.gain is not None and result.gain.ratio == pytest.approx(2.0)
    assert tuning.proof is not None
    [compared] = tuning.proof.cases
    assert (compared.case, compared.head_case) == (PRESENT, LARGER)
    assert len(compared.pairs) == 8
    assert {pair.block_steps for pair in compared.pairs} == {0}  # a turn is a whole window: the steps differ
    [known] = store.read_tunings([tmp_path / "results"])[0]
    assert known == tuning
    records, complaints = store.read([tmp_path / "results"])
    assert complaints == []
    assert {record.case for record in records} == {PRESENT, LARGER}
    assert sorted(name for block in tuning.blocks for name in block.records) == sorted(
        record.name for record in records
    )
    assert not list((tmp_path / "results").glob("*/comparison.json"))
    assert tuning.not_tried[0] == NotTried("workers", "not here")
    assert any(line.startswith("batch=8: ") and "2.00 times as fast" in line for line in lines)
    assert batches == {4: 8, 8: 8}  # each side of a pair runs its own settings

    monkeypatch.setattr("bench.tune.service.prove", lambda *rest: None)
    second, lines = run(launcher, tmp_path / "results")
    assert second.run != tuning.run
    assert any("measurements of earlier searches on this machine" in line for line in lines)
    assert len(names_of(second)) < len(names_of(tuning))
    assert max(row.earlier for row in second.tried) >= 1


CLOSE_BATCHES = Space(PRESENT, {"batch": [20, 21]})
"""Settings of which the second is 5 % faster than the first: too close to be told apart without pairs."""


def test_the_fastest_settings_are_measured_in_pairs_that_a_second_search_knows(
    launcher: SpawnLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning, _ = run(launcher, tmp_path / "results", space=CLOSE_BATCHES)
    assert answer(tuning).settings == {"batch": 21}
    assert {frozenset((measured.base.batch, measured.head.batch)) for measured in tuning.pairs} == {frozenset((20, 21))}
    assert len(tuning.pairs) >= LEAST_PAIRS
    starts = Counter(measured.head if measured.pair.head_first else measured.base for measured in tuning.pairs)
    assert max(starts.values()) - min(starts.values()) <= len(tuning.pairs) % 2
    assert {measured.pair.lockstep for measured in tuning.pairs} == {True}
    numbers = [block.number for block in tuning.blocks] + [measured.block for measured in tuning.pairs]
    assert len(set(numbers)) == len(numbers)
    [known] = store.read_tunings([tmp_path / "results"])[0]
    assert known.pairs == tuning.pairs
    [row] = [row for row in known.tried if row.case.batch == 20]
    assert row.processes == len(tuning.pairs) + sum(name.startswith(row.case.id) for name in names_of(tuning))

    monkeypatch.setattr("bench.tune.service.prove", lambda *rest: None)
    second, _ = run(launcher, tmp_path / "results", space=CLOSE_BATCHES)
    assert (second.pairs, second.winner) == ([], tuning.winner)
    own = [name for name in names_of(second) if "b20" in name or "b21" in name]
    third, _ = run(launcher, tmp_path / "results", space=CLOSE_BATCHES)
    assert (own, third.pairs) == ([], [])


def test_settings_that_cannot_run_at_once_are_measured_one_after_the_other(
    launcher: SpawnLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts: list[int] = []

    def no_room(*rest: Any) -> Any:
        attempts.append(1)
        raise InsufficientMemory("one process needs 9 GiB, and 1 GiB were free")

    monkeypatch.setattr("bench.tune.measurer.pairs.run_interleaved", no_room)
    monkeypatch.setattr("bench.tune.service.prove", lambda *rest: None)
    tuning, _ = run(launcher, tmp_path / "results", space=CLOSE_BATCHES)
    assert {measured.pair.lockstep for measured in tuning.pairs} == {False}
    assert attempts == [1]  # it is not tried again


def test_a_side_of_a_pair_that_fails_loses(
    launcher: SpawnLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(inputs: PairInputs, *rest: Any) -> Any:
        number = [inputs.side(0).case.batch, inputs.side(1).case.batch].index(21)
        raise WorkerFailed(f"{SIDES[number]}: It broke.", Status.FAILED, "It broke.")

    monkeypatch.setattr("bench.tune.measurer.pairs.run_interleaved", broken)
    monkeypatch.setattr("bench.tune.measurer.pairs.run_sequential", broken)
    monkeypatch.setattr("bench.tune.service.prove", lambda *rest: None)
    tuning, lines = run(launcher, tmp_path / "results", space=CLOSE_BATCHES)
    assert tuning.winner is not None
    assert tuning.winner.batch == 20
    assert any("It broke." in line for line in lines)
    [row] = [row for row in tuning.tried if row.case.batch == 21]
    assert (row.status, row.reason) == ("failed", "It broke.")


def test_a_side_without_a_dataset_loses(
    launcher: SpawnLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def removed(self: Run, planned: Any) -> Any:
        raise DatasetUnavailable(Outcome(Status.FAILED, "It was removed."))

    def measured(self: CaseMeasurer, *rest: Any) -> Any:
        monkeypatch.setattr(Run, "data_for", removed)
        return before(self, *rest)

    before = CaseMeasurer.measure_pair
    monkeypatch.setattr(CaseMeasurer, "measure_pair", measured)
    monkeypatch.setattr("bench.tune.service.prove", lambda *rest: None)
    tuning, _ = run(launcher, tmp_path / "results", space=CLOSE_BATCHES)
    assert "It was removed." in {row.reason for row in tuning.tried}


def test_pairs_of_other_data_are_not_used(
    launcher: SpawnLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.tune.service.prove", lambda *rest: None)
    run(launcher, tmp_path / "results", space=CLOSE_BATCHES)
    monkeypatch.setattr("bench.tune.service._data_key", lambda record: record.id)
    second, lines = run(launcher, tmp_path / "results", space=CLOSE_BATCHES)
    assert second.pairs
    assert not any("starts from" in line for line in lines)


def test_a_clear_winner_is_proven_without_restarts(
    launcher: SpawnLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarts: list[int] = []
    monkeypatch.setattr(PairScheduler, "_restart_servers", lambda self: restarts.append(1))
    run(launcher, tmp_path / "clear")
    assert restarts == []
    run(launcher, tmp_path / "close", space=Space(make_case(batch=20, imgsz=64), {"batch": [21]}))
    assert restarts


def test_pairs_that_were_measured_stay_at_ctrl_c_and_are_not_repeated(
    launcher: SpawnLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped_in_the_second(self: CaseMeasurer, *rest: Any) -> Any:
        if self.pairs:
            raise KeyboardInterrupt
        return before(self, *rest)

    before = CaseMeasurer.measure_pair
    monkeypatch.setattr("bench.tune.service.prove", lambda *rest: None)
    with monkeypatch.context() as patched:
        patched.setattr(CaseMeasurer, "measure_pair", stopped_in_the_second)
        run(launcher, tmp_path / "results", space=CLOSE_BATCHES)
    [known] = store.read_tunings([tmp_path / "results"])[0]
    assert (known.stopped, len(known.pairs)) == (True, 1)
    known.winner = None
    continued, _ = run(launcher, tmp_path / "results", known, space=CLOSE_BATCHES)
    assert len(continued.pairs) == LEAST_PAIRS
    assert len({measured.block for measured in continued.pairs}) == LEAST_PAIRS


def test_a_pair_of_impossible_settings_is_no_record(
    launcher: SpawnLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.tune.service.prove", lambda *rest: None)
    tuning, _ = run(launcher, tmp_path / "results", space=CLOSE_BATCHES)
    impossible = msgspec.structs.replace(tuning.pairs[0].base, batch=0)
    with pytest.raises(ValueError, match="batch of no images"):
        msgspec.structs.replace(tuning, pairs=[msgspec.structs.replace(tuning.pairs[0], base=impossible)])


@contextlib.contextmanager
def stopping_at(monkeypatch: pytest.MonkeyPatch, count: int) -> Iterator[None]:
    """Press Ctrl-C at the measurement of a number."""
    before, number = CaseMeasurer.measure, 0

    def measure(self: CaseMeasurer, case: Any, block: str) -> Any:
        nonlocal number
        number += 1
        if number == count:
            raise KeyboardInterrupt
        return before(self, case, block)

    with monkeypatch.context() as patched:
        patched.setattr(CaseMeasurer, "measure", measure)
        yield


def test_what_was_measured_stays_at_ctrl_c_and_the_search_goes_on(
    launcher: SpawnLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stopping_at(monkeypatch, 2):
        stopped, _ = run(launcher, tmp_path / "results")
    assert stopped.stopped
    assert answer(stopped).verdict is Verdict.NOT_PROVEN
    [known] = store.read_tunings([tmp_path / "results"])[0]
    assert len(known.blocks) == 1
    assert NotTried("batch=8", "the search was stopped") in known.not_tried
    known.winner = None
    continued, lines = run(launcher, tmp_path / "results", known)
    assert continued.run == stopped.run
    assert not continued.stopped
    assert answer(continued).verdict is Verdict.SET
    assert any("starts from 1 measurements" in line for line in lines)
    assert len(store.read([tmp_path / "results"])[0]) == len(set(names_of(continued)))


def test_present_settings_that_do_not_run_are_nothing_measured(launcher: SpawnLauncher, tmp_path: Path) -> None:
    broken = make_case(model="refuses-amp", amp="on", batch=4, imgsz=64)
    with pytest.raises(NothingMeasured) as ended:
        run(launcher, tmp_path / "results", space=Space(broken, {"batch": [8]}))
    assert str(ended.value).startswith("the present settings give no figure (substituted): No amp. Name others")


def test_a_stopped_search_before_any_figure_leaves_no_folder(
    launcher: SpawnLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stopping_at(monkeypatch, 1):
        tuning, _ = run(launcher, tmp_path / "results")
    assert tuning.stopped
    assert not (tmp_path / "results").exists()


def test_a_batch_that_memory_is_predicted_not_to_hold_is_not_tried() -> None:
    """Memory is predicted in proportion to the batch; a search for the largest batch goes before a prediction."""
    run_of = cast("Any", None)
    small = CaseMeasurer(run_of, Planner("", 0, 1024), [], [make_ceiling(limit=None)], 600.0)
    assert small.why_not(make_case(batch=16)) == ""
    largest = make_ceiling(limit=None).case.batch
    assert (
        small.why_not(make_case(batch=largest + 1))
        == f"batch {largest + 1} is above {largest}, the largest that trains here"
    )
    unknown = CaseMeasurer(run_of, Planner("", 0, 1024), [], [], 600.0)
    unknown.records.append(make_record())
    assert unknown.why_not(make_case(batch=32)) == ""
    assert unknown.why_not(make_case(batch=2**20)).startswith("batch 1048576 is predicted to need ")


def test_a_cache_that_takes_too_long_to_fill_is_not_tried() -> None:
    measurer = CaseMeasurer(cast("Any", None), Planner("", 0, 1024), [], [], 600.0)
    cached = make_case(further=(("cache", "ram"),))
    assert measurer.why_not(cached) == ""
    waiting = make_steps(data_wait=2.0, images=16)
    measurer.records.append(make_record(steps=waiting, data=Data(name="mine", fingerprint="a" * 12, images=10**6)))
    assert measurer.why_not(cached).startswith("filling the cache is predicted to take ")
    assert measurer.why_not(make_case()) == ""
