"""Sessions of pytest that measure models in fake workers."""

import pytest

from bench.cases.axes import axes
from bench.pytest_plugin.request import RunRequest
from bench.pytest_plugin.session import BenchSession

OPTIONS = {
    **dict.fromkeys(axes()),
    "axis": [],
    **{"profile": "smoke", "data": "", "threads": "0", "python": "", "results": "results", "reports": "reports"},
    **{
        "epoch_images": "0",
        "epochs": "0",
        "time_budget": "",
        "phase_timeout": "10m",
        "run": "",
        "resume": "",
        "plan": False,
    },
    **{"processes": "", "target_ci": "", "with_val": False, "compare_losses": False, "per_device": False},
    **{"energy": False, "memory_limit": "", "multiple_of": "1", "k": "", "m": ""},
}


@pytest.fixture
def start_session(launcher, tmp_path, monkeypatch):
    """Start a session that measures models in fake workers, with the options given."""
    monkeypatch.setattr("bench.pytest_plugin.request.inspect", lambda python, models=None: launcher.interpreter)
    monkeypatch.setattr("bench.pytest_plugin.session.open_launcher", lambda *_: launcher)
    monkeypatch.setattr("bench.report.plots.PLOTS", ())

    def made(model, **options):
        case = {"model": model, "device": "cpu", "amp": "off", "mode": "train"}
        session = BenchSession(RunRequest.parse({**OPTIONS, **case, **options}.__getitem__, tmp_path))
        session.selected = list(session.planned.values())
        session.begin()
        return session

    return made


def measure_all(session):
    """Measure the selected cases as conftest does."""
    for plan in session.selected:
        if not session.run.skip_reason(plan):
            session.run.measure(plan)
