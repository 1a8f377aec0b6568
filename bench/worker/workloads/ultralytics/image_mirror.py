"""Mirror a data set in a case's own folder: links to images and labels, next to which Ultralytics may write.

``cache=disk`` writes an array next to every image path. Next to the images themselves, that would change the user's
data. In the pool of the made sets, every later case would read the array in place of the image.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .made_data import listed_images, training_images
from .user_data import LISTING, label_of, split_of, write_yaml

KEPT = ("names", "nc", "channels", "kpt_shape", "flip_idx")
"""Keys of a data yaml that do not name a place."""


def mirror(yaml: str, folder: Path) -> str:
    """Make the mirror of a data set; return its data yaml, or its folder of classes.

    Args:
        yaml: data yaml or folder of a made set, or the cached copy of a user's data set.
        folder: folder for the mirror; it must not exist.
    """
    from ultralytics.data.utils import check_det_dataset

    if os.path.isdir(yaml):
        return _mirror_classes(Path(yaml), folder)
    data: dict[str, Any] = dict(check_det_dataset(yaml, autodownload=False))
    folder.mkdir(parents=True)
    train = _linked(training_images(yaml), folder / "train")
    validation = _linked(split_of(data["val"], data).used, folder / "val")
    (folder / LISTING).write_text(json.dumps({"listed": listed_images(yaml), "used": train}), encoding="ascii")
    for name, images in (("train", train), ("val", validation)):
        (folder / f"{name}.txt").write_text("".join(f"{image}\n" for image in images), encoding="utf-8")
    kept = {key: value for key, value in data.items() if key in KEPT}
    write_yaml(folder / "data.yaml", {"path": str(folder), "train": "train.txt", "val": "val.txt", **kept})
    return str(folder / "data.yaml")


def _mirror_classes(source: Path, folder: Path) -> str:
    """Mirror a folder of classes; links to class folders would be no classes for Ultralytics."""
    for split in ("train", "val"):
        for group in (entry for entry in os.scandir(source / split) if entry.is_dir()):
            (folder / split / group.name).mkdir(parents=True)
            for place, _, files in os.walk(group.path, followlinks=True):
                for file in files:
                    within = Path(place, file).relative_to(group.path)
                    link = folder / split / group.name / within
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(Path(place, file))
    used = [str(folder / Path(image).relative_to(source)) for image in training_images(str(source))]
    listing = {"listed": listed_images(str(source)), "used": used}
    (folder / LISTING).write_text(json.dumps(listing), encoding="ascii")
    return str(folder)


def _linked(images: Iterable[str], folder: Path) -> list[str]:
    """Link images into a folder; return their links in the same order. An image that is listed twice has one link."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    links: dict[str, str] = {}
    listed = []
    for image in images:
        if image not in links:
            link = folder / "images" / f"{len(links):08d}{Path(image).suffix}"
            link.symlink_to(image)
            label = Path(label_of(image))
            if label.exists():
                (folder / "labels" / f"{link.stem}.txt").symlink_to(label)
            links[image] = str(link)
        listed.append(links[image])
    return listed
