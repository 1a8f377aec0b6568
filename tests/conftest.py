"""For all tests, however they are run: by several processes of pytest-xdist side by side, or by one."""

import os

import pytest

from bench.machine import fingerprint


def pytest_configure() -> None:
    """Hide pytest-xdist from whatever a test starts: pytest-benchmark would switch itself off there."""
    os.environ.pop("PYTEST_XDIST_WORKER", None)
    # Machines that tests make up leave no ID in the user's cache; commands that tests start have a cache apart.
    fingerprint.machine_id = lambda digest: ""


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """Starts fake workers."""
    from tests.fake_workers import fake_launcher

    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    return fake_launcher(tmp_path)
