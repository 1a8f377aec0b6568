"""Find out why Ultralytics leaves an image of a data set out: a kind to count by, and a sentence with file and line."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from .tasks import DETECT, Task

ROW = "a row is 'class x y width height', from 0 to 1 as shares of the image"


class LeftOut(NamedTuple):
    """Reason why an image is left out.

    Attributes:
        kind: a few words, the same for every image with the same kind of error.
        sentence: error of this image, and what to do.
    """

    kind: str
    sentence: str


def why_left_out(image: str, label: str, data: dict[str, Any], task: Task = DETECT) -> LeftOut:
    """Ask the measured Ultralytics why it leaves an image out.

    Args:
        image: file of the image.
        label: file of its labels, which need not exist.
        data: the data set, with ``names`` and, for poses, ``kpt_shape``.
        task: task of the model.
    """
    from ultralytics.data.utils import verify_image_label

    points, dimensions = data.get("kpt_shape") or (0, 0)
    pose = task.name == "pose"
    try:
        message = str(verify_image_label((image, label, "", pose, len(data["names"]), points, dimensions, False))[-1])
    except Exception as error:  # Ultralytics handles only the errors that it expects
        message = str(error)
    problem = check_image_file(image, message)
    if problem is None and os.path.isfile(label) and pose:
        problem = check_keypoint_file(label, 5 + points * dimensions, task)
    elif problem is None and os.path.isfile(label):
        problem = check_label_file(label, len(data["names"]))
    words = " ".join(message.rpartition("ignoring corrupt image/label: ")[2].split())
    return problem or LeftOut("refused by Ultralytics", words or "it gave no reason")


IMAGE_TROUBLES = (
    ("exceeds limit", "image too large", "it has more pixels than Pillow opens: make it smaller"),
    ("<10 pixels", "image too small", "it is less than 10 pixels high or wide: remove it"),
    ("invalid image format", "image format", "its content is of a format that Ultralytics does not take: convert it"),
    ("cannot identify image", "no image", "it holds no image: remove it, or fetch it again"),
    ("pi_heif", "no image", "it holds no image that Pillow knows: remove it, or convert it to JPEG or PNG"),
    ("pi-heif", "no image", "it holds no image that Pillow knows: remove it, or convert it to JPEG or PNG"),
    ("truncated", "damaged image", "it ends too early: fetch it again"),
    ("broken", "damaged image", "it is damaged: fetch it again"),
)
"""Words in a message of Pillow or Ultralytics on an image, the kind of error, and what to do."""


def check_image_file(image: str, message: str) -> LeftOut | None:
    """Return the error of an image file; None where the message is about its labels."""
    try:
        if not os.stat(image).st_size:
            return LeftOut("empty file", "it is empty: remove it, or fetch it again")
        with open(image, "rb"):
            pass
    except FileNotFoundError:
        return LeftOut(
            "missing file",
            "it does not exist: remove the line or the link that names it",
        )
    except OSError as error:
        return LeftOut("unreadable file", f"it cannot be read ({error.strerror})")
    for words, kind, sentence in IMAGE_TROUBLES:
        if words in message.lower():
            return LeftOut(kind, sentence)
    return None


def check_keypoint_file(label: str, fields: int, task: Task) -> LeftOut | None:
    """Return the error of a label file whose rows do not have the fields of a pose; None where they have."""
    for row in rows_of(label):
        if row.fields != fields:
            wrong = f"{row.fields} fields; a row of {task.noun} has {fields}: {task.needs}"
            return LeftOut("number of fields", f"{os.path.basename(label)}, line {row.number}: {wrong}")
    return None


class Row(NamedTuple):
    """A row of a label file: its line, and how many fields it has."""

    number: int
    fields: int


def rows_of(label: str) -> list[Row]:
    """Return the rows of a label file; empty for one that cannot be read."""
    try:
        with open(label, encoding="utf-8-sig") as opened:
            lines = opened.read().splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    return [Row(number, len(line.split())) for number, line in enumerate(lines, 1) if line.strip()]


def row_unlike(label: str, task: str, keypoints: int = 0) -> Row | None:
    """Return the first row of a label file that is no polygon (``segment``) or no oriented box (``obb``).

    Args:
        label: the label file.
        task: name of the task.
        keypoints: fields of a row with keypoints, which Ultralytics takes for a box in other tasks; 0 for none.
    """
    for row in rows_of(label):
        fits = row.fields == 9 if task == "obb" else row.fields >= 7
        if not fits or row.fields == keypoints:
            return row
    return None


def check_label_file(label: str, classes: int) -> LeftOut | None:
    """Return the first error of a label file of a detection data set with so many classes; None without an error."""
    place = os.path.basename(label)
    try:
        with open(label, encoding="utf-8-sig") as opened:
            lines = opened.read().splitlines()
    except UnicodeDecodeError:
        return LeftOut("labels not UTF-8", f"its label file {place} is no UTF-8 text: save it as such")
    except OSError as error:
        return LeftOut("unreadable labels", f"its label file {place} cannot be read ({error.strerror})")
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    widths = {len(row) for _, row in rows}
    for number, row in rows:
        if (wrong := _row_error(row, classes, widths)) is not None:
            return LeftOut(wrong.kind, f"{place}, line {number}: {wrong.sentence}")
    return None


def _row_error(row: list[str], classes: int, widths: set[int]) -> LeftOut | None:
    """Return the error of one row of a label file; None without an error.

    Args:
        row: the class, then coordinates.
        classes: number of classes of the data set.
        widths: numbers of fields that rows of this file have.
    """
    values = []
    for field in row:
        if not re.fullmatch(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", field):
            return LeftOut("label is no number", f"'{field}' is no number; {ROW}, with the number of a class")
        values.append(float(field))
    if len(widths) > 1 and max(widths) > 6 and len(row) == 5:
        return LeftOut("boxes among polygons", "a box in a file with polygons: use one kind of rows")
    if len(widths) > 1 and len(row) != max(widths):
        return LeftOut("rows of several lengths", f"{len(row)} fields, and another row has {max(widths)}; {ROW}")
    if len(row) > 6 and not len(row) % 2:
        return LeftOut("number of fields", f"{len(row)} fields; a polygon is a class and then pairs of coordinates")
    if len(row) < 5 or len(row) == 6:
        return LeftOut("number of fields", f"{len(row)} fields; {ROW}")
    number, coordinates = values[0], values[1:]
    if number % 1:
        return LeftOut("class is no whole number", f"class {row[0]}; classes are whole numbers from 0")
    if number < 0 or min(coordinates) < 0:
        return LeftOut("negative value", f"'{row[values.index(min(values))]}' is negative; {ROW}")
    if max(coordinates) > 1.01:
        field = row[1 + coordinates.index(max(coordinates))]
        return LeftOut("coordinates above 1", f"'{field}' is above 1; {ROW}, not in pixels")
    if number >= classes:
        return LeftOut(
            "class out of range",
            f"class {int(number)}, and the dataset has {classes} classes from 0 on; correct it, or 'names:'",
        )
    return None
