"""A clone of Ultralytics on PYTHONPATH, really run: the record names it, and no worker runs anything else."""

import contextlib
import importlib.util
import shutil
from pathlib import Path

import pytest

from bench.environments.interpreter import inspect
from bench.errors import UsageError
from bench.runner.launchers.local import open_launcher

from .conftest import run_one, tiny


@pytest.fixture
def clone(cache, tmp_path, monkeypatch):
    """A copy of the installed Ultralytics that says another version, and is found first."""
    spec = importlib.util.find_spec("ultralytics")
    place = tmp_path / "clone" / "ultralytics"
    shutil.copytree(Path(spec.origin).parent, place, ignore=shutil.ignore_patterns("__pycache__"))
    file = place / "__init__.py"
    lines = file.read_text(encoding="utf-8").splitlines()
    lines = ['__version__ = "8.3.999"' if line.startswith("__version__") else line for line in lines]
    file.write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(place.parent))
    return place


def test_a_clone_is_what_the_record_names_and_an_edit_ends_the_run(clone, tmp_path):
    with contextlib.closing(open_launcher(inspect())) as launcher:
        record = run_one(launcher, tmp_path / "results", tiny("predict", batch=1))
        assert record.outcome.status.value == "measured", record.outcome
        assert record.environment.ultralytics == "8.3.999"
        assert record.environment.origins["ultralytics"].source == "path"
        assert str(clone.parent) not in f"{record.environment}"
        launcher.close()
        (clone / "engine" / "trainer.py").open("a").write("# edited\n")
        with pytest.raises(UsageError, match=r"the files of ultralytics in .* have changed since this began"):
            run_one(launcher, tmp_path / "more", tiny("predict", batch=1))
