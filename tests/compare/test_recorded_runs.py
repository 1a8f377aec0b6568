"""Two recorded runs: which cases meet, what is said of them, and how wide their intervals are."""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import pytest
from scipy import stats

from bench.analysis.intervals import Interval, rate_of
from bench.analysis.table import frame
from bench.compare.recorded_runs import (
    CaseMatch,
    Comparability,
    Difference,
    RunComparison,
    compare_runs,
    ratio_of,
    welch,
)
from bench.machine.description import Conditions, Limits
from bench.records.record import CalibrationSummary, Data, Memory, Origin, Record, Window
from tests.builders import GIB, make_environment, make_machine, make_recipe, make_record, make_steps

OTHER = make_machine(fingerprint="a1b2c3d4e5f6", gpus=["NVIDIA H200 (139 GiB)"])
WIGGLE = (1.0, 1.02, 0.99, 1.01, 0.98, 1.0, 1.01, 0.99)
CALM = Window(wall_seconds=1.0, cpu_seconds=1.0, involuntary_switches=0, processors=2)
STOLEN = msgspec.structs.replace(CALM, interference=["steal 3 %"])


def at(seconds: float, run: str = "a", **changes: Any) -> Record:
    """A record with steps of about so many seconds; of a case that was measured, unless a status says otherwise."""
    if "status" not in changes:
        steps = make_steps([seconds * factor for factor in WIGGLE], images=changes.get("batch", 16))
        changes = {"steps": steps, **changes}
    return make_record(run=run, **changes)


def processes(seconds: list[float], **changes: Any) -> list[Record]:
    """One case in several processes."""
    return [at(each, process=number, **changes) for number, each in enumerate(seconds, 1)]


def only(comparison: RunComparison) -> CaseMatch:
    [case] = comparison.cases
    return case


def compare_one_case(a: dict[str, Any] | None = None, b: dict[str, Any] | None = None) -> CaseMatch:
    """One case, with changes on each side."""
    return only(compare_runs([at(0.25, **(a or {}))], [at(0.5, run="b", **(b or {}))]))


# The ratio and its interval


def test_the_ratio_is_of_seconds_b_over_a() -> None:
    case = compare_one_case()
    assert case.standing is Comparability.HISTORICAL
    assert case.ratio is not None and case.ratio.point == pytest.approx(2.0)
    assert case.speed_ratio == pytest.approx(0.5)
    assert case.ratio.low is not None and case.ratio.high is not None
    assert case.ratio.low < 2.0 < case.ratio.high


def test_the_figures_are_those_of_the_table() -> None:
    records = processes([0.25, 0.26, 0.27], mode="predict")
    side = only(compare_runs(records, [at(0.5, run="b", mode="predict")])).a
    row = frame(records).iloc[0]
    assert side is not None and side.rate is not None
    assert side.seconds == row["step_seconds"]
    ends = [row[f"images_per_second{end}"] for end in ("", "_low", "_high")]
    assert [side.rate.point, side.rate.low, side.rate.high] == ends
    assert side.interval_kind == row["interval_kind"] == "between 3 processes"
    assert side.peak is not None and side.peak.bytes == row["peak_memory_bytes"]


@pytest.mark.parametrize("seed", range(5))
def test_with_processes_on_both_sides_it_is_welchs_t_on_logarithms(seed: int) -> None:
    draw = random.Random(seed)
    a = [0.25 * math.exp(draw.gauss(0, 0.02)) for _ in range(draw.randint(2, 6))]
    b = [0.27 * math.exp(draw.gauss(0, 0.05)) for _ in range(draw.randint(2, 6))]
    ratio, kind = ratio_of(processes(a), processes(b, run="b"))
    ends = stats.ttest_ind([math.log(x) for x in b], [math.log(x) for x in a], equal_var=False).confidence_interval()
    assert kind == "between processes"
    assert (ratio.low, ratio.high) == (pytest.approx(math.exp(ends.low)), pytest.approx(math.exp(ends.high)))


def test_welchs_interval_holds_the_truth_in_19_of_20_cases() -> None:
    draw = random.Random(1)
    held = 0
    for _ in range(2000):
        a, b = ([draw.gauss(0, sd) for _ in range(n)] for sd, n in ((0.02, 5), (0.05, 4)))
        held += abs(sum(b) / 4 - sum(a) / 5) <= welch(a, b)
    assert 0.94 <= held / 2000 <= 0.97


def test_without_any_spread_it_has_no_width() -> None:
    ratio, _ = ratio_of(processes([0.25, 0.25]), processes([0.5, 0.5]))
    assert ratio.low == ratio.high == pytest.approx(2.0)


def test_with_one_process_the_intervals_of_the_table_are_errors_of_independent_logarithms() -> None:
    noise = CalibrationSummary(
        stdev=0.02, processes=8, calibrated="2026-11-20", case="any", torch="2.14.1", ultralytics="8.4.100"
    )
    for b in ([at(0.5, calibration=noise)], processes([0.5, 0.51, 0.52])):
        a = [at(0.25, calibration=noise)]
        ratio, _ = ratio_of(a, b)
        halves = [math.log(rate.high / rate.low) / 2 for rate, _ in map(rate_of, (a, b)) if rate.high and rate.low]
        assert ratio.high is not None
        assert math.log(ratio.high / ratio.point) == pytest.approx(math.hypot(*halves))


def test_a_calibration_widens_it_and_its_kind_is_the_weaker_one() -> None:
    noise = CalibrationSummary(
        stdev=0.02, processes=8, calibrated="2026-11-20", case="any", torch="2.14.1", ultralytics="8.4.100"
    )
    plain, half, both = (
        compare_one_case({"device": "mps"}, {"device": "mps"}),
        compare_one_case({"device": "mps", "calibration": noise}, {"device": "mps"}),
        compare_one_case({"calibration": noise}, {"calibration": noise}),
    )
    widths = [math.log(c.ratio.high / c.ratio.low) for c in (plain, half, both) if c.ratio and c.ratio.high]
    assert widths == sorted(widths) and len(set(widths)) == 3
    assert [c.interval_kind for c in (plain, half, both)] == [
        "within one process",
        "within one process",
        "within one process, widened by calibration",
    ]


def test_too_few_steps_leave_the_ratio_without_an_interval() -> None:
    case = only(compare_runs([at(0.25)], [make_record(run="b", steps=make_steps([0.5]))]))
    assert case.ratio is not None and case.ratio.point == pytest.approx(2.0)
    assert (case.ratio.low, case.interval_kind, case.decidable, case.slower(0.05)) == (None, None, False, False)


@pytest.mark.parametrize("seed", range(5))
def test_turning_the_sides_round_turns_the_ratio_round(seed: int) -> None:
    draw = random.Random(seed)
    a, b = ([draw.uniform(0.2, 0.3) for _ in range(draw.randint(1, 4))] for _ in range(2))
    there, _ = ratio_of(processes(a), processes(b))
    back, _ = ratio_of(processes(b), processes(a))
    assert there.high is not None and there.low is not None
    turned = Interval(1 / there.point, 1 / there.high, 1 / there.low)
    assert (back.point, back.low, back.high) == (
        pytest.approx(turned.point),
        pytest.approx(turned.low),
        pytest.approx(turned.high),
    )


# What counts as slower


@pytest.mark.parametrize(
    ("seconds", "limit", "slower"),
    [(0.2725, 0.08, True), (0.2725, 0.1, False), (0.2625, 0.001, False), (0.2, 0.001, False), (0.5, 0.05, True)],
)
def test_slower_is_beyond_the_limit_with_an_interval_that_excludes_1(
    seconds: float, limit: float, slower: bool
) -> None:
    # The interval of the ratio is about ± 7 %, so a ratio of 1.05 cannot be distinguished from 1.
    case = only(compare_runs([at(0.25)], [at(seconds, run="b")]))
    assert case.slower(limit) is slower


def test_a_wide_interval_raises_no_alarm_however_large_the_ratio() -> None:
    case = only(compare_runs(processes([0.25, 0.35]), processes([0.3, 0.45], run="b")))
    assert case.ratio is not None and case.ratio.point > 1.2
    assert not case.slower(0.05)


# Which cases meet


def test_cases_meet_by_what_they_are_whatever_their_run_is_called() -> None:
    a = [at(0.25), at(0.25, batch=4), at(0.25, mode="predict")]
    b = [at(0.25, run="b", mode="predict"), at(0.25, run="b"), at(0.25, run="b", imgsz=320)]
    comparison = compare_runs(a, b)
    assert [(c.case.id, c.standing) for c in comparison.cases] == [
        ("train-yolov8n-cpu-fp32-b16-i160", Comparability.HISTORICAL),
        ("train-yolov8n-cpu-fp32-b4-i160", Comparability.A_ONLY),
        ("predict-yolov8n-cpu-fp32-b16-i160", Comparability.HISTORICAL),
        ("train-yolov8n-cpu-fp32-b16-i320", Comparability.B_ONLY),
    ]
    assert len(comparison.compared) == 2


def test_a_case_that_ended_otherwise_is_one_sided_and_has_its_reason() -> None:
    case = compare_one_case(b={"status": "failed", "reason": "ValueError: no."})
    assert case.standing is Comparability.A_ONLY
    assert case.b is not None and (case.b.status, case.b.reason) == ("failed", "ValueError: no.")
    assert (case.ratio, case.speed_ratio, case.memory_ratio) == (None, None, None)


def test_what_neither_side_measured() -> None:
    failed = {"status": "failed"}
    assert compare_one_case(failed, failed).standing is Comparability.NEITHER
    comparison = compare_runs([at(0.25, **failed)], [at(0.25, run="b", batch=4)])
    assert [case.standing for case in comparison.cases] == [Comparability.NEITHER, Comparability.B_ONLY]


def test_of_several_runs_the_newest_that_was_measured_counts() -> None:
    a = [
        at(0.5, run="old", started="2026-11-01T00:00:00+00:00"),
        at(0.25, run="new", started="2026-11-03T00:00:00+00:00"),
        at(0.4, run="between", started="2026-11-02T00:00:00+00:00"),
        make_record(run="last", started="2026-11-04T00:00:00+00:00", status="failed"),
    ]
    comparison = compare_runs(a, [at(0.25, run="b")])
    assert comparison.a.runs == ("new",)
    case = only(comparison)
    assert case.ratio is not None and case.ratio.point == pytest.approx(1.0)


def test_a_repeat_that_failed_leaves_the_case_its_figure() -> None:
    failed = make_record(run="a", process=3, status="failed", reason="It died.")
    case = only(compare_runs([*processes([0.25, 0.26]), failed], processes([0.25, 0.26], run="b")))
    assert case.standing is Comparability.HISTORICAL
    assert case.a is not None and len(case.a.records) == 2
    assert case.a.flags == "a repeat failed"


def test_the_same_measurement_is_not_compared_with_itself() -> None:
    comparison = compare_runs([at(0.25)], [at(0.25), at(0.25, batch=4)])
    assert [case.standing for case in comparison.cases] == [Comparability.ITSELF, Comparability.B_ONLY]
    assert comparison.compared == []


# Recipes


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"window_steps": 32}, Difference("window_steps", 12, 32)),
        ({"version": 1}, Difference("version", 2, 1)),
        ({"threads": 4}, Difference("threads", 0, 4)),
        (
            {"overrides": {**make_recipe().overrides, "optimizer": "AdamW"}},
            Difference("overrides.optimizer", "SGD", "AdamW"),
        ),
        ({"overrides": {**make_recipe().overrides, "half": True}}, Difference("overrides.half", None, True)),
    ],
)
def test_another_recipe_is_not_comparable_and_says_what_differs(changes: dict, difference: Difference) -> None:
    for machine in (make_machine(), OTHER):
        case = compare_one_case(b={"recipe": make_recipe(**changes), "machine": machine})
        assert case.standing is Comparability.NOT_COMPARABLE
        assert case.differences == (difference,)
        assert (case.ratio, case.speed_ratio, case.memory_ratio) == (None, None, None)


def test_every_field_of_a_recipe_counts() -> None:
    values = {"warmup_seconds": 9.0, "window_steps": 9, "window_seconds": 9.0, "threads": 9, "data_steps": 9}
    values |= {
        "data_seed": 9,
        "with_val": True,
        "compare_losses": True,
        "energy": True,
        "seeded": True,
        "most_seconds": 9,
        "version": 9,
        "overrides": {},
        "data": "x.yaml",
    }
    assert values.keys() == set(type(make_recipe()).__struct_fields__)
    for field, value in values.items():
        data = Data("x.yaml", "000000000000", 9) if field == "data" else make_record().data
        case = compare_one_case(b={"recipe": make_recipe(**{field: value}), "data": data})
        assert case.standing is Comparability.NOT_COMPARABLE, field
        assert {difference.key.partition(".")[0] for difference in case.differences} == {field}


def test_other_data_are_not_comparable_wherever_they_lie_under_the_same_name() -> None:
    recipe = make_recipe(data="/home/me/mine.yaml")
    moved = make_recipe(data="/data/mine.yaml")
    before, after = Data("mine.yaml", "111111111111", 10), Data("mine.yaml", "222222222222", 10)
    mine = {"recipe": recipe, "data": before}
    assert compare_one_case(mine, {"recipe": moved, "data": before}).standing is Comparability.HISTORICAL
    changed = compare_one_case(mine, {"recipe": recipe, "data": after})
    assert changed.standing is Comparability.NOT_COMPARABLE
    assert changed.differences == (Difference("data", "mine.yaml 111111111111", "mine.yaml 222222222222"),)


def test_fingerprints_of_two_schemes_are_not_the_same_even_where_they_read_alike() -> None:
    recipe = make_recipe(data="/home/me/mine.yaml")
    old, new = Data("mine.yaml", "111111111111", 10), Data("mine.yaml", "111111111111", 10, scheme=2)
    changed = compare_one_case({"recipe": recipe, "data": old}, {"recipe": recipe, "data": new})
    assert changed.differences == (Difference("data", "mine.yaml 111111111111", "mine.yaml 111111111111 (scheme 2)"),)


def test_made_data_of_other_bits_are_other_data_here_and_the_same_recipe_on_another_machine() -> None:
    other = {"data": Data("coco-like", "222222222222", 1024)}
    assert compare_one_case(b=other).standing is Comparability.NOT_COMPARABLE
    comparison = compare_runs([at(0.25)], [at(0.25, run="b", machine=OTHER, **other)])
    assert only(comparison).standing is Comparability.SIDE_BY_SIDE
    assert ("data", ("coco-like 9b1f4e0c7a23",), ("coco-like 222222222222",)) in traits(comparison)


def test_recipes_that_differ_alike_are_said_once_with_their_cases() -> None:
    recipe = make_recipe(window_steps=64)
    a = [at(0.25), at(0.25, batch=4), at(0.25, batch=8)]
    b = [at(0.25, "b", recipe=recipe), at(0.25, "b", batch=4, recipe=recipe), at(0.25, "b", batch=8)]
    comparison = compare_runs(a, b)
    ids = ("train-yolov8n-cpu-fp32-b16-i160", "train-yolov8n-cpu-fp32-b4-i160")
    assert comparison.recipes == [Difference("window_steps", 12, 64, ids)]
    assert [case.case.batch for case in comparison.compared] == [8]


# Machines


def test_machines_of_one_type_with_different_ids_are_different_machines() -> None:
    twins = make_machine(id="aaaaaaaaaaaa"), make_machine(id="bbbbbbbbbbbb")
    a, b = (processes([0.25, 0.26], run=machine.id, machine=machine) for machine in twins)
    assert compare_runs(a, b).is_cross_machine
    assert not compare_runs(a, processes([0.25, 0.26], run="old")).is_cross_machine


def test_different_machines_stand_side_by_side_without_an_interval() -> None:
    comparison = compare_runs(processes([0.25, 0.26]), processes([0.125, 0.13], run="b", machine=OTHER))
    case = only(comparison)
    assert (comparison.is_cross_machine, comparison.label, case.standing) == (
        True,
        Comparability.SIDE_BY_SIDE,
        Comparability.SIDE_BY_SIDE,
    )
    assert case.ratio == Interval(pytest.approx(0.5))
    assert case.speed_ratio == pytest.approx(2.0)
    assert (case.interval_kind, case.decidable, case.slower(0.05)) == (None, False, False)
    assert case.a is not None and case.a.rate is not None and case.a.rate.low is not None


# What differs


def traits(comparison: RunComparison) -> list[tuple[str, tuple[Any, ...], tuple[Any, ...]]]:
    return [(trait.key, trait.a, trait.b) for trait in comparison.traits]


def test_nothing_differs_between_equal_runs() -> None:
    comparison = compare_runs([at(0.25)], [at(0.25, run="b")])
    assert (comparison.traits, comparison.settings, comparison.one_sided_settings) == ((), [], [])


def test_versions_and_packages_that_differ_are_named() -> None:
    other = make_environment("2.15.0")
    packages = {**other.packages, "numpy": "2.4.6", "triton": "3.9.0"}
    changes = {"environment": msgspec.structs.replace(other, packages=packages, python="3.12.5", yolopace="0.2.0")}
    assert traits(compare_runs([at(0.25)], [at(0.25, run="b", **changes)])) == [
        ("Python", ("3.12.4",), ("3.12.5",)),
        ("torch", ("2.14.1",), ("2.15.0",)),
        ("numpy", ("2.4.1",), ("2.4.6",)),
        ("triton", ("",), ("3.9.0",)),
        ("yolopace", ("0.1.0",), ("0.2.0",)),
    ]


def test_a_checkout_differs_from_the_release_whose_version_it_states() -> None:
    released = make_environment()
    origin = Origin(source="checkout", hash="0123456789ab", commit="1a2b3c4d5e6f", edited=True)
    edited = msgspec.structs.replace(released, origins={"ultralytics": origin})
    assert traits(compare_runs([at(0.25, environment=released)], [at(0.25, run="b", environment=edited)])) == [
        ("ultralytics", ("8.4.100",), ("8.4.100 (checkout 1a2b3c4, edited 0123456)",)),
    ]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({"governor": "performance"}, {"governor": "powersave"}, [("governor", ("performance",), ("powersave",))]),
        ({"governor": "performance"}, {"governor": None}, []),
        ({"on_battery": False}, {"on_battery": True}, [("power source", ("mains",), ("battery",))]),
        ({"on_battery": None}, {"on_battery": True}, []),
        ({"load": 0.4}, {"load": 0.8}, []),
        ({"load": 0.4}, {"load": 1.4}, [("load (median)", (0.4,), (1.4,))]),
        ({"load": None}, {"load": 9.0}, []),
        ({"memory_available_bytes": 1}, {"memory_available_bytes": 2}, []),
        (
            {"limits": Limits()},
            {"limits": Limits(cpu_quota=0.2, processors=[0, 1])},
            [
                ("CPU quota", ("no limit",), ("0.2 processors",)),
                ("processors allowed", ("no limit",), ("2 (numbers 0-1)",)),
            ],
        ),
        ({"limits": Limits(memory_bytes=2**30)}, {"limits": Limits(memory_bytes=2**30)}, []),
        ({}, {"limits": Limits(cpu_quota=0.2)}, []),  # an older record does not say
    ],
)
def test_conditions_that_differ_are_named(a: dict, b: dict, expected: list) -> None:
    sides = [at(0.25, "b", conditions=Conditions(**conditions)) for conditions in (a, b)]
    assert traits(compare_runs([msgspec.structs.replace(sides[0], run="a")], sides[1:])) == expected


def test_a_window_on_battery_is_on_battery() -> None:
    window = msgspec.structs.replace(CALM, on_battery=True)
    comparison = compare_runs([at(0.25, conditions=Conditions(on_battery=False))], [at(0.25, "b", window=window)])
    assert ("power source", ("mains",), ("battery",)) in traits(comparison)


def test_interfered_windows_are_counted_on_both_sides() -> None:
    a = [at(0.25, window=CALM), at(0.25, batch=4, window=STOLEN)]
    b = [at(0.25, "b", window=CALM), at(0.25, "b", batch=4, window=CALM)]
    expected = ("interfered windows", ("1 of 2, most often: steal 3 %",), ("0 of 2",))
    assert traits(compare_runs(a, b)) == [expected]
    assert traits(compare_runs(a[:1], b[:1])) == []


def test_what_a_device_says_of_itself() -> None:
    a, b = {"device": {"cuda": "13.0", "odd": ["x"]}}, {"device": {"cuda": "13.2", "odd": ["x"]}}
    sides = [msgspec.structs.replace(at(0.25, run), **device) for run, device in (("a", a), ("b", b))]
    assert traits(compare_runs(sides[:1], sides[1:])) == [("device cpu: cuda", ("13.0",), ("13.2",))]


def test_only_cases_that_are_compared_have_a_say() -> None:
    a = [at(0.25), at(0.25, batch=4, environment=make_environment("2.0.0"))]
    b = [at(0.25, run="b"), at(0.25, run="b", batch=8, environment=make_environment("2.1.0"))]
    assert compare_runs(a, b).traits == ()


def test_settings_that_ran_and_differ_are_named_with_their_cases() -> None:
    def runs(run: str, **changes: Any) -> list[Record]:
        records = [at(0.25, run, batch=batch) for batch in (16, 4)]
        return [msgspec.structs.replace(r, effective={**r.effective, **changes}) for r in records]

    comparison = compare_runs(
        runs("a", variables={"A": "1"}, new=1), runs("b", threads=1, mosaic=0.0, variables={"A": "2"})
    )
    assert [(setting.key, setting.a, setting.b, len(setting.cases)) for setting in comparison.settings] == [
        ("threads", 7, 1, 2),
        ("mosaic", 1.0, 0.0, 2),
        ("variables.A", "1", "2", 2),
    ]
    assert comparison.one_sided_settings == ["new"]


# Memory


@pytest.mark.parametrize(
    ("a", "b", "ratio"),
    [
        (Memory(4 * GIB, "allocator"), Memory(6 * GIB, "allocator"), 1.5),
        (Memory(4 * GIB, "allocator"), Memory(6 * GIB, "another way"), None),
        (Memory(4 * GIB, "allocator"), Memory(None, "not told"), None),
    ],
)
def test_memory_has_a_ratio_where_both_were_got_in_the_same_way(a: Memory, b: Memory, ratio: float | None) -> None:
    assert compare_one_case({"memory": {"allocated": a}}, {"memory": {"allocated": b}}).memory_ratio == ratio
    assert (
        compare_one_case({"memory": {"allocated": a}}, {"memory": {"allocated": b}, "machine": OTHER}).memory_ratio
        == ratio
    )
