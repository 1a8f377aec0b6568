"""Small data sets of a user, and what is wrong with them."""

from __future__ import annotations

import hashlib
from pathlib import Path

BOXES = "0 0.4 0.4 0.3 0.3\n1 0.6 0.5 0.2 0.4\n"


def make(root: Path, images: int = 4, suffix: str = "jpg") -> Path:
    """A data set of two classes, with so many training images and one for validation; its yaml."""
    import cv2
    import numpy

    draw = numpy.random.default_rng(0)
    for split, count in (("train", images), ("val", 1)):
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True)
        for number in range(count):
            picture = cv2.GaussianBlur(draw.integers(0, 255, (48, 64, 3), dtype=numpy.uint8), (9, 9), 0)
            assert cv2.imwrite(str(root / "images" / split / f"{number}.{suffix}"), picture)
            (root / "labels" / split / f"{number}.txt").write_text(BOXES)
    return write(root)


def write(root: Path, **changes: object) -> Path:
    """Its yaml, with some settings in place of the usual ones; None leaves one out."""
    settings = {"path": root, "train": "images/train", "val": "images/val", "names": "[a, b]", **changes}
    lines = [f"{key}: {value}\n" for key, value in settings.items() if value is not None]
    (root / "data.yaml").write_text("".join(lines))
    return root / "data.yaml"


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file below a folder with its content's hash and the time of its last change."""
    return {
        str(file.relative_to(folder)): (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
