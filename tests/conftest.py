"""For all tests, however they are run: by several processes of pytest-xdist side by side, or by one."""

import os
import signal

import pytest

from bench import signals
from bench.cases import model_labels
from bench.machine import fingerprint


def pytest_configure() -> None:
    """Hide pytest-xdist from whatever a test starts: pytest-benchmark would switch itself off there."""
    os.environ.pop("PYTEST_XDIST_WORKER", None)
    # Machines that tests make up leave no ID in the user's cache; commands that tests start have a cache apart.
    fingerprint.machine_id = lambda digest: ""


@pytest.fixture(autouse=True)
def usual_signal_handlers():
    """A test starts with the handlers of a new process: a command that another test called leaves its own behind."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, *signals.STOPPING)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in signals.STOPPING:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def same_environment():
    """A test leaves the environment variables and the working folder as they were: libraries change them when used."""
    before, folder = dict(os.environ), os.getcwd()
    yield
    os.chdir(folder)
    for name in {*before, *os.environ} - {"PYTEST_CURRENT_TEST"}:
        if name not in before:
            del os.environ[name]
        elif os.environ.get(name) != before[name]:
            os.environ[name] = before[name]


@pytest.fixture(autouse=True)
def no_labels_of_models(monkeypatch):
    """A test starts without labels of model files, which a process keeps for all that it shows."""
    monkeypatch.setattr(model_labels, "_labels", {})


@pytest.fixture
def launcher(tmp_path, monkeypatch):
    """Starts fake workers."""
    from tests.fake_workers import fake_launcher

    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    return fake_launcher(tmp_path)
