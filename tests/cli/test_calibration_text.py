"""Lines about a calibration."""

from __future__ import annotations

import msgspec

from bench.cli.calibration_text import calibration_lines
from tests.records.test_calibration import FOUND


def test_a_calibration_in_plain_words() -> None:
    calibration = msgspec.structs.replace(FOUND, difference=-0.003, drift=0.001)
    assert calibration_lines(calibration, {4: 0.051, 8: 0.024}, 0.043) == [
        "cpu, training (train-yolov8n-cpu-fp32-b4-i160)",
        "  run-to-run variation  1.9 % (SD of 11 processes, 1 more had interference)",
        "  single process        known to ± 4.3 %",
        "  separate runs         4 / 8 pairs give ± 5.1 / 2.4 %",
        "  neighbours differ     1.2 % in the median, at most 4.0 %, -0.30 % ± 1.8 % on average (5 pairs)",
    ]


def test_a_calibration_warns_of_drift_and_of_a_difference_that_should_not_be() -> None:
    drifting = msgspec.structs.replace(FOUND, drift=-0.05, drift_half=0.02, difference=0.02, difference_half=0.01)
    *_, difference, drift = calibration_lines(drifting, {}, 0.043)
    assert difference == "  warning: the interval of that average excludes 0; one in twenty does so by chance"
    assert drift.startswith("  warning: the machine became 5.0 % faster over the run (± 2.0 %), from heat")
