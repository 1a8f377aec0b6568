"""The section on latency: percentiles of a call, and their distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.analysis import latency
from bench.analysis.metrics import SECONDS
from bench.analysis.table import cases_at, measured_only
from bench.records.record import Record
from bench.report import labels
from bench.report.inputs import MachineInputs
from bench.report.plots import latency as distribution
from bench.report.plots.plot import Plot
from bench.report.sections.section import Section, Table

HALF = 0.5
"""Load of the modelled server: the share of the time in which it serves."""

COLUMNS = ("Case", "Calls", "Median", "p90", "p99", "p99 at half load, modelled")

NOTE = (
    "p90 is the time that 90 % of the calls do not exceed. Each percentile has its 95 % interval from the calls of the "
    "window, without any assumed distribution; calls that follow each other count less. A dash says how many calls "
    "it takes, in each process. Of a server, latency counts from the arrival, the wait in the queue included. "
    "The last column is a model: requests arrive at random, half as fast as the calls of the window could serve them."
)


def build(machine: MachineInputs) -> Table | None:
    """Return the table; None where no case has calls enough for a 90th percentile, and none asked for a scenario."""
    several = len({labels.versions(part.table) for part in machine.parts}) > 1
    cases = cases_at(machine.page.records, machine.table.index)
    shown = []
    for part in machine.parts:
        versions = labels.versions(part.table) if several else ""
        for index, row in zip(part.table.index, labels.rows(part.table), strict=True):
            processes = measured_only(cases[int(index)])
            if any(map(latency.latencies, processes)):
                shown.append((row, versions, processes))
    if not any(labels.there(row["latency_p90_seconds"]) or row.get("scenario") for row, _, _ in shown):
        return None
    shared = labels.shared_axes([row for row, _, _ in shown])
    rows, drawn = [], []
    for row, versions, processes in shown:
        name = labels.point(row, without=shared) + versions
        rows.append((name, f"{int(row['latency_calls']):,}", *_percentiles(row, processes), _modelled(processes)))
        drawn.append((labels.point(row) + versions, str(row["model"]), processes))
    note = labels.every_row(shown[0][0], shared) + NOTE
    if any(row.get("scenario") for row, _, _ in shown):
        note += f" Scenario: {labels.SCENARIO[0].lower()}{labels.SCENARIO[1:]}"
    return Table(COLUMNS, rows, note, plots=_plots(machine, drawn))


def _plots(machine: MachineInputs, drawn: Sequence[tuple[str, str, Sequence[Record]]]) -> Sequence[Plot]:
    return distribution.plots(
        [
            (name, model, [call for record in processes for call in latency.latencies(record)])
            for name, model, processes in drawn
        ],
        machine.page.models,
    )


def _percentiles(row: dict[str, Any], processes: Sequence[Record]) -> list[str]:
    """Format each percentile with its interval, or the number of calls that it needs."""
    cells = []
    for name, level in latency.LEVELS.items():
        point, low, high = (row[f"latency_{name}_seconds{end}"] for end in ("", "_low", "_high"))
        if labels.there(point):
            ends = labels.ends(SECONDS, low, high)
            cells.append(f"{SECONDS.show(float(point))} ({ends})" if ends else SECONDS.show(float(point)))
        else:
            needed = latency.calls_needed(level)
            cells.append(f"{labels.NONE} needs {needed:,} {'each' if len(processes) > 1 else 'calls'}")
    return cells


def _modelled(processes: Sequence[Record]) -> str:
    """Format the modelled tail of a server, from the calls of one image that follow each other."""
    [first, *_] = processes
    calls = [call for record in processes for call in latency.latencies(record)]
    if first.case.batch != 1 or first.case.value("scenario") == "server" or len(calls) < latency.calls_needed(0.9):
        return labels.NONE
    return SECONDS.show(latency.modelled_p99(calls, HALF))


SECTION = Section("latency", "Latency of a call", build, question="latency")
