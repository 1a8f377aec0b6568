"""Several devices in one case: what is refused, what is read back, and real DataParallel over replicas on the CPU."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from bench.cases.axes import find_axis
from bench.worker.channel import Channel
from bench.worker.devices.cpu import Cpu
from bench.worker.distributed import parallel
from bench.worker.protocol import CaseJob, Measured, RequestedAxis, SettingsRead, Window
from bench.worker.rejection import CaseRejected
from bench.worker.timing.session import Session, WindowComplete
from bench.worker.workloads import find
from bench.worker.workloads.reference import made_data
from bench.worker.workloads.reference.loaders import make_loader
from bench.worker.workloads.reference.models import MNIST, MODELS

SETUP = MODELS["lstm256"].setups[28]


def requested(value: str) -> RequestedAxis:
    axis = find_axis("parallel")
    return RequestedAxis("parallel", value, [], axis.setting, axis.expected(value))


def job_of(device: str, value: str, **changes: Any) -> CaseJob:
    case = {"mode": "train", "model": "lstm256", "device": device, "amp": "off", "batch": 8, "imgsz": 28}
    asked = [requested(value)] if value else []
    settings: dict[str, Any] = {"data": "", "scratch": "", **find_axis("parallel").job(value), **changes}
    window = Window(warmup_seconds=0.0, window_steps=2, window_seconds=0.0)
    return CaseJob("torch", case, {"shuffle": True, "drop_last": True}, 1, window, asked=asked, **settings)


# What is refused


@pytest.mark.parametrize(
    ("device", "value", "family", "reason"),
    [
        ("0+1", "dp", "torch", ""),
        ("cpu+cpu", "ddp", "torch", ""),
        ("cpu+cpu", "", "torch", ""),
        ("2x0", "ddp", "torch", ""),
        ("cpu", "dp", "torch", "parallel dp requested: device cpu is one device; name several, as in 0+1."),
        ("0", "ddp", "torch", "parallel ddp requested: device 0 is one device; name several, as in 0+1."),
        ("0+1", "dp", "ultralytics", "parallel dp requested: Ultralytics trains by one process per device only."),
        (
            "cpu+cpu",
            "dp",
            "torch",
            "parallel dp requested: torch's DataParallel does nothing on cpu; use parallel ddp.",
        ),
    ],
)
def test_what_a_case_cannot_have_is_unsupported(device: str, value: str, family: str, reason: str) -> None:
    workload, devices = find(family), device.removeprefix("2x").split("+")
    assert workload is not None
    try:
        parallel.check(job_of(device, value), workload, devices, indexed=devices[0].isdigit())
    except CaseRejected as error:
        assert (error.status, error.reason) == ("unsupported", reason)
        assert "parallel" in error.scope
    else:
        assert not reason


def test_torch_itself_takes_no_device_where_there_is_no_accelerator() -> None:
    if torch.accelerator.is_available():
        pytest.skip("this machine has an accelerator")
    model = torch.nn.DataParallel(torch.nn.Linear(2, 2))
    assert model.device_ids == []
    assert parallel.wrapper(model) is None
    assert parallel.devices_of(model, Cards("0+1")) == "0"


# DataParallel


class Cards(Cpu):
    """Cards 0 and 1, which are the CPU."""

    indexed = True

    def __init__(self, name: str = "0+1") -> None:
        super().__init__(name)
        self.indices, self.taken, self.local_name = [0, 1], 2, "cpu"

    @property
    def torch_device(self) -> str:
        return "cpu"

    @classmethod
    def called(cls, index: int) -> str:
        return str(index)


class OnCpu(torch.nn.DataParallel):  # type: ignore[misc]
    """DataParallel whose replicas are on the CPU: torch's own forward pass over a batch that is split and gathered."""

    sizes: ClassVar[list[list[int]]] = []
    takes = 2

    def __init__(self, module: Any, device_ids: list[int]) -> None:
        torch.nn.Module.__init__(self)
        self.module, self.device_ids = module, device_ids[: self.takes]
        self.dim, self.output_device, self.src_device_obj = 0, 0, torch.device("cpu")

    def scatter(self, inputs: Any, kwargs: Any, device_ids: Any) -> Any:
        parts = [(part,) for part in inputs[0].chunk(len(device_ids))]
        self.sizes.append([len(part) for (part,) in parts])
        return parts, [{} for _ in parts]

    def replicate(self, module: Any, device_ids: Any) -> Any:
        return [module for _ in device_ids]

    def parallel_apply(self, replicas: Any, inputs: Any, kwargs: Any) -> Any:
        return [replica(*each) for replica, each in zip(replicas, inputs, strict=True)]

    def gather(self, outputs: Any, output_device: Any) -> Any:
        return torch.cat(outputs)


class Events(Channel):
    """A channel that keeps events."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def send(self, event: Any) -> None:
        self.events.append(event)

    def of(self, kind: type[Any]) -> Any:
        return next(event for event in self.events if isinstance(event, kind))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setitem(made_data.ARRAYS, MNIST, (64, *made_data.ARRAYS[MNIST][1:]))
    return str(made_data.provide(MNIST, str(tmp_path), 32, 0)["source"])


def measure(source: str) -> Events:
    workload, channel = find("torch"), Events()
    assert workload is not None
    job = job_of("0+1", "dp", data=source, retry_noisy=False)
    with pytest.raises(WindowComplete):
        workload.run(Session(job, workload, channel, Cards()))
    return channel


def test_a_batch_is_split_over_the_devices_and_read_back(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.parallel, "DataParallel", OnCpu)
    monkeypatch.setattr(OnCpu, "sizes", [])
    channel = measure(source)
    settings, result = channel.of(SettingsRead).settings, channel.of(Measured)
    read = {name: settings[name] for name in ("device", "parallel", "ranks", "batch", "architecture")}
    assert read == {
        "device": "0+1",
        "parallel": "DataParallel",
        "ranks": 1,
        "batch": 8,
        "architecture": MODELS["lstm256"].architecture,
    }
    assert [4, 4] in OnCpu.sizes, "each device has half of a batch"
    assert result.steps["images"] == 8 and result.checks["moved"] == result.checks["parameters"] > 0


def test_data_parallel_that_takes_one_device_is_substituted(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.parallel, "DataParallel", OnCpu)
    monkeypatch.setattr(OnCpu, "takes", 1)
    with pytest.raises(CaseRejected) as caught:
        measure(source)
    assert (caught.value.status, caught.value.reason) == (
        "substituted",
        "device 0+1 requested, device 0 would run.",
    )


# Ranks


def test_ranks_share_the_items_and_the_batch(source: str) -> None:
    case = {"batch": 8, "imgsz": 28}
    loaders = [make_loader(source, SETUP, case, torch.device("cpu"), 0, True, rank, 2) for rank in (0, 1)]
    assert [(loader.batch_size, len(loader)) for loader in loaders] == [(4, 4), (4, 4)]
    first = [list(loader.sampler) for loader in loaders]
    assert sorted(first[0] + first[1]) == list(range(32))
    loaders[0].sampler.set_epoch(1)
    assert list(loaders[0].sampler) != first[0]


def test_the_wrapper_is_named_whatever_its_subclass() -> None:
    assert parallel.wrapper(torch.nn.Linear(1, 1)) is None
    assert parallel.wrapper(SimpleNamespace(_orig_mod=torch.nn.Linear(1, 1))) is None
    distributed = type("Own", (torch.nn.parallel.DistributedDataParallel,), {"__init__": torch.nn.Module.__init__})
    assert parallel.wrapper(distributed()) == "DistributedDataParallel"
