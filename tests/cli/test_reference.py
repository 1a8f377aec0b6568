"""The committed reference of the command line is the one that the commands' own help gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli.app import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "cli.md"


@pytest.fixture(scope="module")
def generated() -> str:
    """The page as a fresh process prints it: other tests register axes in this one."""
    command = [sys.executable, "-m", "bench.cli.reference"]
    changed = {"YOLOPACE_EXTENSIONS": "", "PYTEST_ADDOPTS": ""}
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **changed}, check=True, capture_output=True, text=True
    ).stdout


def test_the_committed_page_is_current(generated: str) -> None:
    stale = "run: python -m bench.cli.reference > docs/reference/cli.md"
    assert PAGE.read_text(encoding="utf-8") == generated, stale


def test_every_command_and_the_options_of_a_run_are_on_the_page(generated: str) -> None:
    assert [name for name in ("run", *COMMANDS) if f"\n## {name}\n" not in generated] == []
    for option in ("`--profile` `NAME`", "`--energy` |", "`--base` `SPEC`", "`[RESULTS]...`"):
        assert f"| {option} " in generated or f"| {option}" in generated
    assert "--granularity" not in generated, "old spellings are not listed"
