"""Real loops on a CPU, of a second each: precisions as they are read back, accumulation, and what is refused."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.worker.devices import open_device
from bench.worker.protocol import (
    BlockEnded,
    CaseJob,
    Event,
    JobEnded,
    Measured,
    PlainJob,
    RequestedAxis,
    SettingsRead,
    Window,
)
from bench.worker.rejection import CaseRejected
from bench.worker.tasks import run
from bench.worker.workloads.base import family_of
from bench.worker.workloads.reference import loop as loop_module
from bench.worker.workloads.reference import made_data, read_settings, train
from bench.worker.workloads.reference.loop import Loop
from bench.worker.workloads.reference.models import MODELS

WINDOW = Window(warmup_seconds=0.0, window_steps=2, window_seconds=0.0)


class Events:
    """A channel that keeps events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def send(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Any]) -> Any:
        return next((event for event in self.events if isinstance(event, kind)), None)


def case_of(model: str, **changes: Any) -> dict[str, Any]:
    size = MODELS[model].natural_size
    return {"mode": "train", "model": model, "device": "cpu", "amp": "off", "batch": 4, "imgsz": size, **changes}


def source_of(case: dict[str, Any], folder: Path) -> str:
    data = family_of(case["model"]).data_for(case["model"], case["imgsz"])
    return str(made_data.provide(data, str(folder), case["batch"] * 4, 0)["source"])


def loop_of(folder: Path, model: str, overrides: dict[str, Any] | None = None, **changes: Any) -> Loop:
    case = case_of(model, **changes)
    return Loop(case, {"workers": 0, **(overrides or {})}, source_of(case, folder), "cpu")


def measured(
    folder: Path,
    case: dict[str, Any],
    *asked: RequestedAxis,
    window: Window = WINDOW,
    loss_scale: float | None = None,
    **overrides: Any,
) -> Events:
    family = family_of(case["model"])
    fixed = {override.key: override.value for override in family.overrides_of(case["mode"], case["model"])}
    fixed |= {"workers": 0, **overrides}
    events: Any = Events()
    job = CaseJob(
        workload="torch",
        case=case,
        overrides=fixed,
        threads=1,
        window=window,
        data=source_of(case, folder),
        scratch=str(folder),
        asked=list(asked),
        loss_scale=loss_scale,
        retry_noisy=False,
    )
    run(job, events, -1)
    return events  # type: ignore[no-any-return]


@pytest.mark.parametrize("mode", ["train", "predict"])
@pytest.mark.parametrize("model", ["resnet18", "lstm256"])
def test_a_case_is_measured(tmp_path: Path, model: str, mode: str) -> None:
    events = measured(tmp_path, case_of(model, mode=mode))
    assert events.of(JobEnded) == JobEnded("measured", at=events.of(JobEnded).at)
    settings, result = events.of(SettingsRead).settings, events.of(Measured)
    assert settings["architecture"] == MODELS[model].architecture
    assert settings["layer_dtypes"] == ["float32"]
    phases = {"preprocess", "forward", "backward", "optimizer"} if mode == "train" else {"forward", "postprocess"}
    assert phases <= set(result.phases["seconds"])
    assert result.extra["gflops"] == MODELS[model].setups[MODELS[model].natural_size].gflops
    if mode == "train":
        assert result.checks["moved"] == result.checks["parameters"] > 0


def test_a_head_that_starts_at_0_is_trained(tmp_path: Path) -> None:
    events = measured(tmp_path, case_of("vit-tiny-4", batch=2))
    assert events.of(JobEnded).status == "measured"
    assert events.of(Measured).checks["with_gradient"] > 100


def test_a_halved_model_with_adam_is_invalid(tmp_path: Path) -> None:
    ended = measured(tmp_path, case_of("lstm256", amp="half")).of(JobEnded)
    assert (ended.status, ended.reason.partition(" after")[0]) == ("invalid", "The loss is not finite")


@pytest.mark.parametrize(("amp", "dtype"), [("off", "float32"), ("bf16", "bfloat16"), ("half", "float16")])
@pytest.mark.parametrize("model", ["resnet18", "lstm256"])
def test_precision_is_read_from_the_outputs_of_layers(tmp_path: Path, model: str, amp: str, dtype: str) -> None:
    loop = loop_of(tmp_path, model, amp=amp, batch=2)
    settings = read_settings.read(loop, open_device("cpu"))
    assert (settings["amp"], settings["layer_dtypes"]) == (amp, [dtype])
    assert not any(layer._forward_hooks for layer in loop.model.modules())


def test_what_autocast_leaves_out_is_another_precision_than_was_asked(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, "resnet18", amp="bf16", batch=2)
    loop.amp = "off"
    assert read_settings.read(loop, open_device("cpu"))["amp"] == "off"


def test_float16_is_emulated_by_most_cpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    with pytest.raises(CaseRejected, match="this CPU has no float16") as caught:
        loop_of(tmp_path, "lstm256", amp="on")
    assert (caught.value.status, caught.value.scope) == ("unsupported", ("model", "device", "amp"))


def test_float16_that_a_layer_does_not_have_is_unsupported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = loop_of(tmp_path, "lstm256", amp="bf16")

    def fail(inputs: Any) -> None:
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(loop.model, "forward", fail)
    with pytest.raises(CaseRejected, match="torch cannot run lstm256 so on cpu: could not create a primitive"):
        loop.layer_dtypes()


# Mixed precision with float16: a layer in place of a model, since a CPU may have to emulate it


@pytest.fixture
def float16(monkeypatch: pytest.MonkeyPatch) -> None:
    def layer(*_: Any) -> Any:
        return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 10))

    lstm = MODELS["lstm256"]
    setups = {28: dataclasses.replace(lstm.setups[28], parameters=7850)}
    monkeypatch.setitem(MODELS, "lstm256", dataclasses.replace(lstm, setups=setups))
    monkeypatch.setattr(loop_module, "build", layer)
    monkeypatch.setattr(loop_module, "check_float16", lambda amp, device: None)


def scaled(folder: Path, scale: float, steps: int = 2) -> Events:
    """Train with float16 autocast and a loss scaler of this initial scale."""
    window = Window(warmup_seconds=0.0, window_steps=steps, window_seconds=0.0)
    return measured(folder, case_of("lstm256", amp="on"), window=window, loss_scale=scale)


def test_float16_with_a_loss_scaler_is_measured(tmp_path: Path, float16: None) -> None:
    events = scaled(tmp_path, 1024.0)
    assert events.of(JobEnded).status == "measured"
    settings, checks = events.of(SettingsRead).settings, events.of(Measured).checks
    assert (settings["amp"], settings["layer_dtypes"], settings["loss_scaling"]) == ("on", ["float16"], True)
    assert checks["loss_scale"] == [1024.0, 1024.0]
    assert 0 < checks["gradient_norm"] < 100, "without the scale"
    assert checks["moved"] == checks["parameters"]


def overflow(monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
    """Make the gradients of these optimizer steps infinite."""
    step, count = torch.amp.GradScaler.step, itertools.count()

    def with_infinity(scaler: Any, optimizer: Any) -> Any:
        if next(count) in numbers:
            optimizer.param_groups[0]["params"][0].grad.fill_(float("inf"))
        return step(scaler, optimizer)

    monkeypatch.setattr(torch.amp.GradScaler, "step", with_infinity)


@pytest.mark.parametrize(
    ("infinite", "skipped"), [((1,), 0), ((6,), 1), ((1, 6), 1), ((4, 6), 2)], ids=["before", "once", "both", "twice"]
)
def test_optimizer_steps_that_the_scaler_skips_are_counted(
    tmp_path: Path, float16: None, monkeypatch: pytest.MonkeyPatch, infinite: tuple[int, ...], skipped: int
) -> None:
    """Warm-up has three steps, the window ten: two that are skipped are a fifth, and too many."""
    overflow(monkeypatch, *infinite)
    events = scaled(tmp_path, 1024.0, steps=10)
    ended = events.of(JobEnded)
    if skipped == 2:
        expected = "The scaler of fp16 skipped 2 of 10 optimizer steps that were timed"
        assert (ended.status, ended.reason.partition(":")[0]) == ("invalid", expected)
        return
    result = events.of(Measured)
    before, after = result.checks["loss_scale"]
    assert (ended.status, before / after) == ("measured", 2.0**skipped)
    assert len(result.steps["optimizer"]) == len(result.steps["seconds"]) == 13, "a skipped one is a step of the loop"


def test_an_unknown_size_is_unsupported(tmp_path: Path) -> None:
    ended = measured(tmp_path, case_of("resnet18", imgsz=64)).of(JobEnded)
    assert (ended.status, ended.scope) == ("unsupported", ["model", "imgsz"])


def test_a_precision_of_another_workload_is_unsupported(tmp_path: Path) -> None:
    events: Any = Events()
    case = {"mode": "train", "model": "yolov8n", "device": "cpu", "amp": "half", "batch": 1, "imgsz": 64}
    run(CaseJob("ultralytics", case, {}, 1, WINDOW, "", ""), events, -1)
    ended = events.of(JobEnded)
    takes = "off, on, bf16, forced-bf16, forced-fp16, int8"
    assert ended.reason == f"amp half requested: the workload ultralytics takes {takes}."
    assert (ended.status, ended.scope) == ("unsupported", ["model", "amp"])


def test_gradients_are_accumulated(tmp_path: Path) -> None:
    asked = RequestedAxis("accumulate", "2", ["accumulate"], "accumulate", 2)
    result = measured(tmp_path, case_of("lstm256"), asked, accumulate=2).of(Measured)
    assert result.steps["accumulation_steps"] == 2
    assert len(result.steps["optimizer"]) < len(result.steps["seconds"])


def test_an_optimizer_that_torch_does_not_have_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(CaseRejected, match="optimizer MuSGD requested: torch has no such optimizer") as caught:
        loop_of(tmp_path, "lstm256", {"optimizer": "MuSGD"})
    assert caught.value.status == "unsupported"


def test_another_optimizer_is_read_back(tmp_path: Path) -> None:
    settings = read_settings.read(loop_of(tmp_path, "lstm256", {"optimizer": "SGD"}), open_device("cpu"))
    assert (settings["optimizer"], settings["lr"]) == ("SGD", 1e-3)


@pytest.mark.parametrize("model", ["resnet18", "lstm256"])
def test_losses_agree_with_the_cpus_and_the_model_stays_unchanged(tmp_path: Path, model: str) -> None:
    loop, checks = loop_of(tmp_path, model), dict[str, Any]()
    before = [p.clone() for p in loop.model.parameters()]
    train.compare_with_cpu(loop, open_device("cpu"), checks)
    assert checks["cpu_agreement"]["device"] == checks["cpu_agreement"]["cpu"]
    assert all(torch.equal(a, b) for a, b in zip(before, loop.model.parameters(), strict=True))


def test_the_loss_falls(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, "lstm256", batch=16)
    losses = []
    for _ in range(8):
        for inputs, targets in loop.loader:
            loss = loop.criterion(loop.model(inputs), targets)
            loop.optimizer.zero_grad()
            loss.backward()
            loop.optimizer.step()
            losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_the_plain_loop_reports_its_blocks(tmp_path: Path) -> None:
    case, events = case_of("lstm256"), Events()
    job = PlainJob(
        workload="torch",
        case=case,
        overrides={"workers": 0},
        threads=1,
        data=source_of(case, tmp_path),
        scratch=str(tmp_path),
        steps=4,
        block=2,
        warmup_steps=1,
        warmup_seconds=0.0,
    )
    family_of("lstm256").train_plainly(job, events, None)  # type: ignore[arg-type]
    blocks = [event for event in events.events if isinstance(event, BlockEnded)]
    assert [block.steps for block in blocks] == [2, 2]
