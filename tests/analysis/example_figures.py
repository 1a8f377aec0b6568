"""Figures of the committed examples, as the current code reads them.

    python -m tests.analysis.example_figures

writes them to ``example_figures.json`` again. Do that only where a figure has to change, and say why in the commit.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analysis.table import frame
from bench.compare.findings import Finding, evaluate, exit_code
from bench.compare.verdict import Estimate
from bench.machine.description import Machine
from bench.records import store
from bench.records.ceiling import Ceiling
from bench.records.comparison import Comparison

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "results" / "examples").iterdir())
FILE = Path(__file__).with_suffix(".json")

COLUMNS = {
    "status": "status",
    "images_per_second": "images_per_second",
    "images_per_second_low": "low",
    "images_per_second_high": "high",
    "interval_kind": "interval_kind",
    "seconds_per_epoch": "seconds_per_epoch",
    "data_wait_share": "data_wait_share",
    "preprocess_share": "preprocess_share",
    "forward_share": "forward_share",
    "backward_share": "backward_share",
    "optimizer_share": "optimizer_share",
    "forward_images_per_second": "forward_images_per_second",
    "epoch_gap_seconds": "epoch_gap_seconds",
    "validation_seconds": "validation_seconds",
    "checkpoint_seconds": "checkpoint_seconds",
    "peak_memory_bytes": "peak_memory_bytes",
    "validation_memory_bytes": "validation_memory_bytes",
    "loaders_memory_bytes": "loaders_memory_bytes",
    "steps": "steps",
    "threads": "threads",
    "flags": "flags",
    "recipe": "recipe",
    "overrides_hash": "overrides_hash",
}
"""Columns of the table, and what the snapshot calls them."""


def rounded(figure: Any) -> Any:
    """A figure with six significant digits; text and whole numbers as they are."""
    return float(f"{figure:.6g}") if isinstance(figure, float) else figure


def drop_missing(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the rounded figures that are not missing."""
    return {name: rounded(figure) for name, figure in figures.items() if not pd.isna(figure) and figure != ""}


def case_figures(row: pd.Series) -> dict[str, Any]:
    """Figures of one row of the table."""
    return drop_missing({name: row[column] for column, name in COLUMNS.items()})


def ceiling_figures(ceiling: Ceiling) -> dict[str, Any]:
    """Figures of one search for the largest batch."""
    line = ceiling.memory_fit
    figures = {
        "batch": ceiling.case.batch,
        "status": ceiling.outcome.status.value,
        "stop_reason": ceiling.stop_reason,
        "limit_bytes": ceiling.limit_bytes,
        "max_batch": ceiling.max_batch,
        "recipe": ceiling.recipe.fingerprint,
        "environment": ceiling.environment.fingerprint,
    }
    fit = [line.base, line.slope, line.residual, line.points] if line else None
    probes = [
        [probe.batch, probe.fits, probe.stop_reason, probe.peak, probe.baseline_bytes] for probe in ceiling.probes
    ]
    return {**drop_missing(figures), "fit": fit, "probes": probes}


def estimate_figures(estimate: Estimate | None) -> list[Any] | None:
    """Log ratio, half of its interval, pairs."""
    return [rounded(estimate.log), rounded(estimate.half), estimate.pairs] if estimate else None


def finding_figures(finding: Finding) -> dict[str, Any]:
    """Figures of one case of a comparison."""
    memory = finding.memory
    return {
        "verdict": finding.verdict.value if finding.verdict else None,
        "estimate": estimate_figures(finding.judged.estimate if finding.judged else None),
        "interim": estimate_figures(finding.interim),
        "confirmation": estimate_figures(finding.confirmation),
        "memory": [memory.verdict.value, *estimate_figures(memory.estimate)] if memory else None,
        "images_per_second": [
            rounded(side.images_per_second) for side in (finding.base, finding.head) if side is not None
        ],
        "parts": {part.name: [rounded(part.base), rounded(part.head)] for part in finding.parts},
        "recipe": finding.compared.recipe.fingerprint,
    }


def comparison_figures(comparison: Comparison) -> dict[str, Any]:
    """Figures of one comparison."""
    result = evaluate(comparison)
    return {
        "conclusion": result.conclusion.value,
        "exit_code": int(exit_code(result)),
        "overall": estimate_figures(result.overall.estimate if result.overall else None),
        "order_effect": estimate_figures(result.order_effect),
        "environments": [side.environment.fingerprint for side in (comparison.base, comparison.head)],
        "settings": len(result.settings),
        "settings_of_one_side": len(result.one_sided_settings),
        "cases": {finding.id: finding_figures(finding) for finding in result.findings},
    }


def machines(*holders: Any) -> dict[str, Machine]:
    """Machines of records, ceilings and comparisons, by their fingerprints as the files have them."""
    return {holder.machine.fingerprint: holder.machine for holder in holders}


def read_examples() -> dict[str, Any]:
    """All figures, by the folder of the example."""
    examples: dict[str, Any] = {}
    for folder in EXAMPLES:
        records, complaints = store.read([folder])
        ceilings, more = store.read_ceilings([folder])
        comparisons, still_more = store.read_comparisons([folder])
        assert [*complaints, *more, *still_more] == []
        table = frame(records)
        examples[folder.name] = {
            "machines": sorted(machines(*records, *ceilings, *comparisons)),
            "cases": {
                records[place].case.id: {
                    **case_figures(row),
                    "environment": records[place].environment.fingerprint,
                }
                for place, row in table.iterrows()
            },
            "ceilings": {ceiling.name: ceiling_figures(ceiling) for ceiling in ceilings},
            "comparisons": [comparison_figures(comparison) for comparison in comparisons],
        }
    return examples


def written(examples: dict[str, Any]) -> str:
    """The snapshot as text: a line a case, a ceiling and a comparison."""
    lines = []
    for example, parts in examples.items():
        own = []
        for part, content in parts.items():
            if isinstance(content, dict) and content:
                inner = ",\n".join(f"   {json.dumps(key)}: {json.dumps(value)}" for key, value in content.items())
                own.append(f"  {json.dumps(part)}: {{\n{inner}\n  }}")
            else:
                own.append(f"  {json.dumps(part)}: {json.dumps(content)}")
        lines.append(f" {json.dumps(example)}: {{\n" + ",\n".join(own) + "\n }")
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    FILE.write_text(written(read_examples()), encoding="utf-8")
