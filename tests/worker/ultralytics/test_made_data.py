from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.worker.rejection import CaseRejected
from bench.worker.workloads import made_files
from bench.worker.workloads.ultralytics import made_classes, made_data

pytestmark = pytest.mark.usefixtures("ultralytics")

Made = dict[str, Any]


@pytest.fixture
def provide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Made]:
    """Makes data sets over a pool of four images."""
    monkeypatch.setattr(made_data, "POOL_IMAGES", 4)

    def provide(images: int = 10, seed: int = 0, root: str = "cache") -> Made:
        return made_data.provide({"root": str(tmp_path / root), "images": images, "seed": seed})

    return provide


def listing(made: Made, split: str = "train") -> list[str]:
    return Path(made["yaml"]).with_name(f"{split}.txt").read_text().splitlines()


def everything(folder: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for path in folder.rglob("*")}


# What is made


def test_the_same_seed_makes_the_same_pool(provide: Callable[..., Made]) -> None:
    here, there = provide(root="here"), provide(root="there")
    assert here["yaml"] != there["yaml"]
    assert here["fingerprint"] == there["fingerprint"]


def test_another_seed_makes_another(provide: Callable[..., Made]) -> None:
    assert provide(seed=0)["fingerprint"] != provide(seed=1)["fingerprint"]


def test_the_fingerprint_is_of_the_pool_and_not_of_the_length(provide: Callable[..., Made]) -> None:
    assert provide(3)["fingerprint"] == provide(5)["fingerprint"]


@pytest.mark.parametrize("images", [1, 4, 10])
def test_the_set_is_exactly_as_long_as_asked(images: int, provide: Callable[..., Made]) -> None:
    made = provide(images)
    assert made["images"] == len(listing(made)) == images
    assert len(listing(made, "val")) == made_data.VAL_IMAGES


def test_every_image_of_the_set_is_there_with_its_labels(provide: Callable[..., Made]) -> None:
    made = provide(5)
    assert [Path(line).name for line in listing(made)] == ["0000.jpg", "0001.jpg", "0002.jpg", "0003.jpg", "0000.jpg"]
    for line in [*listing(made), *listing(made, "val")]:
        assert Path(line).read_bytes()[:2] == b"\xff\xd8"
        assert Path(line.replace("/images/", "/labels/")).with_suffix(".txt").read_text()


def test_images_have_the_sizes_of_coco(provide: Callable[..., Made]) -> None:
    import cv2

    sizes = {*made_data.COMMON, *made_data.RARE}
    for line in listing(provide(4)):
        height, width, channels = cv2.imread(line).shape
        assert (width, height) in sizes
        assert channels == 3


@pytest.mark.parametrize("batch", [1, 2, 4, 8, 16, 32, 64])
def test_any_batch_has_nearly_as_many_pixels_an_image_as_the_pool(batch: int) -> None:
    def mean(images: int) -> float:
        return sum(width * height for width, height in map(made_data._size, range(images))) / images

    assert mean(batch) == pytest.approx(mean(made_data.POOL_IMAGES), rel=0.03)


def test_the_second_time_nothing_is_made(provide: Callable[..., Made], tmp_path: Path) -> None:
    first = provide()
    before = everything(tmp_path)
    assert provide() == first
    assert everything(tmp_path) == before


def test_another_length_shares_the_pool_and_has_links_of_its_own(
    provide: Callable[..., Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = provide(3)
    monkeypatch.setattr(made_data, "_make_pool", None)  # calling it would be an error
    folders = {Path(made["yaml"]).parent for made in (short, provide(7))}
    assert len(folders) == 2
    assert len({(folder / "train" / "images").resolve() for folder in folders}) == 1


def test_no_half_made_set_is_left_behind(
    provide: Callable[..., Made], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(CaseRejected, match=r"cannot be written to .* \(No space left on device\): make room"):
            provide()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert provide()["images"] == 10


DAMAGES: dict[str, Callable[[Path], object]] = {
    "an image that was cut off": lambda base: os.truncate(base / "pool" / "images" / "0001.jpg", 100),
    "labels that are gone": lambda base: (base / "pool" / "labels" / "0002.txt").unlink(),
    "facts that were cut off": lambda base: os.truncate(base / "pool" / "pool.json", 5),
    "facts that are none": lambda base: (base / "pool" / "pool.json").write_text("[]"),
    "a list that was cut off": lambda base: os.truncate(base / "n000010-000002" / "train.txt", 30),
    "a list that is gone": lambda base: (base / "n000010-000002" / "val.txt").unlink(),
    "a yaml that is empty": lambda base: os.truncate(base / "n000010-000002" / "data.yaml", 0),
    "a link that is gone": lambda base: (base / "n000010-000002" / "train" / "images").unlink(),
    "a file in place of a folder": lambda base: (base / "pool").rename(base / "aside") and (base / "pool").touch(),
}
"""What a full disk, or whoever tidies up, does to a set."""


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_set_is_made_again(damage: str, provide: Callable[..., Made]) -> None:
    made = provide()
    base = Path(made["yaml"]).parents[1]
    before = {path.relative_to(base): path.read_bytes() for path in base.rglob("*") if path.is_file()}
    DAMAGES[damage](base)
    assert provide() == made
    assert {name: (base / name).read_bytes() for name in before} == before
    assert [path for path in base.iterdir() if path.name.startswith(".")] == []


def test_the_path_of_the_cache_may_have_what_means_something_in_yaml(provide: Callable[..., Made]) -> None:
    from ultralytics.data.utils import check_det_dataset

    made = provide(root="a b: ü,#[1]")
    dataset = check_det_dataset(made["yaml"])
    assert str(dataset["train"]) == str(Path(made["yaml"]).with_name("train.txt"))
    assert made_data.training_images(made["yaml"]) == listing(made)


def test_whoever_comes_second_takes_what_the_first_made(tmp_path: Path) -> None:
    target = tmp_path / "pool"

    def make(folder: Path) -> None:
        (folder / "second").touch()
        target.mkdir()
        (target / "first").touch()

    made_files.into_place(target, "first", make)
    assert [path.name for path in target.iterdir()] == ["first"]
    assert [path.name for path in tmp_path.iterdir()] == ["pool"]


def test_what_is_damaged_is_made_again(tmp_path: Path) -> None:
    target = tmp_path / "pool"
    target.mkdir()
    (target / "left over").touch()
    made_files.into_place(target, "mark", lambda folder: (folder / "mark").touch())
    assert [path.name for path in target.iterdir()] == ["mark"]


# Labels


def boxes(text: str) -> list[tuple[int, float, float, float, float]]:
    rows = [line.split() for line in text.splitlines()]
    return [(int(kind), float(x), float(y), float(width), float(height)) for kind, x, y, width, height in rows]


def test_a_pool_of_the_real_size_holds_every_class() -> None:
    draw = random.Random(0)
    texts = [made_data._labels(draw, [index % made_data.CLASSES]) for index in range(made_data.POOL_IMAGES)]
    firsts = {boxes(text)[0][0] for text in texts}
    assert firsts == set(range(80))


def test_labels_are_in_the_image() -> None:
    draw = random.Random(1)
    drawn_boxes = [box for _ in range(200) for box in boxes(made_data._labels(draw, [0]))]
    assert len(drawn_boxes) > 1000
    slack = 1e-6  # of six digits
    for kind, x, y, width, height in drawn_boxes:
        assert 0 <= kind < 80
        assert 0 < width <= 0.98
        assert 0 < height <= 0.98
        assert x - width / 2 >= -slack and x + width / 2 <= 1 + slack
        assert y - height / 2 >= -slack and y + height / 2 <= 1 + slack


def test_labels_are_like_cocos() -> None:
    draw = random.Random(2)
    images = [boxes(made_data._labels(draw, [0])) for _ in range(400)]
    counts = [len(image) for image in images]
    assert 6.3 < sum(counts) / len(counts) < 8.3  # COCO: 7.3
    assert min(counts) == 1
    assert 20 < max(counts) <= 90
    small = [width * 640 * height * 480 < 32 * 32 for image in images for _, _, _, width, height in image]
    assert 0.3 < sum(small) / len(small) < 0.5  # COCO: 0.41


def test_images_of_a_made_set_are_those_of_its_list(provide: Callable[..., Made]) -> None:
    made = provide(5)
    assert made_data.training_images(made["yaml"]) == listing(made)
    assert made_data.listed_images(made["yaml"]) == 5


@pytest.mark.parametrize("task", ["segment", "pose", "obb"])
def test_every_task_has_the_images_of_detection_and_labels_of_its_own(
    task: str, provide: Callable[..., Made], tmp_path: Path
) -> None:
    from ultralytics.data.utils import check_det_dataset

    made = {
        name: made_data.provide({"root": str(tmp_path), "images": 3, "seed": 0, "task": name})
        for name in ("detect", task)
    }
    first, second = ([Path(line) for line in listing(made[name])] for name in ("detect", task))
    assert [file.read_bytes() for file in first] == [file.read_bytes() for file in second]
    assert made["detect"]["fingerprint"] != made[task]["fingerprint"]
    dataset = check_det_dataset(made[task]["yaml"])
    assert dataset["nc"] == {"segment": 80, "pose": 1, "obb": 15}[task]
    assert (task == "pose") == ("flip_idx" in dataset)


def test_classes_are_a_thousand_folders_with_links(provide: Callable[..., Made], tmp_path: Path) -> None:
    from ultralytics.data.utils import check_cls_dataset

    wanted = {"root": str(tmp_path), "images": 6, "seed": 0, "task": "classify"}
    made = made_classes.provide(wanted)
    assert made_classes.provide(wanted) == made
    dataset = check_cls_dataset(made["yaml"])
    assert (dataset["nc"], made["images"]) == (1000, 6)
    images = made_data.training_images(made["yaml"])
    assert len(images) == made_data.listed_images(made["yaml"]) == 6
    assert [Path(image).resolve().name for image in images[:3]] == ["0000.jpg", "0000.jpg", "0001.jpg"]
    (Path(images[0])).unlink()
    assert made_classes.provide(wanted) == made and Path(images[0]).exists()
