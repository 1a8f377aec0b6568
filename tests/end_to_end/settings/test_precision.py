"""Mixed precision, TF32 and loss scaling."""

from types import SimpleNamespace

import pytest

from bench.worker import effective_settings
from tests.end_to_end.settings.conftest import CASE
from tests.end_to_end.settings.seen import ULTRALYTICS, refused, training


def on(kind):
    """A model whose parameters lie on a device that this machine may not have."""
    return SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device=SimpleNamespace(type=kind))]))


def test_amp_is_off_on_a_cpu_and_is_noticed(set_up):
    trainer = set_up(amp=True)
    assert trainer.amp is False  # without a message
    assert refused(training(trainer), amp="on").startswith("amp on requested, amp off would run")


@pytest.mark.parametrize("kind", ["cpu", "mps"])
def test_ultralytics_checks_no_amp_on_cpu_and_mps(kind):
    from ultralytics.utils.checks import check_amp

    assert check_amp(on(kind)) is False


@pytest.mark.parametrize("card", ["NVIDIA GeForce GTX 1660 Ti", "NVIDIA T400 4GB", "Quadro T1000"])
def test_amp_is_off_on_some_cards_and_is_noticed(monkeypatch, trainer, card):
    """The name of the card is the one thing that is made up."""
    import torch
    from ultralytics.utils.checks import check_amp

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: card)
    monkeypatch.setattr(trainer, "amp", check_amp(on("cuda")))
    assert trainer.amp is False
    assert refused(training(trainer), amp="on").startswith("amp on requested, amp off would run")


def test_the_check_of_amp_is_left_out_without_a_network(monkeypatch):
    """It would fetch weights and predict with them; on a good card amp then stays on, unchecked."""
    import torch
    from ultralytics.utils.checks import check_amp

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "NVIDIA H100")
    asked = []

    def offline(weights):
        asked.append(str(weights))
        raise ConnectionError("offline")

    monkeypatch.setattr("ultralytics.YOLO", offline)
    model = on("cuda")
    model.stride = torch.tensor([32.0])
    assert check_amp(model) is True
    assert len(asked) == 1


def test_loss_scaling_that_switches_itself_off_is_noticed(monkeypatch, trainer):
    """GradScaler does so where there is no CUDA: fp16 on a Mac would train without it."""
    import torch

    with pytest.warns(UserWarning, match="CUDA is not available"):
        monkeypatch.setattr(trainer, "scaler", torch.amp.GradScaler("cuda", enabled=True))
    monkeypatch.setattr(trainer, "amp", True)
    why = refused(training(trainer), amp="on")
    assert why == "loss_scaling True requested, loss_scaling False would run."


@pytest.mark.parametrize("tf32", [True, False])
def test_tf32_is_read_back(monkeypatch, tf32):
    import torch

    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", tf32)
    assert effective_settings.torch_settings()["cudnn_tf32"] is tf32
    was = torch.backends.cuda.matmul.allow_tf32
    try:
        torch.backends.cuda.matmul.allow_tf32 = tf32
        assert effective_settings.torch_settings()["matmul_tf32"] is tf32
        assert effective_settings.torch_settings()["matmul_precision"] == ("high" if tf32 else "highest")
    finally:
        torch.backends.cuda.matmul.allow_tf32 = was


@pytest.mark.parametrize("amp", ["off", "bf16"])
def test_only_fp16_needs_loss_scaling(amp):
    assert effective_settings.expected(ULTRALYTICS, {**CASE, "amp": amp}, {})["loss_scaling"] is False
