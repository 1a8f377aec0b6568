"""The code in docs/extending.md is that of the files that the tests run."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parent
PAGE = Path(__file__).resolve().parents[2] / "docs" / "extending.md"
BLOCK = re.compile(r"^`tests/extension/(?P<file>[\w.]+)`:\n\n```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def test_each_file_is_on_the_page_as_it_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    blocks = {block["file"]: block["code"] for block in BLOCK.finditer(page)}
    assert page.count("```python") == len(blocks), "each block names its file"
    files = {file.name: file.read_text(encoding="utf-8") for file in FOLDER.glob("toy_*.py")}
    assert blocks == files


def test_places_of_built_in_code_exist() -> None:
    places = set(re.findall(r"`(bench/[\w/.]+)`", PAGE.read_text(encoding="utf-8")))
    assert len(places) > 10
    assert [place for place in places if not (PAGE.parents[1] / place).exists()] == []
