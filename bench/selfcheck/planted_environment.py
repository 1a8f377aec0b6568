"""An Ultralytics that is slower by a known amount, to check whether a comparison finds it."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

import msgspec

from bench.environments.builder import BuiltEnvironment, install
from bench.environments.resolver import Resolved, Say
from bench.errors import UsageError
from bench.records.store import write_whole

COPIES = (98, 99)
"""The numbers of the copies of an environment that are patched, base first: no comparison uses them."""

FLOOR = 0.004
"""Seconds of a mean step that base burns too.

A pause within a step costs more than itself: threads that waited for their next work no longer spin and have to be
woken, and caches are cold. With a pause on both sides, a longer one in head, only their
difference is planted."""

WHERE = {
    "forward": ("nn/tasks.py", "BaseModel", "loss"),
    "optimizer": ("engine/trainer.py", "BaseTrainer", "optimizer_step"),
    "data": ("data/base.py", "BaseDataset", "__getitem__"),
}
"""Methods that can be made slower, by phase: a file of Ultralytics, a class in it, and the method that burns time."""

CALLS = {"forward": 1.0, "optimizer": 1 / 16, "data": 4.0}
"""Calls of each method per step of batch 4: the optimizer runs every 16th, and data are loaded image by image."""

FILE = "planted.json"

PATCH = '''

def _yolopace_plant(owner, name, where):
    """Make a method keep its processor busy for as long as stands in a file of this environment."""
    import functools
    import json
    import pathlib
    import sys
    import time

    planted = json.loads((pathlib.Path(sys.prefix) / "{file}").read_text(encoding="utf-8"))
    if planted["where"] != where:
        return
    method = getattr(owner, name)

    @functools.wraps(method)
    def slower(*args, **kwargs):
        until = time.perf_counter() + planted["seconds"]
        while time.perf_counter() < until:
            pass
        return method(*args, **kwargs)

    setattr(owner, name, slower)


_yolopace_plant({owner}, "{name}", "{where}")
'''


class Planted(msgspec.Struct, frozen=True):
    """A patched environment.

    Attributes:
        python: its interpreter.
        folder: where it is.
    """

    python: str
    folder: Path

    def plant(self, where: str, seconds: float) -> None:
        """Make every step slower by so many seconds on average; launchers that are opened from now on see it.

        Args:
            where: a key of :data:`WHERE`.
            seconds: of a mean step of batch 4, on the clock that steps are timed by.
        """
        content = {"where": where, "seconds": seconds / CALLS[where]}
        write_whole(self.folder / FILE, json.dumps(content).encode())


def prepare(resolved: Resolved, say: Say, copy: int) -> Planted:
    """Build a copy of an environment that can be made slower.

    Args:
        resolved: the packages of the environment.
        say: receives lines of progress.
        copy: one of :data:`COPIES`.

    Raises:
        UsageError: where it cannot be built, or this Ultralytics lacks what is patched.
    """
    built = install(resolved, say, copy)
    folder = Path(built.python).parent.parent
    planted = Planted(built.python, folder)
    planted.plant("forward", 0.0)
    for where in WHERE:
        _patch(built, folder, where)
    return planted


def _patch(built: BuiltEnvironment, folder: Path, where: str) -> None:
    name, owner, method = WHERE[where]
    file = next(folder.glob(f"lib/python*/site-packages/ultralytics/{name}"), None)
    if file is None or f"class {owner}" not in (text := file.read_text(encoding="utf-8")):
        raise UsageError(
            f"the Ultralytics of {built.python} has no {owner} in {name}, so nothing can be planted there."
        )
    if "_yolopace_plant" in text:
        return
    # The file is shared with uv's cache: a new one takes its place, so that no other environment changes.
    descriptor, other = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text + PATCH.format(file=FILE, owner=owner, name=method, where=where))
    with contextlib.suppress(OSError):  # a file system without modes
        os.chmod(other, 0o644)
    os.replace(other, file)
