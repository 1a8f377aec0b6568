"""Inspect a user's data set for classification: a folder of class folders, without changing it.

Ultralytics would split images without a training folder into a new folder next to them, and writes its caches next to
the folders. Training and prediction get a folder in this suite's own cache with links to the folders of the user.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

from ...rejection import CaseRejected
from ..made_files import discard, into_place, unwritable
from . import label_errors
from .tasks import CLASSIFY
from .user_data import LEFT_OUT, LISTING, SCHEME, Split, fingerprint, lines_of, relative

VALIDATION = ("val", "validation", "valid", "test")
"""Names of a validation folder, in the order in which Ultralytics looks for them."""


def inspect(wanted: dict[str, Any]) -> dict[str, Any]:
    """Inspect a folder of classes; see :func:`.user_data.inspect`.

    Args:
        wanted: ``yaml`` (absolute path of the user's folder) and ``root`` (folder of the cache).

    Raises:
        CaseRejected: with status ``unsupported`` where it holds no classes; other tasks may use it.
    """
    folder, root = Path(wanted["yaml"]), Path(wanted["root"])
    if not folder.is_dir():
        raise refused(str(folder), f"{CLASSIFY.noun} needs {CLASSIFY.needs}, and no data yaml: name that folder")
    classes = classes_in(folder / "train")
    if not classes:
        raise refused(str(folder), f"it has no folders of classes: {CLASSIFY.noun} needs {CLASSIFY.needs}")
    if {"images", "labels"} & set(classes):
        raise refused(str(folder), f"its 'train/' holds images and labels: {CLASSIFY.noun} needs {CLASSIFY.needs}")
    train = split_of(folder / "train")
    missing = list((Counter(train.listed) - Counter(train.used)).elements())
    reasons = [label_errors.why_left_out(image, "", {"names": classes}) for image in missing]
    sentences = [f"{relative(image, folder)}: {reason.sentence}" for image, reason in zip(missing, reasons)]
    if not train.used:
        first = f": the first is {sentences[0]}" if sentences else ""
        raise refused(str(folder), f"none of its {len(train.listed)} training images can be used{first}")
    validation = next((folder / name for name in VALIDATION if (folder / name).is_dir()), None)
    other = split_of(validation) if validation is not None else Split([], [])
    data = {"path": str(folder), "names": classes}
    digest, newest = fingerprint(data, {"train": train.listed, "val": other.listed})
    listing = {"listed": len(train.listed), "left_out": sentences}
    copy = copy_of({"train": folder / "train", "val": validation}, folder, train.used, listing, root)
    no_training = ""
    if not other.used:
        needs = "add 'val/' with a folder for each class"
        no_training = refused(str(folder), f"it has no validation images: {needs}").reason
    elif set(classes_in(validation)) - set(classes):
        unknown = sorted(set(classes_in(validation)) - set(classes))
        no_training = refused(str(folder), f"its validation has the class {unknown[0]!r}, which 'train/' lacks").reason
    return {
        "yaml": str(copy),
        "fingerprint": digest,
        "scheme": SCHEME,
        "images": len(train.used),
        "listed": len(train.listed),
        "left_out": dict(Counter(reason.kind for reason in reasons).most_common()),
        "left_out_first": sentences[0] if sentences else "",
        "left_out_file": str(copy / LEFT_OUT) if sentences else "",
        "no_training": no_training,
        "newest": newest,
    }


def refused(folder: str, sentence: str) -> CaseRejected:
    """Return the rejection of a data set for classification models alone."""
    return CaseRejected("unsupported", f"data {folder}: {sentence}.", ("model",))


def classes_in(folder: Path | None) -> list[str]:
    """Return the names of the folders of classes; those that are links count for Ultralytics only in part."""
    if folder is None or not folder.is_dir():
        return []
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())


def split_of(folder: Path) -> Split:
    """Return the images of a split as Ultralytics' own data set class lists and keeps them."""
    from ultralytics.cfg import get_cfg
    from ultralytics.data.dataset import ClassificationDataset

    listed: list[str] = []

    class Listing(ClassificationDataset):  # type: ignore[misc]
        samples: list[Any]

        def verify_images(self) -> Any:
            listed.extend(str(sample[0]) for sample in self.samples)
            return super().verify_images() if self.samples else []

    try:
        dataset = Listing(str(folder), args=get_cfg(overrides={"imgsz": 224}))
    except FileNotFoundError as error:  # older torchvision allows no empty folder
        raise refused(str(folder), str(error).partition(".")[0]) from error
    return Split(listed, [str(sample[0]) for sample in dataset.samples])


def copy_of(splits: dict[str, Path | None], folder: Path, used: list[str], listing: dict[str, Any], root: Path) -> Path:
    """Return the folder in the cache that stands for the user's; make it if it is missing."""
    known = json.dumps([str(folder), used, listing], ensure_ascii=True)
    target = root / f"user-{hashlib.sha256(known.encode()).hexdigest()[:12]}"
    inside = [str(target / Path(image).relative_to(folder)) for image in used]
    text = json.dumps({**listing, "used": inside})
    links = {name: str(split) for name, split in splits.items() if split is not None}

    def make(new: Path) -> None:
        for name, split in links.items():
            (new / name).symlink_to(split, target_is_directory=True)
        (new / LEFT_OUT).write_text(lines_of(text), encoding="utf-8")
        (new / LISTING).write_text(text, encoding="ascii")

    if not _is_intact(target, text, links):
        try:
            discard(target)
            into_place(target, LISTING, make)
        except OSError as error:
            raise unwritable("the list of a dataset's images", str(root), error) from error
    return target


def _is_intact(target: Path, text: str, links: dict[str, str]) -> bool:
    try:
        texts = {LISTING: text, LEFT_OUT: lines_of(text)}
        whole = all((target / name).read_text(encoding="utf-8") == content for name, content in texts.items())
        return whole and all(os.readlink(target / name) == split for name, split in links.items())
    except OSError:
        return False
