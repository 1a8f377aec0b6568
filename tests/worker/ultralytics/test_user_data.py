from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.worker.rejection import CaseRejected
from bench.worker.workloads.ultralytics import isolation, made_data, user_data
from tests.worker.ultralytics.data_sets import BOXES, contents, make, write

pytestmark = pytest.mark.usefixtures("ultralytics")

Facts = dict[str, Any]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The folder of a data set of four images."""
    make(tmp_path / "set")
    return tmp_path / "set"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def look(root: Path, cache: Path) -> Iterator[Callable[[], Facts]]:
    """Looks at the data set, of which not a byte may change meanwhile."""

    def look_at_it() -> Facts:
        before = contents(root)
        try:
            return user_data.inspect({"yaml": str(root / "data.yaml"), "root": str(cache)})
        finally:
            assert contents(root) == before

    yield look_at_it


@pytest.fixture
def refusal(look: Callable[[], Facts], root: Path) -> Callable[[], str]:
    """What is said of a data set that cannot be used, without its beginning."""

    def reason() -> str:
        with pytest.raises(CaseRejected) as caught:
            look()
        assert caught.value.status == "unsupported"
        beginning = f"data {root}/data.yaml: "
        assert caught.value.reason.startswith(beginning)
        assert caught.value.reason.isprintable()
        return caught.value.reason.removeprefix(beginning)

    return reason


def images(facts: Facts) -> list[str]:
    return [Path(image).name for image in made_data.training_images(facts["yaml"])]


# What is found


def test_a_data_set_that_is_as_it_should_be(look: Callable[[], Facts], root: Path) -> None:
    facts = look()
    assert images(facts) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert (facts["images"], facts["listed"], facts["left_out"], facts["no_training"]) == (4, 4, {}, "")
    assert facts["scheme"] == 2
    assert look() == facts


def test_the_copy_of_the_yaml_says_the_same_to_ultralytics(look: Callable[[], Facts], root: Path) -> None:
    from ultralytics.data.utils import check_det_dataset

    write(root, channels=3, nc=2, download="echo never")
    own, copied = check_det_dataset(str(root / "data.yaml")), check_det_dataset(look()["yaml"])
    for key in ("train", "val", "names", "nc", "channels", "path"):
        assert copied[key] == own[key]
    assert "download" not in copied


def test_hidden_files_are_no_images(look: Callable[[], Facts], root: Path) -> None:
    """macOS leaves ``._name`` next to every file that it copies; Ultralytics' glob does not see them."""
    for file in list((root / "images" / "train").iterdir()):
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7Mac OS X")
    facts = look()
    assert (facts["images"], facts["listed"], facts["left_out"]) == (4, 4, {})


def test_images_of_linked_folders_count(look: Callable[[], Facts], root: Path) -> None:
    shutil.copytree(root / "images" / "train", root / "more" / "images")
    (root / "images" / "train" / "more").symlink_to(root / "more" / "images", target_is_directory=True)
    assert look()["images"] == 8


def test_a_list_is_filtered_as_ultralytics_does(look: Callable[[], Facts], root: Path) -> None:
    lines = ["./images/train/1.jpg", "./labels/train/1.txt", "", "./images/train/0.jpg", "./images/train/gone.jpg"]
    (root / "train.txt").write_text("\n".join(lines))
    write(root, train="train.txt")
    facts = look()
    assert images(facts) == ["0.jpg", "1.jpg"]
    assert facts["left_out"] == {"missing file": 1}
    assert facts["left_out_first"].startswith("images/train/gone.jpg: it does not exist")


@pytest.mark.parametrize("file", ["data.yaml", "images.json", "left_out.txt"])
def test_a_copy_that_was_cut_off_is_made_again(file: str, look: Callable[[], Facts], root: Path) -> None:
    (root / "images" / "train" / "0.jpg").write_bytes(b"")
    cut = Path(look()["yaml"]).with_name(file)
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    look()
    assert cut.read_bytes() == whole


def test_a_cache_that_cannot_be_written(refusal: Callable[[], str], root: Path, cache: Path) -> None:
    cache.write_text("a file in its place")
    with pytest.raises(
        CaseRejected, match=r"cannot be written to .*: make room there, or set YOLOPACE_CACHE to another"
    ):
        user_data.inspect({"yaml": str(root / "data.yaml"), "root": str(cache)})


# What is left out


def break_image(root: Path, content: bytes) -> None:
    (root / "images" / "train" / "0.jpg").write_bytes(content)


def large_image() -> bytes:
    """The head of a PNG of 16,000 pixels a side: more than Pillow opens."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16000, 16000, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty file"),
        (b"<html>404</html>", "no image"),
        (large_image(), "image too large"),
    ],
    ids=["empty", "page", "large"],
)
def test_an_image_that_cannot_be_read(content: bytes, kind: str, look: Callable[[], Facts], root: Path) -> None:
    break_image(root, content)
    facts = look()
    assert facts["left_out"] == {kind: 1}
    assert Path(facts["left_out_file"]).read_text() == f"{facts['left_out_first']}\n"
    assert images(facts) == ["1.jpg", "2.jpg", "3.jpg"]
    assert (facts["images"], facts["listed"]) == (3, 4)


def test_a_damaged_jpeg_is_left_out_and_stays_as_it_is(look: Callable[[], Facts], root: Path) -> None:
    whole = (root / "images" / "train" / "0.jpg").read_bytes()
    break_image(root, whole[: len(whole) // 2])
    assert look()["left_out"] == {"damaged image": 1}


def test_a_jpeg_with_bytes_after_its_end_is_used_and_stays_as_it_is(look: Callable[[], Facts], root: Path) -> None:
    for file in (root / "images" / "train").iterdir():
        file.write_bytes(file.read_bytes() + b"\0\0extra")
    assert (facts := look())["images"] == 4
    assert facts["left_out"] == {}


LABELS = {
    "class out of range": ("15 0.5 0.5 0.3 0.3", "line 1: class 15, and the dataset has 2 classes"),
    "coordinates above 1": ("0 0.5 0.5 0.3 0.3\n0 40 30 50 20", "line 2: '50' is above 1"),
    "label is no number": ("cat 0.5 0.5 0.3 0.3", "line 1: 'cat' is no number"),
    "class is no whole number": ("0.5 0.5 0.5 0.3 0.3", "line 1: class 0.5"),
    "negative value": ("0 0.5 -0.5 0.3 0.3", "line 1: '-0.5' is negative"),
    "number of fields": ("0 0.5 0.5 0.3", "line 1: 4 fields"),
    "boxes among polygons": (
        "0 0.5 0.5 0.3 0.3\n0 0.1 0.1 0.5 0.1 0.5 0.6",
        "line 1: a box in a file with polygons",
    ),
    "rows of several lengths": ("0 0.5 0.5 0.3 0.3\n0 0.5 0.5 0.3", "line 2: 4 fields, and another row has 5"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_an_image_whose_labels_are_wrong(kind: str, look: Callable[[], Facts], root: Path) -> None:
    text, sentence = LABELS[kind]
    (root / "labels" / "train" / "2.txt").write_text(text)
    facts = look()
    if not facts["left_out"] and kind in ("class is no whole number", "boxes among polygons"):
        pytest.skip("this Ultralytics takes such labels")
    assert facts["left_out"] == {kind: 1}
    assert facts["left_out_first"].startswith(f"images/train/2.jpg: 2.txt, {sentence}")
    assert images(facts) == ["0.jpg", "1.jpg", "3.jpg"]


def test_labels_that_are_no_text(look: Callable[[], Facts], root: Path) -> None:
    (root / "labels" / "train" / "2.txt").write_bytes(BOXES.encode("utf-16"))
    assert look()["left_out"] == {"labels not UTF-8": 1}


def test_where_all_labels_are_wrong_the_first_is_named(refusal: Callable[[], str], root: Path) -> None:
    for file in (root / "labels" / "train").iterdir():
        file.write_text("15 0.5 0.5 0.3 0.3")
    assert refusal() == (
        "none of its 4 training images can be used: class out of range (4). The first is images/train/0.jpg: "
        "0.txt, line 1: class 15, and the dataset has 2 classes from 0 on; correct it, or 'names:'."
    )


# What cannot be trained on


@pytest.mark.parametrize("empty", [False, True])
def test_images_without_labels_can_be_predicted_on(empty: bool, look: Callable[[], Facts], root: Path) -> None:
    for file in (root / "labels" / "train").iterdir():
        file.write_text("") if empty else file.unlink()
    facts = look()
    assert facts["images"] == 4
    assert facts["no_training"] == (
        f"data {root}/data.yaml: none of its 4 training images has a box: label files are missing or empty; "
        f"add them, the first as '{root}/labels/train/0.txt'."
    )


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        (None, "it has no 'val:'"),
        ("", "it has no 'val:'"),
        ("images/nowhere", "its 'val:' names '{root}/images/nowhere', which does not exist: correct 'val:'"),
        ("labels/val", "its 'val:' ({root}/labels/val) has no images that Ultralytics can use"),
    ],
)
def test_a_validation_set_that_cannot_be_used(
    value: str | None, sentence: str, look: Callable[[], Facts], root: Path
) -> None:
    write(root, val=value)
    from ultralytics.data.utils import check_det_dataset

    facts = look()
    assert facts["images"] == 4
    assert check_det_dataset(facts["yaml"])["nc"] == 2  # prediction asks
    assert facts["no_training"].startswith(f"data {root}/data.yaml: {sentence.format(root=root)}")


def test_arrays_that_ultralytics_would_read_and_rewrite(look: Callable[[], Facts], root: Path) -> None:
    import numpy

    numpy.save(root / "images" / "train" / "1.npy", numpy.zeros((8, 8, 3), numpy.uint8))
    assert f"'{root}/images/train/1.npy' in place of the image of that name" in look()["no_training"]


# Nothing is fetched or run


@pytest.fixture
def nothing_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes and sockets are errors."""

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError(f"something was started or reached: {arguments}")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("nothing_leaves")
@pytest.mark.parametrize(
    ("download", "what"),
    [
        ("https://example.com/set.zip", "https://example.com/set.zip"),
        ("bash get.sh", "bash get.sh"),
        ("|\n  open('{root}/RAN', 'w').close()\n  raise SystemExit", "a script of 2 lines"),
    ],
)
@pytest.mark.parametrize("gone", ["train", "val"])
def test_what_would_be_fetched_is_named_and_left(
    gone: str, download: str, what: str, look: Callable[[], Facts], refusal: Callable[[], str], root: Path
) -> None:
    write(root, download=download.format(root=root))
    shutil.rmtree(root / "images" / gone)
    message = refusal() if gone == "train" else look()["no_training"]
    assert (
        f"its '{gone}:' names '{root}/images/{gone}', which does not exist; its 'download:' ({what}) is not" in message
    )
    assert message.endswith("nothing is fetched: do that yourself first.")
    assert not (root / "RAN").exists()


@pytest.mark.usefixtures("nothing_leaves")
def test_an_archive_is_not_unpacked(root: Path, cache: Path) -> None:
    archive = shutil.make_archive(str(root.parent / "set"), "zip", root)
    with pytest.raises(CaseRejected, match=r"it is no data yaml: unpack an archive yourself"):
        user_data.inspect({"yaml": archive, "root": str(cache)})
    assert not cache.exists()


# A yaml that is wrong


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train": None}, "it has no 'train:'"),
        ({"train": "7"}, "its 'train:' is 7: write the path of a folder"),
        ({"train": "[images/train, images/nowhere]"}, "its 'train:' names '{root}/images/nowhere', which does not"),
        ({"train": "labels/train"}, "its 'train:' ({root}/labels/train) has no images that Ultralytics takes"),
        ({"names": None}, "it has neither 'names:' nor 'nc:'"),
        ({"names": "[]"}, "its 'names:' is empty"),
        ({"names": "thing"}, "its 'names:' is 'thing'"),
        ({"nc": 3}, "its 'names:' has 2 names and its 'nc:' is 3"),
        ({"nc": "many"}, "its 'nc:' is 'many'"),
        ({"nc": 0, "names": None}, "its 'nc:' is 0"),
        ({"nc": "1e30", "names": None}, "its 'nc:' is '1e30': write the number of classes, from 1 to 1,000,000"),
        ({"names": "{x: a}"}, "its 'names:' has the key 'x'"),
        ({"names": "{1: a, 2: b}"}, "its 'names:' has the numbers '1, 2': number the classes from 0 on"),
        ({"names": "{²: a}"}, "its 'names:' has the key '²'"),
        ({"channels": "RGB"}, "its 'channels:' is 'RGB'"),
        ({"channels": 10**12}, "its 'channels:' is 1000000000000"),
        ({"backbone": "[]", "head": "[]"}, "it describes a model: give it with --model"),
        ({"names": "[a, b"}, "it is no YAML: line "),
    ],
)
def test_a_yaml_that_is_wrong(changes: dict[str, Any], sentence: str, refusal: Callable[[], str], root: Path) -> None:
    write(root, **changes)
    assert refusal().startswith(sentence.format(root=root))


@pytest.mark.parametrize("content", [b"", b"just words", b"\xff\xfe\x00", b"- a\n- b\n"])
def test_a_yaml_that_is_none(content: bytes, refusal: Callable[[], str], root: Path) -> None:
    (root / "data.yaml").write_bytes(content)
    message = refusal()
    assert message.startswith("it holds no settings") or content.startswith(b"\xff")


@pytest.mark.parametrize(
    "more", ["5: z\nmeta: {0: a, x: b}\n", "2020-01-02: new\n", "circle: &a [*a]\n", "s: !!set {a}\n"]
)
def test_what_json_cannot_hold_may_stand_in_a_yaml(more: str, look: Callable[[], Facts], root: Path) -> None:
    before = look()["fingerprint"]
    with (root / "data.yaml").open("a") as yaml:
        yaml.write(more)
    assert look()["fingerprint"] == look()["fingerprint"] != before


def test_a_count_of_classes_with_a_point(look: Callable[[], Facts], root: Path) -> None:
    write(root, names=None, nc=2)
    whole = look()
    write(root, names=None, nc="2.0")
    assert look()["fingerprint"] == whole["fingerprint"]


def test_a_name_that_older_versions_cannot_take(
    refusal: Callable[[], str], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ultralytics.data.dataset import YOLODataset

    def get_labels(self: Any) -> Any:
        self.im_files[0] = f"{root}/\udcff.jpg"
        return self.im_files[0].encode()

    monkeypatch.setattr(YOLODataset, "get_labels", get_labels)
    monkeypatch.setattr(YOLODataset, "get_img_files", lambda self, source: [f"{root}/\udcff.jpg"])
    assert refusal().endswith("is no UTF-8 text, and this Ultralytics cannot use it: rename the file.")


def test_a_relative_path_is_named_with_its_folder(refusal: Callable[[], str], root: Path) -> None:
    write(root, path="elsewhere")
    message = refusal()
    assert "its 'path: elsewhere' is looked for in the current folder, then in " in message
    assert message.endswith("write an absolute path there.")
    assert "settings" not in message.partition(" then in ")[2].replace("datasets", "")


# Identity


def test_where_a_set_lies_does_not_matter(look: Callable[[], Facts], root: Path, cache: Path) -> None:
    here = look()
    moved = shutil.move(root, root.parent / "moved")
    write(Path(moved))
    there = user_data.inspect({"yaml": f"{moved}/data.yaml", "root": str(cache)})
    assert there["fingerprint"] == here["fingerprint"]
    assert there["yaml"] != here["yaml"]


def edit_label(root: Path) -> None:
    (root / "labels" / "train" / "1.txt").write_text(BOXES.replace("0.4", "0.5"))


def edit_image(root: Path) -> None:
    file = root / "images" / "train" / "1.jpg"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "change",
    [
        edit_label,
        edit_image,
        lambda root: (root / "labels" / "train" / "1.txt").unlink(),
        lambda root: (root / "images" / "train" / "1.jpg").unlink(),
        lambda root: write(root, names="[a, b, c]"),
        lambda root: write(root, channels=1),
        lambda root: (root / "labels" / "val" / "0.txt").write_text("0 0.5 0.5 0.5 0.5"),
    ],
)
def test_a_change_of_images_labels_or_yaml_is_another_set(
    change: Callable[[Path], object], look: Callable[[], Facts], root: Path
) -> None:
    before = look()
    change(root)
    assert look()["fingerprint"] != before["fingerprint"]


def test_of_a_large_image_the_size_counts_and_the_time_is_reported(look: Callable[[], Facts], root: Path) -> None:
    file = root / "images" / "train" / "1.jpg"
    file.write_bytes(file.read_bytes() + bytes(user_data.SMALL))
    os.utime(file, (0, 0))
    before = look()
    file.write_bytes(file.read_bytes()[:-1] + b"1")
    os.utime(file, (4e9, 4e9))
    after = look()
    assert after["fingerprint"] == before["fingerprint"]
    assert before["newest"] < 4e9 == after["newest"]


# Labels of other tasks

BOX, POLYGON, CORNERS = (
    "0 0.4 0.4 0.3 0.3\n",
    "0 0.1 0.1 0.5 0.1 0.6 0.4 0.3 0.6 0.1 0.4\n",
    "0 0.1 0.1 0.5 0.1 0.5 0.4 0.1 0.4\n",
)
POINTS = "0 0.4 0.4 0.3 0.3" + " 0.4 0.4 2" * 5 + "\n"
SHAPE = {"kpt_shape": "[5, 3]"}

FIT = [("segment", POLYGON, {}), ("segment", CORNERS, {}), ("obb", CORNERS, {}), ("pose", POINTS, SHAPE)]
UNFIT = [
    ("segment", BOX, {}, "labels/train/0.txt, line 1, has 5 fields; a segmentation model needs a class and a polygon"),
    ("segment", POINTS, SHAPE, "labels/train/0.txt, line 1, has 20 fields; a segmentation model needs"),
    ("obb", BOX, {}, "labels/train/0.txt, line 1, has 5 fields; a model of oriented boxes needs a class and the four"),
    ("obb", POLYGON, {}, "labels/train/0.txt, line 1, has 11 fields; a model of oriented boxes needs"),
]
UNUSABLE = [
    ("pose", BOX, {}, "it has no 'kpt_shape:', which a pose model needs: write it, such as 'kpt_shape: [17, 3]'"),
    ("pose", POINTS, {"kpt_shape": "[5, 4]"}, "its 'kpt_shape:' is [5, 4]: write the numbers of points and of values"),
    ("pose", POINTS, {**SHAPE, "flip_idx": "[0, 1]"}, "its 'flip_idx:' does not have 5 numbers"),
    ("pose", BOX, SHAPE, "number of fields (4). The first is images/train/0.jpg: 0.txt, line 1: 5 fields; a row of a"),
]


def inspected(root: Path, task: str, row: str, settings: dict[str, str]) -> dict[str, Any]:
    make(root / "set")
    for file in (root / "set" / "labels").rglob("*.txt"):
        file.write_text(row)
    yaml = write(root / "set", **settings)
    before = contents(root / "set")
    try:
        return user_data.inspect({"yaml": str(yaml), "root": str(root / "cache"), "task": task})
    finally:
        isolation.set_label_task("detect")
        assert contents(root / "set") == before


@pytest.mark.parametrize(("task", "row", "settings"), FIT)
def test_labels_of_their_task_are_trained_on(task: str, row: str, settings: dict[str, str], tmp_path: Path) -> None:
    details = inspected(tmp_path, task, row, settings)
    assert (details["images"], details["no_training"]) == (4, "")


@pytest.mark.parametrize(("task", "row", "settings", "reason"), UNFIT)
def test_labels_of_another_task_allow_prediction_alone(
    task: str, row: str, settings: dict[str, str], reason: str, tmp_path: Path
) -> None:
    details = inspected(tmp_path, task, row, settings)
    assert details["images"] == 4
    assert reason in details["no_training"]


@pytest.mark.parametrize(("task", "row", "settings", "reason"), UNUSABLE)
def test_a_set_without_keypoints_is_of_no_use_to_pose_models_alone(
    task: str, row: str, settings: dict[str, str], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(CaseRejected) as caught:
        inspected(tmp_path, task, row, settings)
    assert reason in caught.value.reason
    assert (caught.value.status, caught.value.scope) == ("unsupported", ("model",))


def test_tasks_do_not_read_each_others_label_caches(tmp_path: Path) -> None:
    assert inspected(tmp_path / "a", "detect", POINTS, {"kpt_shape": "[5, 3]"})["images"] == 4
    yaml = str(tmp_path / "a" / "set" / "data.yaml")
    details = user_data.inspect({"yaml": yaml, "root": str(tmp_path / "cache"), "task": "pose"})
    isolation.set_label_task("detect")
    assert (details["images"], details["no_training"]) == (4, "")
