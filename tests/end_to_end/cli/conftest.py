import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    """One cache for all tests that run the real thing, so that data are made once."""
    return Path(os.environ.get("YOLOPACE_CACHE") or tmp_path_factory.mktemp("cache"))


@pytest.fixture
def command(cache, tmp_path):
    """Runs a command as a user would: exit status, standard output, standard error."""

    def run(*arguments, where=ROOT, **variables):
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=where,
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, "YOLOPACE_CACHE": str(cache), **variables},
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def bench(command, tmp_path):
    """Runs ``pytest bench/ --benchmark-only`` with results and reports in a folder of the test's own."""

    def run(*arguments, **variables):
        places = ("--results", tmp_path / "results", "--reports", tmp_path / "reports", "-p", "no:cacheprovider")
        return command("-m", "pytest", "bench/", "--benchmark-only", *places, *arguments, **variables)

    return run
