"""The lines for Slurm in the documentation, run as they are typed, with programs in place of Slurm's."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bench.records import store
from bench.selfcheck import waiting_workload

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs/how-to/several-machines.md"
CASES = "--profile smoke --model wait10 --device cpu --amp off --imgsz 32"


def documented(beginning):
    """The documented lines that begin so, within code or between marks of code."""
    return re.findall(rf"^ *({beginning}.*)$", PAGE.read_text(), re.MULTILINE)


class Cluster:
    """A login node: a shared folder, and Slurm's commands."""

    def __init__(self, folder):
        self.folder, self.shared, self.jobs = folder, folder / "shared", folder / "jobs"
        programs = folder / "bin"
        for place in (self.shared, self.jobs, programs):
            place.mkdir()
        for name in ("sbatch", "srun", "scancel"):
            text = Path(__file__).with_name("fake_slurm.py").read_text()
            (programs / name).write_text(f"#!{sys.executable}\n{text}")
            (programs / name).chmod(0o755)
        path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "PATH": path, "FAKE_SLURM": str(self.jobs)}
        self.environment |= {"YOLOPACE_CACHE": str(folder / "cache"), "YOLOPACE_EXTENSIONS": waiting_workload.__file__}

    def type(self, line, batches="1"):
        """Type a line of the documentation, for cases that end in seconds and a folder of this test."""
        line = line.replace("--profile full", f"{CASES} --batch {batches}").replace("/shared", str(self.shared))
        return subprocess.run(
            ["sh", "-c", line], cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=120
        )

    def process(self, number):
        return psutil.Process(int((self.jobs / str(number) / "pid").read_text()))

    def wait(self, number):
        """Wait until a job has ended; return what it printed."""
        try:
            psutil.wait_procs([self.process(number)], timeout=120)
        except psutil.NoSuchProcess:
            pass
        return (self.folder / f"slurm-{number}.out").read_text()

    def records(self, run):
        return [record for record in store.read([self.shared / "results/a" / run])[0]]


@pytest.fixture
def cluster(tmp_path):
    return Cluster(tmp_path)


def measured(records):
    return sorted(record.case.batch for record in records if record.outcome.status.value == "measured")


def test_each_line_of_sbatch_measures_on_its_node_and_a_job_that_was_cut_off_goes_on(cluster):
    first, second, again = documented("sbatch ")
    assert "--nodelist=node01" in first and "--nodelist=node02" in second and "--resume node01" in again
    assert cluster.type(first, "1,2").stdout == "Submitted batch job 1\n"
    folder = cluster.shared / "results/a/node01"
    job = cluster.process(1)
    while not list(folder.glob("train-*.json")):
        assert job.is_running() and job.status() != psutil.STATUS_ZOMBIE, cluster.wait(1)
        time.sleep(0.05)
    started = [job, *job.children(recursive=True)]
    assert cluster.type("scancel 1").returncode == 0
    psutil.wait_procs(started, timeout=60)
    assert not [process for process in started if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert "--resume node01" in cluster.wait(1)
    before = measured(cluster.records("node01"))
    assert before and before != [1, 2]
    kept = {path.name: path.read_bytes() for path in folder.glob("train-*.json")}
    assert cluster.type(again).stdout == "Submitted batch job 2\n"
    cluster.wait(2)
    records = cluster.records("node01")
    assert measured(records) == [1, 2]
    for record in records:
        if record.case.batch in before:
            assert (folder / f"{record.name}.json").read_bytes() == kept[f"{record.name}.json"]
    assert cluster.type(second).stdout == "Submitted batch job 3\n"
    cluster.wait(3)
    assert measured(cluster.records("node02")) == [1]
    [report] = documented("yolopace report /shared")
    done = cluster.type(report)
    assert done.returncode == 0, done.stderr


def test_srun_waits_for_the_end(cluster):
    [line] = documented("srun ")
    done = cluster.type(line)
    assert done.returncode == 0, done.stdout + done.stderr
    assert measured(cluster.records("node01")) == [1]
