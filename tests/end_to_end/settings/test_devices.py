"""Devices, processes and threads."""

import os
from types import SimpleNamespace

import pytest

from bench.cases.axes import fixed_axes, parse_values
from bench.errors import UsageError
from bench.worker import effective_settings
from bench.worker.devices import open_device
from bench.worker.devices.cuda import Cuda
from bench.worker.devices.mps import Mps
from bench.worker.input_errors import explained
from bench.worker.timing.session import Session
from bench.worker.timing.turns import Turns
from bench.worker.workloads.ultralytics import isolation
from bench.worker.workloads.ultralytics.models import find_model
from bench.worker.workloads.ultralytics.train import arguments_of
from tests.end_to_end.real.conftest import run_one, tiny
from tests.end_to_end.settings.seen import ULTRALYTICS, refused, training


def test_mps_that_is_not_there_is_the_cpu_and_is_noticed(set_up):
    import torch

    if torch.backends.mps.is_available():
        pytest.skip("MPS is there")
    trainer = set_up(device="mps")
    assert trainer.device.type == "cpu"  # without an error
    runs = training(trainer, Mps())
    assert refused(runs, device="mps") == "device mps requested, device cpu would run."


@pytest.mark.parametrize("asked", ["", None])
def test_no_device_is_never_mps_so_that_a_case_names_one(monkeypatch, asked):
    import torch
    from ultralytics.utils.torch_utils import select_device

    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert select_device(asked, verbose=False).type in ("cpu", "cuda")
    for name in ("cpu", "mps", "0"):
        case = {"model": "yolov8n", "amp": "off", "batch": 1, "imgsz": 64}
        session = SimpleNamespace(case=case, overrides={}, data="", scratch="", device=open_device(name))
        assert arguments_of(session, find_model("yolov8n"))["device"] == name


@pytest.mark.parametrize("device", ["xpu", "npu:1"])
def test_a_device_that_ultralytics_does_not_have_is_unsupported(device):
    """It says so in other words from version to version; older ones take any word for a CUDA index."""
    from ultralytics.utils.torch_utils import select_device

    asked = open_device(device).device_argument
    with pytest.raises(ValueError, match="Invalid") as raised:
        select_device(asked, verbose=False)
    rejection = explained(raised.value)
    assert rejection is not None and (rejection.status, rejection.scope) == ("unsupported", ("device",))
    assert rejection.reason.startswith("This Ultralytics does not run on that device here: Invalid ")
    assert f"'device={asked}'." in rejection.reason


@pytest.mark.parametrize("text", ["-1", "-1,-1", "", "none", "auto"])
def test_an_idle_card_is_nothing_that_a_case_can_ask_for(text):
    with pytest.raises(UsageError):
        parse_values(fixed_axes()["device"], text)


def test_a_process_of_its_own_for_every_case(forking, tmp_path, monkeypatch):
    """Older Ultralytics hides all CUDA devices from a process that has used the CPU."""
    start, workers = forking.start, []

    def noted(job):
        worker = start(job)
        if job.kind == "case":
            workers.append(worker.pid)
        return worker

    monkeypatch.setattr(forking, "start", noted)
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    for batch in (1, 2):
        assert run_one(forking, tmp_path, tiny("predict", batch=batch)).outcome.status.value == "measured"
    assert len(set(workers)) == 2 and os.getpid() not in workers
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == before


def test_a_card_is_taken_before_ultralytics_can_hide_it(monkeypatch):
    """What Ultralytics before 8.4.120 writes into the variable comes after CUDA has started."""
    import torch

    started = []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(os.environ["CUDA_VISIBLE_DEVICES"].split(",")))
    monkeypatch.setattr(torch.cuda, "init", lambda: started.append(os.environ["CUDA_VISIBLE_DEVICES"]))
    card = Cuda("1")
    assert card.why_unusable() == ""
    assert started == ["7"]
    assert card.device_argument == "0"


def test_threads_are_set_after_ultralytics_has_set_its_own(set_up):
    import torch
    from ultralytics.utils import NUM_THREADS

    torch.set_num_threads(NUM_THREADS + 2)  # as OMP_NUM_THREADS or a container's limit would have it
    set_up()
    assert torch.get_num_threads() == NUM_THREADS

    for asked, runs in ((NUM_THREADS + 1, NUM_THREADS + 1), (0, NUM_THREADS)):
        Session.set_threads(SimpleNamespace(threads=asked, workload=ULTRALYTICS, _turns=Turns(None)))
        assert effective_settings.torch_settings()["threads"] == runs


def test_threads_of_openmp_and_opencv_are_read_back(trained):
    runs = trained.effective
    assert runs["variables"]["OMP_NUM_THREADS"] == os.environ.get("OMP_NUM_THREADS", "1")
    assert runs["opencv_threads"] in (0, 1)  # cv2.setNumThreads(0)
    assert runs["interop_threads"] >= 1


@pytest.mark.parametrize("name", ["MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "MallocNanoZone"])
def test_what_sets_the_allocator_is_read_back(monkeypatch, name):
    monkeypatch.setenv(name, "7")
    assert effective_settings.torch_settings()["variables"][name] == "7"


def test_nnpack_is_read_back(monkeypatch):
    """Ultralytics since 8.4.172 switches it off on a Mac's CPU, where it made large batches six times slower."""
    import torch
    from ultralytics.utils import torch_utils

    was = effective_settings.torch_settings()["nnpack"]
    monkeypatch.setattr(torch_utils, "MACOS", True)
    monkeypatch.setattr(torch_utils, "ARM64", True)
    try:
        torch_utils.select_device("cpu", verbose=False)
        assert effective_settings.torch_settings()["nnpack"] is False
    finally:
        torch.backends.nnpack.set_flags(True)
    assert effective_settings.torch_settings()["nnpack"] == was


@pytest.mark.parametrize("name", isolation.FOREIGN)
def test_what_a_batch_system_or_a_login_left_in_the_environment_is_taken_out(monkeypatch, tmp_path, name):
    """Ultralytics 8.4.0 takes any RANK for a part of distributed training and shards the data set."""
    monkeypatch.setattr(os, "environ", dict(os.environ, **{name: "1"}))
    isolation.before_import(str(tmp_path), network=False)
    assert name not in os.environ
