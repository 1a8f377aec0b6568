"""What is said of packages that are missing or too old."""

from __future__ import annotations

import sys

import pytest

from bench.cli import dependencies


def test_without_packaging_that_is_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """``--help`` works all the same: the package is not imported before it is needed."""
    monkeypatch.setitem(sys.modules, "packaging.requirements", None)
    assert dependencies.outdated() == "packaging is missing: python -m pip install packaging."


def test_in_a_tested_environment_nothing_is_too_old() -> None:
    assert dependencies.outdated() == ""
