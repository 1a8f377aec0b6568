"""Several fresh processes of each case, and a precision, as a user asks for them."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.analysis.intervals import ci_between_processes
from bench.records import store

ROOT = Path(__file__).resolve().parents[3]
TRAIN, PREDICT = "train-yolov8n-cpu-fp32-b16-i64", "predict-yolov8n-cpu-fp32-b16-i64"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def run(cache, folder):
    def command(*arguments):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "YOLOPACE_CACHE": str(cache)},
            check=False,
        )

    return command


@pytest.fixture(scope="module")
def job(run, folder):
    places = ("--results", folder / "results", "--reports", folder / "reports", "-p", "no:cacheprovider")
    cases = ("--profile", "smoke", "--device", "cpu", "--model", "yolov8n", "--run", "mine")
    # So wide a precision is reached at once unless the machine is very busy; then the budget ends it.
    wanted = ("--processes", "2", "--target-ci", "100%", "--time-budget", "90s")
    saving = ("--benchmark-json", folder / "b.json")
    return run("-m", "pytest", "bench/", "--benchmark-only", *places, *cases, *wanted, *saving)


def test_each_process_has_its_line_and_says_what_all_know(job):
    assert job.returncode == 0, job.stdout + job.stderr
    lines = [line.split() for line in job.stdout.splitlines() if re.match(r" *(\d+/\d+|\+\d+) ", line)]
    assert [(line[1], line[3]) for line in lines[:4]] == [
        ("train", "off"),
        ("predict", "off"),
        ("train", "on"),
        ("predict", "on"),
    ]
    assert {line[3] for line in lines[4:]} == {"off"}
    assert job.stdout.count("process 2 of 2") == 2
    assert "2 of 4 cases measured in" in job.stdout
    assert "target-ci: " in job.stdout


def test_what_was_substituted_is_started_once(job, folder):
    records, complaints = store.read([folder / "results"])
    assert not complaints
    assert [r.process for r in records if r.case.amp == "on"] == [1, 1]
    assert {r.name for r in records if r.case.amp == "off"} >= {TRAIN, PREDICT, f"{TRAIN}--p2", f"{PREDICT}--p2"}


def test_the_table_has_one_row_a_case_with_the_interval_between_processes(job, run, folder):
    done = run("-m", "bench", "table", folder / "results", "--format", "csv")
    rows = {row["id"].rpartition("/")[2]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    records, _ = store.read([folder / "results"])
    assert len(rows) == 4
    for case in (TRAIN, PREDICT):
        rates = [
            r.steps.images_per_second for r in records if r.case.id == case and r.outcome.status.value == "measured"
        ]
        expected = ci_between_processes(rates)
        row = rows[case]
        assert row["interval_kind"] == f"between {len(rates)} processes"
        assert int(row["processes"]) == len(rates) >= 2
        row_interval = [float(row[f"images_per_second{end}"]) for end in ("_low", "", "_high")]
        assert row_interval == pytest.approx([expected.low, expected.point, expected.high])


def test_pytest_benchmark_has_a_row_a_process_that_was_planned(job, folder):
    benchmarks = json.loads((folder / "b.json").read_text())["benchmarks"]
    names = sorted((row["params"]["case_id"], row["extra_info"]["process"]) for row in benchmarks)
    assert names == [(PREDICT, 1), (f"{PREDICT}--p2", 2), (TRAIN, 1), (f"{TRAIN}--p2", 2)]
