"""Lines about a calibration: the noise floor of a machine, and what it means for a comparison."""

from __future__ import annotations

from collections.abc import Mapping

from bench.formatting import format_number, format_percent
from bench.records.calibration import Calibration, Lockstep

CHANCE = "one in twenty such intervals misses 0 by chance"


def calibration_lines(calibration: Calibration, differences: Mapping[int, float], alone: float) -> list[str]:
    """Describe the calibration of a device and a mode.

    Args:
        calibration: the calibration.
        differences: half-width of the interval of a comparison, by its number of pairs.
        alone: how far a single process may be from the mean of many, as a share.
    """
    out = f", {calibration.interfered} with interference left out" if calibration.interfered else ""
    mode = {"train": "training", "predict": "prediction"}.get(calibration.mode, calibration.mode)
    same = f" ± {format_percent(calibration.difference_half, 2)}" if calibration.difference_half is not None else ""
    half_widths = " / ".join(format_number(half * 100, 2) for half in differences.values())
    lines = [
        f"{calibration.device}, {mode} ({calibration.case}): processes of the same thing scatter by "
        f"{format_percent(calibration.stdev, 2)} (SD of {calibration.processes}{out}); "
        f"a single process is known to ±{format_percent(alone, 2)}",
        f"  the interval of a comparison by {' / '.join(map(str, differences))} pairs would be ± {half_widths} %; "
        f"in the {calibration.pairs} pairs of this run, neighbours differed by "
        f"{format_percent(calibration.median_difference, 2)} in the median, "
        f"{format_percent(calibration.greatest_difference, 2)} at most, "
        f"{format_percent(calibration.difference, 2)}{same} on average",
    ]
    if calibration.difference_half is not None and abs(calibration.difference) > calibration.difference_half:
        lines.append(f"  the interval of that average should hold 0, and does not: {CHANCE}")
    if calibration.drift_half is not None and abs(calibration.drift) > calibration.drift_half:
        way = "slower" if calibration.drift > 0 else "faster"
        lines.append(
            f"  it became {format_percent(abs(calibration.drift), 2)} {way} over the run (± "
            f"{format_percent(calibration.drift_half, 2)}): "
            f"the machine warms up, or something else on it changed; {CHANCE}"
        )
    return lines


def lockstep_line(lockstep: Lockstep, differences: Mapping[int, float], margin: float) -> str:
    """Describe the calibration of interleaved pairs.

    Args:
        lockstep: the calibration of pairs.
        differences: half-width of the interval of a comparison, by its number of pairs.
        margin: the default margin of ``regress`` that follows, as a share.
    """
    half_widths = " / ".join(format_number(half * 100, 2) for half in differences.values())
    return (
        "processes that take turns, as in regress: the ratio of a pair scatters by "
        f"{format_percent(lockstep.stdev, 2)} (SD of {lockstep.pairs}), which makes that ± {half_widths} %, "
        f"and the margin {format_percent(margin, 2)}"
    )
