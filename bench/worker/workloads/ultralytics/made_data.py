"""Make the data set of a case, seeded, and like COCO in everything that costs time.

One pool of photographs is made once; a case's set lists pool images until it is as long as the case wants. The
photographs are crops of the two in Ultralytics' own assets, scaled, mirrored and re-lit, so that decoding, mosaic and
augmentation work on real image content. Sizes, boxes per image and box sizes follow COCO train2017. It
has 118,287 images, mostly 640 x 480, and a mean of 7.3 boxes per image with a long tail. Four boxes in ten are smaller
than 32 x 32 pixels.
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from ..made_files import discard, into_place, unwritable
from . import made_data_checks

POOL_IMAGES = 128
VAL_IMAGES = 2
CLASSES = 80
MOST_BOXES = 90
JPEG_QUALITY = 96
COMMON = ((640, 480), (640, 480), (480, 640), (640, 480), (640, 480), (480, 640), (640, 480))
RARE = ((640, 427), (427, 640), (500, 375), (640, 640))
"""(width, height), in turn: seven common ones, then a rare one. The first few images have nearly as many pixels each as
the whole pool has, so that a prediction's time per image does not depend on their number."""


def provide(wanted: dict[str, Any]) -> dict[str, Any]:
    """Make the data set where it is missing or damaged; return its place and identity.

    Args:
        wanted: ``root`` (folder of the cache), ``images`` (length of the set, at least 1), ``val_images`` (length of
            its validation set, by default :data:`VAL_IMAGES`), ``seed`` and ``dense``. With ``dense``, every image has
            :data:`MOST_BOXES` boxes, for the most memory that training may take.

    Returns:
        ``yaml`` (path for Ultralytics), ``fingerprint`` (of all pool files), ``images``.

    Raises:
        CaseRejected: where the cache cannot be written, or has no room for it.
    """
    try:
        return _provided(wanted)
    except OSError as error:
        raise unwritable("the made data set", wanted["root"], error) from error


def _provided(wanted: dict[str, Any]) -> dict[str, Any]:
    """Make the data set of :func:`provide`; an error of the cache passes as it is."""
    from ultralytics.utils import ASSETS

    photos = [Path(ASSETS) / name for name in ("bus.jpg", "zidane.jpg")]
    dense = bool(wanted.get("dense"))
    recipe = hashlib.sha256(f"{POOL_IMAGES} {wanted['seed']}{' dense' if dense else ''}".encode())
    for photo in (Path(__file__), *photos):  # a change of this file may change the data set
        recipe.update(photo.read_bytes())
    base = Path(wanted["root"]) / f"coco-like-{recipe.hexdigest()[:12]}"
    pool = base / "pool"
    if not made_data_checks.pool_is_intact(pool, POOL_IMAGES):
        discard(pool)
        into_place(pool, "pool.json", lambda folder: _make_pool(folder, photos, wanted["seed"], dense))
    fingerprint = json.loads((pool / "pool.json").read_text(encoding="utf-8"))["fingerprint"]
    counts = {"train": wanted["images"], "val": wanted.get("val_images") or VAL_IMAGES}
    listing = base / f"n{counts['train']:06d}-{counts['val']:06d}"
    if not made_data_checks.listing_is_intact(listing, _listing_texts(listing, counts), pool):
        discard(listing)
        into_place(listing, "data.yaml", lambda folder: _make_listing(folder, listing, pool, counts))
    return {"yaml": str(listing / "data.yaml"), "fingerprint": fingerprint, "images": wanted["images"]}


def training_images(yaml: str) -> list[str]:
    """Return the training images that Ultralytics uses, in its order.

    Args:
        yaml: data yaml of a made set, or the copy of a user's data yaml that :mod:`.user_data` made.
    """
    listing = Path(yaml).with_name("images.json")
    if listing.exists():
        return [str(image) for image in json.loads(listing.read_text(encoding="ascii"))["used"]]
    return Path(yaml).with_name("train.txt").read_text(encoding="utf-8").splitlines()


def listed_images(yaml: str) -> int:
    """Return the number of training images that the set lists, including those that Ultralytics drops."""
    listing = Path(yaml).with_name("images.json")
    if listing.exists():
        return int(json.loads(listing.read_text(encoding="ascii"))["listed"])
    return len(training_images(yaml))


def _make_pool(folder: Path, photos: list[Path], seed: int, dense: bool) -> None:
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
        photograph = _photograph(sources[index % len(sources)], _size(index), draw)
        image = cv2.imencode(".jpg", photograph, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
        labels = _labels(draw, [classes[index % CLASSES]], dense).encode()
        (folder / "images" / f"{index:04d}.jpg").write_bytes(image)
        (folder / "labels" / f"{index:04d}.txt").write_bytes(labels)
        digest.update(image + labels)
    facts = {"seed": seed, "images": POOL_IMAGES, "fingerprint": digest.hexdigest()[:12]}
    (folder / "pool.json").write_text(json.dumps(facts), encoding="utf-8")


def _size(index: int) -> tuple[int, int]:
    """Return width and height of an image of the pool."""
    turn, place = divmod(index, len(COMMON) + 1)
    return COMMON[place] if place < len(COMMON) else RARE[turn % len(RARE)]


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


def _make_listing(folder: Path, place: Path, pool: Path, counts: dict[str, int]) -> None:
    """Write splits of ``counts`` lines over the pool. Links give each length a separate label cache."""
    for name in counts:
        (folder / name).mkdir()
        for kind in ("images", "labels"):
            (folder / name / kind).symlink_to(pool / kind, target_is_directory=True)
    for name, text in _listing_texts(place, counts).items():
        (folder / name).write_text(text, encoding="utf-8")


def _listing_texts(place: Path, counts: dict[str, int]) -> dict[str, str]:
    """Return the text files of a listing, by name."""
    texts = {}
    for name, count in counts.items():
        lines = [str(place / name / "images" / f"{i % POOL_IMAGES:04d}.jpg") for i in range(count)]
        texts[f"{name}.txt"] = "\n".join(lines) + "\n"
    names = "".join(f"  {i}: class{i}\n" for i in range(CLASSES))
    path = json.dumps(str(place), ensure_ascii=False)  # the path of a cache may have characters with a meaning in YAML
    return {**texts, "data.yaml": f"path: {path}\ntrain: train.txt\nval: val.txt\nnames:\n{names}"}
