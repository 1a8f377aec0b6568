"""Loops of the scenarios, on a clock that only the test moves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.worker.protocol import RequestedAxis
from bench.worker.rejection import CaseRejected
from bench.worker.timing.session import WindowComplete
from bench.worker.timing.stopwatch import MeasurementPlan, Stopwatch
from bench.worker.workloads.ultralytics import scenarios


class FakeSession:
    """A session with a real stopwatch; phases and the rest are of no interest here."""

    def __init__(self, folder: Path, batch: int = 1, images: int = 8, steps: int = 40, **asked: Any) -> None:
        (folder / "scratch").mkdir()
        pictures = [folder / f"{number}.jpg" for number in range(images)]
        (folder / "images.json").write_text(
            json.dumps({"used": list(map(str, pictures)), "listed": images}), encoding="ascii"
        )
        self.data, self.scratch = str(folder / "data.yaml"), str(folder / "scratch")
        self.case = {"batch": batch}
        self.asked = [RequestedAxis(name, str(value), [], name, value) for name, value in asked.items()]
        self.takes_turns = False
        self.extra: dict[str, Any] = {}
        self.now = 1000.0
        rule = MeasurementPlan(accumulation_steps=1, warmup_seconds=0.0, window_steps=steps, window_seconds=0.0)
        self.stopwatch = Stopwatch(rule, clock=lambda: self.now, on_window=self.open_window)
        self.calls: list[list[str]] = []

    def open_window(self) -> None:
        self.now += 50.0  # a machine that takes long to be read

    def batch_arrived(self) -> None:
        self.stopwatch.batch_arrived()

    def phase_ended(self, part: str) -> None:
        assert part == "postprocess"

    def step_ended(self, images: int) -> None:
        if self.stopwatch.step_ended(images):
            raise WindowComplete

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def predictor(self, service: float) -> Any:
        def call(source: Path, stream: bool = False) -> Any:
            lines = source.read_text(encoding="utf-8").splitlines()
            self.calls.append([Path(line).name for line in lines])
            return self.results(lines, service) if stream else [self.tick(service, line) for line in lines]

        return call

    def tick(self, service: float, line: str) -> str:
        self.now += service
        return line

    def results(self, lines: list[str], service: float) -> Any:
        for line in lines:
            yield self.tick(service, line)


def run(session: FakeSession, service: float) -> scenarios.ClosedLoop:
    loop = scenarios.loop_of(session, Path("unused"))  # type: ignore[arg-type]
    session.stopwatch.start()
    with pytest.raises(WindowComplete):
        loop.run(session.predictor(service))
    return loop


def test_without_a_scenario_one_batch_is_predicted_again_and_again(tmp_path: Path) -> None:
    session, source = FakeSession(tmp_path), tmp_path / "batch.txt"
    source.write_text("a.jpg\n", encoding="utf-8")
    loop = scenarios.loop_of(session, source)  # type: ignore[arg-type]
    assert loop.settings(1) == {}
    session.stopwatch.start()
    with pytest.raises(WindowComplete):
        loop.run(session.predictor(0.5))
    assert set(map(tuple, session.calls)) == {("a.jpg",)}
    assert session.stopwatch.latency == [] and "latency" not in session.stopwatch.reading()


def test_a_closed_loop_goes_through_different_images(tmp_path: Path) -> None:
    session = FakeSession(tmp_path, batch=2, images=7, scenario="multi")
    loop = run(session, 0.25)
    assert session.calls[:4] == [
        ["000000.jpg", "000001.jpg"],
        ["000002.jpg", "000003.jpg"],
        ["000004.jpg", "000005.jpg"],
        ["000000.jpg", "000001.jpg"],
    ]
    assert loop.settings(2) == {"scenario": "multi"} and loop.settings(1) == {"scenario": "single"}


def test_offline_is_one_call_on_all_batches(tmp_path: Path) -> None:
    session = FakeSession(tmp_path, batch=2, images=7, steps=12, scenario="offline")
    loop = run(session, 0.25)
    assert all(len(call) == 6 for call in session.calls) and len(session.calls) > 1
    reading = session.stopwatch.reading()
    assert set(reading["seconds"]) == {0.5} and reading["images"] == 2
    assert loop.settings(2) == {"scenario": "offline"}


def test_arrivals_do_not_wait_for_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession(tmp_path, steps=2000, scenario="server", arrival_rate=4)
    monkeypatch.setattr(scenarios.time, "sleep", session.sleep)
    loop = run(session, 0.125)
    loop.check()
    start, _ = session.stopwatch.span()
    latency = session.stopwatch.reading()["latency"][session.stopwatch.reading()["warmup"] :]
    assert len(latency) == len(session.stopwatch.seconds) - start
    assert min(latency) >= 0.125 - 1e-6, "no request is served before it arrived"
    assert sum(latency) / len(latency) == pytest.approx(0.125 * (1 + 0.5 / 2 / 0.5), rel=0.15), "that of theory"
    assert sum(session.stopwatch.seconds[start:]) / len(latency) == pytest.approx(0.25, rel=0.06)
    assert latency[0] == pytest.approx(0.125), "a window begins with an empty queue"
    assert session.extra["load"] == pytest.approx(0.5)
    assert loop.settings(1) == {"scenario": "server", "arrival_rate": 4}


def test_the_same_seed_gives_the_same_arrivals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        session = FakeSession(tmp_path / name, scenario="server", arrival_rate=4)
        monkeypatch.setattr(scenarios.time, "sleep", session.sleep)
        run(session, 0.125)
        readings.append(session.stopwatch.reading())
    assert readings[0] == readings[1]


def test_a_rate_that_cannot_be_served_is_invalid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession(tmp_path, scenario="server", arrival_rate=16)
    monkeypatch.setattr(scenarios.time, "sleep", session.sleep)
    loop = run(session, 0.125)
    with pytest.raises(CaseRejected, match="arrival_rate 16 requested, and 8 requests per second can be served") as no:
        loop.check()
    assert no.value.status == "invalid"


@pytest.mark.parametrize(
    ("batch", "turns", "asked", "sentence"),
    [
        (1, False, {"scenario": "server"}, "without a rate of arrivals: add --arrival-rate 5"),
        (2, False, {"scenario": "server", "arrival_rate": 4}, "a request has one image, so use batch 1"),
        (1, True, {"scenario": "server", "arrival_rate": 4}, "two processes cannot take turns"),
        (9, False, {"scenario": "multi"}, "The dataset has 8 images, fewer than a batch of 9"),
    ],
)
def test_what_cannot_run_is_unsupported(
    batch: int, turns: bool, asked: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    session = FakeSession(tmp_path, batch=batch, **asked)
    session.takes_turns = turns
    with pytest.raises(CaseRejected, match=sentence) as no:
        scenarios.loop_of(session, Path("unused"))  # type: ignore[arg-type]
    assert no.value.status == "unsupported"


def test_an_image_that_is_dropped_is_noticed(tmp_path: Path) -> None:
    session = FakeSession(tmp_path, batch=2, scenario="multi")
    loop = scenarios.loop_of(session, Path("unused"))  # type: ignore[arg-type]
    session.stopwatch.start()
    with pytest.raises(CaseRejected, match="A call on 2 images gave 1 results"):
        loop.run(lambda source: ["one"])
