"""Make the data set of a case, seeded, and like COCO in everything that costs time.

One pool of photographs is made once; a case's set lists pool images until it is as long as the case wants. The
photographs are crops of the two in Ultralytics' own assets, scaled, mirrored and re-lit, so that decoding, mosaic and
augmentation work on real image content. Sizes, boxes per image and box sizes follow COCO train2017. It
has 118,287 images, mostly 640 x 480, and a mean of 7.3 boxes per image with a long tail. Four boxes in ten are smaller
than 32 x 32 pixels. Every task has the same photographs; :mod:`.made_labels` makes the labels of the other tasks.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from pathlib import Path
from typing import Any

from ..made_files import discard, into_place, unwritable
from . import made_data_checks, made_labels

POOL_IMAGES = 128
VAL_IMAGES = 2
CLASSES = 80
MOST_BOXES = 90
JPEG_QUALITY = 96
COMMON, RARE = made_labels.COCO_SIZES


def provide(wanted: dict[str, Any]) -> dict[str, Any]:
    """Make the data set where it is missing or damaged; return its place and identity.

    Args:
        wanted: ``root`` (folder of the cache), ``images`` (length of the set, at least 1), ``val_images`` (length of
            its validation set, by default :data:`VAL_IMAGES`), ``seed``, ``dense`` and ``task`` (a key of
            :data:`.made_labels.LABELS`). With ``dense``, every image has as many boxes as an image of the task gets
            (:data:`MOST_BOXES` in detection), for the most memory that training may take.

    Returns:
        ``yaml`` (path for Ultralytics), ``fingerprint`` (of all pool files), ``images``.

    Raises:
        CaseRejected: where the cache cannot be written, or has no room for it.
    """
    try:
        return _provided(wanted)
    except OSError as error:
        raise unwritable("the made dataset", wanted["root"], error) from error


def _provided(wanted: dict[str, Any]) -> dict[str, Any]:
    """Make the data set of :func:`provide`; an error of the cache passes as it is."""
    task = str(wanted.get("task") or "detect")
    pool, fingerprint = provide_pool(wanted, "coco-like" if task == "detect" else f"coco-like-{task}", task)
    counts = {"train": wanted["images"], "val": wanted.get("val_images") or VAL_IMAGES}
    listing = pool.parent / f"n{counts['train']:06d}-{counts['val']:06d}"
    if not made_data_checks.listing_is_intact(listing, _listing_texts(listing, counts, task), pool):
        discard(listing)
        into_place(listing, "data.yaml", lambda folder: _make_listing(folder, listing, pool, counts, task))
    return {"yaml": str(listing / "data.yaml"), "fingerprint": fingerprint, "images": wanted["images"]}


def provide_pool(wanted: dict[str, Any], name: str, task: str) -> tuple[Path, str]:
    """Make a pool of images where it is missing or damaged; return its folder and its fingerprint.

    Args:
        wanted: see :func:`provide`.
        name: name of the data set.
        task: a key of :data:`.made_labels.LABELS`.
    """
    from ultralytics.utils import ASSETS

    photos = [Path(ASSETS) / file for file in ("bus.jpg", "zidane.jpg")]
    dense = bool(wanted.get("dense"))
    recipe = hashlib.sha256(f"{POOL_IMAGES} {wanted['seed']}{' dense' if dense else ''}".encode())
    for source in (Path(__file__), Path(made_labels.__file__), *photos):  # a change there may change the data set
        recipe.update(source.read_bytes())
    pool = Path(wanted["root"]) / f"{name}-{recipe.hexdigest()[:12]}" / "pool"
    if not made_data_checks.pool_is_intact(pool, POOL_IMAGES):
        discard(pool)
        into_place(pool, "pool.json", lambda folder: _make_pool(folder, photos, wanted["seed"], dense, task))
    return pool, json.loads((pool / "pool.json").read_text(encoding="utf-8"))["fingerprint"]


def training_images(source: str) -> list[str]:
    """Return the training images that Ultralytics uses, in its order.

    Args:
        source: data yaml or folder of a made set, or the copy of a user's data set that :mod:`.user_data` made.
    """
    listing = _listing_of(source)
    if listing.exists():
        return [str(image) for image in json.loads(listing.read_text(encoding="ascii"))["used"]]
    return Path(source).with_name("train.txt").read_text(encoding="utf-8").splitlines()


def listed_images(source: str) -> int:
    """Return the number of training images that the set lists, including those that Ultralytics drops."""
    listing = _listing_of(source)
    if listing.exists():
        return int(json.loads(listing.read_text(encoding="ascii"))["listed"])
    return len(training_images(source))


def _listing_of(source: str) -> Path:
    """Return the file that lists the images of a data set, next to its yaml or within its folder."""
    return Path(source, "images.json") if os.path.isdir(source) else Path(source).with_name("images.json")


def _make_pool(folder: Path, photos: list[Path], seed: int, dense: bool, task: str) -> None:
    """Write images and labels, ``images/NNNN.jpg`` and ``labels/NNNN.txt``, and ``pool.json``."""
    import cv2

    draw = random.Random(seed)
    sources = [cv2.imread(str(photo)) for photo in photos]
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    digest = hashlib.sha256()
    classes = list(range(CLASSES))
    draw.shuffle(classes)
    for index in range(POOL_IMAGES):
        size = _size(index, task)
        photograph = _photograph(sources[index % len(sources)], size, draw)
        image = cv2.imencode(".jpg", photograph, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
        boxes = _labels(draw, [classes[index % CLASSES]], dense)  # for every task, so that all have the same images
        content = made_labels.Image(index, size, boxes, dense)
        labels = made_labels.LABELS[task].rows(content, random.Random(f"{task} {seed} {index}")).encode()
        (folder / "images" / f"{index:04d}.jpg").write_bytes(image)
        (folder / "labels" / f"{index:04d}.txt").write_bytes(labels)
        digest.update(image + labels)
    facts = {"seed": seed, "images": POOL_IMAGES, "fingerprint": digest.hexdigest()[:12]}
    (folder / "pool.json").write_text(json.dumps(facts), encoding="utf-8")


def _size(index: int, task: str = "detect") -> tuple[int, int]:
    """Return width and height of an image of the pool."""
    common, rare = made_labels.LABELS[task].sizes
    turn, place = divmod(index, len(common) + 1)
    return common[place] if place < len(common) else rare[turn % len(rare)]


def _photograph(source: Any, size: tuple[int, int], draw: random.Random) -> Any:
    """Return an image, uint8 of shape (height, width, 3): a crop of a source, maybe mirrored, scaled and re-lit."""
    import cv2
    import numpy as np

    width, height = size
    most = min(source.shape[1] / width, source.shape[0] / height)
    scale = most * draw.uniform(0.45, 1.0)
    crop_width, crop_height = int(width * scale), int(height * scale)
    left = draw.randint(0, source.shape[1] - crop_width)
    top = draw.randint(0, source.shape[0] - crop_height)
    part = source[top : top + crop_height, left : left + crop_width]
    if draw.random() < 0.5:
        part = part[:, ::-1]
    image = cv2.resize(part, (width, height), interpolation=cv2.INTER_CUBIC)
    gain = np.array([draw.uniform(0.8, 1.2) for _ in range(3)]) * draw.uniform(0.6, 1.3)
    levels = np.linspace(0.0, 1.0, 256)[:, None] ** draw.uniform(0.7, 1.4) * gain[None, :]
    table = np.clip(levels * 255, 0, 255).astype(np.uint8)[:, None, :]
    return cv2.LUT(np.ascontiguousarray(image), table.reshape(256, 1, 3))


def _labels(draw: random.Random, certain: list[int], dense: bool = False) -> str:
    """Return lines ``class x y width height``, normalised, with each class of ``certain``, so that none is missing."""
    boxes = MOST_BOXES if dense else min(max(len(certain), round(draw.lognormvariate(1.55, 0.95))), MOST_BOXES)
    common = [1.0 / (rank + 1) ** 0.9 for rank in range(CLASSES)]  # COCO's classes: person 30 %, then a long tail
    lines = []
    for index in range(boxes):
        kind = certain[index] if index < len(certain) else draw.choices(range(CLASSES), common)[0]
        side = min(max(draw.lognormvariate(-2.59, 1.15), 0.008), 0.9)  # of the image's side
        slim = draw.lognormvariate(0.0, 0.35)
        width, height = min(side * slim, 0.98), min(side / slim, 0.98)
        x, y = draw.uniform(width / 2, 1 - width / 2), draw.uniform(height / 2, 1 - height / 2)
        lines.append(f"{kind} {x:.6f} {y:.6f} {width:.6f} {height:.6f}")
    return "\n".join(lines) + "\n"


def _make_listing(folder: Path, place: Path, pool: Path, counts: dict[str, int], task: str) -> None:
    """Write splits of ``counts`` lines over the pool. Links give each length a separate label cache."""
    for name in counts:
        (folder / name).mkdir()
        for kind in ("images", "labels"):
            (folder / name / kind).symlink_to(pool / kind, target_is_directory=True)
    for name, text in _listing_texts(place, counts, task).items():
        (folder / name).write_text(text, encoding="utf-8")


def _listing_texts(place: Path, counts: dict[str, int], task: str) -> dict[str, str]:
    """Return the text files of a listing, by name."""
    texts = {}
    for name, count in counts.items():
        lines = [str(place / name / "images" / f"{i % POOL_IMAGES:04d}.jpg") for i in range(count)]
        texts[f"{name}.txt"] = "\n".join(lines) + "\n"
    labels = made_labels.LABELS[task]
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(labels.names))
    further = "".join(f"{key}: {value}\n" for key, value in labels.settings.items())
    path = json.dumps(str(place), ensure_ascii=False)  # the path of a cache may have characters with a meaning in YAML
    return {**texts, "data.yaml": f"path: {path}\ntrain: train.txt\nval: val.txt\n{further}names:\n{names}"}
