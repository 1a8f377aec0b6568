"""Compare two recorded runs case by case: differences, and ratios of cases that were measured in the same way.

The result is no verdict. Two runs, one after the other, cannot separate an upgrade from a change of the machine; a
verdict takes interleaved pairs (:mod:`bench.compare.verdict`).
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

from bench.analysis.flags import commonest
from bench.analysis.intervals import (
    Interval,
    ci_between_processes,
    log_half_width,
    rate_of,
    stdev,
    t_quantile,
    weaker_kind,
)
from bench.analysis.recorded_limits import named
from bench.analysis.table import by_case, measured_only, row
from bench.analysis.throughput import COCO_TRAIN_IMAGES
from bench.cases import Case, Recipe
from bench.compare.settings import differing
from bench.machine.description import Machine
from bench.records.record import Data, Memory, Record

MADE = "coco-like"
"""Name of the generated data set in :attr:`Recipe.data`."""

LOAD = 0.5
"""Smallest difference of the median load that is named, in processors: the suite itself causes smaller ones."""


class Comparability(StrEnum):
    """Comparability of the two sides of a case, in the words of every line."""

    HISTORICAL = "historical, no verdict"
    SIDE_BY_SIDE = "different machines, never tested"
    NOT_COMPARABLE = "not comparable"
    ITSELF = "the same measurement on both sides"
    A_ONLY = "measured in A only"
    B_ONLY = "measured in B only"
    NEITHER = "measured on neither side"


COMPARED = (Comparability.HISTORICAL, Comparability.SIDE_BY_SIDE)
"""Comparabilities of cases whose two figures stand in one line."""

ONE_SIDED = (Comparability.A_ONLY, Comparability.B_ONLY)


class Difference(msgspec.Struct, frozen=True):
    """A field of the recipe, or an effective setting, whose values differ.

    Attributes:
        key: its name; ``overrides.optimizer`` for a part.
        a, b: the values; None where a side has none.
        cases: ids of the cases in which it differs in just this way, where several are compared.
    """

    key: str
    a: Any
    b: Any
    cases: tuple[str, ...] = ()


class FactDifference(msgspec.Struct, frozen=True):
    """A fact of software, machine or its conditions that differs between the sides.

    Attributes:
        key: name of the fact.
        a, b: distinct values over the compared cases; an empty text stands for a missing package.
    """

    key: str
    a: tuple[Any, ...]
    b: tuple[Any, ...]


class CaseResult(msgspec.Struct, frozen=True, kw_only=True):
    """A case on one side, in its newest run; the figures are those of its row in the table.

    Attributes:
        records: of its measured processes; of all, where none was measured.
        status, reason: how it ended.
        run, started: of the first of those records.
        seconds: of the mean step; None where it was not measured.
        rate: images per second, with the interval that the table has.
        interval_kind: kind of that interval; None without one.
        flags: caveats on the figure.
        peak: peak memory; its bytes are the most of all processes.
    """

    records: tuple[Record, ...]
    status: str
    reason: str
    run: str
    started: str
    seconds: float | None = None
    rate: Interval | None = None
    interval_kind: str | None = None
    flags: str = ""
    peak: Memory | None = None

    @property
    def measured(self) -> bool:
        """Whether the case has a figure on this side."""
        return self.seconds is not None


class CaseMatch(msgspec.Struct, frozen=True, kw_only=True):
    """One case in both runs.

    Attributes:
        a, b: results of each run; None where a run has no record of the case.
        differences: fields of the recipe that differ and make the case not comparable.
        settings: effective settings of a comparable case that differ.
        one_sided_settings: effective settings that only one run reports.
        ratio: seconds of the mean step, B over A: above 1, B is slower. It has an interval only on one machine.
        interval_kind: kind of that interval: the weaker kind of both runs.
    """

    case: Case
    standing: Comparability
    a: CaseResult | None
    b: CaseResult | None
    differences: tuple[Difference, ...] = ()
    settings: tuple[Difference, ...] = ()
    one_sided_settings: tuple[str, ...] = ()
    ratio: Interval | None = None
    interval_kind: str | None = None

    @property
    def speed_ratio(self) -> float | None:
        """Images per second, B over A: above 1, B is faster; None where the case is not compared."""
        if self.standing not in COMPARED or not (self.a and self.a.rate and self.b and self.b.rate):
            return None
        return self.b.rate.point / self.a.rate.point

    @property
    def memory_ratio(self) -> float | None:
        """Peak memory, B over A; None where a run has no figure, or the methods of measurement differ."""
        if self.standing not in COMPARED or not (self.a and self.a.peak and self.b and self.b.peak):
            return None
        a, b = self.a.peak, self.b.peak
        return b.bytes / a.bytes if a.bytes and b.bytes and a.method == b.method else None

    def slower(self, limit: float) -> bool:
        """Whether B is slower by more than a share such as 0.05, and the interval excludes 1.

        That interval knows the noise within each run; it does not know what changed between them.
        """
        ratio = self.ratio
        return ratio is not None and ratio.low is not None and ratio.point > 1 + limit and ratio.low > 1

    @property
    def decidable(self) -> bool:
        """Whether there is an interval, so that :meth:`slower` has an answer."""
        return self.ratio is not None and self.ratio.low is not None


class Side(msgspec.Struct, frozen=True):
    """One side of the comparison.

    Attributes:
        runs: names of the runs that the cases come from.
        machine: where they ran.
        first, last: when the first and the last case began, UTC.
        measured, cases: number of cases with a figure, and of all cases.
    """

    runs: tuple[str, ...]
    machine: Machine
    first: str
    last: str
    measured: int
    cases: int


class RunComparison(msgspec.Struct, frozen=True):
    """The comparison of two recorded runs.

    Attributes:
        cases: in the order of A, then those of B alone.
        traits: software, machine and conditions, as far as they differ over the cases that are compared.
    """

    a: Side
    b: Side
    cases: tuple[CaseMatch, ...]
    traits: tuple[FactDifference, ...]

    @property
    def is_cross_machine(self) -> bool:
        """Whether the two sides are different machines."""
        return not self.a.machine.is_same(self.b.machine)

    @property
    def label(self) -> Comparability:
        """Comparability of the two runs as a whole."""
        return Comparability.SIDE_BY_SIDE if self.is_cross_machine else Comparability.HISTORICAL

    def standing(self, *which: Comparability) -> list[CaseMatch]:
        """Return the cases with one of these comparabilities."""
        return [case for case in self.cases if case.standing in which]

    @property
    def compared(self) -> list[CaseMatch]:
        """Cases whose two figures stand in one line."""
        return self.standing(*COMPARED)

    @property
    def settings(self) -> list[Difference]:
        """Effective settings that differ, each once with its cases."""
        return _gathered((match.case.id, match.settings) for match in self.compared)

    @property
    def one_sided_settings(self) -> list[str]:
        """Effective settings that only one run reports."""
        return list(dict.fromkeys(key for match in self.compared for key in match.one_sided_settings))

    @property
    def recipes(self) -> list[Difference]:
        """Fields of the recipe that differ in cases that are not comparable, each once with its cases."""
        return _gathered((match.case.id, match.differences) for match in self.standing(Comparability.NOT_COMPARABLE))


def compare_runs(a: Sequence[Record], b: Sequence[Record]) -> RunComparison:
    """Compare two recorded runs.

    Args:
        a: at least one record, all of one machine. Of several runs of a case the newest that was measured counts, or
            the newest where none was.
        b: records of the other side, likewise.
    """
    results_a, results_b = newest(a), newest(b)
    cross_machine = not a[0].machine.is_same(b[0].machine)
    cases = tuple(
        matched(case, results_a.get(case), results_b.get(case), cross_machine)
        for case in dict.fromkeys([*results_a, *results_b])
    )
    return RunComparison(
        _side(results_a), _side(results_b), cases, _traits([case for case in cases if case.standing in COMPARED])
    )


def newest(records: Iterable[Record]) -> dict[Case, CaseResult]:
    """Return the newest result of every case, like :func:`bench.analysis.table.newest_rows`, but over all settings."""
    results: dict[Case, CaseResult] = {}
    for gathered in by_case(records):
        result = _summarize_processes([record for _, record in gathered])
        case = result.records[0].case
        known = results.get(case)
        if known is None or (result.measured, result.started) >= (known.measured, known.started):
            results[case] = result
    return results


def _summarize_processes(processes: Sequence[Record]) -> CaseResult:
    cells = row(processes, COCO_TRAIN_IMAGES)
    measured = tuple(measured_only(processes))
    ended = {name: cells[name] for name in ("status", "reason", "run", "started")}
    if not measured:
        return CaseResult(records=tuple(processes), **ended)
    rate, interval = rate_of(measured)
    peak = cells["peak_memory_bytes"]
    return CaseResult(
        records=measured,
        seconds=cells["step_seconds"],
        rate=rate,
        interval_kind=interval,
        flags=cells["flags"],
        peak=None if peak is None else Memory(peak, cells["peak_memory_method"]),
        **ended,
    )


def matched(case: Case, a: CaseResult | None, b: CaseResult | None, cross_machine: bool) -> CaseMatch:
    """Match the two sides of a case; ``cross_machine`` says whether they are different machines."""
    if a is None or b is None or not (a.measured and b.measured):
        ends = a is not None and a.measured, b is not None and b.measured
        standing = {(True, False): Comparability.A_ONLY, (False, True): Comparability.B_ONLY}.get(
            ends, Comparability.NEITHER
        )
        return CaseMatch(case=case, standing=standing, a=a, b=b)
    if a.records == b.records:
        return CaseMatch(case=case, standing=Comparability.ITSELF, a=a, b=b)
    record_a, record_b = a.records[0], b.records[0]
    if differences := recipe_differences(record_a, record_b, cross_machine):
        return CaseMatch(case=case, standing=Comparability.NOT_COMPARABLE, a=a, b=b, differences=differences)
    settings = list(differing(record_a.effective, record_b.effective))
    ratio, interval = ratio_of(a.records, b.records)
    return CaseMatch(
        case=case,
        standing=Comparability.SIDE_BY_SIDE if cross_machine else Comparability.HISTORICAL,
        a=a,
        b=b,
        settings=tuple(Difference(key, own, others) for key, own, others, both in settings if both),
        one_sided_settings=tuple(key for key, _, _, both in settings if not both),
        ratio=Interval(ratio.point) if cross_machine else ratio,
        interval_kind=None if cross_machine else interval,
    )


def ratio_of(a: Sequence[Record], b: Sequence[Record]) -> tuple[Interval, str | None]:
    """Return the ratio of mean steps in seconds, B over A, with the 95 % interval from both sides' own errors.

    With several processes on each side, the interval is Welch's t on the logarithms of their mean steps. Else the
    sides' own intervals, as in the table, are errors of independent logarithms, like those of a speed-up.

    Args:
        a: records of the measured processes of a case, at least one.
        b: records of the other side, likewise.

    Returns:
        The ratio and the kind of its interval; no interval where a single process has too few steps for one.
    """
    seconds = [[record.steps.step_seconds for record in side if record.steps is not None] for side in (a, b)]
    point = ci_between_processes(seconds[1]).point / ci_between_processes(seconds[0]).point
    (own, kind), (others, other_kind) = rate_of(a), rate_of(b)
    half = math.hypot(*(log_half_width(rate.low, rate.high) for rate in (own, others)))
    if math.isnan(half):
        return Interval(point), None
    if len(a) > 1 and len(b) > 1:
        half = welch(*([math.log(mean) for mean in side] for side in seconds))
    return Interval(point, point * math.exp(-half), point * math.exp(half)), weaker_kind(kind, other_kind)


def welch(a: Sequence[float], b: Sequence[float]) -> float:
    """Return half the 95 % interval of the difference of two means, of at least two values each: Welch's t."""
    errors = [(stdev(values) ** 2 / len(values), len(values) - 1) for values in (a, b)]
    total = sum(error for error, _ in errors)
    if total == 0:
        return 0.0
    degrees = 1 / sum((error / total) ** 2 / free for error, free in errors)
    return t_quantile(degrees) * math.sqrt(total)


def recipe_differences(a: Record, b: Record, cross_machine: bool = False) -> tuple[Difference, ...]:
    """Return the fields in which the recipes of two records differ, and their data sets.

    Only the content of a data set matters, not its folder. On another machine a generated data set counts as the same,
    although it may differ in a few bits of its pictures, as the libraries that make it do.
    """
    differences = []
    for field in Recipe.__struct_fields__:
        own, other = getattr(a.recipe, field), getattr(b.recipe, field)
        if field == "overrides":
            keys = dict.fromkeys([*own, *other])
            differences += [
                Difference(f"overrides.{k}", own.get(k), other.get(k)) for k in keys if own.get(k) != other.get(k)
            ]
        elif field == "data":
            differences += _data_difference(a, b, cross_machine)
        elif own != other:
            differences.append(Difference(field, own, other))
    return tuple(differences)


def _data_difference(a: Record, b: Record, cross_machine: bool) -> list[Difference]:
    names = Path(a.recipe.data).name, Path(b.recipe.data).name
    if a.data is None or b.data is None or (cross_machine and names == (MADE, MADE)):
        return [Difference("data", *names)] if names[0] != names[1] else []
    if (a.data.scheme, a.data.fingerprint) == (b.data.scheme, b.data.fingerprint):
        return []
    return [Difference("data", _data_name(a.data), _data_name(b.data))]


def _data_name(data: Data) -> str:
    """Return name and fingerprint, and a later scheme: fingerprints of two schemes may differ for the same data set."""
    return f"{data.name} {data.fingerprint}" + (f" (scheme {data.scheme})" if data.scheme > 1 else "")


def _gathered(cases: Iterable[tuple[str, Iterable[Difference]]]) -> list[Difference]:
    """Merge equal differences of several cases into one each."""
    known: dict[tuple[str, bytes], Difference] = {}
    for case, differences in cases:
        for difference in differences:
            alike = difference.key, msgspec.json.encode([difference.a, difference.b])
            before = known.get(alike, difference)
            known[alike] = msgspec.structs.replace(before, cases=(*before.cases, case))
    return list(known.values())


def _side(results: Mapping[Case, CaseResult]) -> Side:
    every = list(results.values())
    started = sorted(result.started for result in every)
    return Side(
        runs=tuple(dict.fromkeys(result.run for result in every)),
        machine=every[0].records[0].machine,
        first=started[0],
        last=started[-1],
        measured=sum(result.measured for result in every),
        cases=len(every),
    )


def _traits(compared: Sequence[CaseMatch]) -> tuple[FactDifference, ...]:
    """List facts that differ over the compared cases; a fact that a side does not know is no difference."""
    a = [record for match in compared if match.a for record in match.a.records]
    b = [record for match in compared if match.b for record in match.b.records]
    packages = dict.fromkeys(name for record in (*a, *b) for name in record.environment.packages)
    facts = [[_facts(record, packages) for record in side] for side in (a, b)]
    traits = []
    for key in dict.fromkeys(key for side in facts for known in side for key in known):
        values = [_distinct(known[key] for known in side if known.get(key) is not None) for side in facts]
        if all(values) and (any(v not in values[1] for v in values[0]) or any(v not in values[0] for v in values[1])):
            traits.append(FactDifference(key, *map(tuple, values)))
    return (*traits, *_load(a, b), *_interference(a, b))


def _facts(record: Record, packages: Iterable[str]) -> dict[str, Any]:
    """Return the recorded facts of software, data, machine and device; unknown ones with the value None."""
    environment, window = record.environment, record.window
    battery = [record.conditions.on_battery, window.on_battery if window else None]
    power = "battery" if True in battery else "mains" if False in battery else None
    return {
        "Python": environment.python,
        **{name: environment.label(name) for name in packages},
        "yolopace": environment.yolopace,
        "data": _data_name(record.data) if record.data else None,
        "power source": power,
        "governor": record.conditions.governor,
        **(named(record.conditions.limits) if record.conditions.limits is not None else {}),
        **{f"device {record.case.device}: {key.replace('_', ' ')}": value for key, value in record.device.items()},
    }


def _distinct(values: Iterable[Any]) -> list[Any]:
    """Return each value once, in order; values need not be hashable."""
    distinct: list[Any] = []
    for value in values:
        if value not in distinct:
            distinct.append(value)
    return distinct


def _load(a: Sequence[Record], b: Sequence[Record]) -> list[FactDifference]:
    """Return the median load at the start of cases, where it differs by :data:`LOAD` or more."""
    loads = [[r.conditions.load for r in side if r.conditions.load is not None] for side in (a, b)]
    if not all(loads):
        return []
    load_a, load_b = map(statistics.median, loads)
    return [FactDifference("load (median)", (load_a,), (load_b,))] if abs(load_a - load_b) >= LOAD else []


def _interference(a: Sequence[Record], b: Sequence[Record]) -> list[FactDifference]:
    """Count windows with interference and name its commonest kind, also where both sides have the same."""
    texts, any_interference = [], False
    for side in (a, b):
        interfered = [record for record in side if record.window is not None and record.window.interference]
        by = f", most often: {commonest(interfered)}" if interfered else ""
        texts.append(f"{len(interfered)} of {len(side)}{by}")
        any_interference = any_interference or bool(interfered)
    return [FactDifference("interfered windows", (texts[0],), (texts[1],))] if any_interference else []
