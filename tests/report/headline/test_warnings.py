from __future__ import annotations

import msgspec
import pytest

from bench.analysis.reference import reference_cases
from bench.analysis.table import frame
from bench.records.record import CalibrationSummary, Record, Window
from bench.report.headline.warnings import Caution, cautions
from tests.analysis.test_reference import LOUD, QUIET, at


def warned(*records: Record) -> list[Caution]:
    return cautions(reference_cases(frame(records)), {record.id: record for record in records})


def windowed(*interference: str, **changes: object) -> Record:
    window = Window(
        wall_seconds=1.0,
        cpu_seconds=1.0,
        involuntary_switches=0,
        processors=2,
        machine_processors=2,
        other_processes_cpus=1.55,
        interference=list(interference),
    )
    return at(30, window=window, **changes)  # type: ignore[arg-type]


def test_trusted_figures_have_no_warning() -> None:
    assert warned(at(30), at(90, mode="predict")) == []


def test_load_of_other_processes_is_said_once_however_it_was_noticed() -> None:
    phrases = (
        "a thread waited 56.3 % of the time for a processor; others used 1.55 processors",
        "others used 1.55 of the machine's 2 processors",
    )
    [caution] = warned(windowed(*phrases), windowed(*phrases, mode="predict"))
    assert caution.reason == (
        "The figures of training and prediction are probably too slow: other processes used 1.6 of 2 cores."
    )
    assert caution.remedy == "Close other programs, and measure again."


@pytest.mark.parametrize(
    ("phrase", "remedy"),
    [
        ("the machine ran on its battery", "Connect the power supply, and measure again."),
        ("the device held its clocks back: heat", "Let the device cool down, and measure again."),
        ("the machine was under thermal pressure: heavy", "Let the machine cool down, and measure again."),
        ("a CPU quota held the process back for 12.0 % of the time", "Raise the CPU quota, or read the figures as"),
        ("swap grew by 120 MiB", "Close other programs or use a smaller batch, and measure again."),
        ("the hypervisor took 3.0 % of the machine's time", "Measure again when the host is less busy."),
    ],
)
def test_each_interference_has_its_remedy(phrase: str, remedy: str) -> None:
    [caution] = warned(windowed(phrase))
    assert phrase in caution.reason and caution.remedy.startswith(remedy)


def test_a_wide_interval_and_too_few_steps() -> None:
    wide, few = warned(at(30, LOUD), at(30, (1.0, 1.0), mode="predict"))
    assert wide.reason.startswith("The interval of training is wide: ± ") and "--processes 5" in wide.remedy
    assert few.reason.startswith("Too few steps of prediction for an interval") and "--profile quick" in few.remedy
    assert warned(at(30, QUIET)) == []


def test_an_interval_that_calibrate_widened_says_so() -> None:
    noise = CalibrationSummary(
        stdev=0.08, processes=12, calibrated="2026-11-22", case="x", torch="2.14.1", ultralytics="8.4.100"
    )
    [wide] = warned(msgspec.structs.replace(at(30), calibration=noise))
    assert wide.reason.endswith(" %, because calibrate found that single processes differ on this machine.")
    assert wide.remedy == "Measure again with --processes 5."
