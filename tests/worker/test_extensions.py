"""Extension files in a worker: what they add, and how a broken one ends the jobs of the process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.worker import extensions, message_json, protocol, tasks
from bench.worker.channel import Channel
from bench.worker.workloads import base

GOOD = """
def register_worker(worker):
    class Small(worker.workloads.Workload):
        name = "small"

    worker.workloads.register(Small())
"""


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(extensions, "trouble", "")
    yield
    base.unregister("small")


def ended(job: protocol.Job) -> protocol.JobEnded:
    read, write = os.pipe()
    tasks.run(job, Channel(write), 0)
    os.close(write)
    with os.fdopen(read, "rb") as lines:
        event = message_json.event_from_json(lines.read().splitlines()[-1])
    assert isinstance(event, protocol.JobEnded)
    return event


def test_an_extension_adds_a_workload(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(GOOD)
    extensions.load([str(tmp_path / "good.py")])
    assert extensions.trouble == "" and "small" in base.workloads()


def test_one_for_the_runner_alone_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "plot.py").write_text("import matplotlib_that_is_not_here\n")
    extensions.load([str(tmp_path / "plot.py")])
    assert extensions.trouble == ""


def test_a_broken_one_ends_the_job_with_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text("def register_worker(worker):\n    raise RuntimeError('no\\nsuch thing')\n")
    extensions.load([str(file)])
    event = ended(protocol.OverheadJob())
    assert event.status == "failed"
    expected = (
        f"extension {file} cannot be loaded in a worker (RuntimeError: no such thing): correct it, or leave it out."
    )
    assert event.reason == expected


def test_a_family_that_nobody_registered_or_that_lacks_its_library_is_unsupported(tmp_path: Path) -> None:
    job = protocol.DataJob("small", "x", str(tmp_path), made=True)
    families = ", ".join(base.workloads())
    assert ended(job).reason == f"workload small: this worker has no such workload: it has {families}."

    class Small(base.Workload):
        name = "small"
        requires = (base.Requirement("library_that_is_not_here", (1, 2)),)

    base.register(Small())
    event = ended(job)
    assert (event.status, event.scope) == ("unsupported", ["model"])
    assert event.reason.endswith("install library_that_is_not_here>=1.2 there.")
