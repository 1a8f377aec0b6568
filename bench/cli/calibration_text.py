"""Lines about a calibration: the noise floor of a machine, and what it means for a comparison."""

from __future__ import annotations

from collections.abc import Mapping

from bench.formatting import format_number, format_percent
from bench.records.calibration import Calibration, Lockstep

CHANCE = "one in twenty does so by chance"


def calibration_lines(calibration: Calibration, differences: Mapping[int, float], alone: float) -> list[str]:
    """Describe the calibration of a device and a mode.

    Args:
        calibration: the calibration.
        differences: half-width of the interval of a comparison, by its number of pairs.
        alone: how far a single process may be from the mean of many, as a share.
    """
    out = f", {calibration.interfered} more had interference" if calibration.interfered else ""
    mode = {"train": "training", "predict": "prediction"}.get(calibration.mode, calibration.mode)
    half = calibration.difference_half
    same = f" ± {format_percent(half, 2)}" if half is not None else ""
    spread = f"{format_percent(calibration.stdev, 2)} (SD of {calibration.processes} processes{out})"
    lines = [
        f"{calibration.device}, {mode} ({calibration.case})",
        f"  run-to-run variation  {spread}",
        f"  single process        known to ± {format_percent(alone, 2)}",
        f"  separate runs         {_half_widths(differences)}",
        f"  neighbours differ     {format_percent(calibration.median_difference, 2)} in the median, at most "
        f"{format_percent(calibration.greatest_difference, 2)}, "
        f"{format_percent(calibration.difference, 2)}{same} on average ({calibration.pairs} pairs)",
    ]
    if half is not None and abs(calibration.difference) > half:
        lines.append(f"  warning: the interval of that average excludes 0; {CHANCE}")
    if calibration.drift_half is not None and abs(calibration.drift) > calibration.drift_half:
        way = "slower" if calibration.drift > 0 else "faster"
        lines.append(
            f"  warning: the machine became {format_percent(abs(calibration.drift), 2)} {way} over the run (± "
            f"{format_percent(calibration.drift_half, 2)}), from heat or other programs; {CHANCE}"
        )
    return lines


def lockstep_line(lockstep: Lockstep, differences: Mapping[int, float], margin: float) -> str:
    """Describe the calibration of interleaved pairs.

    Args:
        lockstep: the calibration of pairs.
        differences: half-width of the interval of a comparison, by its number of pairs.
        margin: the default margin of ``regress`` that follows, as a share.
    """
    return (
        f"interleaved pairs     {format_percent(lockstep.stdev, 2)} (SD of {lockstep.pairs}); "
        f"{_half_widths(differences)}; margin of regress {format_percent(margin, 2)}"
    )


def _half_widths(differences: Mapping[int, float]) -> str:
    """Format half-widths: ``4 / 8 / 12 pairs give ± 5.1 / 2.4 / 1.8 %``."""
    widths = " / ".join(format_number(half * 100, 2) for half in differences.values())
    return f"{' / '.join(map(str, differences))} pairs give ± {widths} %"
