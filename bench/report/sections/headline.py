"""The headline: one sentence, and up to three big figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pandas as pd

from bench.analysis.ceilings import format_stop_reason
from bench.analysis.metrics import METRICS, RATE
from bench.analysis.units import IMAGE, in_units
from bench.machine.description import Machine
from bench.records.ceiling import Ceiling
from bench.report import labels
from bench.report.inputs import MachineInputs
from bench.report.sections import ceilings as largest
from bench.report.sections.section import Section

MOST = 3
"""Maximum number of big figures of a machine."""


class Figure(msgspec.Struct, frozen=True):
    """A big figure: its title, its value with its unit, its case, and further details."""

    title: str
    value: str
    unit: str
    case: str
    more: str


def versions(table: pd.DataFrame, row: dict[str, Any]) -> str:
    """Format the versions of a row if its table has several: ``, torch 2.14.1, Ultralytics 8.4.100``, else empty."""
    several = table[["torch", "ultralytics"]].drop_duplicates().shape[0] > 1
    return f", torch {row['torch']}, Ultralytics {row['ultralytics']}" if several else ""


def sentence(table: pd.DataFrame, machine: Machine, epoch_images: int, ceilings: Sequence[Ceiling] = ()) -> str:
    """Describe the fastest training case in one sentence, or else the fastest prediction case.

    If nothing was timed, describe the largest batch, or say that nothing was measured.
    """
    name = labels.machine_name(machine)
    for mode in ("train", "predict"):
        row = fastest(table, mode)
        if row is None:
            continue
        interval = labels.ends(RATE, row["images_per_second_low"], row["images_per_second_high"])
        row_interval = row["interval_kind"]
        epoch = METRICS["seconds_per_epoch"].unit.show(row["seconds_per_epoch"])
        case = labels.point(row, without=["model"]).replace(" · ", ", ") + versions(table, row)
        images = labels.images(int(row["epoch_images"]) if row["unit"] != IMAGE else epoch_images)
        text = (
            f"On {name}, {row['model']} {labels.DOES[mode][1]} at {labels.rate(row['images_per_second'])} ({case}; "
            f"{f'95 % interval {interval}, {row_interval}' if interval else 'too few steps for an interval'}): "
            f"{images} take {epoch}."
        )
        return in_units(text, row)
    if (ceiling := widest(ceilings)) is not None:
        held = f" within {limit}" if (limit := largest.within(ceiling)) else ""
        case = f"{point(ceiling)}{largest.apart(ceiling, largest.newest(ceilings))}"
        if ceiling.stop_reason == "limit":
            return f"On {name}, {case} trains at batch {ceiling.case.batch:,}{held}, and {format_stop_reason(ceiling)}."
        beyond = f"; {format_stop_reason(ceiling)}" if ceiling.next_untried else ""
        return f"On {name}, {case} trains up to batch {ceiling.case.batch:,}{held}{beyond}."
    if len(table):
        return f"Nothing was measured on {name}: {labels.count(len(table), 'case')}, each with its reason below."
    return f"On {name}, nothing was timed by itself; what else is known of it stands below."


def point(ceiling: Ceiling) -> str:
    """Format the case of a ceiling: ``yolov8n · cpu · amp off · 160 px``."""
    return labels.point(labels.case_values(ceiling.case), without=["batch"])


def widest(ceilings: Sequence[Ceiling]) -> Ceiling | None:
    """Return the ceiling with the largest known batch, or None."""
    known = [ceiling for ceiling in largest.newest(ceilings) if largest.is_known(ceiling) and ceiling.case.batch]
    return max(known, key=lambda ceiling: ceiling.case.batch, default=None)


def fastest(table: pd.DataFrame, mode: str) -> dict[str, Any] | None:
    """Return the measured row of a mode with the highest rate, or None; only the first workload counts."""
    rows = labels.rows(table[(table["mode"] == mode) & (table["status"] == "measured")])
    rows = [row for row in rows if row["workload"] == rows[0]["workload"]]
    return max(rows, key=lambda row: float(row["images_per_second"]), default=None)


def figures(
    table: pd.DataFrame,
    speedups: pd.DataFrame,
    baseline: dict[str, Any],
    epoch_images: int,
    ceilings: Sequence[Ceiling] = (),
) -> list[Figure]:
    """Return fastest training and prediction case, best speed-up (no interference, interval above 1), largest batch.

    Return at most :data:`MOST` of those that exist: prediction is left out first.

    Args:
        table: latest rows of one machine.
        speedups: for that table, with the additional columns ``torch`` and ``ultralytics``.
        baseline: values that the speed-ups compare with.
        epoch_images: images of the epoch that times are projected to.
        ceilings: of that machine.
    """
    big_figures = []
    for mode in ("train", "predict"):
        row = fastest(table, mode)
        if row is not None:
            epoch = METRICS["seconds_per_epoch"]
            items = int(row["epoch_images"]) if row["unit"] != IMAGE else epoch_images
            spread = labels.spread(epoch.unit, *(row[f"{epoch.key}{end}"] for end in ("", "_low", "_high")))
            big_figures.append(
                Figure(
                    title=f"Fastest {labels.mode(mode).lower()} case",
                    value=RATE.show(row["images_per_second"]),
                    unit=in_units(RATE.symbol, row),
                    case=in_units(labels.point(row), row) + versions(table, row),
                    more=in_units(f"{items:,} images in {epoch.unit.show(row[epoch.key])}", row)
                    + (f" ({spread})" if spread else "")
                    + (f"; {row['flags']}" if row["flags"] else ""),
                )
            )
    # The best of many whose intervals include 1 is merely the luckiest, as is one over a baseline with interference.
    clear = speedups[(speedups["speedup_low"] > 1) & ~speedups["interfered"].astype(bool)]
    if not clear.empty:
        row = max(labels.rows(clear), key=lambda row: float(row["speedup"]))
        ends = labels.ends(labels.SPEEDUP.unit, row["speedup_low"], row["speedup_high"])
        big_figures.append(
            Figure(
                title=f"Best speed-up over {labels.baseline(baseline)}",
                value=labels.SPEEDUP.unit.show(row["speedup"]),
                unit="",
                case=labels.case(row) + versions(table, row),
                more=f"95 % interval {ends}, {row['interval_kind']}",
            )
        )
    if (ceiling := widest(ceilings)) is not None:
        big_figures.append(
            Figure(
                title="Largest batch that trains",
                value=largest.batch(ceiling),
                unit="images",
                case=f"Training · {point(ceiling)}{largest.apart(ceiling, largest.newest(ceilings))}",
                more=f"within {limit}, {largest.why(ceiling)}"
                if (limit := largest.within(ceiling))
                else largest.why(ceiling),
            )
        )
    if len(big_figures) > MOST:
        big_figures.pop(1)
    return big_figures


class Headline(msgspec.Struct, frozen=True):
    """One sentence, and up to three big figures."""

    sentence: str
    figures: list[Figure]


def build(machine: MachineInputs) -> Headline:
    """Return the headline of a machine."""
    table, epoch_images, ceilings = machine.table, machine.page.epoch_images, machine.ceilings
    return Headline(
        sentence(table, machine.machine, epoch_images, ceilings),
        figures(table, machine.speedups, machine.baseline, epoch_images, ceilings),
    )


SECTION = Section("headline", "", build, template="headline", question="")
