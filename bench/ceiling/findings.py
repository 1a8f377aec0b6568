"""Derive a ceiling from probes: the largest batch, the stop reason, and the line of peak memory."""

from __future__ import annotations

from collections.abc import Sequence

from bench.cases.device_kinds import kind_of
from bench.ceiling.batch_search import Attempt, Fit, Search, fit
from bench.ceiling.memory_model import MemoryModel, fit_model, linear_model
from bench.records.ceiling import PREDICTED, Ceiling, MemoryFit, Probe


def attempts(probes: Sequence[Probe]) -> list[Attempt]:
    """Return probes in the form that the search takes."""
    return [Attempt(probe.batch, probe.fits, probe.peak, probe.baseline_bytes) for probe in probes]


def edge(search: Search, probes: Sequence[Probe]) -> tuple[int, str]:
    """Return the largest batch that trains, and the stop reason of :class:`bench.records.ceiling.Ceiling`."""
    low, high = search.edges(attempts(probes))
    if low < search.rounded(search.max_batch) and (high is None or high - low > search.granularity):
        return low, PREDICTED
    return low, next((probe.stop_reason for probe in probes if probe.batch == high), "limit")


def fit_memory_line(probes: Sequence[Probe]) -> MemoryFit | None:
    """Return the memory fit of a record, in whole bytes; None without a rising line."""
    line = fit(attempts(probes))
    if line is None or line.slope < 1:
        return None
    return MemoryFit(round(line.base), round(line.slope), round(line.residual), line.points)


def memory_model(ceiling: Ceiling) -> MemoryModel | None:
    """Return the memory model of a ceiling; None where too little is known.

    On a GPU the model is the line. What a first step adds there (gradients, momentum, workspaces) does not depend on
    the number of images, and the bend was seen only on a CPU.
    """
    nominal = ceiling.recipe.overrides.get("nbs")
    bent = kind_of(ceiling.case.device).on_host
    known = fit_model(attempts(ceiling.probes), nominal if isinstance(nominal, int) else None) if bent else None
    if known is None and (line := ceiling.memory_fit) is not None:
        return linear_model(Fit(line.base, line.slope, line.residual, line.points), ceiling.case.batch)
    return known
