"""Lines about a calibration: the noise floor of a machine, and what it means for a comparison."""

from __future__ import annotations

from collections.abc import Mapping

from bench.formatting import format_number, format_percent
from bench.records.calibration import Calibration, Lockstep

CHANCE = "one in twenty such intervals misses 0 by chance"


def calibration_lines(found: Calibration, differences: Mapping[int, float], alone: float) -> list[str]:
    """Describe the calibration of a device and a mode.

    Args:
        found: the calibration.
        differences: half-width of the interval of a comparison, by its number of pairs.
        alone: how far a single process may be from the mean of many, as a share.
    """
    out = f", {found.interfered} with interference left out" if found.interfered else ""
    mode = {"train": "training", "predict": "prediction"}.get(found.mode, found.mode)
    same = f" ± {format_percent(found.difference_half, 2)}" if found.difference_half is not None else ""
    half_widths = " / ".join(format_number(half * 100, 2) for half in differences.values())
    lines = [
        f"{found.device}, {mode} ({found.case}): processes of the same thing scatter by "
        f"{format_percent(found.stdev, 2)} (SD of {found.processes}{out}); "
        f"a single process is known to ±{format_percent(alone, 2)}",
        f"  the interval of a comparison by {' / '.join(map(str, differences))} pairs would be ± {half_widths} %; "
        f"in the {found.pairs} pairs of this run, neighbours differed by {format_percent(found.median_difference, 2)} "
        f"in the median, {format_percent(found.greatest_difference, 2)} at most, "
        f"{format_percent(found.difference, 2)}{same} on average",
    ]
    if found.difference_half is not None and abs(found.difference) > found.difference_half:
        lines.append(f"  the interval of that average should hold 0, and does not: {CHANCE}")
    if found.drift_half is not None and abs(found.drift) > found.drift_half:
        way = "slower" if found.drift > 0 else "faster"
        lines.append(
            f"  it became {format_percent(abs(found.drift), 2)} {way} over the run (± "
            f"{format_percent(found.drift_half, 2)}): "
            f"the machine warms up, or something else on it changed; {CHANCE}"
        )
    return lines


def lockstep_line(found: Lockstep, differences: Mapping[int, float], margin: float) -> str:
    """Describe the calibration of interleaved pairs.

    Args:
        found: the calibration of pairs.
        differences: half-width of the interval of a comparison, by its number of pairs.
        margin: the default margin of ``regress`` that follows, as a share.
    """
    half_widths = " / ".join(format_number(half * 100, 2) for half in differences.values())
    return (
        f"processes that take turns, as in regress: the ratio of a pair scatters by {format_percent(found.stdev, 2)} "
        f"(SD of {found.pairs}), which makes that ± {half_widths} %, and the margin {format_percent(margin, 2)}"
    )
