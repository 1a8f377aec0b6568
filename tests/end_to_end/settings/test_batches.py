"""Batch, image size, data set and loader."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.cases.axes import fixed_axes, parse_values
from bench.cases.recipe import overrides_for
from bench.errors import UsageError
from bench.worker import rejection
from bench.worker.devices.cpu import Cpu
from bench.worker.devices.cuda import Cuda
from bench.worker.distributed.process_group import SingleProcess
from bench.worker.workloads.ultralytics import read_settings, train, user_data
from tests.end_to_end.settings.conftest import CASE
from tests.end_to_end.settings.seen import accepted, refused, training

MPS_FULL = "MPS backend out of memory (MPS allocated: 17.90 GiB, other allocations: 25.11 MiB, max allowed: 18.13 GiB)"


class EndOfTest(Exception):
    """Ends a training loop from a callback."""


class Quiet:
    """A session that takes every mark of a workload and does nothing; what it is asked of its case is real."""

    case, device, checks, process_group = CASE, Cpu(), {}, SingleProcess()
    warm, accumulation, with_val, asked = True, 1, False, ()

    def __getattr__(self, name):
        return lambda *args, **options: None


@pytest.fixture
def full(monkeypatch):
    """A model whose first forward pass finds no memory left: the one call that is made up."""
    from ultralytics.nn.tasks import BaseModel

    def no_memory(self, batch, preds=None):
        raise RuntimeError(MPS_FULL)

    monkeypatch.setattr(BaseModel, "loss", no_memory)


def test_a_batch_that_does_not_fit_is_halved_when_ultralytics_is_left_alone(full, arguments):
    from ultralytics.models.yolo.detect import DetectionTrainer

    trainer, batches = DetectionTrainer(overrides=arguments), []

    def epoch_started(trainer):
        batches.append((trainer.batch_size, trainer.train_loader.batch_size))
        if len(batches) == 3:
            raise EndOfTest

    trainer.add_callback("on_train_epoch_start", epoch_started)
    with pytest.raises(EndOfTest):
        trainer.train()
    assert batches == [(8, 8), (4, 4), (2, 2)]
    assert refused(training(trainer)).startswith("batch 8 requested, batch 2 would run")


def test_a_batch_that_does_not_fit_ends_the_case(full, arguments):
    session = Quiet()
    session.data = arguments["data"]
    with pytest.raises(RuntimeError, match="MPS backend out of memory") as caught:
        train.train(session, arguments)
    assert rejection.from_exception(caught.value).status == "out_of_memory"


def test_a_loader_of_fewer_images_than_a_batch_is_noticed(set_up):
    trainer = set_up(batch=64)
    assert (trainer.batch_size, trainer.train_loader.batch_size) == (64, 16)  # the trainer says 64
    assert "batch 64 requested, batch 16 would run" in refused(training(trainer), batch=64)


def test_a_made_data_set_is_whole_batches_long_and_none_is_dropped(trained):
    runs = trained.effective
    assert runs["images"] % runs["batch"] == 0
    assert runs["drop_last"] is False
    assert trained.steps.images == runs["batch"]


@pytest.mark.parametrize("text", ["-1", "0", "0.6", "auto"])
def test_a_batch_that_ultralytics_would_choose_cannot_be_asked_for(text):
    with pytest.raises(UsageError, match="batch"):
        parse_values(fixed_axes()["batch"], text)


def test_ultralytics_chooses_16_on_a_cpu(trainer, monkeypatch, caplog):
    from ultralytics.utils import autobatch

    assert training(trainer)["autobatch"] == 16
    assert "AutoBatch" not in caplog.text
    assert read_settings.read_trainer(trainer, Cuda("0"))["autobatch"] is None

    def older(model, imgsz):
        raise AssertionError("Torch not compiled with CUDA enabled")

    monkeypatch.setattr(autobatch, "autobatch", older)
    assert training(trainer)["autobatch"] == "AssertionError: Torch not compiled with CUDA enabled"


def test_a_size_is_rounded_up_to_the_stride_and_is_noticed(set_up):
    trainer = set_up(imgsz=70)
    assert trainer.args.imgsz == 96
    assert refused(training(trainer), imgsz=70).startswith("imgsz 70 requested, imgsz 96 would run")


def test_the_size_is_that_of_the_images_once_there_are_some(monkeypatch, trainer):
    monkeypatch.setattr(trainer, "shape", (8, 3, 64, 96), raising=False)
    assert refused(training(trainer)).startswith("imgsz 64 requested, imgsz 64x96 would run")


def test_workers_are_none_on_a_cpu_and_are_read_back(set_up):
    trainer = set_up(workers=4)
    runs = training(trainer)
    assert (runs["workers"], runs["prefetch"], runs["pin_memory"]) == (0, None, False)
    assert refused(runs, {"workers": 4}).startswith("workers 4 requested, workers 0 would run: on cpu and mps")


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_workers_on_cuda_are_read_back(trainer, monkeypatch):
    """Two cards and six cores are made up; what Ultralytics makes of them is not."""
    from ultralytics.data import build

    monkeypatch.setattr(build, "get_torch_device_backend", lambda device: SimpleNamespace(device_count=lambda: 2))
    monkeypatch.setattr(build.os, "cpu_count", lambda: 6)
    loader = build.build_dataloader(trainer.train_loader.dataset, batch=2, workers=8, device="cuda")
    monkeypatch.setattr(trainer, "train_loader", loader)
    runs = training(trainer)
    assert (runs["workers"], runs["pin_memory"]) == (3, True)
    assert runs["prefetch"] >= 2


def test_a_cache_without_memory_is_left_out_and_is_noticed(set_up, monkeypatch):
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=0, total=1, percent=100.0))
    trainer = set_up(cache="ram")
    assert trainer.args.cache == "ram"
    assert refused(training(trainer), {"cache": "ram"}).startswith("cache ram requested, cache False would run: ")


@pytest.fixture
def look(tmp_path):
    """Looks at a data set of a user, and gives the path of the yaml that training gets."""
    return lambda yaml: user_data.inspect({"yaml": str(yaml), "root": str(tmp_path / "cache")})["yaml"]


@pytest.fixture
def own_set(data, tmp_path):
    """The made set's first four images in folders of their own; the path of its yaml file."""
    pool = Path(data).parent / "train"
    for split in ("train", "val"):
        for kind, suffix in (("images", "jpg"), ("labels", "txt")):
            folder = tmp_path / "own" / kind / split
            folder.mkdir(parents=True)
            for number in range(4):
                shutil.copy(pool / kind / f"{number:04d}.{suffix}", folder)
    yaml = tmp_path / "own.yaml"
    yaml.write_text(f"path: {tmp_path / 'own'}\ntrain: images/train\nval: images/val\nnc: 80\n")
    return yaml


def test_arrays_next_to_images_are_read_in_their_place_and_are_noticed(set_up, look, own_set, tmp_path):
    import numpy

    trainer = set_up(data=look(own_set), batch=2)
    assert read_settings.read_trainer(trainer, Cpu())["cache"] is False
    images = tmp_path / "own" / "images" / "train"
    numpy.save(images / "0001.npy", numpy.zeros((8, 8, 3), numpy.uint8))
    dataset = trainer.train_loader.dataset
    assert dataset.load_image([Path(file).name for file in dataset.im_files].index("0001.jpg"))[0].max() == 0
    assert refused(training(trainer), batch=2).startswith("cache False requested, cache npy would run: Ultralytics")


@pytest.mark.parametrize(
    ("name", "value", "pinned", "recorded"),
    [("fraction", 0.5, 1.0, {"images": 8, "images_dropped": 0}), ("single_cls", True, False, {"classes": 1})],
)
def test_less_data_and_fewer_classes_are_noticed(set_up, name, value, pinned, recorded):
    runs = training(set_up(**{name: value}))
    assert {key: runs[key] for key in recorded} == recorded
    assert f"{name} {pinned} requested, {name} {value} would run." in refused(runs)


def test_images_that_cannot_be_read_are_counted(set_up, look, own_set, tmp_path):
    (tmp_path / "own" / "images" / "train" / "0002.jpg").write_bytes(b"no image")
    yaml = look(own_set)
    runs = training(set_up(data=yaml, batch=3))
    assert (runs["images"], runs["images_dropped"]) == (3, 1)
    train.check_images(runs, yaml)
    with pytest.raises(rejection.CaseRejected, match=r"had 3 images when it was looked at, and has 2 now"):
        train.check_images({**runs, "images": 2}, yaml)


def test_the_head_keeps_as_many_boxes_as_the_fullest_image_has(set_up, look, own_set, tmp_path):
    crowd = "".join(f"0 {0.01 + i * 0.003:.4f} 0.5 0.01 0.01\n" for i in range(310))
    (tmp_path / "own" / "labels" / "train" / "0000.txt").write_text(crowd)
    trainer = set_up(data=look(own_set), batch=2)
    head = trainer.model.model[-1].max_det
    assert training(trainer)["head_max_det"] == head
    assert head in (300, 310)  # 300 in versions that leave it alone


def test_rectangular_batches_lose_order_and_mosaic_and_are_noticed(set_up):
    why = refused(training(set_up(rect=True, batch=2, imgsz=128)), batch=2, imgsz=128)
    for sentence in (
        "rect False requested, rect True",
        "shuffle True requested, shuffle False",
        "mosaic 1.0 requested",
    ):
        assert sentence in why
    assert overrides_for("train")["rect"] is False


def test_multi_scale_changes_the_size_of_a_step_and_is_noticed(set_up):
    import torch

    trainer = set_up(multi_scale=0.5)
    sizes = {trainer.preprocess_batch({"img": torch.zeros(1, 3, 64, 64)})["img"].shape[2] for _ in range(20)}
    assert len(sizes) > 1
    assert refused(training(trainer)) == "multi_scale False requested, multi_scale 0.5 would run."


def test_pins_hold_against_what_a_case_asks_for(trainer):
    accepted(training(trainer))


def test_a_short_data_set_is_kept_decoded_and_that_is_read_back(trainer, trained):
    """Mosaic takes three of its four images from a buffer of eight batches."""
    assert training(trainer)["buffer"] == 16  # all of it
    assert trained.effective["buffer"] == min(8 * trained.effective["batch"], trained.effective["images"])
