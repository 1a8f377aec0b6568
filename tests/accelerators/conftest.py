"""Processes that have a fake accelerator."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.environments.interpreter import variables
from tests.accelerators import library

ROOT = Path(__file__).resolve().parents[2]
INJECTED = Path(__file__).parent / "injected"


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return Path(os.environ.get("YOLOPACE_CACHE") or tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def registration(cache):
    """The library that gives torch ``mps``, ``xpu`` or ``cuda``, or why there is none."""
    try:
        return library.build(cache / "fake-accelerator")
    except library.Unbuilt as why:
        return why


@pytest.fixture(scope="session")
def run_on(cache, registration):
    """Runs this interpreter with a kind of accelerator."""

    def run(kind, *arguments, text=None, **settings):
        if kind not in ("cpu", "npu") and isinstance(registration, library.Unbuilt):
            pytest.skip(f"no fake of {kind}: {registration}")
        fake = {
            "FAKE_ACCELERATOR": kind if kind != "cpu" else "",
            "FAKE_ACCELERATOR_LIBRARY": str(registration),
            **{f"FAKE_ACCELERATOR_{name.upper()}": value for name, value in settings.items()},
        }
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=ROOT,
            input=text,
            capture_output=True,
            text=True,
            timeout=300,
            env={**variables(), "YOLOPACE_CACHE": str(cache), "PYTHONPATH": str(INJECTED), **fake},
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def ask(run_on, cache):
    """Runs a module of this folder with a kind of accelerator; what it answers to a question."""

    def run(kind, module, folder, **settings):
        question = {"kind": kind, "cache": str(cache), "scratch": str(folder)}
        done = run_on(kind, "-m", f"tests.accelerators.{module}", text=json.dumps(question), **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
