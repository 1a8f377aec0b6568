"""Packages that are installed here alone: a module, and the metadata and the list of files that an installer leaves."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

MODULES = {"ultralytics-opencv-headless": "ultralytics", "opencv-python": "cv2", "pillow": "PIL"}


def sha(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def module(site: Path, name: str, version: str, extra: str = "") -> Path:
    """A package of a few files that states its version as the real one does; its folder."""
    folder = site / name
    states = "from .version import __version__" if name == "torch" else f'__version__ = "{version}"'
    for file, text in {
        "__init__.py": f"{states}\n{extra}",
        "version.py": f'__version__ = "{version}"\ngit_version = "{hashlib.sha1(version.encode()).hexdigest()}"\n',
        "engine/trainer.py": "a = 1\n",
        "cfg/models/v8/yolov8.yaml": "nc: 80\nscales:\n  n: [0.33, 0.25, 1024]\n",
    }.items():
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text(text)
    return folder


def metadata(site: Path, name: str, version: str, listed: Path | None = None) -> Path:
    """The metadata of a distribution, with a list of the files of a package, or without one."""
    place = site / f"{name.replace('-', '_')}-{version}.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if listed is not None:
        lines = []
        for file in sorted(listed.rglob("*")):
            if file.is_file():
                content = file.read_bytes()
                lines.append(f"{file.relative_to(site)},sha256={sha(content)},{len(content)}\n")
        (place / "RECORD").write_text("".join(lines))
    return place


def install(site: Path, name: str, version: str, extra: str = "") -> Path:
    """Install a package as an installer does; its folder."""
    folder = module(site, MODULES.get(name, name), version, extra)
    metadata(site, name, version, folder)
    return folder
