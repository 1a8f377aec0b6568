"""Augmentation, schedule and optimizer."""

import math
import sys
from types import ModuleType

import pytest

from bench.cases.recipe import overrides_for
from bench.worker import effective_settings
from bench.worker.devices.cpu import Cpu
from bench.worker.rejection import CaseRejected
from bench.worker.workloads.ultralytics import read_settings
from tests.end_to_end.settings.seen import ULTRALYTICS, accepted, refused, training

LEFT_ALONE = {"optimizer": "auto", "close_mosaic": 10, "warmup_epochs": 3.0, "epochs": 3, "nbs": 64}
"""What Ultralytics does with a short run by default."""


class EndOfTest(Exception):
    """Ends a training loop from a callback."""


@pytest.fixture(scope="module")
def short(data, tmp_path_factory):
    """A short training as users write it, ended at the end of its first batch; what ran, and why it is refused."""
    from ultralytics.models.yolo.detect import DetectionTrainer

    own = {"data": data, "project": str(tmp_path_factory.mktemp("short")), "name": "train", "model": "yolov8n.yaml"}
    case = {"device": "cpu", "amp": False, "batch": 8, "imgsz": 64, "plots": False}
    trainer = DetectionTrainer(overrides={**own, **case, **LEFT_ALONE})
    nominal = []

    def ended(trainer):
        raise EndOfTest

    trainer.add_callback("on_train_start", lambda trainer: nominal.append(trainer.accumulate))
    trainer.add_callback("on_train_batch_end", ended)
    with pytest.raises(EndOfTest):
        trainer.train()
    return nominal[0], training(trainer)


def test_mosaic_of_a_short_run_is_what_this_version_makes_of_it_and_is_noticed(short):
    """On until 8.4.155, off since 8.4.172."""
    from ultralytics import __version__

    _, runs = short
    version = tuple(int(part) for part in __version__.split(".")[:3])
    if version >= (8, 4, 172):
        assert runs["mosaic"] == 0.0
        assert "mosaic 1.0 requested, mosaic 0.0 would run." in refused(runs)
    assert "close_mosaic 0 requested, close_mosaic 10 would run." in refused(runs)


def test_mosaic_stays_where_it_is_pinned(trainer):
    assert not trainer.args.close_mosaic  # what the loop looks at before it takes mosaic away
    assert training(trainer)["mosaic"] == 1.0


def test_accumulation_ramps_up_and_is_noticed(short):
    nominal, runs = short
    assert runs["accumulate"] == 1 < nominal  # the first batch is an optimizer step by itself
    assert "accumulate 8 requested, accumulate 1 would run." in refused(runs)
    assert "warmup_epochs 0 requested, warmup_epochs 3.0 would run." in refused(runs)


def test_accumulation_is_capped_by_a_run_of_few_batches_and_is_noticed(set_up, trainer):
    accepted(training(trainer))
    runs = training(set_up(epochs=1))
    assert runs["accumulate"] in (2, 8)  # two batches; older versions do not cap
    if runs["accumulate"] == 2:
        assert "accumulate 8 requested, accumulate 2 would run." in refused(runs)
    assert "epochs 100000 requested, epochs 1 would run." in refused(runs)


def test_no_warm_up_of_the_learning_rate_is_left(trainer):
    count = getattr(trainer, "_get_warmup_iterations", None)  # since 8.4.105; before, a condition in the loop
    assert trainer.args.warmup_epochs == 0
    assert count is None or count(len(trainer.train_loader)) == 0


def test_the_optimizer_of_a_short_run_is_another_and_is_noticed(short):
    assert f"optimizer SGD requested, optimizer {short[1]['optimizer']} would run." in refused(short[1])
    assert short[1]["optimizer"] != "SGD"


@pytest.mark.parametrize(
    ("asked", "kernel"),
    [({"foreach": True}, "foreach"), ({"foreach": False}, "loop"), ({"fused": True}, "fused"), ({}, "loop")],
)
def test_how_the_optimizer_walks_its_parameters_is_read_back(asked, kernel):
    """Ultralytics asks for fused Adam on CUDA since 8.4.155; without it a loss under fp16 waits for the host."""
    import torch

    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(2))], **asked)
    assert effective_settings.optimizer_kernel(optimizer) == kernel


def test_how_an_optimizer_of_ultralytics_own_walks_is_not_known():
    class Own:
        param_groups = ({"params": []},)

    assert effective_settings.optimizer_kernel(Own()) is None


def test_the_moving_average_is_read_back_and_its_loss_is_noticed(monkeypatch, trainer):
    assert training(trainer)["ema"] is True
    monkeypatch.setattr(trainer.ema, "enabled", False)
    assert refused(training(trainer)) == "ema True requested, ema False would run."


def test_epochs_that_a_time_limit_rewrites_are_noticed(monkeypatch, trainer):
    before = training(trainer)
    monkeypatch.setattr(trainer, "epochs", math.ceil(0.001 * 3600 / 1.5))  # as the loop does for time=0.001
    assert refused(training(trainer)) == "epochs 100000 requested, epochs 3 would run."
    with pytest.raises(CaseRejected, match="epochs from 100000 to 3"):
        effective_settings.check_unchanged(before, training(trainer))
    assert "time" not in overrides_for("train")


def test_frozen_parameters_are_counted(set_up, trainer):
    """Those of the box distribution are always frozen; a stored model's other ones are made to learn again."""
    assert training(trainer)["frozen"] == 16
    assert training(set_up(freeze=1))["frozen"] > 16


def test_albumentations_takes_part_wherever_it_is_installed(set_up, trainer, monkeypatch):
    """The package is made up: it has the names that Ultralytics builds its transforms from."""
    assert training(trainer)["albumentations"] is ("albumentations" in sys.modules)

    class Transform:
        def __init__(self, *parts, p=0.0, **options):
            self.p, self.transforms = p, parts[0] if parts else []

    package = ModuleType("albumentations")
    package.__version__ = "2.0.8"
    names = ("Blur", "MedianBlur", "ToGray", "CLAHE", "RandomBrightnessContrast", "RandomGamma", "ImageCompression")
    for name in (*names, "Compose", "BboxParams", "KeypointParams"):
        setattr(package, name, type(name, (Transform,), {}))
    package.DualTransform = type("DualTransform", (), {})
    package.BaseCompose = type("BaseCompose", (), {})
    package.ReplayCompose = package.Compose
    monkeypatch.setitem(sys.modules, "albumentations", package)
    assert training(set_up())["albumentations"] is True


@pytest.mark.parametrize(
    ("model", "scale", "architecture"),
    [("yolov8n.yaml", "n", "of Ultralytics"), ("yolov8s.yaml", "s", "of Ultralytics"), ("yolov8.yaml", "n", None)],
)
def test_a_family_without_a_letter_is_its_first_size(model, scale, architecture):
    from types import SimpleNamespace

    from ultralytics.nn.tasks import DetectionModel

    settings = read_settings._model(DetectionModel(model, verbose=False), SimpleNamespace(model=model))
    assert settings["scale"] == scale
    assert architecture in (None, settings["architecture"])


def test_a_yaml_file_in_the_working_folder_goes_first_and_is_noticed(set_up, trainer, monkeypatch, tmp_path):
    from ultralytics.utils import ROOT

    lines = (ROOT / "cfg" / "models" / "v8" / "yolov8.yaml").read_text()
    (tmp_path / "yolov8.yaml").write_text(lines.replace("n: [0.33, 0.25, 1024]", "n: [0.33, 0.125, 1024]"))
    usual = training(trainer)
    monkeypatch.chdir(tmp_path)
    settings = training(set_up())
    assert settings["parameters"] < usual["parameters"]
    assert "architecture of Ultralytics requested, architecture from file would run" in refused(settings)


def test_a_renamed_file_of_weights_is_noticed():
    from types import SimpleNamespace

    settings = read_settings._model(SimpleNamespace(parameters=lambda: []), SimpleNamespace(model="yolov5s.pt"))
    assert settings["weights"] == "from yolov5su.pt"
    case = {"mode": "predict", "model": "yolov5s.pt", "device": "cpu", "amp": "off", "batch": 1, "imgsz": 64}
    with pytest.raises(CaseRejected, match=r"weights from file requested, weights from yolov5su\.pt would run"):
        effective_settings.compare(ULTRALYTICS, case, {}, {**case, **settings})


def test_read_back_changes_nothing(trainer):
    """Looking twice shows the same, and no random number is drawn."""
    import torch

    state = torch.get_rng_state()
    assert read_settings.read_trainer(trainer, Cpu()) == read_settings.read_trainer(trainer, Cpu())
    assert torch.equal(state, torch.get_rng_state())
