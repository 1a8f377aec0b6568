"""The main job as a user runs it: ``pytest bench/ --benchmark-only``, and the commands on what it leaves behind."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.records import store

ROOT = Path(__file__).resolve().parents[3]
AXES = ("--profile", "smoke", "--device", "cpu", "--amp", "off,on", "--threads", "1")


def run(cache, *arguments):
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "YOLOPACE_CACHE": str(cache)},
        check=False,
    )


def bench(cache, folder, *arguments):
    places = ("--results", folder / "results", "--reports", folder / "reports", "-p", "no:cacheprovider")
    return run(cache, "-m", "pytest", "bench/", "--benchmark-only", *places, *arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("main-job")


@pytest.fixture(scope="module")
def main_job(cache, folder):
    saving = ("--benchmark-json", folder / "b.json", "--benchmark-autosave", "--benchmark-save-data")
    return bench(cache, folder, *AXES, *saving, f"--benchmark-storage=file://{folder / 'storage'}")


@pytest.fixture(scope="module")
def records(main_job, folder):
    run_records, complaints = store.read([folder / "results"])
    assert not complaints
    return {record.case.id: record for record in run_records}


def test_the_main_job_measures_and_says_where_the_report_is(main_job, folder):
    out = main_job.stdout
    assert main_job.returncode == 0, out + main_job.stderr
    assert "2 of 4 cases measured" in out
    report, records = (line.split()[1] for line in out.splitlines()[-2:])
    assert Path(report).is_file() and Path(records).is_dir()
    assert "images/s" in Path(report).read_text()


def test_one_line_of_progress_a_case(main_job):
    lines = [line.split() for line in main_job.stdout.splitlines() if line[1:3] == "/4"]
    assert [(line[1], line[3]) for line in lines] == [
        ("train", "off"),
        ("predict", "off"),
        ("train", "on"),
        ("predict", "on"),
    ]
    assert float(lines[0][4]) > 0 and lines[2][4] == "substituted"


def test_the_output_has_no_line_over_80_columns_but_paths(main_job, folder):
    lines = [line for line in main_job.stdout.splitlines() if str(folder) not in line]
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("yolopace ") and lines[0].endswith(" · smoke profile")
    assert not any("test session starts" in line or "benchmark '" in line for line in lines)


def test_run_is_the_same_as_pytest(cache, folder, main_job, tmp_path):
    places = ("--results", tmp_path / "results", "--reports", tmp_path / "reports")
    case = ("--profile", "smoke", "--device", "cpu", "--amp", "off", "--mode", "predict")
    done = run(cache, "-m", "bench", "run", *case, *places, "--benchmark-json", tmp_path / "b.json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == main_job.stdout.splitlines()[0]
    assert "Result · " in done.stdout and "1 of 1 cases measured" in done.stdout
    [row] = json.loads((tmp_path / "b.json").read_text())["benchmarks"]
    assert row["group"] == "predict, batch 16, 64 px: time of a step"


def test_what_was_not_run_stands_in_the_records_with_its_reason(records):
    substituted = records["train-yolov8n-cpu-amp-b16-i64"]
    assert substituted.outcome.status.value == "substituted"
    assert substituted.outcome.reason.startswith("amp on requested, amp off would run")
    assert substituted.steps is None


def test_rounds_of_pytest_benchmark_are_the_steps_of_the_record(records, folder):
    report = json.loads((folder / "b.json").read_text())
    assert {row["group"] for row in report["benchmarks"]} == {
        "train, batch 16, 64 px: time of a step",
        "predict, batch 16, 64 px: time of a step",
    }
    for row in report["benchmarks"]:
        record = next(r for r in records.values() if r.id == row["extra_info"]["record"])
        assert row["stats"]["data"] == record.steps.window
        assert row["extra_info"]["images_per_second"] == record.steps.images_per_second
        assert row["extra_info"]["process"] == 1
        assert row["extra_info"]["process_bytes"] == record.memory["process"].bytes
    assert report["machine_info"]["fingerprint"] == next(iter(records.values())).machine.fingerprint
    assert "node" not in report["machine_info"]


def test_pytest_benchmark_compares_what_it_saved(main_job, folder):
    [saved] = folder.glob("storage/*/*.json")
    program = Path(sys.executable).with_name("pytest-benchmark")
    done = subprocess.run(
        [program, f"--storage=file://{folder / 'storage'}", "compare"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "train-yolov8n-cpu-fp32-b16-i64" in done.stdout, saved


def test_table_has_a_row_a_record_and_epochs_that_add_up(main_job, cache, folder, records):
    done = run(cache, "-m", "bench", "table", folder / "results", "--format", "csv", "--epoch-images", "5000")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.returncode == 0
    assert len(rows) == len(records)
    for row in rows:
        if row["status"] == "measured":
            images = float(row["seconds_per_epoch"]) * float(row["images_per_second"])
            assert images == pytest.approx(5000)
            assert int(row["threads"]) == 1
        else:
            assert row["images_per_second"] == row["seconds_per_epoch"] == row["peak_memory_bytes"] == ""
            assert row["reason"]


def test_the_report_can_be_made_again(main_job, cache, folder):
    places = (folder / "results", "--output", folder / "again")
    done = run(cache, "-m", "bench", "report", *places, "--baseline", "batch=16")
    assert done.returncode == 0, done.stderr
    assert (folder / "again" / "index.html").is_file()
    assert (folder / "again" / "report.md").is_file()
    assert (folder / "again" / "cases.csv").is_file()
    assert list((folder / "again" / "plots").glob("*.svg"))


def test_resuming_a_finished_run_measures_nothing_again(main_job, cache, folder, records):
    done = bench(cache, folder, *AXES, "--resume", "last")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("measured before") == 2
    assert done.stdout.rstrip().splitlines()[-2].startswith("Report ")
    assert {r.id: r for r in store.read([folder / "results"])[0]} == {r.id: r for r in records.values()}


def test_resuming_takes_the_options_of_the_run(main_job, cache, folder, records):
    done = bench(cache, folder, "--resume", "last")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("measured before") == 2
    assert {r.id: r for r in store.read([folder / "results"])[0]} == {r.id: r for r in records.values()}


def test_resuming_in_another_way_is_refused(main_job, cache, folder, records):
    done = bench(cache, folder, *AXES[:-1], "2", "--resume", "last")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "was started with --threads 1: leave out --threads 2, or start a new run without --resume." in done.stderr


def test_data_that_cannot_be_used_is_one_sentence_and_leaves_nothing(cache, tmp_path):
    (tmp_path / "empty").mkdir()
    yaml = tmp_path / "empty.yaml"
    yaml.write_text(f"path: {tmp_path / 'empty'}\ntrain: .\nval: .\nnc: 1\n")
    done = bench(cache, tmp_path, *AXES, "--data", yaml)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"yolopace: data {yaml}: its 'train:' (" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert not (tmp_path / "results").exists()


def test_nothing_measured_is_exit_status_4(cache, tmp_path):
    done = bench(cache, tmp_path, "--profile", "smoke", "--device", "mps,7")
    assert done.returncode == 4, done.stdout + done.stderr
    assert "0 of 7 cases measured" in done.stdout
    again = run(cache, "-m", "bench", "report", tmp_path / "results", "--output", tmp_path / "again")
    assert again.returncode == 4
    assert "no case was measured" in again.stderr


def _amid_the_second_case(process, folder, seconds=120):
    """Wait until the first case has a record and the next one a worker; numbers of all that was started and lives then.

    Between two cases nothing is under way that could be interrupted: on a slow machine the page is made there.
    """
    before = set()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        living = {child.pid for child in psutil.Process(process.pid).children(recursive=True)}
        if not list(folder.glob("results/*/train-*.json")):
            before |= living
        elif living - before:
            time.sleep(0.5)
            return living
        time.sleep(0.02)
    pytest.fail("no second case began")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_ending_pytest_costs_one_case_and_leaves_no_process(cache, tmp_path, number):
    places = ("--results", tmp_path / "results", "--reports", tmp_path / "reports", "-p", "no:cacheprovider")
    axes = ("--profile", "full", "--device", "cpu", "--model", "yolov8n", "--batch", "16", "--amp", "off")
    sizes = ("--imgsz", "64,96,128,160")
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "bench/", "--benchmark-only", *map(str, (*places, *axes, *sizes))],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "YOLOPACE_CACHE": str(cache)},
        # A shell starts what runs in its background with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        started = _amid_the_second_case(process, tmp_path)
        process.send_signal(number)
        out, _ = process.communicate(timeout=180)
    finally:
        process.kill()
    deadline = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in started) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in started)
    records, complaints = store.read([tmp_path / "results"])
    assert not complaints
    assert records[0].outcome.status.value == "measured"
    if number != signal.SIGKILL:
        assert process.returncode == 2, out
        assert [r.outcome.status.value for r in records[1:]] == ["interrupted"]
        assert "\nReport " in out
        assert f"yolopace run --resume {records[0].run}" in out
        assert "Record(" not in out
    else:
        assert len(records) == 1
