"""The search for the largest batch, against memory that is played: it has to find what trying every batch finds."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.cases.recipe import overrides_for
from bench.ceiling.batch_search import Attempt, Search, fit
from bench.ceiling.memory_model import MemoryModel, fit_model

MIB = 2.0**20
Peak = Callable[[int], float]


def line(base: float = 600 * MIB, slope: float = 14 * MIB) -> Peak:
    return lambda batch: base + slope * batch


def largest(peak: Peak, limit: float, granularity: int, most: int) -> int:
    """By trying every batch from the smallest one on."""
    found = 0
    for batch in range(granularity, most + 1, granularity):
        if peak(batch) > limit:
            break
        found = batch
    return found


def searched(
    search: Search, peak: Peak, limit: float, base: float | None = 500 * MIB, seen: bool = True
) -> list[Attempt]:
    """Try until nothing is left to try."""
    tried: list[Attempt] = []
    while (batch := search.next(tried)) is not None:
        assert batch not in {one.batch for one in tried}, "no batch is tried twice"
        assert batch % search.granularity == 0 and 0 < batch <= search.max_batch
        fits = peak(batch) <= limit
        tried.append(Attempt(batch, fits, peak(batch) if fits and seen else None, base))
        assert len(tried) < 60
    return tried


@pytest.mark.parametrize("granularity", [1, 4, 8])
@pytest.mark.parametrize("limit", [700, 1024, 2048, 3072, 4096, 24576])
@pytest.mark.parametrize("slope", [3, 14, 55, 400])
def test_it_finds_what_trying_every_batch_finds(granularity: int, limit: int, slope: int) -> None:
    peak, search = line(slope=slope * MIB), Search(granularity, 4096, limit * MIB)
    found = searched(search, peak, limit * MIB)
    assert search.edges(found)[0] == largest(peak, limit * MIB, granularity, 4096)
    assert len(found) <= 5


def test_few_tries_are_enough_where_the_line_is_not_straight() -> None:
    """Noise of a percent of the peak, and a slope that changes by a tenth halfway."""
    draw, counts = random.Random(3), []
    for _ in range(300):
        base, slope = draw.uniform(400, 900) * MIB, draw.uniform(5, 120) * MIB
        limit = draw.choice([2048, 3072, 4096]) * MIB
        bend, noise = draw.uniform(0.9, 1.1), random.Random(draw.random())
        wobble = [noise.gauss(0, 0.004) for _ in range(1025)]

        def peak(batch: int, base=base, slope=slope, limit=limit, bend=bend, wobble=wobble) -> float:
            half = limit / slope / 2
            grown = slope * min(batch, half) + slope * bend * max(batch - half, 0)
            return (base + grown) * (1 + wobble[batch])

        search = Search(1, 1024, limit)
        found = searched(search, peak, limit, base * 0.9)
        low, high = search.edges(found)
        assert low == 1024 or (high is not None and high - low == 1)
        counts.append(len(found))
    assert statistics.median(counts) <= 5
    assert max(counts) <= 12


def test_without_memory_figures_it_doubles_and_halves() -> None:
    search = Search(1, 1024, None)
    found = searched(search, line(), 2048 * MIB, None, seen=False)
    assert [one.batch for one in found][:5] == [8, 16, 32, 64, 128]
    assert search.edges(found)[0] == largest(line(), 2048 * MIB, 1, 1024)
    assert len(found) <= 12


def test_not_even_the_smallest_batch_fits() -> None:
    search = Search(1, 1024, 100 * MIB)
    found = searched(search, line(), 100 * MIB)
    assert search.edges(found) == (0, 1)
    assert len(found) <= 5


def test_the_largest_batch_that_is_asked_for_ends_it() -> None:
    search = Search(4, 30, 10_000 * MIB)
    found = searched(search, line(), 10_000 * MIB)
    assert search.edges(found) == (28, None)


def test_a_granularity_above_the_first_batch() -> None:
    search = Search(32, 1024, 4096 * MIB)
    found = searched(search, line(), 4096 * MIB)
    assert found[0].batch == 32
    assert search.edges(found)[0] == largest(line(), 4096 * MIB, 32, 1024)


def test_a_batch_that_is_clearly_too_large_is_not_tried() -> None:
    limit = 2048 * MIB  # batch 24 takes 1920 MiB, batch 32 would take 2360
    search, peak = Search(8, 1024, limit), line(slope=55 * MIB)
    found = [Attempt(batch, True, peak(batch)) for batch in (8, 16, 24)]
    assert search.predicted_not_to_fit(found) and search.next(found) is None and search.edges(found) == (24, None)
    assert search.next([*found, Attempt(40, False)]) is None, "nor where one that is larger still did not fit"
    unsure = search._replace(hard_limit=False)  # the limit is a guess, so that more may fit
    assert not unsure.predicted_not_to_fit(found) and unsure.next(found) is not None
    assert search.next([*found[:2], Attempt(24, True, None)]) is not None, "its peak is not known"
    bent = [found[0], Attempt(16, True, 1.1 * peak(16)), found[2]]
    assert search.next(bent) is not None, "the line is not tight"
    assert search.next([found[0], found[2]]) is not None, "a line through two points is always tight"


def test_fit() -> None:
    tried = [Attempt(8, True, 80.0), Attempt(16, True, 160.0), Attempt(24, True, 246.0), Attempt(32, False, 1.0)]
    found = fit(tried)
    assert found is not None
    assert found.slope == pytest.approx(10.375)
    assert found.peak(16) == pytest.approx(found.base + 166.0)
    assert found.points == 3 and 0 < found.residual < 4.1
    assert fit(tried[:1]) is None
    assert fit([Attempt(8, True, 80.0), Attempt(16, True, 70.0)]) is None
    assert fit([Attempt(8, True, 80.0), Attempt(16, True, None)]) is None


EXHAUSTIVE = json.loads(Path(__file__).with_name("exhaustive.json").read_text())
"""What a machine found step by step, and by the search; made by ``tests/exhaustive.py``."""


CHOSEN_BY, TESTED_BY = "yolov8n", "yolo11n"
"""By peaks of one model, an earlier draw of them, the way they are foretold was chosen; nothing was by the other's."""


def points(found: list[dict[str, Any]]) -> list[Attempt]:
    return [Attempt(one["batch"], one["fits"], one["peak"], one["base"]) for one in found]


def of(model: str) -> list[dict[str, Any]]:
    """The ceilings of a model."""
    return [one for one in EXHAUSTIVE["ceilings"] if one["model"] == model]


def peaks(found: dict[str, Any]) -> dict[int, Attempt]:
    """Every batch of its model and size that fits into the largest limit of these."""
    alike = [one for one in of(found["model"]) if one["imgsz"] == found["imgsz"]]
    return {one.batch: one for each in alike for one in points(each["steps"]) if one.fits and one.peak}


def step_by_step(*models: str) -> list[tuple[int, dict[int, Attempt]]]:
    """For each model and size the granularity, and :func:`peaks`."""
    first = {(one["model"], one["imgsz"]): one for one in EXHAUSTIVE["ceilings"] if one["model"] in models}
    return [(one["granularity"], peaks(one)) for one in first.values()]


def played(search: Search, known: dict[int, Attempt]) -> list[Attempt]:
    """A search by the peaks found step by step."""
    tried: list[Attempt] = []
    while (batch := search.next(tried)) is not None:
        one = known.get(batch)
        fits = one is not None and one.peak is not None and one.peak <= (search.limit or 0)
        tried.append(one if fits and one is not None else Attempt(batch, False))
    return tried


def named(found: dict[str, Any]) -> str:
    return f"{found['model']}-{found['limit_gib']}GiB-{found['imgsz']}px"


@pytest.mark.parametrize("found", EXHAUSTIVE["ceilings"], ids=named)
def test_the_search_found_what_every_batch_in_turn_had_found(found: dict[str, Any]) -> None:
    search = Search(found["granularity"], 256, found["limit_gib"] * 2.0**30)
    assert search.edges(points(found["search"]))[0] == found["largest"]
    assert search.next(points(found["search"])) is None
    steps = points(found["steps"])
    assert [one.batch for one in steps if one.fits][-1] == found["largest"]
    assert [one.fits for one in steps] == [one.batch <= found["largest"] for one in steps]  # none fits beyond it
    assert not any(one.fits for one in steps[-2:])


@pytest.mark.parametrize("found", EXHAUSTIVE["ceilings"], ids=named)
def test_by_the_peaks_of_every_batch_the_search_finds_the_same(found: dict[str, Any]) -> None:
    """The search, played against what was measured step by step, so that each batch has but one answer."""
    known = peaks(found)
    search = Search(found["granularity"], 256, found["limit_gib"] * 2.0**30)
    tried: list[Attempt] = []
    while (batch := search.next(tried)) is not None:
        fits = batch <= found["largest"]
        tried.append(known[batch] if fits else Attempt(batch, False, None, None))
    assert search.edges(tried)[0] == found["largest"]
    assert len(tried) <= 7


def by_doubling(largest: int, granularity: int) -> int:
    """How many batches are tried by doubling until one does not fit, and then halving what is between."""
    low, high, count = 0, granularity, 1
    while high <= largest:
        low, high, count = high, 2 * high, count + 1
    while high - low > granularity:
        middle = (low + high) // 2 // granularity * granularity
        low, high, count = (middle, high, count + 1) if middle <= largest else (low, middle, count + 1)
    return count


def test_it_took_few_probes_where_doubling_and_bisecting_take_more() -> None:
    assert len(of(CHOSEN_BY)) == 6
    usual = [by_doubling(found["largest"], found["granularity"]) for found in EXHAUSTIVE["ceilings"]]
    took = [len(found["search"]) for found in EXHAUSTIVE["ceilings"]]
    assert statistics.median(took) <= 5 and statistics.median(usual) >= 9
    assert all(fewer < more for fewer, more in zip(took, usual, strict=True))


def test_the_peak_of_a_batch_is_that_of_the_next_process() -> None:
    """Of a batch that both the search and step by step tried; a few lie 1 to 3 % apart."""
    apart = []
    for found in EXHAUSTIVE["ceilings"]:
        known = peaks(found)
        both = [one for one in points(found["search"]) if one.fits and one.peak]
        apart += [abs(one.peak / known[one.batch].peak - 1) for one in both]
    assert len(apart) > 15
    assert statistics.median(apart) < 1e-3
    assert max(apart) < 0.03


def off(predict: Callable[[list[Attempt]], Any], least: float, most: float, model: str) -> list[float]:
    """Relative errors at batches that no probe of a search tried, from ``least`` to ``most`` times its largest one.

    The search is played against all limits from 1.2 to 3.9 GiB by steps of 0.05, with the peaks found step by step.
    """
    found = []
    for granularity, known in step_by_step(model):
        for limit in (step * 0.05 * 2.0**30 for step in range(24, 79)):
            tried = played(Search(granularity, 256, limit), known)
            fitting = {one.batch for one in tried if one.fits}
            if len(fitting) < 2:
                continue
            peak = predict(tried).peak
            top = max(fitting)
            nearby = [b for b in known if b not in fitting and least * top < b < most * top]
            found += [abs(peak(batch) / known[batch].peak - 1) for batch in nearby]
    return found


def test_a_search_that_ends_early_is_never_a_step_short() -> None:
    """Played against all limits with the peaks found step by step, in coarser steps too."""
    early = 0
    for least, every in step_by_step(CHOSEN_BY, TESTED_BY):
        for granularity in (least * times for times in (1, 2, 4, 8)):
            known = {batch: one for batch, one in every.items() if batch % granularity == 0}
            for limit in (step * 0.0125 * 2.0**30 for step in range(96, 316)):
                search = Search(granularity, 256, limit)
                low, high = search.edges(played(search, known))
                if (beyond := known.get(low + granularity)) and (high is None or high - low > granularity):
                    assert beyond.peak is not None and beyond.peak > limit
                    early += 1
    assert early > 40


NOMINAL = overrides_for("train")["nbs"]


def grown(tried: list[Attempt]) -> Any:
    assert isinstance(NOMINAL, int)
    return fit_model(tried, NOMINAL)


def near(shares: list[float]) -> float:
    """The share of them that is within 5 %."""
    return sum(share <= 0.05 for share in shares) / len(shares)


def test_memory_is_predicted_at_batches_that_were_not_tried() -> None:
    within, together, line = (off(by, 0, 1, CHOSEN_BY) for by in (grown, fit_model, fit))
    assert len(within) == len(line) > 1000
    assert statistics.median(within) < 0.02
    assert near(within) >= 0.88
    assert near(together) < 0.85, "one curve for all is further off"
    assert near(line) < 0.77, "the line alone is further off"


def test_memory_is_predicted_by_a_model_that_chose_no_batch() -> None:
    within, line = off(grown, 0, 1, TESTED_BY), off(fit, 0, 1, TESTED_BY)
    assert len(within) > 150
    assert near(within) == 1.0
    assert near(line) < 0.85


def test_beyond_them_it_is_much_as_the_line_is() -> None:
    for model, least in ((CHOSEN_BY, 0.74), (TESTED_BY, 0.64)):
        beyond, line = off(grown, 1, 2, model), off(fit, 1, 2, model)
        assert len(beyond) > 100
        assert near(beyond) >= least
        assert near(beyond) == pytest.approx(near(line), abs=0.02)


def test_each_search_that_was_made_foretells_peaks() -> None:
    """By its own probes alone, at batches below its ceiling that it did not try; a second process is little nearer."""
    shares, repeated = [], []
    again = {(one["model"], one["imgsz"]): one["steps"] for one in EXHAUSTIVE["again"]}
    for found in EXHAUSTIVE["ceilings"]:
        grows = grown(points(found["search"]))
        assert isinstance(grows, MemoryModel)
        known = peaks(found)
        drawn_by = {one["batch"] for one in found["search"]}
        for step in again[found["model"], found["imgsz"]]:
            batch = step["batch"]
            if batch < found["largest"] and batch not in drawn_by:
                shares.append(abs(grows.peak(batch) / known[batch].peak - 1))
                repeated.append(abs(step["peak"] / known[batch].peak - 1))
    assert len(shares) == 89
    assert statistics.median(shares) < statistics.median(repeated) < 0.017
    assert near(shares) >= 82 / 89 and near(repeated) >= 85 / 89
    assert max(shares) < 0.1
