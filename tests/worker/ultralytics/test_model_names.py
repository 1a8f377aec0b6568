from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from bench.worker.workloads.ultralytics.model_names import (
    family,
    has_weights,
    is_known,
    size_asked,
    size_read,
    sizes_in,
    sizes_of,
    why_unknown,
)


@pytest.fixture(scope="module")
def folder() -> Path:
    import importlib.util

    spec = importlib.util.find_spec("ultralytics")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "cfg" / "models"


@pytest.fixture(scope="module")
def sizes(folder: Path) -> dict[str, str]:
    return sizes_in(folder)


@pytest.mark.parametrize(
    ("name", "file", "asked", "read"),
    [
        ("yolov8n", "yolov8", "n", "n"),
        ("yolo11x-seg", "yolo11-seg", "x", "x"),
        ("yolov8x-p2", "yolov8-p2", "x", "x"),
        ("yolov8-p2x", "yolov8-p2", "x", ""),
        ("yolov3n", "yolov3", "n", "n"),
        ("yoloe-v8s", "yoloe-v8", "s", "s"),
        ("rtdetr-l", "rtdetr-l", "", ""),
        ("yolov9c", "yolov9c", "", ""),
        ("yolov8", "yolov8", "", ""),
        ("/a/yolov8n/best.pt", "/a/yolov/best.pt", "", ""),
    ],
)
def test_the_letter_in_a_name(name: str, file: str, asked: str, read: str) -> None:
    assert (size_asked(name), size_read(name)) == (asked, read)
    if "/" not in name:
        assert family(name) == file


def test_sizes_are_those_that_ultralytics_reads(folder: Path, sizes: dict[str, str]) -> None:
    yaml: Any = pytest.importorskip("yaml")
    assert len(sizes) > 20
    for path in folder.glob("*/*.yaml"):
        wanted = "".join(yaml.safe_load(path.read_text("utf-8")).get("scales") or {})
        assert sizes[path.stem] == wanted, path.stem


def test_every_shipped_model_is_known_in_each_of_its_sizes_and_in_no_other(sizes: dict[str, str]) -> None:
    for name, letters in sizes.items():
        assert is_known(name, sizes)
        if size_read(name) or not re.match(r"yolo(e-)?v?\d", name):
            continue
        for letter in "nslmx":
            sized = re.sub(r"(\d+)", rf"\g<1>{letter}", name, count=1)
            own = sized in sizes  # as yolov9s, which is a file
            assert is_known(sized, sizes) == (letter in letters or own), sized
        for letter in letters if re.search(r"\d.*\D\d$", name) else "":
            assert not is_known(name + letter, sizes), name + letter


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("yolov8-p2x", "the size letter belongs right behind the first number: use yolov8x-p2"),
        ("yolov8-p6m", "the size letter belongs right behind the first number: use yolov8m-p6"),
        ("yolov3n", "it has yolov3 in one size only: use yolov3"),
        ("yolov3x-spp", "it has yolov3-spp in one size only: use yolov3-spp"),
        ("yolov10nb", "it has yolov10b in one size only: use yolov10b"),
        ("yolov9xt", "it has yolov9t in one size only: use yolov9t"),
        ("yolov8n6", "there is no such model: use yolov8n-p6"),
        ("yolov5nu", "there is no such model: use yolov5n"),
        ("yolov11n", "there is no such model: use yolo11n"),
        ("yolo8n", "there is no such model: use yolov8n"),
        ("YOLOv8N", "there is no such model: use yolov8n"),
        ("yolov8-n", "there is no such model: use yolov8n"),
        ("yolov8_x", "there is no such model: use yolov8x"),
        ("yolov8q", "there is no such model: use yolov8n"),
        ("yolov10", "there is no such model: use yolov10"),
        ("yolov9", "there is no such model: use yolov9"),
        ("nothing", "there is no such model: use one of its models, or a .pt or .yaml file"),
    ],
)
def test_what_is_said_of_a_name_that_is_not_known(name: str, reason: str, sizes: dict[str, str]) -> None:
    assert not is_known(name, sizes)
    assert why_unknown(name, sizes).startswith(reason)
    for other in re.findall(r"(?:use|or) (\S+?)(?= or|$)", why_unknown(name, sizes)):
        assert name == "nothing" or is_known(other, sizes), other


@pytest.mark.parametrize("name", ["yolov8nn", "yolov10nn", "yolov8t", "yolov9n", "yolov8n-p2x", "yolov5-p6x"])
def test_names_that_look_right(name: str, sizes: dict[str, str]) -> None:
    assert not is_known(name, sizes)
    assert why_unknown(name, sizes)


def test_weights_have_names_of_their_own(sizes: dict[str, str]) -> None:
    known = ("yolov8n", "yolov5nu", "yolov5n6u", "yolov3u", "yolov3-tinyu", "yolov9t", "yolov10b", "rtdetr-l")
    assert all(has_weights(name, sizes) for name in known)
    assert not any(has_weights(name, sizes) for name in ("yolov8-p2x", "yolov3n", "yolov3nu", "yolov8n6u", "nothing"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nc: 80\nscales: # a comment\n  # another\n  n: [1, 1, 1]\n\n  x: [1, 1, 2]\nbackbone:\n  s: 1\n", ["n", "x"]),
        ("nc: 80\nbackbone:\n  n: 1\n", []),
        ("", []),
    ],
)
def test_sizes_of_a_text(text: str, expected: list[str]) -> None:
    assert sizes_of(text) == expected
