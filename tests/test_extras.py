"""Extras that any sentence or document names are those that the project has."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAMED = re.compile(r"(?:yolopace|(?<=install )'?\.|-e '?\.)\[([a-z, ]+)\]")
FILES = [
    *sorted((ROOT / "bench").rglob("*.py")),
    *sorted((ROOT / "bench").rglob("*.jinja")),
    *sorted(path for path in (ROOT / "docs").rglob("*") if path.is_file()),
    ROOT / "README.md",
    ROOT / "noxfile.py",
]


def named(text: str) -> set[str]:
    return {extra.strip() for extras in NAMED.findall(text) for extra in extras.split(",")}


def test_extras_are_found_where_they_are_named() -> None:
    assert named("pip install -e '.[headless]', or yolopace[mac,export] there") == {"headless", "mac", "export"}
    assert any(named(path.read_text(encoding="utf-8")) for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_extra_is_named_that_does_not_exist(path: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert named(path.read_text(encoding="utf-8")) <= set(project["optional-dependencies"])
