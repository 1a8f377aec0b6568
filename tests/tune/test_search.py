"""The search on a simulated machine: how close it comes, in which time, and what it never does."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from bench.cases import Case
from bench.records.outcome import Outcome, Status
from bench.records.tune import changes
from bench.selfcheck.simulated_machine import (
    DECODING,
    PRESENT,
    SimulatedMachine,
    decoding_seconds,
    simulate,
    small_seconds,
)
from bench.selfcheck.tune import PROBLEMS, SHARE, SLACK, large_space, simulations
from bench.tune.search import MOST_PAIRS, Search
from bench.tune.space import Space
from bench.tune.trials import Trial, rules_of

SEEDS = 10


def machine(seed: int = 0, **changed: Any) -> SimulatedMachine:
    return SimulatedMachine(decoding_seconds, random.Random(seed), measured=[], **changed)


def search(simulated: SimulatedMachine, space: Space = DECODING, budget: float = 1e6, **options: Any) -> Search:
    searched = Search(space, simulated, budget=budget, noise=0.025, margin=0.03, seed="0", **options)
    searched.run()
    return searched


def test_the_answer_is_close_to_the_best_of_a_grid_in_a_quarter_of_its_time() -> None:
    results = simulations(next(iter(PROBLEMS)), SEEDS)
    assert [result.behind <= SLACK for result in results] == [True] * SEEDS
    assert [result.share <= SHARE for result in results] == [True] * SEEDS
    assert len({result.search.winner() for result in results} - {PRESENT}) >= 1


def test_settings_that_interact_are_tried_together() -> None:
    """``channels_last`` shows nothing where decoding is the bottleneck, and is in the answer with a cache."""
    single = decoding_seconds({"channels_last": "on"}) / decoding_seconds({})
    assert single > 0.99
    winners = [changes(PRESENT, result.search.winner()) for result in simulations(next(iter(PROBLEMS)), SEEDS)]
    assert all(winner.get("channels_last") == "on" and "cache" in winner for winner in winners)


WIDE = Space(PRESENT, {"cache": ["ram", "disk"], "channels_last": ["on"], "batch": [2, 4, 8, 12, 20, 24, 28, 32, 36]})


def batch_seconds(changed: Mapping[str, Any]) -> float:
    """Seconds per image that larger batches shorten up to 28, and ``channels_last`` with them."""
    load = {"off": 0.05, "disk": 0.004, "ram": 0.0}[changed.get("cache", "off")]
    batch = changed.get("batch", 16)
    compute = 0.01 + 0.1 / batch + 0.0002 * max(batch - 28, 0)
    return load + compute / (1 + 0.01 * batch if changed.get("channels_last") == "on" else 1.0)


def test_many_numbers_are_reached_from_a_few() -> None:
    results = []
    for seed in range(SEEDS):
        simulated = SimulatedMachine(batch_seconds, random.Random(seed), noise=0.01, measured=[])
        results.append(simulate(simulated, WIDE, str(seed), budget=1e6))
    assert [result.behind <= SLACK for result in results] == [True] * SEEDS
    assert max(len(set(result.search.measured)) for result in results) < WIDE.size / 2


class Shared(SimulatedMachine):
    """A machine with other work on it, which makes some processes slower by far; both sides of a pair notice it."""

    def measure(self, case: Case, block: str) -> Trial:
        trial = super().measure(case, block)
        slower = math.exp(abs(self.draw.gauss(0, 0.15)))
        return msgspec.structs.replace(trial, seconds=trial.seconds and trial.seconds * slower)


def test_the_closest_settings_are_told_apart_by_pairs() -> None:
    space = Space(PRESENT, {"cache": ["ram"], "batch": [20, 24, 28]})
    best = min(batch_seconds(changes(PRESENT, case)) for case in space.product())
    chosen, alone = 0, 0
    for seed in range(2 * SEEDS):
        simulated = Shared(batch_seconds, random.Random(seed), noise=0.01, measured=[])
        searched = Search(space, simulated, budget=1e6, noise=0.025, margin=0.03, seed=str(seed))
        searched.run()
        chosen += batch_seconds(changes(PRESENT, searched.winner())) <= best * (1 + SLACK)
        single = {trial.case: trial.seconds or math.inf for trial in searched.trials if not trial.paired}
        alone += batch_seconds(changes(PRESENT, min(single, key=single.__getitem__))) <= best * (1 + SLACK)
    assert chosen >= 2 * SEEDS - 2
    assert alone < chosen


class Busy(SimulatedMachine):
    """A machine whose other work makes every fourth process slower by a quarter, and both sides of a pair or none."""

    def measure(self, case: Case, block: str) -> Trial:
        trial = super().measure(case, block)
        slower = 1.25 if self.draw.random() < 0.25 else 1.0
        return msgspec.structs.replace(trial, seconds=trial.seconds and trial.seconds * slower)


def test_a_process_that_was_slow_by_chance_seldom_misleads() -> None:
    """As the reference of a block, it makes the others seem faster by a quarter."""
    machines = [Busy(decoding_seconds, random.Random(seed), measured=[]) for seed in range(2 * SEEDS)]
    results = [simulate(busy, DECODING, str(seed), budget=1e6) for seed, busy in enumerate(machines)]
    assert sum(result.behind <= SLACK for result in results) >= 2 * SEEDS - 1


def test_a_pair_that_fails_is_not_tried_for_ever() -> None:
    class Single(SimulatedMachine):
        def measure_pair(self, case: Case, other: Case, block: str) -> list[Trial]:
            self.measured += [case, other]
            return [Trial(case=PRESENT, block=block, outcome=Outcome(Status.FAILED, "It broke."), paired=True)]

    simulated = Single(small_seconds, random.Random(0), measured=[])
    searched = search(simulated, Space(PRESENT, {"channels_last": ["on"]}))
    assert searched.complete
    assert len(simulated.measured) <= 2 + 2 * MOST_PAIRS


class Uneven(SimulatedMachine):
    """A simulated machine whose measurements take up to three times as long as expected."""

    def measure(self, case: Case, block: str) -> Trial:
        trial = super().measure(case, block)
        longer = trial.cost * 2 * self.draw.random()
        self.now += longer
        return msgspec.structs.replace(trial, cost=trial.cost + longer)


@pytest.mark.parametrize("budget", range(240, 900, 60))
def test_whenever_time_ends_every_figure_is_linked_to_the_present_settings(budget: int) -> None:
    for seed in range(20):
        simulated = Uneven(batch_seconds, random.Random(seed), measured=[])
        searched = Search(WIDE, simulated, budget=budget, noise=0.025, margin=0.03, seed=str(seed))
        searched.run()
        assert [case for case in searched.measured if math.isinf(searched.difference(case).half)] == []


def test_settings_that_nothing_links_to_the_others_never_win() -> None:
    searched = Search(DECODING, machine(), budget=1e6, noise=0.025, margin=0.03, seed="0")
    fast, alone = ({"cache": "ram", "channels_last": "on"}, {"cache": "disk"})
    for changed, block, seconds in (({}, "1", 1.0), (fast, "1", 0.5), (alone, "2", 0.4)):
        case = DECODING.with_changes(changed)
        searched.trials.append(Trial(case=case, block=block, outcome=Outcome(Status.MEASURED), seconds=seconds))
    assert searched.winner() == DECODING.with_changes(fast)
    assert searched._prediction(searched.estimates())(DECODING.with_changes(alone)) == math.inf


def test_settings_that_fail_the_second_time_never_win() -> None:
    searched = Search(DECODING, machine(), budget=1e6, noise=0.025, margin=0.03, seed="0")
    fast = DECODING.with_changes({"cache": "ram"})
    searched.trials = [
        Trial(case=PRESENT, block="1", outcome=Outcome(Status.MEASURED), seconds=1.0),
        Trial(case=fast, block="1", outcome=Outcome(Status.MEASURED), seconds=0.5),
    ]
    assert searched.winner() == fast
    searched.trials.append(Trial(case=fast, block="2", outcome=Outcome(Status.OUT_OF_MEMORY, "It did not fit.")))
    assert searched.winner() == PRESENT


def test_where_the_defaults_are_best_it_says_so() -> None:
    assert [result.keeps for result in simulations("the defaults are the best", SEEDS)] == [True] * SEEDS


def test_a_machine_that_slows_down_is_noticed_and_seldom_misleads() -> None:
    results = [simulate(machine(seed, step=0.2), DECODING, str(seed), budget=1e6) for seed in range(SEEDS)]
    assert sum(result.behind <= SLACK for result in results) >= SEEDS - 2
    assert max(result.search.drift for result in results) > 0.1


def test_settings_that_do_not_run_are_never_tried_twice() -> None:
    simulated = machine(substituted=(("compile", "on"), ("workers", 0)))
    searched = search(simulated)
    tried = Counter(
        name for case in simulated.measured for name, value in changes(PRESENT, case).items() if name == "compile"
    )
    assert tried["compile"] == 1
    assert sum(changes(PRESENT, case).get("workers") == 0 for case in simulated.measured) == 1
    assert any(row.status == "substituted" for row in searched.tried())
    [reason] = {row.reason for row in searched.not_tried if "with compile=on" in row.settings}
    assert reason == "compile=on ended as substituted: compile on requested, compile 0 would run."


def test_settings_are_dropped_by_interval_alone() -> None:
    """With noise that no interval excludes, nothing is called slower; with little, the slow ones are."""
    noisy = Search(DECODING, machine(noise=0.02), budget=1e6, noise=1e4, margin=0.03, seed="0")
    noisy.run()
    assert noisy.dropped == {}
    quiet = search(machine(noise=0.001))
    assert quiet.dropped[PRESENT].startswith("slower than ")
    assert quiet.winner() not in quiet.dropped


def test_the_order_is_random_and_that_of_the_seed() -> None:
    first, again, other = machine(), machine(), machine()
    search(first), search(again)
    Search(DECODING, other, budget=1e6, noise=0.025, margin=0.03, seed="1").run()
    assert first.measured == again.measured
    assert first.measured != other.measured


def test_few_combinations_are_all_tried_and_many_are_not() -> None:
    small = search(machine(), Space(PRESENT, {"cache": ["ram", "disk"], "channels_last": ["on"]}))
    assert small.design == "all 5 combinations"
    assert len(set(small.measured)) == 6
    large = search(machine())
    assert large.design.startswith(
        "of 47 combinations: each setting alone, of many numbers a few, then predicted combinations"
    )
    assert len(set(large.measured)) < 30
    assert any("predicted to be no faster" in row.reason for row in large.not_tried)


def test_a_budget_that_is_too_small_says_what_is_missing() -> None:
    searched = search(machine(), budget=150.0)
    assert not searched.complete
    assert searched.needed > 0
    assert any(row.reason == "no time was left" for row in searched.not_tried)


def test_the_reserve_for_the_proof_is_at_most_half_of_the_budget() -> None:
    spent = machine()
    search(spent, Space(PRESENT, {"cache": ["ram", "disk"]}), budget=200.0, reserve=lambda present, winner: 1e9)
    assert 50.0 < spent.now < 150.0


def test_a_second_search_starts_from_the_trials_of_the_first() -> None:
    first = machine(substituted=(("compile", "on"),))
    earlier = [
        Trial(
            **{name: getattr(trial, name) for name in Trial.__struct_fields__}
            | {"earlier": True, "block": f"a {trial.block}"}
        )
        for trial in search(first).trials
    ]
    second = machine(1, substituted=(("compile", "on"),))
    searched = search(second, earlier=lambda present: earlier)
    assert len(second.measured) < len(first.measured) / 2
    assert not any("compile" in changes(PRESENT, case) for case in second.measured)
    kinds: dict[str, set[bool]] = defaultdict(set)
    for measured in searched.trials:
        kinds[measured.block].add(measured.paired)
    assert all(len(paired) == 1 for paired in kinds.values())  # windows of pairs are compared with each other alone
    assert decoding_seconds(changes(PRESENT, searched.winner())) <= 1.03 * min(
        decoding_seconds(changes(PRESENT, case))
        for case in DECODING.product()
        if "compile" not in changes(PRESENT, case)
    )


def test_values_that_run_already_are_left_out() -> None:
    class WithSettings(SimulatedMachine):
        def measure(self, case: Case, block: str) -> Trial:
            trial = super().measure(case, block)
            return Trial(
                case=case, block=block, outcome=trial.outcome, seconds=trial.seconds, cost=1.0, effective={"workers": 2}
            )

    simulated = WithSettings(small_seconds, random.Random(0), measured=[])
    searched = search(simulated)
    assert not any(changes(PRESENT, case).get("workers") == 2 for case in simulated.measured)
    assert ("workers=2", "it is what runs already") in [(row.settings, row.reason) for row in searched.not_tried]


def test_present_settings_without_a_figure_end_the_search() -> None:
    class Broken(SimulatedMachine):
        def measure(self, case: Case, block: str) -> Trial:
            return Trial(case=case, block=block, outcome=Outcome(Status.FAILED, "It broke."))

    searched = search(Broken(small_seconds, random.Random(0), measured=[]))
    assert (len(searched.trials), searched.measured, searched.complete) == (1, [], False)


def trial(
    status: Status, effective: dict[str, Any] | None = None, scope: tuple[str, ...] = (), **changed: Any
) -> Trial:
    return Trial(
        case=DECODING.with_changes(changed),
        block="1",
        outcome=Outcome(status, "No.", scope),
        effective=effective or {},
    )


def test_memory_that_ran_out_excludes_larger_batches_with_the_same_cache() -> None:
    [rule] = rules_of(trial(Status.OUT_OF_MEMORY, batch=32, cache="ram"), PRESENT)
    assert rule.applies(DECODING.with_changes({"batch": 64, "cache": "ram"}))
    assert not rule.applies(DECODING.with_changes({"batch": 16, "cache": "ram"}))
    assert not rule.applies(DECODING.with_changes({"batch": 64}))


def test_the_setting_that_was_read_back_differently_is_the_cause() -> None:
    [rule] = rules_of(trial(Status.SUBSTITUTED, {"workers": 0, "cache": "ram"}, workers=4, cache="ram"), PRESENT)
    assert rule.applies(DECODING.with_changes({"workers": 4}))
    assert not rule.applies(DECODING.with_changes({"cache": "ram"}))
    assert not rule.applies(DECODING.with_changes({"workers": 4, "batch": 4}))  # which may have more batches


def test_a_combination_that_fails_without_a_known_cause_excludes_itself_alone() -> None:
    assert rules_of(trial(Status.FAILED, workers=4, cache="ram"), PRESENT) == []
    assert len(rules_of(trial(Status.FAILED, cache="ram"), PRESENT)) == 1
    assert rules_of(trial(Status.INTERRUPTED, cache="ram"), PRESENT) == []
    [rule] = rules_of(trial(Status.UNSUPPORTED, scope=("mode", "workers"), workers=4, cache="ram"), PRESENT)
    assert rule.applies(DECODING.with_changes({"workers": 4}))


@pytest.mark.parametrize("device", ["cpu", "0", "mps"])
def test_the_real_selfcheck_has_enough_cells(device: str) -> None:
    assert large_space(device).size + 1 >= 36
