"""The search is tried with every position of the first bad release, and with whatever is broken."""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection, Sequence

import pytest

from bench.compare.bisection import Answer, Bisection, Probe, Search, Side, culprits, probed, side_of
from bench.compare.findings import ComparisonResult, evaluate
from bench.compare.verdict import Verdict
from bench.errors import ExitCode
from bench.records.comparison import CaseComparison, SideOutcome
from bench.records.outcome import Outcome, Status
from tests.builders import make_compared, make_comparison

SLOWER = ([0.05, 0.051, 0.049, 0.05], [0.05, 0.051] * 4)
SAME = ([0.002, -0.003, 0.001, -0.001],)
UNSURE = ([0.03, -0.01, 0.05, -0.02, 0.04, 0.0, 0.03, -0.01, 0.05, 0.02, -0.02, 0.04],)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"8.4.{number}" for number in range(count))


def searched(count: int, first_bad: int, broken: Collection[int] = ()) -> tuple[Search, list[int]]:
    """A whole search over so many releases, of which those from one place on are bad; and the places it probed."""
    search = Search(names(count))
    probes: list[int] = []
    while release := search.next:
        place = search.releases.index(release)
        probes.append(place)
        side = Side.BROKEN if place in broken else Side.BAD if place >= first_bad else Side.GOOD
        search = search.with_result(release, side)
    return search, probes


def places(search: Search, releases: Sequence[str]) -> list[int]:
    return [search.releases.index(release) for release in releases]


@pytest.mark.parametrize("count", range(2, 14))
def test_it_ends_with_the_two_neighbours_wherever_they_are(count: int) -> None:
    for first_bad in range(1, count):
        search, probes = searched(count, first_bad)
        assert places(search, [search.good, search.bad]) == [first_bad - 1, first_bad]
        assert search.skipped == search.open == ()
        assert len(probes) == len(set(probes)) <= (count - 2).bit_length()
        assert not {0, count - 1} & set(probes)


@pytest.mark.parametrize("count", range(3, 9))
def test_whatever_is_broken_it_names_all_that_may_be_the_first_bad_one(count: int) -> None:
    between = range(1, count - 1)
    for first_bad in range(1, count):
        for size in range(count - 1):
            for broken in itertools.combinations(between, size):
                check(count, first_bad, broken)


def test_the_same_with_many_releases_of_which_some_are_broken() -> None:
    draw = random.Random(4)
    for _ in range(2000):
        count = draw.randint(9, 40)
        broken = [place for place in range(1, count - 1) if draw.random() < draw.choice((0.1, 0.5, 0.9))]
        check(count, draw.randrange(1, count), broken)


def check(count: int, first_bad: int, broken: Collection[int]) -> None:
    search, probes = searched(count, first_bad, broken)
    sound = [place for place in range(count) if place not in broken]
    good = max(place for place in sound if place < first_bad)
    bad = min(place for place in sound if place >= first_bad)
    assert places(search, [search.good, search.bad]) == [good, bad]
    assert places(search, search.skipped) == list(range(good + 1, bad))
    assert len(probes) == len(set(probes))
    assert len(set(probes) - set(broken)) <= (count - 2).bit_length()


def test_the_estimate_never_grows_and_counts_down_with_every_answer() -> None:
    search = Search(names(40))
    assert search.most == 6
    draw = random.Random(1)
    while release := search.next:
        side = draw.choice(list(Side))
        after = search.with_result(release, side)
        assert after.most <= search.most - (side is not Side.BROKEN)
        search = after
    assert search.most == 0


def test_a_broken_release_gives_way_to_its_neighbours_on_one_side_and_then_on_the_other() -> None:
    search = Search(names(9))
    indices = []
    for _ in range(5):
        assert search.next
        indices.append(search.releases.index(search.next))
        search = search.with_result(search.next, Side.BROKEN)
    assert indices == [4, 5, 3, 6, 2]


def test_neighbours_have_nothing_between_them() -> None:
    search = Search(names(2))
    assert (search.next, search.most, search.good, search.bad) == (None, 0, "8.4.0", "8.4.1")


@pytest.mark.parametrize(
    ("verdict", "log", "expected"),
    [
        (Verdict.SLOWER, 0.03, (Side.BAD, False)),
        (Verdict.SAME, 0.01, (Side.GOOD, False)),
        (Verdict.FASTER, -0.2, (Side.GOOD, False)),
        (Verdict.INCONCLUSIVE, 0.051, (Side.BAD, True)),
        (Verdict.INCONCLUSIVE, 0.049, (Side.GOOD, True)),
        (Verdict.INCONCLUSIVE, -0.3, (Side.GOOD, True)),
    ],
)
def test_the_side_of_a_release(verdict: Verdict, log: float, expected: tuple[Side, bool]) -> None:
    assert side_of(verdict, log, 0.1) == expected


def compared(*cases: CaseComparison) -> ComparisonResult:
    return evaluate(make_comparison(cases))


def test_the_cases_that_are_slower_are_searched_by() -> None:
    slower, same = make_compared(*SLOWER), make_compared(*SAME, batch=4)
    assert [finding.id for finding in culprits(compared(same, slower))] == [slower.case.id]
    both = [make_compared([0.029, 0.031, 0.03, 0.031] * 3, batch=batch) for batch in (4, 8)]
    assert len(culprits(compared(*both))) == 2, "together slower, neither by itself"


def test_a_probe_is_judged_by_its_comparison() -> None:
    ends = compared(make_compared(*SLOWER))
    assert probed("a", compared(make_compared(*SAME)), ends) == Probe(
        release="a", side=Side.GOOD, result=compared(make_compared(*SAME))
    )
    unsure = probed("a", compared(make_compared(*UNSURE)), ends)
    assert (unsure.side, unsure.close) == (Side.GOOD, True)
    nearer = probed("a", compared(make_compared([log + 0.02 for log in UNSURE[0]])), ends)
    assert (nearer.side, nearer.close) == (Side.BAD, True)


def test_a_probe_without_a_pair_is_broken() -> None:
    ends = compared(make_compared(*SLOWER))
    lost = make_compared(base=SideOutcome(), head=SideOutcome(outcome=Outcome(Status.FAILED, "No.")))
    for case in (lost, make_compared(error="base: it died")):
        assert probed("a", compared(case), ends).side is Side.BROKEN


CANNOT = make_compared(base=SideOutcome(), head=SideOutcome(outcome=Outcome(Status.FAILED, "No.")))


@pytest.mark.parametrize(
    ("ends", "last", "answer", "code"),
    [
        (None, None, Answer.NOTHING_MEASURED, ExitCode.NOTHING_MEASURED),
        (make_compared(), None, Answer.NOTHING_MEASURED, ExitCode.NOTHING_MEASURED),
        (CANNOT, None, Answer.CANNOT_RUN, ExitCode.NOT_COMPARABLE),
        (make_compared(*SAME), None, Answer.SAME, ExitCode.NOT_COMPARABLE),
        (make_compared([-0.05] * 4, [-0.05] * 8), None, Answer.FASTER, ExitCode.NOT_COMPARABLE),
        (make_compared(*UNSURE), None, Answer.INCONCLUSIVE, ExitCode.NOT_COMPARABLE),
        (make_compared(*SLOWER), None, Answer.UNFINISHED, ExitCode.NOT_COMPARABLE),
        (make_compared(*SLOWER), make_compared(), Answer.UNFINISHED, ExitCode.NOT_COMPARABLE),
        (make_compared(*SLOWER), make_compared(*SLOWER), Answer.FOUND, ExitCode.REGRESSION),
        (make_compared(*SLOWER), make_compared(*SAME), Answer.NOT_CONFIRMED, ExitCode.NOT_COMPARABLE),
        (make_compared(*SLOWER), make_compared(*UNSURE), Answer.NOT_CONFIRMED, ExitCode.NOT_COMPARABLE),
    ],
)
def test_what_came_of_it(
    ends: CaseComparison | None, last: CaseComparison | None, answer: Answer, code: ExitCode
) -> None:
    bisection = Bisection(package="ultralytics", search=Search(names(3)))
    bisection.ends = compared(ends) if ends else None
    bisection.last = compared(last) if last else None
    assert (bisection.answer, bisection.exit_code) == (answer, code)


def test_the_cost_is_that_of_all_comparisons() -> None:
    result = compared(make_compared(*SAME))
    probes = [Probe(release="a", side=Side.GOOD, result=result), Probe(release="b", side=Side.BROKEN, reason="No.")]
    bisection = Bisection(package="torch", search=Search(names(4)), ends=result, probes=probes, last=result)
    assert len(bisection.comparisons) == 3
    assert bisection.seconds == 3 * result.comparison.seconds == 144.0
