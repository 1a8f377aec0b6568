"""Ceilings step by step, and by the search: ``python -m tests.exhaustive FILE``, most of an hour.

For each size and limit every multiple of the granularity is tried in a fresh process under a control group, from the
smallest on until two in a row do not fit; what fits into less memory is known to fit into more, and is not tried again.
Then the search of ``python -m bench ceiling`` does the same from nothing. Last, every batch that fits is tried again,
with random addresses, which says how well a peak can be predicted at all. ``tests/analysis/exhaustive.json`` is what
came out on the machine that it names, and ``tests/ceiling/test_batch_search.py`` holds the search against it.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from bench.cases.case import Case
from bench.cases.device_kinds import kind_of
from bench.cases.plan import PlannedRun
from bench.ceiling.batch_search import Search
from bench.ceiling.findings import edge
from bench.ceiling.search import (
    SearchRequest,
    SearchResult,
    memory_limit_of,
    provide_data,
    recipe,
    run_probe,
    search_largest_batch,
)
from bench.environments.interpreter import inspect
from bench.machine.fingerprint import machine
from bench.records.ceiling import Probe
from bench.runner.launchers.local import SpawnLauncher, open_launcher

GIB = 2**30
ASKED = (("yolov8n", 160, 8, (2, 3, 4)), ("yolov8n", 320, 2, (2, 3, 4)), ("yolo11n", 320, 4, (4,)))
"""Model, pixels a side, granularity, and limits in GiB: memory has room for four times as many images of half the side.
By an earlier draw of the first two the fit was chosen, and by the last one it is tested."""

MOST = 256
AMPLE = 8
"""GiB for what is tried once more, so that nothing ends it."""


def step_by_step(question: SearchRequest, data: dict[str, Any], first: int) -> list[Probe]:
    """Every batch from ``first`` on, until two in a row do not fit."""
    probes: list[Probe] = []
    interpreter = inspect()
    batch = first
    while batch <= question.max_batch and (len(probes) < 2 or any(probe.fits for probe in probes[-2:])):
        case = replace(question.case, mode="train", batch=batch)
        planned = PlannedRun(case, recipe(question))
        with memory_limit_of(kind_of("cpu"), question.limit) as hold:
            launcher = SpawnLauncher(interpreter, False, hold.apply, fixed_layout=True)
            probe, _ = run_probe(planned, data, launcher, hold, probes)
        probes.append(probe)
        print(f"  {batch}: {probe.stop_reason or probe.outcome.status.value} {probe.peak}", flush=True)
        batch += question.granularity
    return probes


def once_more(question: SearchRequest, data: dict[str, Any], batches: list[int]) -> list[dict[str, Any]]:
    """The peak of each batch in a process of random addresses."""
    peaks, interpreter = [], inspect()
    for batch in batches:
        planned = PlannedRun(replace(question.case, mode="train", batch=batch), recipe(question))
        with memory_limit_of(kind_of("cpu"), AMPLE * GIB) as hold:
            probe, _ = run_probe(planned, data, SpawnLauncher(interpreter, False, hold.apply), hold, [])
        print(f"  {batch}, random addresses: {probe.peak}", flush=True)
        peaks.append({"batch": batch, "peak": probe.peak})
    return peaks


def kept(probes: list[Probe]) -> list[dict[str, Any]]:
    """What a search looks at."""
    return [{"batch": p.batch, "fits": p.fits, "peak": p.peak, "base": p.baseline_bytes} for p in probes]


def main(file: Path) -> None:
    """Try all of it, and write the figures after every ceiling."""
    interpreter = inspect()
    results: dict[str, Any] = {
        "how": "python -m tests.exhaustive, each batch in a fresh process under a control group",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"fingerprint": machine().fingerprint, "title": machine().title},
        "torch": interpreter.environment.torch,
        "ultralytics": interpreter.environment.ultralytics,
        "ceilings": [],
        "again": [],
    }
    for model, imgsz, granularity, limits in ASKED:
        known, fitting = 0, []
        for limit in limits:
            case = Case("ceiling", model, "cpu", "off", 0, imgsz)
            question = SearchRequest(case, granularity, MOST, limit * GIB)
            launcher = open_launcher(interpreter)
            data = provide_data(question, launcher)
            print(f"{model}, {imgsz} px, {limit} GiB", flush=True)
            steps = step_by_step(question, data, known + granularity)
            fitting += [probe.batch for probe in steps if probe.fits]
            known = max(fitting, default=0)
            search, result = Search(granularity, MOST, float(limit * GIB)), SearchResult()
            search_largest_batch(question, search, data, interpreter, result, lambda probe: None)
            print(
                f"  step by step {known}, search {edge(search, result.probes)}, {len(result.probes)} probes", flush=True
            )
            results["ceilings"].append(
                {
                    "model": model,
                    "imgsz": imgsz,
                    "limit_gib": limit,
                    "granularity": granularity,
                    "largest": known,
                    "steps": kept(steps),
                    "search": kept(result.probes),
                }
            )
            file.write_text(json.dumps(results, indent=1) + "\n")
        again = once_more(question, data, fitting)
        results["again"].append({"model": model, "imgsz": imgsz, "steps": again})
        file.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
