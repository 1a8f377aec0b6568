"""Releases that exist here alone: nothing is resolved, installed or measured, and each is as slow as a test says."""

from __future__ import annotations

import math
import random
import re
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.cli import app
from bench.cli.live import pairs
from bench.compare.background_load import BackgroundLoadMonitor
from bench.compare.estimator import pending_cases
from bench.environments import release_series
from bench.environments import releases as published
from bench.environments.builder import PreparedEnvironment
from bench.environments.interpreter import Interpreter
from bench.environments.resolver import Resolved
from bench.environments.specification import Specification
from bench.environments.uv import ResolutionError
from bench.errors import UsageError
from bench.records.comparison import Comparison, SideOutcome
from bench.records.outcome import Outcome, Status
from bench.records.record import Environment
from bench.records.store import Store
from bench.runner.launchers import local
from bench.runner.launchers.local import SpawnLauncher
from tests.builders import make_pair
from tests.fake_workers import FAKE

PAIR = 12.0
"""Seconds that a made pair is said to have cost."""


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.sub(r"(\.0)+$", "", version).split(".")))


class Shop:
    """What is published, and how it behaves.

    Attributes:
        versions: of all releases, by package, oldest first.
        factors: how much longer a step takes, by version; 1 where nothing is said.
        unbuildable: versions that have no environment.
        unusable: versions in whose environment no worker starts.
        cannot: versions that cannot run a case.
        noise: standard deviation of a made pair.
        yanked: versions that only their own number finds.
        spared: cases that are as fast with every version.
        stops: after so many pairs comes Ctrl-C; 0 for never.
        interrupts_building: whether it comes when the first environment is built.
        compared: base and head of each comparison that was begun, in their order.
        provided: what was asked of each environment.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.versions = {"ultralytics": [], "torch": ["2.14.0", "2.14.1", "2.15.0"], "torchvision": ["0.30.0"]}
        self.versions["ultralytics"] = [f"8.4.{number}" for number in range(180, 191)]
        self.factors: dict[str, float] = {}
        self.unbuildable: set[str] = set()
        self.unusable: set[str] = set()
        self.cannot: set[str] = set()
        self.yanked: set[str] = set()
        self.spared: set[str] = set()
        self.noise = 0.002
        self.stops = 0
        self.interrupts_building = False
        self.compared: list[tuple[str, str]] = []
        self.provided: list[str] = []
        self._folder = folder
        self._pairs = 0
        self._draw = random.Random(7)
        monkeypatch.setattr(release_series, "newest", self.newest)
        monkeypatch.setattr(published, "newest", self.newest)
        monkeypatch.setattr(release_series, "resolve", self.resolve)
        monkeypatch.setattr(release_series, "provide", self.provide)
        self._take_pairs = pairs.take_pairs
        monkeypatch.setattr(pairs, "take_pairs", self.take_pairs)
        monkeypatch.setattr(local, "open_launcher", self.open_launcher)
        monkeypatch.setattr(BackgroundLoadMonitor, "interference", lambda self, workers: [])

    def newest(self, requirement: str, exclude_newer: str = "") -> str:
        name = re.match(r"[a-z]+", requirement)[0]  # type: ignore[index]
        versions = self.versions[name]
        if "==" not in requirement:
            versions = [version for version in versions if version not in self.yanked]
        tests: dict[str, Any] = {"==": tuple.__eq__, ">=": tuple.__ge__, "<=": tuple.__le__, "<": tuple.__lt__}
        for sign, wanted in re.findall(r"(==|>=|<=|<)([0-9.]+)", requirement):
            versions = [version for version in versions if tests[sign](numbers(version), numbers(wanted))]
        if not versions:
            raise ResolutionError(f"no environment can be made of {requirement}: there is none.")
        return versions[-1]

    def resolve(self, specification: Specification, exclude_newer: str = "", say: Any = None) -> Resolved:
        asked = dict(re.findall(r"^([a-z-]+)==(.+)$", "\n".join(specification.requirements), re.MULTILINE))
        if asked.keys() & {"ultralytics"} and asked["ultralytics"] in self.unbuildable:
            raise UsageError(f"no environment can be made of {specification}: there is no solution.")
        packages = {name: versions[-1] for name, versions in self.versions.items()} | asked
        return Resolved(tuple(sorted(f"{name}=={version}" for name, version in packages.items())))

    def provide(
        self, specification: Specification, exclude_newer: str, say: Any, replica: int = 0
    ) -> PreparedEnvironment:
        if self.interrupts_building:
            raise KeyboardInterrupt
        self.provided.append(str(specification))
        resolved = self.resolve(specification)
        version = specification.requirements[0].split("==")[1]
        environment = Environment(
            python="3.11.0", packages=dict(package.split("==") for package in resolved.packages), yolopace="0"
        )
        return PreparedEnvironment(
            Interpreter(path=str(self._python(version)), environment=environment),
            resolved.packages,
            resolved.key,
            str(specification),
        )

    def _python(self, version: str) -> Path:
        """An interpreter that plays workers; its name is its version."""
        python = self._folder / version
        python.write_text(
            f'#!/bin/sh\nFAKE_FACTOR={self.factors.get(version, 1.0)} exec {sys.executable} -S {FAKE} "$@"\n'
        )
        python.chmod(python.stat().st_mode | stat.S_IXUSR)
        return python

    def open_launcher(self, interpreter: Interpreter, network: bool = False) -> SpawnLauncher:
        shop = self

        class Played(SpawnLauncher):
            def wait(self, workload: str = "") -> None:
                if Path(self.interpreter.path).name in shop.unusable:
                    raise UsageError(f"{self.interpreter.path} cannot import torch and ultralytics: it is made so.")

        return Played(interpreter, network)

    def take_pairs(
        self, comparison: Comparison, sides: Sequence[PreparedEnvironment], folder: Path, budget: float | None = None
    ) -> int:
        """Made pairs in place of measured ones, until it is decided or there is no time."""
        base, head = (Path(side.interpreter.path).name for side in sides)
        self.compared.append((base, head))
        for side in sides:
            self.open_launcher(side.interpreter).wait()
        log = math.log(self.factors.get(head, 1.0) / self.factors.get(base, 1.0))
        cases = {case.case.id: case for case in comparison.cases}
        while wanted := pending_cases(comparison):
            for name, fresh in wanted.items():
                case = cases[name]
                case.base, case.head = self._ran(base), self._ran(head)
                if not case.both_runnable:
                    continue
                if budget is not None and case.pairs and (len(case.pairs) + 1) * PAIR > budget:
                    return len(wanted)
                if self.stops and self._pairs >= self.stops:
                    raise KeyboardInterrupt
                self._pairs += 1
                log_ratio = self._draw.gauss(0.0 if name in self.spared else log, self.noise)
                case.pairs.append(
                    make_pair(log_ratio, confirmation=fresh, head_first=bool(len(case.pairs) % 2), seconds=PAIR)
                )
                comparison.seconds += PAIR
                assert not Store.at(folder).save(comparison)
        return 0

    def _ran(self, version: str) -> SideOutcome:
        return (
            SideOutcome(outcome=Outcome(Status.FAILED, "ValueError: no.")) if version in self.cannot else SideOutcome()
        )

    def measures_for_real(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let pairs be measured, of workers that are played."""
        monkeypatch.setattr(pairs, "take_pairs", self._take_pairs)


class Ended(msgspec.Struct, frozen=True):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """The one sentence of a command that could not do what it was asked for."""
        assert "Traceback" not in self.out + self.err
        last = self.err.strip().splitlines()[-1]
        assert last.startswith("yolopace: ") and last.endswith(".")
        return last.removeprefix("yolopace: ")


class Commands:
    """Runs a command as it is typed, with results and reports in a folder of the test's own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.results, self.reports, self.json = folder / "results", folder / "reports", folder / "found.json"
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def __call__(self, *arguments: object) -> Ended:
        places = ["--results", self.results, "--reports", self.reports]
        self._monkeypatch.setattr(sys, "argv", ["bench", *map(str, [*arguments, *places])])
        with pytest.raises(SystemExit) as left:
            app.main()
        return Ended(int(left.value.code or 0), *self._capsys.readouterr())


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    (tmp_path / "pythons").mkdir()
    return Shop(tmp_path / "pythons", monkeypatch)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(tmp_path, monkeypatch, capsys)
