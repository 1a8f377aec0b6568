"""What the parent of forked workers imports, and how."""

from __future__ import annotations

import gc
import sys

import pytest

from bench.worker import parent


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder to import from, and what was collected while its modules were imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "heavy_one.py").write_text("import gc\ncollects = gc.isenabled()\n")
    yield tmp_path
    sys.modules.pop("heavy_one", None)


def test_garbage_is_not_looked_for_while_importing_and_is_again_afterwards(modules, monkeypatch):
    monkeypatch.setattr(parent, "PRELOAD", ("heavy_one", "one_that_an_older_version_lacks"))
    parent.preload()
    assert not sys.modules["heavy_one"].collects
    assert gc.isenabled()


def test_without_torch_nothing_can_be_preloaded_and_garbage_is_collected_again(modules, monkeypatch):
    monkeypatch.setattr(parent, "PRELOAD", ("torch",))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError):
        parent.preload()
    assert gc.isenabled()
