"""What a probe of the largest batch says is the same in the next process, where the system lets it be."""

from __future__ import annotations

from itertools import combinations

import pytest

from bench.cases.case import Case
from bench.cases.device_kinds import kind_of
from bench.cases.plan import PlannedRun
from bench.ceiling.search import SearchRequest, memory_limit_of, provide_data, recipe, run_probe
from bench.environments.interpreter import inspect
from bench.runner.launchers.local import SpawnLauncher, open_launcher

SAME = 2**20
"""Bytes; the kernel itself counts pages in batches. Without fixed addresses peaks lie some MiB apart here."""


def test_the_peak_of_a_batch_is_that_of_the_next_process(cache):
    interpreter = inspect()
    question = SearchRequest(
        Case("ceiling", "yolov8n", "cpu", "off", 0, 64), granularity=64, max_batch=64, limit=4 * 2**30
    )
    data = provide_data(question, open_launcher(interpreter))
    peaks = []
    for batch in (8, 64, 64, 64):  # the first one reads labels that nobody has read before
        planned = PlannedRun(Case("train", "yolov8n", "cpu", "off", batch, 64), recipe(question))
        with memory_limit_of(kind_of("cpu"), question.limit) as hold:
            probe, effective = run_probe(
                planned, data, SpawnLauncher(interpreter, False, hold.apply, fixed_layout=True), hold, []
            )
        assert probe.outcome.status.value == "measured" and probe.peak is not None
        peaks.append(probe.peak)
    if effective["addresses"] == "random":
        pytest.skip("this system does not let a process choose where its memory lies")
    # On a busy machine one of them was 4 MiB off once; without fixed addresses no two are alike.
    assert min(abs(first - second) for first, second in combinations(peaks[1:], 2)) < SAME
    assert peaks[1] > peaks[0] + 50 * SAME
