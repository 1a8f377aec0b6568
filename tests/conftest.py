"""For all tests, however they are run: by several processes of pytest-xdist side by side, or by one."""

import os


def pytest_configure() -> None:
    """Hide pytest-xdist from whatever a test starts: pytest-benchmark would switch itself off there."""
    os.environ.pop("PYTEST_XDIST_WORKER", None)
