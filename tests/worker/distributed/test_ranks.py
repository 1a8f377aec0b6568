"""One rank of several: what it tells the runner, and what it changes of Ultralytics' trainer."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from bench.worker.devices import kinds
from bench.worker.distributed import parallel, ranks
from bench.worker.distributed.process_group import SingleProcess
from bench.worker.protocol import JobEnded, Measured, PhaseBegan, SettingsRead
from bench.worker.rejection import CaseRejected
from bench.worker.timing.stopwatch import MeasurementPlan, Stopwatch
from bench.worker.workloads.ultralytics import ddp, isolation


class EventPipe:
    """A pipe in place of the line to the runner."""

    def __init__(self) -> None:
        self.read, self.write = os.pipe()

    def events(self) -> list[str]:
        os.close(self.write)
        with os.fdopen(self.read) as lines:
            return [json.loads(line)["event"] for line in lines]


@pytest.fixture
def pipe(monkeypatch: pytest.MonkeyPatch) -> Iterator[EventPipe]:
    pipe = EventPipe()
    monkeypatch.setattr(ranks, "LINE", pipe.write)
    yield pipe


@pytest.mark.parametrize(
    ("rank", "local", "events"),
    [
        (0, 0, ["phase", "effective", "measured", "ended", "ended"]),
        (1, 1, ["ended"]),  # that it is over for one of them ends nothing, but that one failed does
        (2, 0, ["phase", "ended", "ended"]),  # the first of another machine: its runner wants to know how far it is
        (3, 1, ["ended"]),
    ],
)
def test_which_rank_sends_which_events(pipe: EventPipe, rank: int, local: int, events: list[str]) -> None:
    line = ranks.channel_for(rank, local)
    for event in (PhaseBegan("warmup"), SettingsRead({}), Measured({}, {}, {}), JobEnded("measured")):
        line.send(event)
    line.send(JobEnded("failed", "It broke."))
    assert pipe.events() == events


def test_a_rank_keeps_its_number_and_a_process_that_is_alone_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("YOLO_CONFIG_DIR", "YOLO_AUTOINSTALL", "YOLO_OFFLINE", "PYTORCH_NVML_BASED_CUDA_CHECK", "WANDB_MODE"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # else torch makes that folder where a later test compiles
    for name in isolation.FOREIGN:
        monkeypatch.setenv(name, "1")
    isolation.before_import("config", network=False, alone=False)
    assert [os.environ.get(name) for name in isolation.RANK] == ["1", "1", "1"]
    assert "ULTRALYTICS_API_KEY" not in os.environ
    isolation.before_import("config", network=False)
    assert not any(name in os.environ for name in isolation.FOREIGN)


class Trainer:
    """What Ultralytics' trainer does where it is a rank: it counts the cards of this machine."""

    def __init__(self) -> None:
        self.world_size = 2
        self.ddp = True
        self.calls: list[Any] = []

    def _setup_ddp(self, *arguments: Any) -> None:
        self.calls.append(("_setup_ddp", arguments, self.world_size))

    def _setup_train(self, *arguments: Any) -> None:
        self.calls.append(("_setup_train", arguments))


def session(kind: str, size: int = 4, all_gather: Any = lambda value: [value]) -> Any:
    process_group = SimpleNamespace(rank=1, size=size, all_gather=all_gather)
    return SimpleNamespace(
        process_group=process_group, device=SimpleNamespace(on_host=kinds()[kind].on_host), checks={}
    )


def test_on_cuda_all_is_ultralytics_own_but_the_number_of_ranks() -> None:
    trainer = ddp.as_rank(Trainer, session("cuda"))()
    assert (trainer.world_size, trainer.ddp) == (4, False)
    trainer._setup_ddp()
    trainer._setup_ddp(2)  # older versions hand the number over
    trainer._setup_train()
    assert trainer.calls == [("_setup_ddp", (), 4), ("_setup_ddp", (2,), 4), ("_setup_train", ())]


def test_on_the_cpu_no_device_is_named_and_torch_is_put_back() -> None:
    from torch.nn import parallel as torch_parallel

    stock = torch_parallel.DistributedDataParallel
    with ddp.without_device_ids():
        assert issubclass(torch_parallel.DistributedDataParallel, stock)
        assert torch_parallel.DistributedDataParallel is not stock
    assert torch_parallel.DistributedDataParallel is stock


def test_ranks_whose_parameters_differ_trained_nothing_together() -> None:
    from torch.nn import Linear

    trainer = SimpleNamespace(model=Linear(3, 2))
    alike = session("cpu", all_gather=lambda value: [value, value])
    parallel.agree(trainer.model, alike)
    assert alike.checks == {"ranks_agree": True}
    apart = session("cpu", all_gather=lambda value: [value, [parameter + 1e-2 for parameter in value]])
    with pytest.raises(CaseRejected, match="The parameters of the 2 ranks differ"):
        parallel.agree(trainer.model, apart)
    assert apart.checks == {"ranks_agree": False}


def test_an_older_ultralytics_that_counts_cards_over_all_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    def older(self: Any) -> None:
        print(RANK)  # type: ignore[name-defined]  # noqa: F821

    def newer(self: Any) -> None:
        print(LOCAL_RANK)  # type: ignore[name-defined]  # noqa: F821

    monkeypatch.setenv("LOCAL_RANK", "1")
    ddp.check_card(older, 1)  # the first machine
    ddp.check_card(newer, 3)
    with pytest.raises(CaseRejected, match="trains on one machine alone"):
        ddp.check_card(older, 3)


def test_ranks_time_the_same_steps() -> None:
    """Rank 0 says when warm-up is over and how long a window is; by its own clock this one would do otherwise."""
    moments = iter(range(1000))
    broadcasts = iter([False, False, True, (3, 6)])
    met: list[int] = []
    watch = Stopwatch(
        MeasurementPlan(accumulation_steps=3, warmup_seconds=0.0, window_steps=1, window_seconds=0.0, settled_after=0),
        clock=lambda: float(next(moments)),
        shared=True,
        broadcast=lambda mine: next(broadcasts),
        on_begin=lambda: met.append(1),
    )
    watch.start()
    complete = []
    while not any(complete):
        watch.batch_arrived()
        complete.append(watch.step_ended(4))
    assert watch.windows == [[3, 9]]
    assert (watch.timed_accumulation_steps, watch.planned_steps) == (3, 6)
    assert met == [1]


def test_one_process_settles_all_by_itself() -> None:
    process_group = SingleProcess()
    process_group.init()
    process_group.barrier()
    assert (process_group.broadcast(5), process_group.all_gather("x"), process_group.rank, process_group.size) == (
        5,
        ["x"],
        0,
        1,
    )
