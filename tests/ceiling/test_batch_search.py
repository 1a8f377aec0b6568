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
    fitting_batch = 0
    for batch in range(granularity, most + 1, granularity):
        if peak(batch) > limit:
            break
        fitting_batch = batch
    return fitting_batch


def searched(
    search: Search, peak: Peak, limit: float, base: float | None = 500 * MIB, with_peaks: bool = True
) -> list[Attempt]:
    """Try until nothing is left to try."""
    tried: list[Attempt] = []
    while (batch := search.next(tried)) is not None:
        assert batch not in {attempt.batch for attempt in tried}, "no batch is tried twice"
        assert batch % search.granularity == 0 and 0 < batch <= search.max_batch
        fits = peak(batch) <= limit
        tried.append(Attempt(batch, fits, peak(batch) if fits and with_peaks else None, base))
        assert len(tried) < 60
    return tried


@pytest.mark.parametrize("granularity", [1, 4, 8])
@pytest.mark.parametrize("limit", [700, 1024, 2048, 3072, 4096, 24576])
@pytest.mark.parametrize("slope", [3, 14, 55, 400])
def test_it_finds_what_trying_every_batch_finds(granularity: int, limit: int, slope: int) -> None:
    peak, search = line(slope=slope * MIB), Search(granularity, 4096, limit * MIB)
    attempts = searched(search, peak, limit * MIB)
    assert search.edges(attempts)[0] == largest(peak, limit * MIB, granularity, 4096)
    assert len(attempts) <= 5


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
        attempts = searched(search, peak, limit, base * 0.9)
        low, high = search.edges(attempts)
        assert low == 1024 or (high is not None and high - low == 1)
        counts.append(len(attempts))
    assert statistics.median(counts) <= 5
    assert max(counts) <= 12


def test_without_memory_figures_it_doubles_and_halves() -> None:
    search = Search(1, 1024, None)
    attempts = searched(search, line(), 2048 * MIB, None, with_peaks=False)
    assert [attempt.batch for attempt in attempts][:5] == [8, 16, 32, 64, 128]
    assert search.edges(attempts)[0] == largest(line(), 2048 * MIB, 1, 1024)
    assert len(attempts) <= 12


def test_not_even_the_smallest_batch_fits() -> None:
    search = Search(1, 1024, 100 * MIB)
    attempts = searched(search, line(), 100 * MIB)
    assert search.edges(attempts) == (0, 1)
    assert len(attempts) <= 5


def test_the_largest_batch_that_is_asked_for_ends_it() -> None:
    search = Search(4, 30, 10_000 * MIB)
    attempts = searched(search, line(), 10_000 * MIB)
    assert search.edges(attempts) == (28, None)


def test_a_granularity_above_the_first_batch() -> None:
    search = Search(32, 1024, 4096 * MIB)
    attempts = searched(search, line(), 4096 * MIB)
    assert attempts[0].batch == 32
    assert search.edges(attempts)[0] == largest(line(), 4096 * MIB, 32, 1024)


def test_a_batch_that_is_clearly_too_large_is_not_tried() -> None:
    limit = 2048 * MIB  # batch 24 takes 1920 MiB, batch 32 would take 2360
    search, peak = Search(8, 1024, limit), line(slope=55 * MIB)
    attempts = [Attempt(batch, True, peak(batch)) for batch in (8, 16, 24)]
    assert (
        search.predicted_not_to_fit(attempts) and search.next(attempts) is None and search.edges(attempts) == (24, None)
    )
    assert search.next([*attempts, Attempt(40, False)]) is None, "nor where one that is larger still did not fit"
    unsure = search._replace(hard_limit=False)  # the limit is a guess, so that more may fit
    assert not unsure.predicted_not_to_fit(attempts) and unsure.next(attempts) is not None
    assert search.next([*attempts[:2], Attempt(24, True, None)]) is not None, "its peak is not known"
    bent = [attempts[0], Attempt(16, True, 1.1 * peak(16)), attempts[2]]
    assert search.next(bent) is not None, "the line is not tight"
    assert search.next([attempts[0], attempts[2]]) is not None, "a line through two points is always tight"


def test_fit() -> None:
    tried = [Attempt(8, True, 80.0), Attempt(16, True, 160.0), Attempt(24, True, 246.0), Attempt(32, False, 1.0)]
    fitted = fit(tried)
    assert fitted is not None
    assert fitted.slope == pytest.approx(10.375)
    assert fitted.peak(16) == pytest.approx(fitted.base + 166.0)
    assert fitted.points == 3 and 0 < fitted.residual < 4.1
    assert fit(tried[:1]) is None
    assert fit([Attempt(8, True, 80.0), Attempt(16, True, 70.0)]) is None
    assert fit([Attempt(8, True, 80.0), Attempt(16, True, None)]) is None


EXHAUSTIVE = json.loads(Path(__file__).with_name("exhaustive.json").read_text())
"""What a machine found step by step, and by the search; made by ``tests/exhaustive.py``."""


CHOSEN_BY, TESTED_BY = "yolov8n", "yolo11n"
"""The prediction was chosen by an earlier draw of the peaks of the first model; no choice used those of the second."""


def points(probes: list[dict[str, Any]]) -> list[Attempt]:
    return [Attempt(probe["batch"], probe["fits"], probe["peak"], probe["base"]) for probe in probes]


def of(model: str) -> list[dict[str, Any]]:
    """The ceilings of a model."""
    return [ceiling for ceiling in EXHAUSTIVE["ceilings"] if ceiling["model"] == model]


def peaks(ceiling: dict[str, Any]) -> dict[int, Attempt]:
    """Every batch of its model and size that fits into the largest limit of these."""
    alike = [other for other in of(ceiling["model"]) if other["imgsz"] == ceiling["imgsz"]]
    return {
        attempt.batch: attempt for each in alike for attempt in points(each["steps"]) if attempt.fits and attempt.peak
    }


def step_by_step(*models: str) -> list[tuple[int, dict[int, Attempt]]]:
    """For each model and size the granularity, and :func:`peaks`."""
    first = {
        (ceiling["model"], ceiling["imgsz"]): ceiling
        for ceiling in EXHAUSTIVE["ceilings"]
        if ceiling["model"] in models
    }
    return [(ceiling["granularity"], peaks(ceiling)) for ceiling in first.values()]


def played(search: Search, known: dict[int, Attempt]) -> list[Attempt]:
    """A search by the peaks found step by step."""
    tried: list[Attempt] = []
    while (batch := search.next(tried)) is not None:
        attempt = known.get(batch)
        fits = attempt is not None and attempt.peak is not None and attempt.peak <= (search.limit or 0)
        tried.append(attempt if fits and attempt is not None else Attempt(batch, False))
    return tried


def named(ceiling: dict[str, Any]) -> str:
    return f"{ceiling['model']}-{ceiling['limit_gib']}GiB-{ceiling['imgsz']}px"


@pytest.mark.parametrize("ceiling", EXHAUSTIVE["ceilings"], ids=named)
def test_the_search_found_what_every_batch_in_turn_had_found(ceiling: dict[str, Any]) -> None:
    search = Search(ceiling["granularity"], 256, ceiling["limit_gib"] * 2.0**30)
    assert search.edges(points(ceiling["search"]))[0] == ceiling["largest"]
    assert search.next(points(ceiling["search"])) is None
    steps = points(ceiling["steps"])
    assert [attempt.batch for attempt in steps if attempt.fits][-1] == ceiling["largest"]
    assert [attempt.fits for attempt in steps] == [
        attempt.batch <= ceiling["largest"] for attempt in steps
    ]  # none fits beyond it
    assert not any(attempt.fits for attempt in steps[-2:])


@pytest.mark.parametrize("ceiling", EXHAUSTIVE["ceilings"], ids=named)
def test_by_the_peaks_of_every_batch_the_search_finds_the_same(ceiling: dict[str, Any]) -> None:
    """The search, played against what was measured step by step, so that each batch has but one answer."""
    known = peaks(ceiling)
    search = Search(ceiling["granularity"], 256, ceiling["limit_gib"] * 2.0**30)
    tried: list[Attempt] = []
    while (batch := search.next(tried)) is not None:
        fits = batch <= ceiling["largest"]
        tried.append(known[batch] if fits else Attempt(batch, False, None, None))
    assert search.edges(tried)[0] == ceiling["largest"]
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
    usual = [by_doubling(ceiling["largest"], ceiling["granularity"]) for ceiling in EXHAUSTIVE["ceilings"]]
    took = [len(ceiling["search"]) for ceiling in EXHAUSTIVE["ceilings"]]
    assert statistics.median(took) <= 5 and statistics.median(usual) >= 9
    assert all(fewer < more for fewer, more in zip(took, usual, strict=True))


def test_the_peak_of_a_batch_is_that_of_the_next_process() -> None:
    """Of a batch that both the search and step by step tried; a few lie 1 to 3 % apart."""
    apart = []
    for ceiling in EXHAUSTIVE["ceilings"]:
        known = peaks(ceiling)
        both = [attempt for attempt in points(ceiling["search"]) if attempt.fits and attempt.peak]
        apart += [abs(attempt.peak / known[attempt.batch].peak - 1) for attempt in both]
    assert len(apart) > 15
    assert statistics.median(apart) < 1e-3
    assert max(apart) < 0.03


def off(predict: Callable[[list[Attempt]], Any], least: float, most: float, model: str) -> list[float]:
    """Relative errors at batches that no probe of a search tried, from ``least`` to ``most`` times its largest one.

    The search is played against all limits from 1.2 to 3.9 GiB by steps of 0.05, with the peaks found step by step.
    """
    errors = []
    for granularity, known in step_by_step(model):
        for limit in (step * 0.05 * 2.0**30 for step in range(24, 79)):
            tried = played(Search(granularity, 256, limit), known)
            fitting = {attempt.batch for attempt in tried if attempt.fits}
            if len(fitting) < 2:
                continue
            peak = predict(tried).peak
            top = max(fitting)
            nearby = [b for b in known if b not in fitting and least * top < b < most * top]
            errors += [abs(peak(batch) / known[batch].peak - 1) for batch in nearby]
    return errors


def test_a_search_that_ends_early_is_never_a_step_short() -> None:
    """Played against all limits with the peaks found step by step, in coarser steps too."""
    early = 0
    for least, every in step_by_step(CHOSEN_BY, TESTED_BY):
        for granularity in (least * times for times in (1, 2, 4, 8)):
            known = {batch: attempt for batch, attempt in every.items() if batch % granularity == 0}
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


def test_each_search_that_was_made_predicts_peaks() -> None:
    """By its own probes alone, at batches below its ceiling that it did not try; a second process is little nearer."""
    shares, repeated = [], []
    again = {(repeat["model"], repeat["imgsz"]): repeat["steps"] for repeat in EXHAUSTIVE["again"]}
    for ceiling in EXHAUSTIVE["ceilings"]:
        grows = grown(points(ceiling["search"]))
        assert isinstance(grows, MemoryModel)
        known = peaks(ceiling)
        drawn_by = {probe["batch"] for probe in ceiling["search"]}
        for step in again[ceiling["model"], ceiling["imgsz"]]:
            batch = step["batch"]
            if batch < ceiling["largest"] and batch not in drawn_by:
                shares.append(abs(grows.peak(batch) / known[batch].peak - 1))
                repeated.append(abs(step["peak"] / known[batch].peak - 1))
    assert len(shares) == 89
    assert statistics.median(shares) < statistics.median(repeated) < 0.017
    assert near(shares) >= 82 / 89 and near(repeated) >= 85 / 89
    assert max(shares) < 0.1
