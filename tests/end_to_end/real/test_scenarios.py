"""Scenarios of prediction in real workers."""

import msgspec

from bench.analysis.latency import latencies, queue_latencies
from tests.end_to_end.real.conftest import run_one, tiny


def planned(**further):
    plan = tiny("predict", batch=1, further=tuple(sorted(further.items())))
    return msgspec.structs.replace(plan, recipe=msgspec.structs.replace(plan.recipe, window_steps=24, data_steps=4))


def test_a_server_counts_from_the_arrival(forking, tmp_path):
    record = run_one(forking, tmp_path, planned(scenario="server", arrival_rate=4))
    assert record.outcome.status.value == "measured", record.outcome.reason
    assert (record.effective["scenario"], record.effective["arrival_rate"]) == ("server", 4)
    steps = record.steps
    service = [second - wait for second, wait in zip(steps.window, steps.data_wait[steps.warmup :], strict=True)]
    latency = latencies(record)
    assert len(latency) == 24
    ends = [sum(steps.window[: number + 1]) for number in range(24)]
    arrivals = [end - late for end, late in zip(ends, latency, strict=True)]
    gaps = [second - first for first, second in zip([0.0, *arrivals], arrivals, strict=False)]
    modelled = queue_latencies(service, gaps)
    # A process that sleeps may wake up late, which only adds to a latency.
    assert all(late > model - 1e-3 for late, model in zip(latency, modelled, strict=True))


def test_offline_streams_a_list(forking, tmp_path):
    record = run_one(forking, tmp_path, planned(scenario="offline"))
    assert record.outcome.status.value == "measured", record.outcome.reason
    assert record.effective["scenario"] == "offline"
    assert len(record.steps.window) >= 24 and latencies(record) == []
    assert list(record.phases) == ["preprocess", "forward", "postprocess"]
