"""Make the data set of a classification case: photographs in ImageNet's sizes, in a folder for each of 1,000 classes.

Ultralytics counts the folders of classes, empty or not, so that a head of 1,000 classes needs no 1,000 images.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..made_files import discard, into_place, unwritable
from . import made_data

CLASSES = 1000
"""Classes of ImageNet-1k."""

LISTING = "images.json"
"""File with the training images in Ultralytics' order, as :func:`.made_data.training_images` reads it."""


def provide(wanted: dict[str, Any]) -> dict[str, Any]:
    """Make the data set where it is missing or damaged; see :func:`.made_data.provide`.

    Returns:
        ``yaml`` (the folder, since classification has no data yaml), ``fingerprint``, ``images``.
    """
    try:
        pool, fingerprint = made_data.provide_pool(wanted, "imagenet-like", "classify")
        counts = {"train": wanted["images"], "val": wanted.get("val_images") or made_data.VAL_IMAGES}
        folder = pool.parent / f"n{counts['train']:06d}-{counts['val']:06d}"
        if not _is_intact(folder, pool, counts):
            discard(folder)
            into_place(folder, LISTING, lambda new: _make(new, folder, pool, counts))
        return {"yaml": str(folder), "fingerprint": fingerprint, "images": wanted["images"]}
    except OSError as error:
        raise unwritable("the made dataset", wanted["root"], error) from error


def class_name(index: int) -> str:
    """Return the folder of a class; the order of the names is that of the classes."""
    return f"class{index:03d}"


def _links(count: int) -> list[tuple[str, str]]:
    """Return the links of a split and the pool's files that they lead to, in the order of their names."""
    links = []
    for index in range(count):
        image = index % made_data.POOL_IMAGES
        links.append((f"{class_name(image % CLASSES)}/{index:06d}.jpg", f"{image:04d}.jpg"))
    return sorted(links)


def _make(folder: Path, place: Path, pool: Path, counts: dict[str, int]) -> None:
    """Make a folder for each class and split, with links into the pool."""
    for split, count in counts.items():
        for index in range(CLASSES):
            (folder / split / class_name(index)).mkdir(parents=True)
        for link, image in _links(count):
            (folder / split / link).symlink_to(pool / "images" / image)
    (folder / LISTING).write_text(_listing(place, counts), encoding="ascii")


def _listing(place: Path, counts: dict[str, int]) -> str:
    """Return the text of :data:`LISTING`."""
    used = [str(place / "train" / link) for link, _ in _links(counts["train"])]
    return json.dumps({"listed": len(used), "used": used, "left_out": []})


def _is_intact(folder: Path, pool: Path, counts: dict[str, int]) -> bool:
    """Whether all class folders and links of a data set are there."""
    try:
        if (folder / LISTING).read_text(encoding="ascii") != _listing(folder, counts):
            return False
        for split, count in counts.items():
            links = _links(count)
            folders = [entry for entry in os.scandir(folder / split) if entry.is_dir()]
            if len(folders) != CLASSES or sum(len(os.listdir(entry)) for entry in folders) != len(links):
                return False
            if any(os.readlink(folder / split / link) != str(pool / "images" / image) for link, image in links):
                return False
        return True
    except OSError:
        return False
