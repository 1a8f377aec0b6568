"""Rows of the made label files of each task."""

from __future__ import annotations

import hashlib
import random
from statistics import mean

import pytest

from bench.worker.workloads.ultralytics import made_data, made_labels
from bench.worker.workloads.ultralytics.made_labels import Image


def rows(task: str, images: int = 200, dense: bool = False) -> list[list[list[float]]]:
    """Rows of images, as numbers."""
    draw, labels = random.Random(0), made_labels.LABELS[task]
    contents = []
    for number in range(images):
        image = Image(number, made_data._size(number, task), made_data._labels(draw, [number % 80], dense), dense)
        text = labels.rows(image, random.Random(f"{task} {number}"))
        contents.append([[float(field) for field in line.split()] for line in text.splitlines()])
    return contents


def flat(images: list[list[list[float]]]) -> list[list[float]]:
    return [row for image in images for row in image]


def test_a_polygon_has_the_box_of_detection() -> None:
    boxes, polygons = rows("detect"), rows("segment")
    for (kind, x, y, width, height), (other, *points) in zip(flat(boxes), flat(polygons), strict=True):
        across, down = points[::2], points[1::2]
        assert kind == other and len(across) == len(down) >= 6
        assert (min(across), max(across)) == pytest.approx((x - width / 2, x + width / 2), abs=2e-6)
        assert (min(down), max(down)) == pytest.approx((y - height / 2, y + height / 2), abs=2e-6)
    assert 20 < mean(len(row) // 2 for row in flat(polygons)) < 28


def test_persons_have_seventeen_keypoints_in_their_boxes() -> None:
    images = rows("pose")
    assert 2 < mean(map(len, images)) < 3.3
    persons = flat(images)
    assert {len(row) for row in persons} == {1 + 4 + 17 * 3}
    for kind, x, y, width, height, *points in persons:
        assert kind == 0
        for across, down, visible in zip(points[::3], points[1::3], points[2::3], strict=True):
            assert visible in (0, 1, 2)
            if visible:
                assert abs(across - x) <= width / 2 + 2e-6 and abs(down - y) <= height / 2 + 2e-6
    labelled = mean(visible > 0 for row in persons for visible in row[7::3])
    assert 0.6 < labelled < 0.72
    flipped = made_labels.FLIPPED
    assert sorted(flipped) == list(range(17)) and [flipped[index] for index in flipped] == list(range(17))


def test_corners_are_of_rectangles_within_the_image() -> None:
    images = rows("obb")
    assert 40 < mean(map(len, images)) < 90
    assert {row[0] for row in flat(images)} == set(range(15))
    for number, image in enumerate(images):
        width, height = made_data._size(number)
        for row in image:
            assert len(row) == 9 and all(0 <= value <= 1 for value in row[1:])
            corners = [(x * width, y * height) for x, y in zip(row[1::2], row[2::2], strict=True)]
            (a, b), (c, d), (e, f) = corners[:3]
            assert abs((c - a) * (e - c) + (d - b) * (f - d)) < 0.01 * max(width, height)


@pytest.mark.parametrize(("task", "most"), [("segment", 90), ("pose", 20), ("obb", 500)])
def test_a_dense_image_is_as_full_as_the_task_gets(task: str, most: int) -> None:
    assert {len(image) for image in rows(task, 4, dense=True)} == {most}
    assert max(map(len, rows(task))) <= most


def test_labels_of_detection_are_those_of_recorded_fingerprints() -> None:
    draw = random.Random(0)
    texts = [made_data._labels(draw, [index % 80], dense) for dense in (False, True) for index in range(128)]
    assert hashlib.sha256("".join(texts).encode()).hexdigest()[:12] == "1945fe0e0383"
    assert made_labels.boxes(Image(0, (640, 480), texts[0], False), draw) == texts[0]
