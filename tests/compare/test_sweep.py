"""A row of releases from made pairs: throughput, since when it is slower, and what the command ends with."""

from __future__ import annotations

import math
import statistics

import pytest

from bench.compare.findings import evaluate
from bench.compare.sweep import Entry, Sweep, point
from bench.compare.verdict import Estimate, Verdict
from bench.errors import ExitCode
from bench.records.comparison import CaseComparison, SideOutcome
from bench.records.outcome import Outcome, Status
from tests.builders import make_compared, make_comparison, make_measured, make_pair, make_steps

LOGS = {"slower": 0.05, "faster": -0.05, "same": 0.0}


def case(word: str) -> CaseComparison:
    """A case that is of this pace."""
    if word == "unsure":
        return make_compared([0.05, -0.05])
    if word == "lost":
        return make_compared(base=SideOutcome(), head=SideOutcome(outcome=Outcome(Status.FAILED, "No.")))
    log = LOGS[word]
    return make_compared([log] * 4, [log] * 8 if log else [])


def row(*words: str) -> Sweep:
    """A first release, then one of each pace; ``none`` has no comparison."""
    entries = [Entry(release="0")]
    for number, word in enumerate(words, 1):
        result = None if word == "none" else evaluate(make_comparison([case(word)]))
        entries.append(Entry(release=str(number), result=result, reason="" if result else "It cannot be built."))
    return Sweep(run="sweep-1", package="ultralytics", pinned=("torch==2.15.0",), base="0", entries=tuple(entries))


@pytest.mark.parametrize(
    ("words", "since", "unsure", "apart"),
    [
        (["same", "same"], "", "", ""),
        (["same", "slower"], "2", "", ""),
        (["slower", "slower", "slower"], "1", "", ""),
        (["same", "slower", "same", "slower"], "4", "", "2"),
        (["same", "faster", "slower", "slower"], "3", "", "2"),
        (["same", "slower", "unsure", "none", "slower"], "2", "", ""),
        (["same", "unsure", "none", "slower", "slower"], "4", "23", ""),
        (["unsure", "slower"], "2", "1", ""),
        (["none", "lost", "faster"], "3", "12", ""),
        (["slower", "unsure"], "", "", "1"),
        (["slower", "same"], "", "", "1"),
        (["slower", "none"], "1", "", ""),
        (["same", "slower", "lost", "none"], "2", "", ""),
        (["slower", "faster"], "2", "", "1"),
        (["none", "none"], "", "", ""),
    ],
)
def test_since_when(words: list[str], since: str, unsure: str, apart: str) -> None:
    sweep = row(*words)
    assert (sweep.since.release if sweep.since else "") == since
    assert "".join(entry.release for entry in sweep.unsure) == unsure
    assert "".join(entry.release for entry in sweep.apart) == apart


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["slower", "same"], ExitCode.OK),
        (["slower", "faster"], ExitCode.OK),
        (["same", "slower"], ExitCode.REGRESSION),
        (["same", "lost"], ExitCode.REGRESSION),
        (["lost"], ExitCode.REGRESSION),
        (["slower", "unsure"], ExitCode.NOT_COMPARABLE),
        (["slower", "none"], ExitCode.NOT_COMPARABLE),
        (["none", "none"], ExitCode.NOTHING_MEASURED),
        ([], ExitCode.NOTHING_MEASURED),
    ],
)
def test_the_newest_release_settles_how_it_ends(words: list[str], code: ExitCode) -> None:
    assert row(*words).exit_code is code


def test_without_a_first_release_there_is_nothing() -> None:
    sweep = Sweep(run="r", package="torch", pinned=(), base="", entries=(Entry(release="1", reason="No."),))
    assert (sweep.others, sweep.latest, sweep.since, sweep.series) == ((), None, None, ())
    assert sweep.exit_code is ExitCode.NOTHING_MEASURED


def test_releases_before_the_first_one_that_runs_are_no_part_of_the_row() -> None:
    entries = (Entry(release="a", reason="It cannot be built."), *row("slower").entries)
    sweep = Sweep(run="r", package="torch", pinned=(), base="0", entries=entries)
    assert [entry.release for entry in sweep.others] == ["1"]
    assert sweep.newest.release == "1"


def pairs(base: float, log: float, count: int) -> CaseComparison:
    """Pairs in which a step of base takes so long."""
    sides = {
        "base": make_measured(base),
        "head": make_measured(steps=make_steps([base * math.exp(log)] * 4, warmup=[0.5])),
    }
    return make_compared(base=SideOutcome(), head=SideOutcome(), pairs=[make_pair(**sides)] * count)


def test_throughput_is_the_level_of_the_first_release_over_the_ratio() -> None:
    comparisons = [pairs(0.25, 0.0, 4), pairs(0.2, 0.004, 4), pairs(0.5, 0.02, 2)]
    entries = [
        Entry(release=str(n), result=evaluate(make_comparison([compared]))) for n, compared in enumerate(comparisons, 1)
    ]
    sweep = Sweep(run="r", package="torch", pinned=(), base="0", entries=(Entry(release="0"), *entries))
    [series] = sweep.series
    level = statistics.geometric_mean([16 / 0.25] * 4 + [16 / 0.2] * 4 + [16 / 0.5] * 2)
    assert (series.level, series.pairs) == (pytest.approx(level), 10)
    assert [release_point.rate for release_point in series.points] == pytest.approx(
        [level * math.exp(-log) for log in (0, 0.004, 0.02)]
    )
    assert [release_point.pairs for release_point in series.points] == [4, 4, 2]
    assert (sweep.pairs, sweep.seconds) == (10, 120.0)


def test_the_interval_of_a_rate_is_that_of_the_ratio_turned_round() -> None:
    estimate = Estimate(0.05, 0.01, 8)
    release_point = point("1", Verdict.SLOWER, estimate, 100.0)
    assert release_point.rate == pytest.approx(100 * math.exp(-0.05))
    assert (release_point.low, release_point.high) == (
        pytest.approx(100 * math.exp(-0.06)),
        pytest.approx(100 * math.exp(-0.04)),
    )
    assert release_point.low is not None and release_point.high is not None and release_point.rate is not None
    assert release_point.low < release_point.rate < release_point.high


def test_one_pair_has_a_rate_and_no_interval() -> None:
    release_point = point("1", Verdict.INCONCLUSIVE, Estimate(0.05, math.inf, 1), 100.0)
    assert release_point.rate is not None and (release_point.low, release_point.high) == (None, None)


def test_every_case_has_a_series_and_a_release_may_lack_a_point_in_one() -> None:
    both = evaluate(make_comparison([case("same"), make_compared([0.05] * 4, [0.05] * 8, batch=4)]))
    lost = evaluate(make_comparison([case("same"), make_compared(batch=4)]))
    entries = (Entry(release="0"), Entry(release="1", result=both), Entry(release="2", result=lost), Entry(release="3"))
    sweep = Sweep(run="r", package="torch", pinned=(), base="0", entries=entries)
    assert [series.case.batch for series in sweep.series] == [16, 4]
    assert [[release_point.verdict for release_point in series.points] for series in sweep.series] == [
        [Verdict.SAME, Verdict.SAME, None],
        [Verdict.SLOWER, None, None],
    ]
