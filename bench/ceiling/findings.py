"""From probes to a ceiling: the largest batch, what ended it, and the line of peak memory."""

from __future__ import annotations

from collections.abc import Sequence

from bench.cases.device_kinds import kind_of
from bench.ceiling.batch_search import Attempt, Fit, Search, fit
from bench.ceiling.memory_model import MemoryModel, fit_model, linear_model
from bench.records.ceiling import PREDICTED, Ceiling, MemoryFit, Probe


def attempts(probes: Sequence[Probe]) -> list[Attempt]:
    """Probes as the search takes them."""
    return [Attempt(probe.batch, probe.fits, probe.peak, probe.baseline_bytes) for probe in probes]


def edge(search: Search, probes: Sequence[Probe]) -> tuple[int, str]:
    """The largest batch that trains, and what ended it, as :class:`bench.records.ceiling.Ceiling` has it."""
    low, high = search.edges(attempts(probes))
    if low < search.rounded(search.max_batch) and (high is None or high - low > search.granularity):
        return low, PREDICTED
    return low, next((probe.stop_reason for probe in probes if probe.batch == high), "limit")


def fit_memory_line(probes: Sequence[Probe]) -> MemoryFit | None:
    """The fit as records have it, in whole bytes."""
    line = fit(attempts(probes))
    if line is None or line.slope < 1:
        return None
    return MemoryFit(round(line.base), round(line.slope), round(line.residual), line.points)


def memory_model(ceiling: Ceiling) -> MemoryModel | None:
    """How its memory grows; None where too little is known.

    On a GPU by the line: what a first step adds to what there was before it (gradients, momentum, workspaces) is no
    matter of images, and only on a CPU was the bend seen.
    """
    nominal = ceiling.recipe.overrides.get("nbs")
    bent = kind_of(ceiling.case.device).on_host
    known = fit_model(attempts(ceiling.probes), nominal if isinstance(nominal, int) else None) if bent else None
    if known is None and (line := ceiling.memory_fit) is not None:
        return linear_model(Fit(line.base, line.slope, line.residual, line.points), ceiling.case.batch)
    return known
