"""What Ultralytics would run in place of what was asked ends the case, with a reason, before the clock starts."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from bench.errors import UsageError
from tests.end_to_end.real.conftest import run_one, tiny
from tests.jobs import case_job


@pytest.mark.parametrize("mode", ["train", "predict"])
@pytest.mark.parametrize(
    ("axes", "status", "reason"),
    [
        (
            {"amp": "on"},
            "substituted",
            "amp on requested, amp off would run: Ultralytics offers no mixed precision",
        ),
        ({"amp": "bf16"}, "unsupported", "amp bf16 requested: "),
        ({"imgsz": 70}, "substituted", "imgsz 70 requested, imgsz 96 would run: sizes are rounded up"),
        (
            {"model": "yolov99n"},
            "unsupported",
            "model yolov99n: this Ultralytics does not know it: there is no such model: use ",
        ),
        (
            {"model": "yolov8s-worldv2"},
            "unsupported",
            "model yolov8s-worldv2: its last layer is WorldDetect, and only models of ",
        ),
    ],
)
def test_it_ends_with_a_reason_and_without_a_step(forking, tmp_path, mode, axes, status, reason):
    record = run_one(forking, tmp_path, tiny(mode, **axes))
    assert (record.outcome.status.value, record.steps) == (status, None)
    assert record.outcome.reason.startswith(reason)
    assert record.durations.warmup is None


@pytest.mark.parametrize("model", ["yolov10n", "yolov9t", "yolo26n"])
def test_models_whose_file_has_no_size_letter_and_those_that_do(forking, tmp_path, model):
    record = run_one(forking, tmp_path, tiny("predict", model=model, batch=1))
    assert record.outcome.status.value == "measured", record.outcome.reason


@pytest.mark.parametrize("mode", ["train", "predict"])
def test_weights_of_ones_own(forking, tmp_path, mode):
    weights = tmp_path / "best.pt"
    make = f"from ultralytics import YOLO; YOLO('yolo11n.yaml').save({str(weights)!r})"
    offline = {"YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", make], check=True, capture_output=True, env={**os.environ, **offline})
    record = run_one(forking, tmp_path, tiny(mode, model=str(weights)))
    assert record.outcome.status.value == "measured", record.outcome.reason
    assert record.effective["weights"] == "from file"
    assert record.case.id.startswith(f"{mode}-best.pt_")


def test_a_checkpoint_that_is_none_is_no_crash_and_its_log_has_the_whole_message(forking, tmp_path):
    (tmp_path / "best.pt").write_bytes(b"\x80\x02 and then nothing that pickle knows")
    record = run_one(forking, tmp_path, tiny("predict", model=str(tmp_path / "best.pt")))
    assert record.outcome.status.value == "unsupported"
    assert record.outcome.reason == (
        f"model {tmp_path / 'best.pt'}: it is damaged, or no checkpoint of PyTorch: get the file again."
    )
    assert "Traceback" in record.worker_output and "Unpickling" in record.worker_output


def test_what_fails_under_bf16_for_another_reason_says_that_reason(forking, tmp_path):
    record = run_one(forking, tmp_path, tiny(amp="bf16", batch=1, imgsz=32))
    assert "final batch=1 training" in record.outcome.reason


@pytest.mark.parametrize(("device", "word"), [("mps", "MPS"), ("7", "CUDA")])
def test_a_device_that_is_not_there(forking, tmp_path, device, word):
    record = run_one(forking, tmp_path, tiny(device=device))
    assert record.outcome.status.value == "unsupported"
    assert record.outcome.reason.startswith(f"device {device}: ")
    assert word in record.outcome.reason


@pytest.fixture
def small_set(tmp_path, cache, forking):
    """A user's own data set of four images, in folders."""
    from bench.runner.measure import find_data

    made = find_data(forking, tiny())
    pool = next(cache.glob("data/*/pool"))
    assert made["images"] == 128
    for split in ("train", "val"):
        for kind, suffix in (("images", "jpg"), ("labels", "txt")):
            folder = tmp_path / "own" / kind / split
            folder.mkdir(parents=True)
            for number in range(4):
                name = f"{number:04d}.{suffix}"
                (folder / name).write_bytes((pool / kind / name).read_bytes())
    yaml = tmp_path / "own.yaml"
    yaml.write_text(f"path: {tmp_path / 'own'}\ntrain: images/train\nval: images/val\nnc: 80\n")
    return str(yaml)


@pytest.mark.parametrize("mode", ["train", "predict"])
def test_a_batch_larger_than_the_data(forking, tmp_path, small_set, mode):
    record = run_one(forking, tmp_path, tiny(mode, data=small_set))
    assert record.outcome.status.value == "substituted"
    assert record.outcome.reason.startswith(
        "batch 16 requested, batch 4 would run: the dataset has fewer images than one batch"
    )


def test_a_small_set_of_ones_own_is_run_over_and_over(forking, tmp_path, small_set):
    record = run_one(forking, tmp_path, tiny(data=small_set, batch=2))
    assert record.outcome.status.value == "measured", record.outcome.reason
    assert record.data.name == "own.yaml"
    assert record.data.images == 4
    assert record.steps.accumulation_steps == 32
    assert len(record.steps.window) == record.steps.timed_accumulation_steps == 6  # the window was to have three steps
    assert len(record.steps.epoch_gaps) == 3  # an epoch has two


def test_channels_and_classes_of_a_data_set_are_those_of_both_networks(forking, tmp_path):
    cv2, numpy = pytest.importorskip("cv2"), pytest.importorskip("numpy")
    draw = numpy.random.default_rng(0)
    for split in ("train", "val"):
        for kind in ("images", "labels"):
            (tmp_path / "own" / kind / split).mkdir(parents=True)
        for number in range(2):
            planes = [draw.integers(0, 255, (64, 64), dtype=numpy.uint8) for _ in range(10)]
            cv2.imwritemulti(str(tmp_path / "own" / "images" / split / f"{number}.tiff"), planes)
            (tmp_path / "own" / "labels" / split / f"{number}.txt").write_text("0 0.4 0.4 0.3 0.3\n")
    yaml = tmp_path / "own.yaml"
    yaml.write_text(f"path: {tmp_path / 'own'}\ntrain: images/train\nval: images/val\nchannels: 10\nnames: [a, b]\n")
    for mode in ("train", "predict"):
        record = run_one(forking, tmp_path, tiny(mode, data=str(yaml), batch=2))
        assert record.outcome.status.value == "measured", record.outcome.reason
        assert (record.effective["channels"], record.effective["classes"]) == (10, 2), mode


@pytest.mark.parametrize("content", ["train: nowhere\nval: nowhere\nnc: 1\n", "nonsense", "train: [\n"])
def test_data_that_cannot_be_used(forking, tmp_path, content):
    yaml = tmp_path / "bad.yaml"
    yaml.write_text(content)
    with pytest.raises(UsageError, match=r"^data .*bad\.yaml: "):
        run_one(forking, tmp_path, tiny(data=str(yaml)))


def test_data_without_images(forking, tmp_path):
    for split in ("train", "val"):
        (tmp_path / "empty" / split).mkdir(parents=True)
    yaml = tmp_path / "empty.yaml"
    yaml.write_text(f"path: {tmp_path / 'empty'}\ntrain: train\nval: val\nnc: 1\n")
    with pytest.raises(UsageError, match="has no images"):
        run_one(forking, tmp_path, tiny(data=str(yaml)))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_forked_worker_that_is_killed(forking, tmp_path, monkeypatch, number):
    start = forking.start

    def doomed(job):
        worker = start(job)
        if job.kind == "case":
            threading.Timer(0.2, os.kill, (worker.pid, number)).start()
        return worker

    monkeypatch.setattr(forking, "start", doomed)
    record = run_one(forking, tmp_path, tiny())
    assert record.outcome.status.value == "failed"
    assert record.outcome.reason.startswith(f"The worker was killed by {number.name} while ")


def test_the_parent_of_the_workers_may_die_too(forking, tmp_path, monkeypatch):
    forking.wait()
    parent = forking.server().pid
    os.kill(parent, signal.SIGKILL)
    forking.server()._process.wait()
    record = run_one(forking, tmp_path, tiny())
    assert record.outcome.status.value == "measured", record.outcome.reason
    assert forking.server().pid != parent


def test_the_parent_may_die_between_two_cases_without_anyone_looking(forking, tmp_path):
    forking.wait()
    os.kill(forking.server().pid, signal.SIGKILL)
    record = run_one(forking, tmp_path, tiny())  # its socket may be broken before its end is seen
    assert record.outcome.status.value == "measured", record.outcome.reason


def test_workers_die_with_the_parent(forking, tmp_path):
    from bench.runner.launchers.local import ForkServerLauncher

    launcher = ForkServerLauncher(forking.interpreter)
    launcher.wait()
    worker = launcher.start(case_job(data="", scratch=str(tmp_path)))
    os.kill(launcher.server().pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            os.kill(worker.pid, 0)
        except ProcessLookupError:
            break
        time.sleep(0.05)
    else:
        pytest.fail("the worker outlived its parent")
    launcher.close()
