from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from scipy import stats

from bench.analysis.intervals import t_quantile
from bench.analysis.noise import (
    LOOK_CONFIDENCE,
    adjacent_pairs,
    calibration,
    calibrations,
    default_margin,
    half_width_for,
    lockstep,
)
from bench.records.calibration import Lockstep
from bench.records.record import Record, Window
from tests.builders import make_case, make_compared, make_comparison, make_pair, make_record, make_steps

BEGAN = datetime(2026, 11, 22, 18, 45, tzinfo=UTC)


def processes(logs: Sequence[float], interfered: Sequence[int] = (), **changes: object) -> list[Record]:
    """Processes ten seconds apart whose mean step is 0.25 s times the exponential of each number."""
    return [
        make_record(
            process=number,
            started=(BEGAN + timedelta(seconds=10 * number)).isoformat(timespec="seconds"),
            steps=make_steps([0.25 * math.exp(value)] * 4, images=16),
            window=Window(
                wall_seconds=1.0,
                cpu_seconds=1.0,
                involuntary_switches=0,
                processors=2,
                interference=["steal 5 %"] if number in interfered else [],
            ),
            **changes,
        )
        for number, value in enumerate(logs, 1)
    ]


def test_the_noise_is_the_spread_between_processes() -> None:
    logs = [0.01, -0.02, 0.03, 0.0, -0.01, 0.02]
    noise = calibration(processes(logs))
    assert noise.stdev == pytest.approx(np.std(logs, ddof=1))
    assert (noise.processes, noise.interfered, noise.pairs) == (6, 0, 3)
    assert noise.median_difference == pytest.approx(0.03)
    assert noise.greatest_difference == pytest.approx(0.03)
    assert noise.pair_stdev == pytest.approx(math.sqrt((0.03**2 + 0.05**2 + 0.03**2 + 0.01**2 + 0.03**2) / 5))
    assert (noise.device, noise.mode, noise.calibrated[:10]) == ("cpu", "train", "2026-11-22")


def test_an_interfered_process_is_left_out_and_counted_however_fast_it_was() -> None:
    noise = calibration(processes([0.01, 0.0, 0.02, 0.0], interfered=[2]))
    assert (noise.processes, noise.interfered) == (3, 1)
    assert noise.stdev == pytest.approx(np.std([0.01, 0.02, 0.0], ddof=1))
    slow = calibration(processes([0.01, 2.0, 0.02, 0.0]))
    assert (slow.processes, slow.interfered) == (4, 0)


def test_too_few_calm_processes_give_no_noise() -> None:
    assert calibration(processes([0.0, 0.01])) is None
    assert calibration(processes([0.0, 0.01, 0.02, 0.03], interfered=[1, 2])) is None


def test_each_device_and_mode_has_its_own() -> None:
    records = [*processes([0.0, 0.01, 0.02]), *processes([0.0, 0.1, 0.2], mode="predict"), make_record(status="failed")]
    results = calibrations(records)
    assert [(result.mode, round(result.stdev, 3)) for result in results] == [("train", 0.01), ("predict", 0.1)]


def test_what_a_comparison_by_pairs_would_see() -> None:
    assert half_width_for(0.03, 8) == pytest.approx(stats.t.ppf(1 - 0.0221 / 2, 7) * 0.03 / math.sqrt(8))
    # Half-width 1.8 % at a process SD of 2 % and 12 pairs, at 95 % and without looks (notes/statistics.md, section 2).
    assert t_quantile(11) * 0.02 * math.sqrt(2) / math.sqrt(12) == pytest.approx(0.018, abs=0.0005)
    assert half_width_for(1.0, 4) == pytest.approx(t_quantile(3, LOOK_CONFIDENCE) / 2)


def test_pairs_are_neighbours_each_in_one_pair_and_the_draw_can_be_repeated() -> None:
    logs = [0.0, 1.0, 10.0, 12.0, 100.0, 103.0]
    assert sorted(map(abs, adjacent_pairs(logs, "a"))) == [1.0, 2.0, 3.0]
    assert adjacent_pairs(logs, "a") == adjacent_pairs(logs, "a")
    assert len({tuple(adjacent_pairs(logs, str(seed))) for seed in range(40)}) > 4
    assert len(adjacent_pairs([0.0, 1.0, 3.0], "a")) == 1


def test_95_of_100_calibrations_find_no_difference_of_a_thing_with_itself() -> None:
    draw = np.random.default_rng(20261122)
    held = 0
    for number in range(300):
        pairs = adjacent_pairs(draw.normal(0, 0.02, 12).tolist(), str(number))
        held += abs(np.mean(pairs)) <= t_quantile(5) * np.std(pairs, ddof=1) / math.sqrt(6)
    assert 0.91 <= held / 300 <= 0.99


def test_a_machine_that_warms_up_drifts() -> None:
    steady = [0.002, -0.001, 0.001, -0.002, 0.001, -0.001]
    noise = calibration(processes([value + 0.02 * number for number, value in enumerate(steady)]))
    assert noise.drift == pytest.approx(0.1, abs=0.005)
    assert noise.drift > noise.drift_half
    assert noise.pair_stdev < 0.03 < noise.stdev  # neighbours differ little, and the drift is in the spread of all
    still = calibration(processes(steady))
    assert abs(still.drift) < still.drift_half
    line = stats.linregress([10 * n for n in range(6)], steady)
    assert still.drift == pytest.approx(line.slope * 50)
    assert still.drift_half == pytest.approx(t_quantile(4) * line.stderr * 50)


def test_processes_of_one_second_have_no_drift() -> None:
    noise = calibration([make_record(process=n, steps=make_steps([0.25 + n / 100] * 4)) for n in (1, 2, 3)])
    assert (noise.drift, noise.drift_half) == (0.0, None)


# Pairs that take turns


def together(device: str = "cpu", mode: str = "train", sd: float = 0.008, calibrated: str = "2026-11-20") -> Lockstep:
    return Lockstep(
        device=device,
        mode=mode,
        case=f"{mode}-yolov8n-{device}-fp32-b4-i160",
        run="calibration-20261120-101010-3f9ac2",
        calibrated=f"{calibrated}T10:10:10+00:00",
        torch="2.14.1",
        ultralytics="8.4.100",
        stdev=sd,
        pairs=7,
        order_effect=0.0,
        order_effect_half_width=0.01,
    )


def test_the_noise_of_pairs_is_that_of_the_calm_ones_that_took_turns() -> None:
    calm = [0.01, -0.01, 0.02, -0.02]
    compared = make_compared(calm)
    compared.pairs += [make_pair(0.5, interference=["background load"]), make_pair(0.5, lockstep=False)]
    few = make_compared(calm[:2], batch=4)
    [pair_noise] = lockstep(make_comparison([compared, few]))
    assert (pair_noise.case, pair_noise.pairs, pair_noise.stdev) == (
        compared.case.id,
        4,
        pytest.approx(statistics.stdev(calm)),
    )
    assert (pair_noise.device, pair_noise.mode) == ("cpu", "train")
    later = [-log if number % 2 else log for number, log in enumerate(calm)]
    assert pair_noise.order_effect == pytest.approx(statistics.fmean(later))


def test_the_margin_has_room_for_the_interval_of_eight_pairs() -> None:
    share, origin = default_margin([make_case()], [together(sd=0.008), together(mode="predict", sd=0.5)])
    assert share == pytest.approx(1.5 * half_width_for(0.008, 8), abs=0.0011)
    assert share > 1.5 * half_width_for(0.008, 8)
    assert share == round(share, 3)
    assert origin == "calibrated 2026-11-20"


def test_the_noisiest_of_the_cases_settles_it() -> None:
    known = [together(sd=0.008), together(mode="predict", sd=0.02, calibrated="2026-11-19")]
    cases = [make_case(), make_case(mode="predict")]
    assert default_margin(cases, known) == default_margin(cases[1:], known)
    assert default_margin(cases, known)[1] == "calibrated 2026-11-19"


def test_however_quiet_a_machine_there_is_a_margin() -> None:
    assert default_margin([make_case()], [together(sd=0.0)])[0] == 0.01


def test_without_a_calibration_it_says_what_to_do() -> None:
    for cases, known in (([make_case()], []), ([make_case(), make_case(device="0")], [together()]), ([], [together()])):
        share, origin = default_margin(cases, known)
        assert (share, origin) == (0.03, "this machine is not calibrated for it: python -m bench calibrate")
