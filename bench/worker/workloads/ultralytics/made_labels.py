"""Rows of label files of the made data sets, by task: boxes, polygons, keypoints and oriented boxes.

Polygons fill the boxes of the detection set. Keypoints and oriented boxes have a number and size of their own, like
COCO's persons and DOTA's objects.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

Box = tuple[int, float, float, float, float]
"""Class, centre, width and height; all but the class as shares of the image."""

DOTA = (
    "plane",
    "ship",
    "storage tank",
    "baseball diamond",
    "tennis court",
    "basketball court",
    "ground track field",
    "harbor",
    "bridge",
    "large vehicle",
    "small vehicle",
    "helicopter",
    "roundabout",
    "soccer ball field",
    "swimming pool",
)
"""Classes of DOTA v1."""

MOST_PERSONS = 20
"""Persons of a full image; where there are more, COCO marks the rest as one group."""

MOST_OBJECTS = 500
"""Oriented boxes of a full image. DOTA's fullest have about 2,000, and are cut into tiles for training."""

VISIBLE, HIDDEN = 0.56, 0.1
"""Shares of the keypoints that are labelled as visible and as hidden. COCO labels two thirds of a person's points."""

BODY = (
    (0.50, 0.08),
    (0.54, 0.06),
    (0.46, 0.06),
    (0.58, 0.08),
    (0.42, 0.08),
    (0.68, 0.22),
    (0.32, 0.22),
    (0.78, 0.37),
    (0.22, 0.37),
    (0.80, 0.50),
    (0.20, 0.50),
    (0.60, 0.52),
    (0.40, 0.52),
    (0.62, 0.75),
    (0.38, 0.75),
    (0.62, 0.95),
    (0.38, 0.95),
)
"""COCO's 17 keypoints of a standing person, as shares of the person's box."""

FLIPPED = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
"""Index of each keypoint in the mirrored image."""


class Image(NamedTuple):
    """What the labels of an image are made of.

    Attributes:
        number: place of the image in its pool.
        size: width and height in pixels.
        boxes: rows of the detection set.
        dense: whether it is to be as full as an image of the task gets.
    """

    number: int
    size: tuple[int, int]
    boxes: str
    dense: bool


def boxes(image: Image, draw: random.Random) -> str:
    """Return the rows of the detection set."""
    return image.boxes


def polygons(image: Image, draw: random.Random) -> str:
    """Return a polygon for each box, which touches all four sides of it; about 24 points each."""
    rows = []
    for line in image.boxes.splitlines():
        kind, x, y, width, height = line.split()
        count = min(max(round(draw.lognormvariate(3.0, 0.6)), 6), 100)
        angles = [(index + draw.random()) / count * 2 * math.pi for index in range(count)]
        radii = [draw.uniform(0.55, 1.0) for _ in angles]
        across = _stretched([r * math.cos(a) for r, a in zip(radii, angles)], float(x), float(width))
        down = _stretched([r * math.sin(a) for r, a in zip(radii, angles)], float(y), float(height))
        rows.append(_row(int(kind), [value for point in zip(across, down) for value in point]))
    return "".join(rows)


def _stretched(values: Sequence[float], centre: float, length: float) -> list[float]:
    """Return values moved and scaled so that they cover a range exactly."""
    low, high = min(values), max(values)
    return [centre + ((value - low) / (high - low) - 0.5) * length for value in values]


def keypoints(image: Image, draw: random.Random) -> str:
    """Return persons with 17 keypoints each: 2.6 per image, each about a fifth of the image's side."""
    count = MOST_PERSONS if image.dense else min(max(round(draw.lognormvariate(0.6, 0.8)), 1), MOST_PERSONS)
    rows = []
    for _ in range(count):
        side = min(max(draw.lognormvariate(-1.6, 0.7), 0.05), 0.9)
        slim = draw.lognormvariate(-0.35, 0.3)
        width, height = min(side * slim, 0.98), min(side / slim, 0.98)
        x, y = draw.uniform(width / 2, 1 - width / 2), draw.uniform(height / 2, 1 - height / 2)
        values = [x, y, width, height]
        for across, down in BODY:
            chance = draw.random()
            seen_as = 2 if chance < VISIBLE else 1 if chance < VISIBLE + HIDDEN else 0
            place = [_within(part + draw.gauss(0, 0.05)) - 0.5 for part in (across, down)]
            values += [x + place[0] * width, y + place[1] * height, seen_as] if seen_as else [0, 0, 0]
        rows.append(_row(0, values))
    return "".join(rows)


def _within(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def corners(image: Image, draw: random.Random) -> str:
    """Return oriented boxes with their four corners: about 65 per image, most of them small, of any angle."""
    count = MOST_OBJECTS if image.dense else min(max(round(draw.lognormvariate(3.3, 1.3)), 1), MOST_OBJECTS)
    common = [1.0 / (rank + 1) ** 0.9 for rank in range(len(DOTA))]
    width, height = image.size
    rows = []
    for index in range(count):
        kind = image.number % len(DOTA) if not index else draw.choices(range(len(DOTA)), common)[0]
        side = min(max(draw.lognormvariate(-3.4, 0.8), 0.008), 0.5) * min(image.size)
        slim = draw.lognormvariate(0.3, 0.3)
        along, across, angle = side * slim / 2, side / slim / 2, draw.uniform(0, math.pi)
        reach = math.hypot(along, across)
        if 2 * reach > min(image.size):  # it would not fit at every angle
            along, across, reach = (part * min(image.size) / (2 * reach) for part in (along, across, reach))
        x, y = draw.uniform(reach, width - reach), draw.uniform(reach, height - reach)
        values = []
        for a, b in ((along, across), (along, -across), (-along, -across), (-along, across)):
            values.append((x + a * math.cos(angle) - b * math.sin(angle)) / width)
            values.append((y + a * math.sin(angle) + b * math.cos(angle)) / height)
        rows.append(_row(kind, values))
    return "".join(rows)


def class_number(image: Image, draw: random.Random) -> str:
    """Return the class of an image for classification, which Ultralytics reads from the name of its folder."""
    return f"{image.number}\n"


def _row(kind: int, values: Sequence[float]) -> str:
    """Return a row of a label file."""
    return " ".join([str(kind), *(f"{v:.6f}" if isinstance(v, float) else str(v) for v in values)]) + "\n"


Sizes = tuple[tuple[int, int], ...]

COCO_SIZES: tuple[Sizes, Sizes] = (
    ((640, 480), (640, 480), (480, 640), (640, 480), (640, 480), (480, 640), (640, 480)),
    ((640, 427), (427, 640), (500, 375), (640, 640)),
)
"""Width and height, in turn: seven common sizes, then a rare one. The first few images have nearly as many pixels each
as the whole pool has, so that a prediction's time per image does not depend on their number."""

IMAGENET_SIZES: tuple[Sizes, Sizes] = (
    ((500, 375), (500, 375), (375, 500), (500, 375), (500, 333), (500, 375), (375, 500)),
    ((500, 400), (333, 500), (400, 400), (500, 500)),
)
"""Sizes of ImageNet's photographs: most of them have 500 pixels on the longer side."""


class Labels(NamedTuple):
    """Labels of a made data set.

    Attributes:
        rows: returns the rows of an image's label file.
        names: names of the classes.
        settings: further lines of the data yaml.
        sizes: common and rare sizes of its images.
    """

    rows: Callable[[Image, random.Random], str]
    names: tuple[str, ...]
    settings: Mapping[str, Any] = {}
    sizes: tuple[Sizes, Sizes] = COCO_SIZES


COCO = tuple(f"class{index}" for index in range(80))

LABELS = {
    "detect": Labels(boxes, COCO),
    "segment": Labels(polygons, COCO),
    "pose": Labels(keypoints, ("person",), {"kpt_shape": [len(BODY), 3], "flip_idx": FLIPPED}),
    "obb": Labels(corners, DOTA),
    "classify": Labels(class_number, (), sizes=IMAGENET_SIZES),
}
"""Labels by task."""
