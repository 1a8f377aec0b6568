"""Slow-downs that are planted: in a copy, by as much as was asked for, and where it was asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.environments.builder import BuiltEnvironment
from bench.environments.resolver import Resolved
from bench.errors import UsageError
from bench.selfcheck import planted_environment
from bench.selfcheck.planted_environment import CALLS, FILE, WHERE, Planted, prepare

RESOLVED = Resolved(("torch==2.9.0", "ultralytics==8.4.0"))


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with the classes that are patched, whose files another folder shares."""
    place = tmp_path / "environment" / "lib" / "python3.11" / "site-packages" / "ultralytics"
    shared = tmp_path / "cache"
    shared.mkdir()
    for name, owner, method in WHERE.values():
        file = place / name
        file.parent.mkdir(parents=True, exist_ok=True)
        (shared / file.name).write_text(f"class {owner}:\n    def {method}(self, *args):\n        return 'as ever'\n")
        os.link(shared / file.name, file)
    python = tmp_path / "environment" / "bin" / "python"
    monkeypatch.setattr(
        planted_environment, "install", lambda resolved, say, copy: BuiltEnvironment(str(python), resolved.packages)
    )
    return tmp_path / "environment"


def burnt(environment: Path, where: str) -> float:
    """Seconds of a hundred calls of a patched method, by a clock that goes on by a tenth of a millisecond a look."""
    name, owner, method = WHERE[where]
    file = next(environment.glob(f"lib/*/site-packages/ultralytics/{name}"))
    code = (
        f"import itertools, sys, time; sys.prefix = {str(environment)!r}\n"
        f"ticks = itertools.count(); time.perf_counter = lambda: next(ticks) / 1e4\n"
        f"space = {{}}; exec(open({str(file)!r}).read(), space)\n"
        f"began = time.perf_counter()\n"
        f"for _ in range(100): assert space[{owner!r}]().{method}(1) == 'as ever'\n"
        f"print(time.perf_counter() - began)"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


def test_the_part_that_was_asked_for_burns_as_much_and_no_other_does(environment: Path) -> None:
    planted = prepare(RESOLVED, lambda text: None, 98)
    assert planted == Planted(str(environment / "bin" / "python"), environment)
    for chosen in WHERE:
        planted.plant(chosen, 0.002 * CALLS[chosen])  # 2 ms a call
        for where in WHERE:
            seconds = burnt(environment, where)
            assert (0.2 <= seconds < 0.25) if where == chosen else seconds < 0.001


def test_nothing_is_planted_at_first_and_patching_twice_is_once(environment: Path) -> None:
    prepare(RESOLVED, lambda text: None, 98)
    texts = [path.read_text() for path in environment.rglob("*.py")]
    assert all("_yolopace_plant" in text for text in texts)
    prepare(RESOLVED, lambda text: None, 98)
    assert [path.read_text() for path in environment.rglob("*.py")] == texts
    assert json.loads((environment / FILE).read_text()) == {"where": "forward", "seconds": 0.0}
    assert burnt(environment, "forward") < 0.05


def test_files_that_others_share_stay_as_they_are(environment: Path, tmp_path: Path) -> None:
    prepare(RESOLVED, lambda text: None, 98)
    assert not any("_yolopace_plant" in path.read_text() for path in (tmp_path / "cache").iterdir())


def test_an_ultralytics_without_the_place_says_so(environment: Path) -> None:
    next(environment.rglob("trainer.py")).unlink()
    with pytest.raises(UsageError, match=r"has no BaseTrainer in engine/trainer\.py"):
        prepare(RESOLVED, lambda text: None, 98)


def test_every_place_is_in_the_ultralytics_that_is_installed() -> None:
    import importlib.util

    [folder] = importlib.util.find_spec("ultralytics").submodule_search_locations  # type: ignore[union-attr,misc]
    for name, owner, method in WHERE.values():
        text = (Path(folder) / name).read_text()
        assert f"class {owner}" in text
        assert f"def {method}(" in text.partition(f"class {owner}")[2]
