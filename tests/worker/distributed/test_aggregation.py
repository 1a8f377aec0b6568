"""What several ranks saw, as one event."""

from __future__ import annotations

from typing import Any

import pytest

from bench.worker.distributed import aggregation
from bench.worker.protocol import Measured


def steps(seconds: list[float], **changes: Any) -> dict[str, Any]:
    values = {
        "warmup": 1,
        "warmup_discarded": 0,
        "seconds": seconds,
        "data_wait": [0.0] * len(seconds),
        "images": 4,
        "optimizer": [1],
        "accumulation_steps": 2,
        "timed_accumulation_steps": 2,
        "epoch_gaps": [],
    }
    return {**values, **changes}


def rank(seconds: list[float], **changes: Any) -> Measured:
    event: dict[str, Any] = {
        "steps": steps(seconds),
        "phases": {"method": "clock", "seconds": {}, "optimizer": None},
        "memory": {"process": figure(100), "allocated": figure(10)},
        "memory_before": {},
        "checks": {"loss": {"box": 1.0}, "mean_loss": {"box": 3.0}, "moved": 5},
        "epoch_overhead": {},
        "window": {"cpu_seconds": 1.0, "interference": []},
        "energy": None,
        "worth_retrying": False,
        "extra": {},
    }
    return Measured(**{**event, **changes})


def figure(size: int | None, how: str = "counted") -> dict[str, Any]:
    return {"bytes": size, "method": how}


def test_a_step_ends_when_the_last_rank_has_ended_it() -> None:
    # The first rank is ahead after its first step of the window, and waits in the second.
    aggregated = aggregation.steps([steps([9.0, 1.0, 3.0]), steps([8.0, 2.0, 2.0])])
    assert aggregated["seconds"] == [9.0, 2.0, 2.0]
    assert sum(aggregated["seconds"][1:]) == 4.0


def test_images_are_those_of_all_and_waiting_is_that_of_the_slowest() -> None:
    ragged = steps([1.0, 1.0, 1.0], images=[4, 4, 2], data_wait=[0.0, 0.5, 0.1])
    aggregated = aggregation.steps([ragged, steps([1.0, 1.0, 1.0], data_wait=[0.2, 0.1, 3.0])])
    assert aggregated["images"] == [8, 8, 6]
    assert aggregated["data_wait"] == [0.2, 0.5, 1.0]  # no longer than the step
    assert aggregation.steps([steps([1.0, 1.0])] * 2)["images"] == 8


def test_cards_count_by_the_fullest_and_the_machine_by_all() -> None:
    other = rank([1.0, 1.0], memory={"process": figure(300), "allocated": figure(7)})
    memory = aggregation.aggregate_ranks([rank([1.0, 1.0]), other], "cuda").memory
    assert memory["process"] == figure(400, "counted; sum of 2 ranks")
    assert memory["allocated"] == figure(10, "counted; largest of 2 ranks")


def test_a_figure_that_one_rank_lacks_is_missing_with_its_reason() -> None:
    other = rank([1.0, 1.0], memory={"process": figure(None, "no such thing"), "allocated": figure(7)})
    assert aggregation.aggregate_ranks([rank([1.0, 1.0]), other], "cpu").memory["process"] == figure(
        None, "no such thing"
    )


def test_losses_are_averaged_and_ranks_are_kept() -> None:
    checks = {"loss": {"box": 2.0}, "mean_loss": {"box": 4.0}, "moved": 5}
    window = {"cpu_seconds": 2.0, "interference": ["hot"]}
    other = rank([1.0, 3.0], checks=checks, window=window, worth_retrying=True)
    aggregated = aggregation.aggregate_ranks([rank([1.0, 1.0]), other], "cpu")
    assert aggregated.checks == {"loss": {"box": 1.5}, "mean_loss": {"box": 3.5}, "moved": 5}
    assert (aggregated.window, aggregated.worth_retrying) == ({"cpu_seconds": 3.0, "interference": ["hot"]}, True)
    assert [(rank["rank"], rank["step_seconds"]) for rank in aggregated.extra["ranks"]] == [(0, 1.0), (1, 3.0)]
    assert aggregated.phases["method"] == "clock, rank 0"


def joules(amount: float | None, of: str, idle: float | None = 1.0) -> dict[str, Any]:
    return {"joules": amount, "seconds": 10.0, "images": 8, "idle_watts": idle, "method": "counter", "scope": of}


@pytest.mark.parametrize(
    ("ranks", "amount", "idle"),
    [
        ([joules(5.0, "card"), joules(7.0, "card")], 12.0, 2.0),
        ([joules(5.0, "machine"), joules(5.1, "machine")], 5.0, 1.0),
        ([joules(5.0, "card", None), joules(7.0, "card")], 12.0, None),
    ],
)
def test_cards_add_up_and_a_machine_counts_once(ranks: list[Any], amount: float, idle: float | None) -> None:
    energy = aggregation.joules(ranks)
    assert energy is not None
    assert (energy["joules"], energy["idle_watts"], energy["images"]) == (amount, idle, 16)


def test_a_card_that_does_not_count_leaves_no_sum() -> None:
    silent = {**joules(None, ""), "method": "no counter"}
    energy = aggregation.joules([joules(5.0, "card"), silent])
    assert energy is not None
    assert (energy["joules"], energy["method"]) == (None, "one rank could not count: no counter")


def test_energy_that_was_not_counted() -> None:
    assert aggregation.joules([None, None]) is None
    nothing = joules(None, "")
    assert aggregation.joules([nothing, nothing]) == nothing


class Pair:
    """A process group of two ranks, one of them on this machine."""

    rank, size = 0, 2

    def all_gather(self, value: Any) -> list[Any]:
        return [value, ("1", 99)]


def test_groups_are_those_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUP_RANK", "0")
    assert aggregation.groups(Pair(), 7) == {7}  # type: ignore[arg-type]
    monkeypatch.setenv("GROUP_RANK", "1")
    assert aggregation.groups(Pair(), 7) == {7, 99}  # type: ignore[arg-type]
