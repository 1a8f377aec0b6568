"""Extensions of all kinds, one file each, go from one command through a worker to the record, table and page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOYS = ("workload", "device", "axis", "metric", "section", "plot")
NEEDY = '''
def family(worker):
    class Needy(worker.workloads.Workload):
        """A workload whose library nobody has."""

        name = "needy"
        title = "Needy"
        data = "needy-data"
        further_axes = ("momentum",)
        requires = (worker.workloads.Requirement("library_that_is_missing", (1, 2), "missing-library"),)

        def claims(self, model):
            return model == "needy1"

    return Needy()


def register():
    from bench import worker
    from bench.worker import workloads

    workloads.register(family(worker))


def register_worker(worker):
    worker.workloads.register(family(worker))
'''


def run(*arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "YOLOPACE_CACHE": str(cache), "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True)


def extensions(*more: Path) -> list[str]:
    files = [*(Path(__file__).with_name(f"toy_{toy}.py") for toy in TOYS), *more]
    return [part for file in files for part in ("--extension", str(file))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results and reports of one run with all toys, and with a workload whose library is missing."""
    folder = tmp_path_factory.mktemp("toys")
    needy = folder / "needy_workload.py"
    needy.write_text(NEEDY)
    options = ["--profile", "smoke", "--model", "tiny,needy1", "--device", "toy", "--amp", "off"]
    options += ["--axis", "momentum=0,0.9"]
    places = ["--results", str(folder / "results"), "--reports", str(folder / "reports")]
    pytest_options = ["-m", "pytest", "bench/", "--benchmark-only", "-q", "-p", "no:cacheprovider"]
    done = run(*pytest_options, *extensions(needy), *options, *places, cache=folder / "cache")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def record_of(folder: Path, case: str) -> dict[str, Any]:
    [file] = (folder / "results").rglob(f"{case}.json")
    record: dict[str, Any] = json.loads(file.read_text())
    return record


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_case_goes_through_a_worker_to_its_record(folder: Path, momentum: float) -> None:
    record = record_of(folder, f"train-tiny-toy-fp32-b16-i64-momentum{momentum}")
    assert record["outcome"]["status"] == "measured"
    assert record["case"]["further"] == [["momentum", momentum]]
    assert record["effective"]["momentum"] == momentum, "read back from the optimizer"
    assert record["effective"]["device"] == "toy" and record["device"] == {"name": "Toy"}
    assert record["memory"]["allocated"]["method"] == "the toy has no memory and no allocator of its own"
    assert record["memory"]["process"]["bytes"] > 0
    assert record["checks"]["moved"] == record["checks"]["parameters"] == 4
    assert set(record["phases"]) == {"preprocess", "forward", "backward", "optimizer"}
    assert record["data"]["name"] == record["recipe"]["data"] == "toy-vectors"
    units = {"unit": "vector", "size_unit": "numbers", "epoch_items": 10_000}
    assert record["extra"]["workload"] == {"name": "toy", **units}
    assert {f"toy_{toy}" for toy in TOYS} < set(record["extra"]["extensions"])


def test_a_workload_without_its_library_is_unsupported_and_the_other_cases_go_on(folder: Path) -> None:
    outcome = record_of(folder, "train-needy1-toy-fp32-b16-i64-momentum0.0")["outcome"]
    assert outcome["status"] == "unsupported"
    assert outcome["reason"].endswith("install missing-library>=1.2 there.")


def test_modes_that_a_workload_does_not_have_are_no_cases(folder: Path) -> None:
    assert not list((folder / "results").rglob("predict-*.json"))


def test_the_table_has_the_axis_and_the_metric(folder: Path) -> None:
    table = ["-m", "bench", "table", str(folder / "results"), "--format", "json"]
    done = run(*table, *extensions(), cache=folder / "cache")
    assert done.returncode == 0, done.stderr
    rows = {(row["model"], row["momentum"]): row for row in json.loads(done.stdout)}
    for momentum in (0.0, 0.9):
        row = rows["tiny", momentum]
        assert (row["device"], row["mode"], row["status"], row["workload"]) == ("toy", "train", "measured", "toy")
        assert row["images_per_second"] > 0 and row["toy_step_spread"] > 0
        assert (row["unit"], row["size_unit"], row["epoch_images"]) == ("vector", "numbers", 10_000)
    assert rows["needy1", 0.0]["toy_step_spread"] is None


def test_the_page_has_the_section_and_the_plot(folder: Path) -> None:
    [page] = (folder / "reports").rglob("index.html")
    text = page.read_text().replace("\N{NO-BREAK SPACE}", " ")
    assert "64 numbers" in text and "vectors/s" in text and "10,000 vectors per epoch" in text
    assert "Toy: warm-up" in text and "Toy: all steps" in text
    assert len(list((page.parent / "plots").glob("*toy-steps.svg"))) == 1, "not of what was not measured"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (["--momentum", "2"], "momentum '2' is not allowed: use a number of at least 0 and below 1, such as 0.9."),
        (["--workers", "2"], "axis 'workers' is not taken by the workload toy: it takes threads, lr, momentum"),
    ],
)
def test_a_value_that_an_extension_does_not_take_is_one_sentence(
    tmp_path: Path, values: list[str], sentence: str
) -> None:
    plan = ["-m", "bench", "plan", "--profile", "smoke", "--mode", "train", "--model", "tiny", "--device", "toy"]
    done = run(*plan, *extensions(), *values, "--results", str(tmp_path / "results"), cache=tmp_path / "cache")
    assert done.returncode == 2
    assert f"yolopace: {sentence}" in done.stderr and "Traceback" not in done.stderr
