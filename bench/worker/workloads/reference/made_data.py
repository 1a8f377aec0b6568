"""Make the data sets of the reference models, seeded: arrays like CIFAR-10 and MNIST, JPEG files like ImageNet.

Every item is the pattern of its class with noise, so that a loss can fall. A set lists items of one pool until it is as
long as a case wants.
"""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path
from typing import Any

from ..made_files import discard, into_place, unwritable
from .models import CIFAR, IMAGENET, MNIST

ARRAYS: dict[str, tuple[int, ...]] = {CIFAR: (50_000, 32, 32, 3), MNIST: (60_000, 28, 28)}
"""Shape of each set of uint8 in one file: items first, as the files of CIFAR-10 and MNIST have them."""

CLASSES = 10
"""Classes of the arrays; item ``i`` is of class ``i % CLASSES``."""

JPEG_IMAGES, JPEG_CLASSES, JPEG_QUALITY = 256, 64, 90
JPEG_SIZES = ((500, 375), (500, 333), (375, 500), (500, 400), (400, 500), (500, 375), (333, 500), (500, 375))
"""Width and height, in turn: about those of ImageNet, whose files take 110 kB on average."""

FACTS = "pool.json"
ITEMS = "items.bin"


def provide(name: str, root: str, items: int, seed: int) -> dict[str, Any]:
    """Make a data set where it is missing; return its source, fingerprint and length.

    Args:
        name: of the set.
        root: folder of the cache.
        items: length of the set.
        seed: random seed.

    Raises:
        CaseRejected: where the cache cannot be written, or has no room for it.
    """
    try:
        return _provided(name, Path(root), items, seed)
    except OSError as error:
        raise unwritable("the made dataset", root, error) from error


def _provided(name: str, root: Path, items: int, seed: int) -> dict[str, Any]:
    recipe = hashlib.sha256(f"{name} {seed} ".encode() + Path(__file__).read_bytes())  # a change here may change it
    pool = root / f"{name}-{recipe.hexdigest()[:12]}"
    if (facts := _facts(pool)) is None:
        discard(pool)
        into_place(pool, FACTS, lambda folder: _make(folder, name, seed))
        facts = _facts(pool) or {}
    listing = pool / f"n{items:07d}.json"
    if not listing.exists():
        listing.write_text(json.dumps({"name": name, "items": items}), encoding="ascii")
    return {"source": str(listing), "fingerprint": facts.get("fingerprint", ""), "images": items}


def _make(folder: Path, name: str, seed: int) -> None:
    """Fill the folder of a pool."""
    if name == IMAGENET:
        _make_files(folder, seed)
    else:
        _make_array(folder, name, seed)


def _facts(pool: Path) -> dict[str, Any] | None:
    """Return the facts of a pool; None where it is incomplete, as a full disk or a cleanup may leave it."""
    try:
        facts: dict[str, Any] = json.loads((pool / FACTS).read_text(encoding="ascii"))
        sizes = sum(path.stat().st_size for path in pool.rglob("*") if path.suffix in (".bin", ".jpg"))
        return facts if sizes == facts["bytes"] else None
    except (OSError, ValueError, KeyError):
        return None


def _write_facts(folder: Path, fingerprint: str, size: int) -> None:
    (folder / FACTS).write_text(json.dumps({"fingerprint": fingerprint, "bytes": size}), encoding="ascii")


def _make_array(folder: Path, name: str, seed: int) -> None:
    """Write all items of an array: half the pattern of the class, half noise."""
    import torch

    count, *shape = ARRAYS[name]
    draw = random.Random(f"{name} {seed}")
    size = count
    for side in shape:
        size *= side
    values = torch.from_file(str(folder / ITEMS), shared=True, size=size, dtype=torch.uint8).view(count, *shape)
    cells = [(side + 3) // 4 for side in shape[:2]]  # a pattern has squares of 4 pixels
    drawn = _noise(draw, (CLASSES, *cells, *shape[2:]))
    patterns = drawn.repeat_interleave(4, 1).repeat_interleave(4, 2)[:, : shape[0], : shape[1]]
    for start in range(0, count, 10_000):
        part = values[start : start + 10_000]
        classes = torch.arange(start, start + len(part)) % CLASSES
        part.copy_((patterns[classes] >> 1) + (_noise(draw, tuple(part.shape)) >> 1))
    content = (folder / ITEMS).read_bytes()
    _write_facts(folder, hashlib.sha256(content).hexdigest()[:12], len(content))


def _noise(draw: random.Random, shape: tuple[int, ...]) -> Any:
    """Return uniform noise, uint8, the same with every version of torch."""
    import torch

    size = 1
    for side in shape:
        size *= side
    return torch.frombuffer(bytearray(draw.randbytes(size)), dtype=torch.uint8).view(shape)


def _make_files(folder: Path, seed: int) -> None:
    """Write JPEG files, ``train/CLASS/NUMBER.jpg``, which ``ImageFolder`` reads."""
    import torch
    from torchvision.transforms.functional import to_pil_image

    draw = torch.Generator().manual_seed(seed)
    patterns = torch.rand(JPEG_CLASSES, 3, 5, 5, generator=draw)
    digest, size = hashlib.sha256(), 0
    for index in range(JPEG_IMAGES):
        kind = index % JPEG_CLASSES
        width, height = JPEG_SIZES[index % len(JPEG_SIZES)]
        place = folder / "train" / f"class{kind:03d}"
        place.mkdir(parents=True, exist_ok=True)
        file = place / f"{index:04d}.jpg"
        to_pil_image(_scene(patterns[kind], height, width, draw)).save(file, quality=JPEG_QUALITY)
        content = file.read_bytes()
        digest.update(content)
        size += len(content)
    _write_facts(folder, digest.hexdigest()[:12], size)


OCTAVES = ((8, 0.25), (24, 0.16), (80, 0.1), (500, 0.07))
"""Cells across and strength of noise: like photographs, an image has detail at every scale, the finest weakest."""


def _scene(pattern: Any, height: int, width: int, draw: Any) -> Any:
    """Return an image, float of shape (3, height, width): the pattern of a class, and noise at several scales."""
    import torch
    from torch.nn.functional import interpolate

    def scaled(values: Any) -> Any:
        return interpolate(values[None], size=(height, width), mode="bilinear", align_corners=False)[0]

    image = scaled(pattern)
    for cells, strength in OCTAVES:
        grey = torch.randn(1, max(cells * height // 500, 2), max(cells * width // 500, 2), generator=draw)
        image = image + strength * scaled(grey)
    return image.clamp(0, 1)
