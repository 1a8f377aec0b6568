"""A user's folder of classes: what counts, what is wrong with it, and that it stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from bench.pytest_plugin.options import find_data
from bench.worker.rejection import CaseRejected
from bench.worker.workloads.ultralytics import image_mirror, made_data, models, user_classes
from tests.builders import make_environment
from tests.worker.ultralytics import data_sets

pytestmark = pytest.mark.usefixtures("ultralytics")


def make(root: Path, *splits: str, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    """A folder of classes with two images each."""
    import cv2
    import numpy

    for split in splits:
        for name in classes:
            (root / split / name).mkdir(parents=True)
            for number in range(2):
                picture = numpy.full((40, 50, 3), 40 * number, dtype=numpy.uint8)
                assert cv2.imwrite(str(root / split / name / f"{number}.jpg"), picture)
    return root


def inspect(folder: Path) -> dict[str, Any]:
    before = data_sets.contents(folder) if folder.is_dir() else {}
    try:
        return user_classes.inspect({"yaml": str(folder), "root": str(folder.parent / "cache")})
    finally:
        assert (data_sets.contents(folder) if folder.is_dir() else {}) == before


def test_a_folder_of_classes_is_measured_through_links(tmp_path: Path) -> None:
    folder = make(tmp_path / "mine", "train", "val")
    (folder / "train" / "cat" / "broken.jpg").write_bytes(b"no image at all")
    details = inspect(folder)
    assert (details["images"], details["listed"], details["no_training"]) == (4, 5, "")
    assert details["left_out"] == {"no image": 1}
    assert details["left_out_first"].startswith("train/cat/broken.jpg: ")
    images = made_data.training_images(details["yaml"])
    assert [Path(image).resolve() for image in images] == sorted((folder / "train").rglob("[01].jpg"))
    assert models.shape_of(details["yaml"])["nc"] == 2
    assert inspect(folder) == details


def test_arrays_of_a_cache_on_disk_never_lie_in_the_users_folder(tmp_path: Path) -> None:
    folder = make(tmp_path / "mine", "train", "test")
    mirror = Path(image_mirror.mirror(inspect(folder)["yaml"], tmp_path / "mirror"))
    images = made_data.training_images(str(mirror))
    assert len(images) == 4 and all(Path(image).is_symlink() and Path(image).parent.is_dir() for image in images)
    assert not any((mirror / "train" / name).is_symlink() for name in ("cat", "dog"))
    assert (mirror / "val" / "dog" / "1.jpg").exists()


@pytest.mark.parametrize(
    ("splits", "reason"),
    [(("train",), "it has no validation images: add 'val/'"), ((), "it has no folders of classes: a classification")],
)
def test_what_a_folder_lacks(splits: tuple[str, ...], reason: str, tmp_path: Path) -> None:
    folder = make(tmp_path / "mine", *splits)
    folder.mkdir(exist_ok=True)
    try:
        assert reason in inspect(folder)["no_training"]
    except CaseRejected as error:
        assert reason in error.reason and error.scope == ("model",)


def test_a_data_yaml_is_no_folder_of_classes(tmp_path: Path) -> None:
    with pytest.raises(
        CaseRejected, match=r"a classification model needs a folder .*, and no data yaml: name"
    ) as error:
        inspect(tmp_path / "data.yaml")
    assert (error.value.status, error.value.scope) == ("unsupported", ("model",))


def test_a_folder_may_be_named_where_it_holds_classes(tmp_path: Path) -> None:
    interpreter: Any = type("Interpreter", (), {"offers": {}, "environment": make_environment()})()
    assert find_data(str(make(tmp_path / "mine", "train")), interpreter) == str(tmp_path / "mine")
    for kind in ("images", "labels"):
        (tmp_path / "boxes" / "train" / kind).mkdir(parents=True)
    (tmp_path / "boxes" / "data.yaml").touch()
    with pytest.raises(UsageError, match=r"is a folder: name the data yaml in it \(data.yaml\)"):
        find_data(str(tmp_path / "boxes"), interpreter)
