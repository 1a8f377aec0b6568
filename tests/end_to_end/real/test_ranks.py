"""Two ranks on the CPU over gloo, started by torch.distributed.run: the path of several cards, with the real thing."""

import dataclasses
import importlib.util
import math
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from msgspec.structs import replace
from PIL import Image

from bench.records import store
from bench.records.outcome import Status
from bench.runner.jobs import case_job
from bench.runner.launchers.local import scratch_folder
from bench.runner.measure import find_data, run_job
from bench.runner.worker_process import WorkerExited
from bench.worker.protocol import SettingsRead, Window

from .conftest import run_one, tiny

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def record(forking, tmp_path_factory):
    return run_one(forking, tmp_path_factory.mktemp("ranks"), tiny(device="cpu+cpu", batch=32))


def test_both_ranks_trained_one_model(record):
    assert record.outcome.status is Status.MEASURED, record.outcome.reason + record.worker_output
    assert record.checks["ranks_agree"]
    first, second = record.extra["ranks"]
    for name, loss in record.checks["loss"].items():
        assert math.isfinite(first["loss"][name])
        assert math.isfinite(second["loss"][name])
        assert loss == pytest.approx((first["loss"][name] + second["loss"][name]) / 2, abs=1e-3)
    # Each had its own half of every batch.
    assert first["loss"] != second["loss"]
    assert first["images"] == second["images"] == 16 * len(record.steps.window)
    assert record.steps.window_images == first["images"] + second["images"]


UNCHANGED = dict.fromkeys(("mosaic", "hsv_h", "hsv_s", "hsv_v", "translate", "scale", "fliplr", "erasing"), 0.0)
"""Augmentation that is off: an image is the same in every batch."""


@pytest.fixture(scope="module")
def one_image(tmp_path_factory):
    """A data set of the same image again and again, so that each half of a batch is like the whole of it."""
    folder = tmp_path_factory.mktemp("one-image")
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for number in range(128):
        Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        (folder / "labels" / f"{number}.txt").write_text("0 0.5 0.5 0.5 0.5\n1 0.3 0.6 0.4 0.3\n")
    file = folder / "data.yaml"
    file.write_text(f"path: {folder}\ntrain: images\nval: images\nnames: [first, second]\n")
    return str(file)


@pytest.fixture(scope="module")
def small_model(tmp_path_factory):
    """YOLOv8 at the size of n, without a letter for it, which `scale` would be taken for."""
    # Found, not imported: its import would write settings into the home folder.
    package = Path(importlib.util.find_spec("ultralytics").origin).parent
    model = yaml.safe_load((package / "cfg/models/v8/yolov8.yaml").read_text())
    depth, width, _ = model.pop("scales")["n"]
    file = tmp_path_factory.mktemp("model") / "small.yaml"
    file.write_text(yaml.safe_dump({**model, "depth_multiple": depth, "width_multiple": width}))
    return str(file)


def test_two_ranks_train_as_one_process_does_with_the_same_total_batch(forking, one_image, small_model):
    """Rank 0 begins with seed 1, and its weights are those of all; a single process has the seed that it is given.

    That gradients are exchanged at all is what ``ranks_agree`` shows above: here both ranks would have the same.
    """

    def trained(device, seed):
        planned = tiny(device=device, batch=32, data=one_image, model=small_model)
        overrides = {**planned.recipe.overrides, **UNCHANGED, "seed": seed}
        planned = replace(planned, recipe=replace(planned.recipe, overrides=overrides))
        with scratch_folder() as scratch:  # and no window is taken again, so that all train the same steps
            job = dataclasses.replace(case_job(planned, find_data(forking, planned), scratch), retry_noisy=False)
            result = run_job(forking, job, 120.0)
        assert result.outcome.status is Status.MEASURED, result.outcome.reason
        return result.measured

    both, alone = trained("cpu+cpu", 0), trained("cpu", 1)
    assert len(both["steps"]["seconds"]) == len(alone["steps"]["seconds"]) == 8
    first, second = (rank["loss"] for rank in both["extra"]["ranks"])
    assert all(math.isfinite(loss) and loss > 0 for loss in first.values())
    assert first == pytest.approx(second, abs=2e-4)
    assert first == pytest.approx(alone["checks"]["loss"], rel=1e-3)
    norms = [run["checks"]["gradient_norm"] for run in (both, alone)]  # before they are clipped
    assert norms[0] == pytest.approx(norms[1], rel=1e-2)
    assert first != pytest.approx(trained("cpu", 2)["checks"]["loss"], rel=1e-3), "any training would do"


def test_what_ran_is_read_back(record):
    runs = record.effective
    assert (runs["device"], runs["batch"], runs["ranks"], runs["backend"]) == ("cpu+cpu", 32, 2, "gloo")
    assert (runs["sync_bn"], runs["find_unused_parameters"]) == (False, True)
    assert runs["accumulate"] == 2  # by the batch of all ranks
    assert runs["spawns_ddp"] is True  # from 8.0 on


def test_a_step_is_as_long_as_that_of_the_slowest_rank(record):
    slowest = max(rank["step_seconds"] for rank in record.extra["ranks"])
    assert sum(record.steps.window) == pytest.approx(slowest * len(record.steps.window), rel=1e-3)


def test_memory_of_the_machine_is_that_of_both(record):
    both = [rank["memory"]["process"] for rank in record.extra["ranks"]]
    assert record.memory["process"].bytes == sum(both)
    assert "sum of 2 ranks" in record.memory["process"].method


@pytest.mark.parametrize(
    ("axes", "sentence"),
    [
        ({"mode": "predict", "device": "cpu+cpu"}, "prediction runs on one device"),
        ({"device": "0+0"}, "device 0+0 names card 0 twice: each process needs a card of its own, as in 0+1."),
        ({"device": "2x1+0+1"}, "names card 1 twice"),
        ({"device": "cpu+cpu", "batch": 1}, "batch 1 has no image for each of 2 devices: use 2 or more."),
        ({"device": "2xcpu"}, "start it on each by `python -m bench node`"),
    ],
)
def test_what_several_devices_cannot_do_is_said_before_anything_starts(forking, tmp_path, axes, sentence):
    record = run_one(forking, tmp_path, tiny(**axes))
    assert record.outcome.status is Status.UNSUPPORTED
    assert sentence in record.outcome.reason
    assert (record.durations.setup, record.durations.total) == (None, 0.0)


@pytest.mark.parametrize("mode", ["train", "predict"])
def test_torch_itself_says_why_several_of_mps_cannot_train(forking, tmp_path, mode):
    record = run_one(forking, tmp_path, tiny(device="mps+mps", mode=mode))
    assert (record.outcome.status, record.outcome.scope) == (Status.UNSUPPORTED, ("device",))
    its = "trains on one mps: its backend for mps is gloo, which takes tensors of cpu and cuda alone."
    assert record.outcome.reason.startswith("device mps+mps: torch ") and record.outcome.reason.endswith(its)


def test_a_batch_that_ultralytics_rounds_down_is_substituted(forking, tmp_path):
    record = run_one(forking, tmp_path, tiny(device="cpu+cpu", batch=5))
    assert record.outcome.status is Status.SUBSTITUTED
    assert record.outcome.reason.startswith("batch 5 requested, batch 4 would run: the dataset has fewer")


def test_a_setting_that_is_substituted_ends_all_ranks(forking, tmp_path):
    record = run_one(forking, tmp_path, tiny(device="cpu+cpu", amp="on"))
    assert record.outcome.status is Status.SUBSTITUTED
    assert "amp on requested" in record.outcome.reason


@pytest.mark.skipif(os.path.exists("/proc/driver/nvidia"), reason="there are cards here")
def test_cards_that_are_not_there(forking, tmp_path):
    record = run_one(forking, tmp_path, tiny(device="0+1"))
    assert record.outcome.status is Status.UNSUPPORTED
    assert record.outcome.reason.startswith("device 0+1: ")
    assert record.outcome.scope == ("device",)


def test_a_rank_that_dies_ends_the_case_and_leaves_nothing_behind(forking, cache):
    planned = tiny(device="cpu+cpu", batch=32)
    data = find_data(forking, planned)
    with scratch_folder() as scratch:
        job = dataclasses.replace(case_job(planned, data, scratch), window=NEVER)
        worker = forking.start(job)
        try:
            while not isinstance(worker.next_event(120), SettingsRead):
                pass
            ranks = psutil.Process(worker.pid).children()
            assert len(ranks) == 2
            os.kill(ranks[0].pid, signal.SIGKILL)
            with pytest.raises(WorkerExited):
                while True:
                    worker.next_event(120)
        finally:
            worker.end(0.0)
    alive = [rank for rank in ranks if rank.is_running() and rank.status() != psutil.STATUS_ZOMBIE]
    assert not alive, "a rank outlived its case"


NEVER = Window(warmup_seconds=1e6, window_steps=10**6, window_seconds=1e6)


def test_two_machines_meet(cache, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def start(machine):
        asked = ["--device", "2xcpu", "--node-rank", machine, "--rdzv-endpoint", f"127.0.0.1:{port}", "--batch", 32]
        asked += ["--imgsz", 64, "--profile", "smoke", "--results", tmp_path / "results"]
        return subprocess.Popen(
            [sys.executable, "-m", "bench", "node", *map(str, asked)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "YOLOPACE_CACHE": str(cache)},
        )

    both = [start(0), start(1)]
    try:
        outputs = [process.communicate(timeout=180)[0] for process in both]
    finally:
        for process in both:
            process.kill()
    assert [process.returncode for process in both] == [0, 0], outputs
    assert "took part: the record is on node 0" in outputs[1]
    [record], complaints = store.read([tmp_path / "results"])
    assert not complaints
    assert record.case.device == "2xcpu"
    assert record.effective["ranks"] == 2
    assert record.checks["ranks_agree"]
