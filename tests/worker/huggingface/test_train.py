"""Training by the real Trainer at tiny sizes: what is measured, what is read back, and what ends a case."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bench.cases.recipe import overrides_for
from bench.worker.channel import Channel
from bench.worker.devices.cpu import Cpu
from bench.worker.protocol import (
    BlockEnded,
    CaseJob,
    Event,
    Measured,
    PhaseBegan,
    PlainJob,
    RestMeasured,
    SettingsRead,
    Window,
)
from bench.worker.rejection import CaseRejected
from bench.worker.timing.session import Session, WindowComplete
from bench.worker.workloads import find
from bench.worker.workloads.huggingface import first_losses, models, plain_train, predict, train
from bench.worker.workloads.huggingface.isolation import MPS_FALLBACK

transformers = pytest.importorskip("transformers", reason="the extra 'transformers' is not installed")
pytest.importorskip("accelerate", reason="the extra 'transformers' is not installed")

CASE = {"mode": "train", "model": "bert-tiny", "device": "cpu", "amp": "off", "batch": 4, "imgsz": 32}
OVERRIDES = overrides_for("train", model="bert-tiny")
STEPS = 3


class Recorder(Channel):
    """A channel that keeps what is sent."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def send(self, event: Any) -> None:
        self.events.append(event)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


class Elsewhere(Cpu):
    """A device that a case names, where the Trainer takes the CPU."""

    compare_losses = "never"

    def __init__(self, name: str) -> None:
        super().__init__("cpu")
        self.name = self.local_name = name


class Compared(Cpu):
    """A device whose first losses are compared with the CPU's."""

    compare_losses = "always"


def run(
    tmp_path: Path,
    on: Any = None,
    overrides: dict[str, Any] | None = None,
    source: str = "mrpc-like:16:0",
    **case: Any,
) -> tuple[Recorder, Session]:
    """Measure a case in this process; return what was sent, and the session."""
    job = CaseJob(
        workload="transformers",
        case={**CASE, **case},
        overrides={**overrides_for(case.get("mode", "train"), overrides or (), "bert-tiny"), **(overrides or {})},
        threads=1,
        window=Window(warmup_seconds=0.0, window_steps=STEPS, window_seconds=0.0),
        data=source,
        scratch=str(tmp_path),
        with_val=source.count(":") == 3,
        retry_noisy=False,
    )
    workload, channel = find("transformers"), Recorder()
    assert workload is not None
    session = Session(job, workload, channel, on or Cpu("cpu"))
    with pytest.raises(WindowComplete):
        workload.run(session)
    return channel, session


def rejected(tmp_path: Path, **arguments: Any) -> CaseRejected:
    """Measure a case that is rejected."""
    with pytest.raises(CaseRejected) as caught:
        run(tmp_path, **arguments)
    return caught.value


# Measured


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Measured, dict[str, Any], Path]:
    """Result and settings of one training, and its folder."""
    folder = tmp_path_factory.mktemp("scratch")
    channel, _ = run(folder)
    [result], [settings] = channel.of(Measured), channel.of(SettingsRead)
    return result, settings.settings, folder


def test_each_step_is_measured_with_its_phases(measured: tuple[Measured, dict[str, Any], Path]) -> None:
    result, _, _ = measured
    assert len(result.steps["seconds"]) - result.steps["warmup"] == STEPS
    assert result.steps["images"] == 4 and result.steps["accumulation_steps"] == 1
    assert len(result.steps["optimizer"]) == len(result.steps["seconds"]), "each step runs the optimizer"
    assert list(result.phases["seconds"]) == ["preprocess", "forward", "backward", "optimizer"]
    assert sum(result.steps["data_wait"]) > 0
    assert result.steps["epoch_gaps"], "four batches are an epoch"


def test_training_works(measured: tuple[Measured, dict[str, Any], Path]) -> None:
    result, _, _ = measured
    assert result.checks["moved"] == result.checks["with_gradient"] == result.checks["parameters"] == 41
    assert 0.3 < result.checks["loss"]["loss"] < 1.5
    assert result.checks["gradient_norm"] > 1.0, "before the Trainer clips it to 1"
    assert result.extra["gflops"] == pytest.approx(models.MODELS["bert-tiny"].gflops(32), abs=1e-4)


def test_every_fixed_argument_is_read_back(measured: tuple[Measured, dict[str, Any], Path]) -> None:
    _, settings, _ = measured
    assert {name: settings[name] for name in OVERRIDES} == OVERRIDES
    ran = {"device": "cpu", "amp": "off", "batch": 4, "imgsz": 32, "threads": 1, "images": 16, "parameters": 4_190_850}
    assert {name: settings[name] for name in ran} == ran
    assert (settings["attention"], settings["optimizer_impl"], settings["n_gpu"]) == ("sdpa", "fused", 0)


def test_nothing_is_written(measured: tuple[Measured, dict[str, Any], Path]) -> None:
    assert not list(measured[2].rglob("*"))


def test_hooks_are_gone_before_the_clock_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks: list[int] = []
    ready = Session.ready

    def look(session: Session, settings: Any, **options: Any) -> None:
        hooks.append(sum(len(module._forward_hooks) for module in model.modules()))
        ready(session, settings, **options)

    def keep(name: str, seed: int) -> Any:
        nonlocal model
        model = seeded(name, seed)
        return model

    model, seeded = None, train.seeded_model
    monkeypatch.setattr(train, "seeded_model", keep)
    monkeypatch.setattr(Session, "ready", look)
    run(tmp_path)
    assert hooks == [0]


def test_bf16_is_read_off_the_layers(tmp_path: Path) -> None:
    channel, session = run(tmp_path, amp="bf16")
    [settings] = channel.of(SettingsRead)
    assert (settings.settings["amp"], settings.settings["weights_dtype"]) == ("bf16", "float32")
    assert session.checks["loss_scale"] is None


def test_loader_processes_and_another_optimizer(tmp_path: Path) -> None:
    channel, _ = run(tmp_path, overrides={"workers": 1, "optimizer": "SGD"})
    [settings] = channel.of(SettingsRead)
    read = {name: settings.settings[name] for name in ("workers", "prefetch", "optimizer")}
    assert read == {"workers": 1, "prefetch": 2, "optimizer": "SGD"}


def test_gradients_of_all_batches_of_an_optimizer_step_are_accumulated(tmp_path: Path) -> None:
    channel, session = run(tmp_path, overrides={"accumulate": 2})
    [settings], [result] = channel.of(SettingsRead), channel.of(Measured)
    assert (settings.settings["accumulate"], settings.settings["gradient_accumulation_steps"]) == (2, 2)
    steps = result.steps
    assert (steps["accumulation_steps"], steps["timed_accumulation_steps"]) == (2, 2)
    assert (len(steps["seconds"]) - steps["warmup"]) % 2 == 0, "a window has whole cycles"
    assert steps["optimizer"] == list(range(1, len(steps["seconds"]), 2))
    _, alone = run(tmp_path)
    ratio = session.checks["gradient_norm"] / alone.checks["gradient_norm"]
    assert ratio > 1.2, "BERT does not divide its loss, so gradients of two batches add up"


def test_evaluation_and_a_checkpoint_are_timed_after_the_window(tmp_path: Path) -> None:
    channel, _ = run(tmp_path, source="mrpc-like:16:0:8")
    [rest] = channel.of(RestMeasured)
    assert not rest.failed and rest.values["validation_images"] == 8
    assert rest.values["validation"] > 0 and rest.values["checkpoint"] > 0
    assert rest.values["validation_memory"]["process"]["bytes"] > 2**20
    saved = [path.name for path in tmp_path.rglob("*") if path.is_file()]
    assert {"model.safetensors", "optimizer.pt", "trainer_state.json"} <= set(saved)


def test_bert_base_has_the_parameters_of_bert_base_cased() -> None:
    import torch

    with torch.device("meta"):
        model = models.build("bert-base")
    assert sum(p.numel() for p in model.parameters()) == 108_311_810


def test_the_operations_are_those_that_torch_counts() -> None:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    model = models.build("bert-tiny").eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model(input_ids=torch.full((1, 128), 5), attention_mask=torch.ones(1, 128, dtype=torch.long))
    assert counter.get_total_flops() / 1e9 == pytest.approx(models.MODELS["bert-tiny"].gflops(128), rel=0.01)


# Substituted


def test_fp16_on_a_cpu_is_ignored_and_noticed(tmp_path: Path) -> None:
    error = rejected(tmp_path, amp="on")
    assert (error.status, error.scope) == ("substituted", ("mode", "device", "amp"))
    assert error.reason == "amp on requested, amp off would run: the Trainer ignores fp16 on a CPU."


def test_a_device_is_no_argument_and_another_one_is_noticed(tmp_path: Path) -> None:
    error = rejected(tmp_path, on=Elsewhere("mps"), device="mps")
    assert (error.status, error.scope) == ("substituted", ("device",))
    assert error.reason.startswith("device mps requested, device cpu would run: the Trainer takes no device:")


def test_a_batch_for_several_cards_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A property plays a second card: the Trainer itself then multiplies the batch, and wraps the model."""
    monkeypatch.setattr(transformers.TrainingArguments, "n_gpu", property(lambda arguments: 2))
    reason = "batch 4 requested, batch 8 would run: the Trainer multiplies the batch by the number of cards that it"
    assert rejected(tmp_path).reason.startswith(reason)


def test_a_model_that_several_cards_share_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def wrap(trainer: Any, model: Any, *rest: Any, **named: Any) -> Any:
        return torch.nn.DataParallel(model)

    monkeypatch.setattr(transformers.Trainer, "_wrap_model", wrap)
    assert rejected(tmp_path).reason == (
        "data_parallel False requested, data_parallel True would run: the Trainer splits each batch over all cards "
        "that it sees."
    )


def test_an_integration_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Reporter(transformers.TrainerCallback):  # type: ignore[misc]
        pass

    monkeypatch.setattr(transformers.trainer, "DEFAULT_CALLBACKS", [*transformers.trainer.DEFAULT_CALLBACKS, Reporter])
    assert rejected(tmp_path).reason.startswith("integrations none requested, integrations Reporter would run:")


@pytest.mark.parametrize(("argument", "value"), [("logging_nan_inf_filter", False), ("max_grad_norm", 0.0)])
def test_an_argument_that_the_trainer_changes_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, argument: str, value: object
) -> None:
    validate = transformers.Trainer._validate_args

    def change(trainer: Any) -> None:
        validate(trainer)
        setattr(trainer.args, argument, value)

    monkeypatch.setattr(transformers.Trainer, "_validate_args", change)
    error = rejected(tmp_path)
    assert error.status == "substituted"
    assert error.reason == f"{argument} {OVERRIDES[argument]} requested, {argument} {value} would run."


def test_an_argument_that_changes_while_it_is_measured_is_invalid(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = train.Marks.step_ended

    def change(marks: Any) -> None:
        marks.trainer.args.max_grad_norm = 2.0
        step(marks)

    monkeypatch.setattr(train.Marks, "step_ended", change)
    error = rejected(tmp_path)
    assert (error.status, error.reason) == (
        "invalid",
        "Settings changed while they were measured: max_grad_norm from 1.0 to 2.0.",
    )


# Prediction


@pytest.mark.parametrize(("amp", "native"), [("off", False), ("bf16", True)])
def test_prediction_is_measured_in_the_trainers_own_loop(tmp_path: Path, amp: str, native: bool) -> None:
    channel, _ = run(tmp_path, mode="predict", amp=amp)
    [settings], [result] = channel.of(SettingsRead), channel.of(Measured)
    ran = {"device": "cpu", "amp": amp, "batch": 4, "imgsz": 32, "native_amp": native, "workers": 0, "training": False}
    assert {name: settings.settings[name] for name in ran} == ran
    assert list(result.phases["seconds"]) == ["preprocess", "forward", "postprocess"]
    assert result.steps["images"] == 4 and not result.steps["optimizer"]
    assert not list(tmp_path.rglob("*"))


def test_a_prediction_lasts_over_several_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predict, "BATCHES", 2)
    channel, _ = run(tmp_path, mode="predict")
    [result] = channel.of(Measured)
    assert len(result.steps["seconds"]) > 4 and result.steps["epoch_gaps"]


def test_fp16_prediction_on_a_cpu_is_noticed_too(tmp_path: Path) -> None:
    reason = "amp on requested, amp off would run: the Trainer ignores fp16 on a CPU."
    assert rejected(tmp_path, mode="predict", amp="on").reason == reason


# Unsupported and invalid


def test_a_precision_that_the_trainer_refuses_is_unsupported(tmp_path: Path) -> None:
    import torch

    if torch.accelerator.is_available():
        pytest.skip("the Trainer takes bf16 on an accelerator")
    error = rejected(tmp_path, on=Elsewhere("mps"), device="mps", amp="bf16")
    assert (error.status, error.scope) == ("unsupported", ("mode", "device", "amp"))
    assert error.reason.startswith("amp bf16 requested: Your setup doesn't support bf16")


def test_several_devices_are_unsupported(tmp_path: Path) -> None:
    class Two:
        size = 2

    session: Any = type("Double", (), {"case": {**CASE, "device": "0+1"}, "process_group": Two()})
    with pytest.raises(CaseRejected) as caught:
        train.run(session)
    assert caught.value.reason == "device 0+1: the workload transformers trains on one device."


def test_training_that_trains_nothing_is_invalid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.optim.AdamW, "step", lambda optimizer, closure=None: None)
    error = rejected(tmp_path)
    assert (error.status, error.reason.partition(" in ")[0]) == ("invalid", "Only 0 of 41 parameters moved")


# The CPU's losses, and accelerate's variable


def test_the_first_loss_is_compared_with_the_cpus(tmp_path: Path) -> None:
    _, session = run(tmp_path, on=Compared("cpu"))
    agreement = session.checks["cpu_agreement"]
    assert set(agreement["cpu"]) == {"loss", "gradient_norm"} and agreement["cpu"] == agreement["device"]


def test_another_first_loss_is_invalid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([{"loss": 0.7, "gradient_norm": 2.0}, {"loss": 0.8, "gradient_norm": 2.0}])
    monkeypatch.setattr(first_losses, "loss_and_gradient", lambda *_: next(losses))
    error = rejected(tmp_path, on=Compared("cpu"))
    assert error.reason == "Training on cpu computes something else than on the CPU: loss is 0.8 and on the CPU 0.7."


def test_the_copy_that_is_compared_has_no_dropout() -> None:
    model = train.seeded_model("bert-tiny", 0)
    copied = models.without_dropout(model)
    batch = train.made_tokens.load("mrpc-like:2:0", 16)
    inputs = transformers.default_data_collator([batch[0], batch[1]])
    first, again = (first_losses.loss_and_gradient(copied, "cpu", inputs) for _ in range(2))
    assert first == again
    assert model.config.hidden_dropout_prob == 0.1, "the model itself stays as it is"


@pytest.mark.parametrize("before", [None, "0"])
def test_the_variable_that_accelerate_sets_too_late_is_not_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    create = transformers.Trainer.create_accelerator_and_postprocess

    def set_it(trainer: Any) -> None:
        os.environ[MPS_FALLBACK] = "1"  # as accelerate does where the device is mps
        create(trainer)

    monkeypatch.setattr(transformers.Trainer, "create_accelerator_and_postprocess", set_it)
    monkeypatch.delenv(MPS_FALLBACK, raising=False)
    if before is not None:
        monkeypatch.setenv(MPS_FALLBACK, before)
    channel, _ = run(tmp_path)
    assert channel.of(SettingsRead)[0].settings["mps_fallback"] == "0"
    assert os.environ.get(MPS_FALLBACK) == before


# Plain training


def test_plain_training_reports_its_blocks(tmp_path: Path) -> None:
    job = PlainJob(
        workload="transformers",
        case=CASE,
        overrides=OVERRIDES,
        threads=1,
        data="mrpc-like:16:0",
        scratch=str(tmp_path),
        steps=4,
        block=2,
        warmup_steps=2,
        warmup_seconds=0.0,
    )
    channel = Recorder()
    plain_train.run(job, channel, None)
    assert [phase.name for phase in channel.of(PhaseBegan)] == ["warmup", "window"]
    assert [block.steps for block in channel.of(BlockEnded)] == [2, 2]
    assert all(block.seconds > 0 for block in channel.of(BlockEnded))
    assert not list(tmp_path.rglob("*"))
