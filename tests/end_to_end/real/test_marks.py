"""Taking the time costs nothing: the loop is Ultralytics' own, and every step does what it does in plain training.

Real training in this process, ours and plain, with every operation of torch counted.
"""

import gc
from collections import Counter
from itertools import pairwise

import msgspec
import pytest

from bench.cases.recipe import overrides_for
from bench.records.steps import Steps
from bench.selfcheck import instrumentation_overhead
from bench.worker.protocol import BlockEnded, CaseJob, Measured, PhaseBegan, PlainJob, RestMeasured, Window
from bench.worker.timing import instrumentation_overhead as worker_marks
from bench.worker.workloads import workloads
from tests.builders import make_record
from tests.worker.conftest import ultralytics  # noqa: F401

WAITS = ("_local_scalar_dense", "nonzero", "item", "equal", "is_nonzero", "masked_select", "_unique2", "synchronize")
"""Operations for which the host waits for the device."""


@pytest.fixture(scope="module")
def data(cache, ultralytics):  # noqa: F811
    from bench.worker.workloads.ultralytics import made_data

    return made_data.provide({"root": str(cache / "data"), "images": 16, "seed": 0})["yaml"]


@pytest.fixture(scope="module")
def spied(data):
    """Every trainer notes what each of its steps did: operations, optimizer, losses."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from ultralytics.models.yolo.detect import DetectionTrainer

    steps = []

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            steps[-1]["operations"][function.overloadpacket.__name__] += 1
            return function(*args, **(kwargs or {}))

    def begin(trainer=None):
        steps.append({"operations": Counter(), "optimizer": False, "loss": None})

    def end(trainer):
        items = trainer.loss_items
        with torch.utils._python_dispatch._disable_current_modes():
            values = items.values() if isinstance(items, dict) else items
            steps[-1]["loss"] = [float(value) for value in values]
        begin()

    made, stepped = DetectionTrainer.__init__, DetectionTrainer.optimizer_step

    def make(trainer, *arguments, **options):
        made(trainer, *arguments, **options)
        trainer.add_callback("on_train_batch_end", end)

    def optimizer_step(trainer):
        steps[-1]["optimizer"] = True
        stepped(trainer)

    def run(work):
        steps.clear()
        begin()
        with Counting():
            work()
        return steps[:-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DetectionTrainer, "__init__", make)
        patch.setattr(DetectionTrainer, "optimizer_step", optimizer_step)
        yield run


class RecordedChannel:
    """A channel that keeps what is sent."""

    def __init__(self):
        self.events = []

    def send(self, event):
        self.events.append(event)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


CASE = {"mode": "train", "model": "yolov8n", "device": "cpu", "amp": "off", "batch": 2, "imgsz": 64}


def fields(data, folder, nbs):
    scratch = folder / f"scratch{nbs}"
    scratch.mkdir()
    overrides = {**overrides_for("train"), "nbs": nbs}
    own = {"workload": "ultralytics", "case": CASE, "overrides": overrides, "threads": 0}
    return {**own, "data": data, "scratch": str(scratch)}


def ours(spied, data, folder, nbs, window, channel=None, **more):
    """Steps of a measured case, and what it sent."""
    from bench.worker.devices.cpu import Cpu
    from bench.worker.timing import session
    from bench.worker.workloads.ultralytics import train

    rule = Window(warmup_seconds=0.0, window_steps=window, window_seconds=0.0)
    channel = channel or RecordedChannel()
    # Other people's work may disturb, and nothing here is a speed.
    job = CaseJob(**fields(data, folder, nbs), window=rule, retry_noisy=False, **more)
    measured = session.Session(job, workloads()["ultralytics"], channel, Cpu())

    def work():
        with pytest.raises(session.WindowComplete):
            train.run(measured)

    steps = spied(work)
    [reading] = channel.of(Measured)
    return steps, msgspec.convert(reading.steps, Steps), reading


def run_plain(spied, data, folder, nbs, steps):
    """Steps of plain training, and what it sent."""
    from bench.worker.workloads.ultralytics import plain_train

    channel = RecordedChannel()
    asked = PlainJob(**fields(data, folder, nbs), warmup_steps=2, warmup_seconds=0.0, steps=steps, block=4)
    return spied(lambda: plain_train.run(asked, channel, None)), channel


@pytest.fixture(scope="module")
def both(spied, data, tmp_path_factory):
    """Ten steps of each, where the optimizer runs every fourth."""
    from bench.worker.workloads.sanity_checks import TrainingSanityChecks, loss_items

    calls = []

    def noting(name):
        look = getattr(TrainingSanityChecks, name)

        def note(works, trainer, *others):
            calls.append((name, trainer, trainer.tloss))  # read later: reading is counted
            return look(works, trainer, *others)

        return note

    with pytest.MonkeyPatch.context() as patch:
        for name in ("remember", "epoch_ended", "record_gradients", "record_scale", "finish"):
            patch.setattr(TrainingSanityChecks, name, noting(name))
        gc.freeze()
        measured, steps, reading = ours(spied, data, tmp_path_factory.mktemp("ours"), 8, 4)
        frozen = [gc.get_freeze_count()]
    gc.freeze()
    calls = [(name, list(loss_items(trainer, means).values())) for name, trainer, means in calls]
    unmeasured, channel = run_plain(spied, data, tmp_path_factory.mktemp("plain"), 8, 12)
    frozen.append(gc.get_freeze_count())
    return {
        "ours": measured,
        "plain": unmeasured,
        "steps": steps,
        "reading": reading,
        "calls": calls,
        "channel": channel,
        "frozen": frozen,
    }


def test_the_loop_is_ultralytics_own(ultralytics):  # noqa: F811
    from ultralytics.engine.trainer import BaseTrainer

    from bench.worker.workloads.ultralytics.train import trainer_class

    kind = trainer_class(None, None)
    assert kind._do_train is BaseTrainer._do_train
    assert kind.train is BaseTrainer.train
    own = {name for name in vars(kind) if callable(vars(kind)[name]) and hasattr(BaseTrainer, name)}
    assert own == {
        "get_model",
        "preprocess_batch",
        "optimizer_step",
        "_get_memory",
        "validate",
        "save_model",
        "final_eval",
    }


def test_losses_are_those_of_plain_training_to_the_last_digit(both):
    losses = {name: [step["loss"] for step in both[name]] for name in ("ours", "plain")}
    assert len(losses["ours"]) >= 9
    assert losses["ours"] == losses["plain"][: len(losses["ours"])]
    assert len({tuple(loss) for loss in losses["ours"]}) == len(losses["ours"])


def test_the_host_waits_as_often_as_in_plain_training(both):
    counted = {
        name: [sum(step["operations"][wait] for wait in WAITS) for step in both[name]] for name in ("ours", "plain")
    }
    window = slice(both["steps"].warmup, len(both["ours"]))
    assert min(counted["plain"]) > 0  # the loop's own log line reads the losses
    assert counted["ours"][window] == counted["plain"][window]


def test_every_timed_step_does_what_it_does_in_plain_training(both):
    for number in range(both["steps"].warmup, len(both["ours"])):
        measured, unmeasured = (both[name][number]["operations"] for name in ("ours", "plain"))
        assert measured == unmeasured
        assert sum(measured.values()) > 500


def test_while_warming_up_only_the_first_optimizer_step_does_more(both):
    more = [
        number
        for number in range(1, both["steps"].warmup)
        if both["ours"][number]["operations"] != both["plain"][number]["operations"]
    ]
    assert more == [3]  # its gradients are looked at


def test_training_is_looked_at_outside_of_the_window(both):
    """The optimizer runs in step 3, which warms up, and in step 7, which is timed; an epoch has eight steps."""
    looks = [name for name, _ in both["calls"]]
    assert looks == ["remember", "epoch_ended", "record_gradients", "record_scale", "epoch_ended", "finish"]


def test_an_epoch_turns_with_the_mean_losses_that_it_had(both):
    first, second = (means for name, means in both["calls"] if name == "epoch_ended")
    losses = [step["loss"] for step in both["plain"][:8]]
    assert first == []
    assert second == pytest.approx([sum(items) / 8 for items in zip(*losses, strict=True)], rel=1e-5)


def test_a_checkpoint_that_cannot_be_saved_costs_nothing_that_was_measured(spied, data, tmp_path, monkeypatch):
    from ultralytics.models.yolo.detect import DetectionTrainer

    def save_model(trainer):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DetectionTrainer, "save_model", save_model)
    channel = RecordedChannel()
    ours(spied, data, tmp_path, 8, 4, channel, with_val=True)
    *_, reading, rest, epoch_overhead = channel.events
    assert (type(reading), rest) == (Measured, PhaseBegan("rest"))
    assert epoch_overhead == RestMeasured(failed="OSError: [Errno 28] No space left on device")


def test_the_optimizer_runs_when_it_does_in_plain_training(both):
    for name in ("ours", "plain"):
        assert [number for number, step in enumerate(both[name]) if step["optimizer"]][:2] == [3, 7]
    assert both["steps"].optimizer == [3, 7]


def test_both_collect_garbage_at_the_cost_of_a_fresh_process(both):
    assert both["frozen"] == [0, 0]  # the parent of all workers froze what it had imported


def test_plain_training_is_reported_in_blocks_after_its_warm_up(both):
    blocks = both["channel"].of(BlockEnded)
    assert [block.steps for block in blocks] == [4, 4, 4]
    assert all(block.seconds > 0 for block in blocks)
    assert [phase.name for phase in both["channel"].of(PhaseBegan)] == ["warmup", "window"]


def test_real_accumulation_is_that_of_plain_training_wherever_a_window_has_whole_cycles(
    spied, data, tmp_path, monkeypatch
):
    measured, steps, _ = ours(spied, data, tmp_path, 16, 6)
    ran = [number for number, step in enumerate(measured) if step["optimizer"]]
    assert (steps.accumulation_steps, steps.timed_accumulation_steps, steps.warmup, len(steps.window)) == (8, 8, 8, 8)
    assert ran == steps.optimizer == [5, 13]  # every sixth step while it warms up
    assert steps.kinds.count(1) == 1
    (tmp_path / "plain").mkdir()
    unmeasured, _ = run_plain(spied, data, tmp_path / "plain", 16, 14)
    ran = [number for number, step in enumerate(unmeasured) if step["optimizer"]]
    assert {late - early for early, late in pairwise(ran)} == {8}


class Noted:
    """A session that notes the marks that it is given."""

    def __init__(self):
        self.marks = []

    def __getattr__(self, name):
        return lambda *arguments: self.marks.append((name, *arguments))


def test_marks_by_themselves_are_those_of_a_training_step(both):
    noted = Noted()
    worker_marks.step(noted)
    assert [arguments for name, *arguments in noted.marks if name == "phase_ended"] == [
        [p] for p in both["reading"].phases["seconds"]
    ]
    assert {"batch_arrived", "optimizer_stepped", "step_ended"} < {name for name, *_ in noted.marks}


def test_and_are_taken_by_a_session_whose_window_is_open(monkeypatch, ultralytics):  # noqa: F811
    monkeypatch.setattr(worker_marks, "STEPS", 20)
    channel = RecordedChannel()
    assert 0 < worker_marks.one_step(channel) < 1
    assert [phase.name for phase in channel.of(PhaseBegan)] == ["warmup", "window"]
    assert not channel.of(Measured)


def test_a_worker_reports_the_cost_of_marks(forking):
    overhead = instrumentation_overhead.cost(forking, [make_record()])
    assert "% of the shortest step" in overhead.figure
    assert float(overhead.figure.split()[0]) > 0
