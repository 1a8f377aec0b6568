"""``yolopace fleet --local 2`` measures real Ultralytics; its records are those of a run of one machine."""

import json

import pytest

from bench.records import store

pytest.importorskip("execnet")

CASE = ("--profile", "smoke", "--mode", "predict", "--device", "cpu", "--amp", "off", "--imgsz", "64")
FIGURES = (
    "started",
    "steps",
    "phases",
    "window",
    "discarded",
    "memory",
    "durations",
    "checks",
    "conditions",
    "device",
    "extra",
)
"""What differs between two measurements of one case."""


def test_two_agents_measure_what_one_machine_measures(command, tmp_path):
    options = (*CASE, "--batch", "1", "--model", "yolov8n", "--results", tmp_path / "fleet")
    code, out, err = command("-m", "bench", "fleet", "--local", "2", "--run", "r", *options)
    assert (code, [line for line in err.splitlines() if " to measure" not in line]) == (0, [])
    case = "predict-yolov8n-cpu-fp32-b1-i64"
    assert {line.partition(": ")[0] for line in out.splitlines()[:2]} == {f"local1 1/1 {case}", f"local2 1/1 {case}"}
    alone = ("--results", tmp_path / "alone", "--reports", tmp_path / "reports", "--run", "r-local1")
    code, _, err = command("-m", "bench", "run", *CASE, "--batch", "1", "--model", "yolov8n", *alone)
    assert code == 0, err
    ours = json.loads((tmp_path / f"fleet/r/local1/{case}.json").read_text())
    theirs = json.loads((tmp_path / f"alone/r-local1/{case}.json").read_text())
    assert list(ours) == list(theirs)
    assert {key: ours[key] for key in ours if key not in FIGURES} == {
        key: theirs[key] for key in theirs if key not in FIGURES
    }
    for part in FIGURES[1:]:
        assert type(ours[part]) is type(theirs[part])
        if isinstance(ours[part], dict) and part != "extra":
            assert list(ours[part]) == list(theirs[part])


def test_two_agents_search_for_a_ceiling(command, tmp_path):
    """The limit is below what torch itself takes, so that one probe ends the search."""
    options = ("--mode", "ceiling", "--device", "cpu", "--amp", "off", "--model", "yolov8n", "--imgsz", "64")
    limit = ("--multiple-of", "64", "--memory-limit", "120MiB", "--results", tmp_path)
    code, out, err = command("-m", "bench", "fleet", "--local", "2", "--run", "r", *options, *limit)
    assert code == 0, err
    name = "ceiling-yolov8n-cpu-fp32-i64-120MiB"
    lines = {f"local{number} 1/1 {name}: not even batch 64 trains" for number in (1, 2)}
    assert set(out.splitlines()[:2]) == lines
    ceilings, complaints = store.read_ceilings([tmp_path / "r" / "local1", tmp_path / "r" / "local2"])
    assert complaints == []
    assert [(ceiling.run, ceiling.outcome.status.value, ceiling.case.batch) for ceiling in ceilings] == [
        ("r-local1", "measured", 0),
        ("r-local2", "measured", 0),
    ]
    assert all([probe.batch for probe in ceiling.probes] == [64] for ceiling in ceilings)
