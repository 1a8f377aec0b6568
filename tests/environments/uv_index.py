"""A fake uv on PATH, with a package index of its own."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FAKE = HERE.parent / "runner" / "fake_python.py"

INDEX = {
    "torch": {"versions": ["2.4.0", "2.6.0", "2.7.0", "2.15.0"], "needs": []},
    "ultralytics": {
        "versions": ["8.3.230", "8.4.0", "8.4.100", "8.4.189", "8.4.190"],
        "needs": ["torch", "opencv-python"],
    },
    "ultralytics-opencv-headless": {
        "versions": ["8.4.0", "8.4.100", "8.4.189", "8.4.190"],
        "needs": ["torch", "opencv-python-headless"],
    },
    "onnx": {"versions": ["1.23.2"], "needs": []},
    "onnxslim": {"versions": ["0.1.98"], "needs": ["onnx"]},
    "onnxruntime": {"versions": ["1.31.0", "1.32.0"], "needs": []},
    "openvino": {"versions": ["2026.3.0", "2026.4.1"], "needs": []},
    "ncnn": {"versions": ["1.0.1"], "needs": ["opencv-python"]},
    "pnnx": {"versions": ["20260526"], "needs": []},
    "opencv-python": {"versions": ["5.0.0"], "needs": []},
    "opencv-python-headless": {"versions": ["5.0.0"], "needs": []},
}

PYTHON = f"""#!/bin/sh
# An interpreter: its facts are what was installed; a job is played by fake_python.py.
if [ "$2" = facts ]; then exec cat "$(dirname "$0")/../facts.json"; fi
exec SYSTEM -S {FAKE} "$@"
"""


class Uv:
    """The only uv on PATH, with caches of the test's own; what it was called with can be asked."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = self.folder = tmp_path / "uv"
        folder.mkdir()
        shutil.copy(HERE / "fake_uv.py", folder / "fake_uv.py")
        (folder / "index.json").write_text(json.dumps(INDEX))
        (folder / "python.sh").write_text(PYTHON)
        (folder / "uv").write_text(f'#!/bin/sh\nexec {sys.executable} -S {folder / "fake_uv.py"} "$@"\n')
        (folder / "uv").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))

    def breaks(self, how: str) -> None:
        (self.folder / how).touch()

    def mended(self, how: str) -> None:
        (self.folder / how).unlink()

    def calls(self, command: str = "") -> list[list[str]]:
        file = self.folder / "calls.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        return [call for call in map(json.loads, lines) if command in ("", call[0])]

    def needs(self, name: str, requirement: str) -> None:
        """Let a distribution need one more."""
        file = self.folder / "index.json"
        index = json.loads(file.read_text())
        index[name]["needs"].append(requirement)
        file.write_text(json.dumps(index))
