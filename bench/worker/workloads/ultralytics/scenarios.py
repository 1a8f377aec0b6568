"""How images come to the predictor: calls one after the other, a long list, or requests that arrive at random."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...rejection import CaseRejected
from ...timing.session import Session
from .made_data import training_images

MOST_BATCHES = 64
"""Maximum number of batches of different images."""

SERVED_BATCH = 1
"""Images of a request that arrives at random."""


class ClosedLoop:
    """One call after the other: the next one begins when the last one has ended.

    Attributes:
        session: of the case.
        sources: a text file per call, each listing one batch; after the last one, the first one follows.
        asked: values of the further axes of the case, by name.
        bare: runs the model by its runtime alone, once after each call; None where that is not asked for. Its seconds
            are in no phase, and in the record's ``extra``.
    """

    bare: Callable[[], Any] | None = None

    def __init__(self, session: Session, sources: list[Path]) -> None:
        self.session, self.sources = session, sources
        self.asked = {requested.axis: requested.value for requested in session.asked}

    def settings(self, images: int) -> dict[str, Any]:
        """Return what runs, from the images of a call; empty where no scenario was asked for."""
        return {"scenario": "single" if images == 1 else "multi"} if "scenario" in self.asked else {}

    def run(self, predictor: Any) -> None:
        """Predict until the session ends the prediction."""
        for source in itertools.cycle(self.sources):
            self.session.batch_arrived()
            self.end_call(predictor(source))

    def end_call(self, results: Any) -> None:
        """End the step of a call."""
        self.session.phase_ended("postprocess")
        if self.bare is not None:
            self.run_bare(self.bare)
        self.check_images(len(results))
        self.session.step_ended(len(results))

    def run_bare(self, bare: Callable[[], Any]) -> None:
        """Run the model by its runtime alone, and note the seconds of each run after warm-up."""
        began = time.perf_counter()
        bare()
        if self.session.warm:
            self.session.extra.setdefault("bare_seconds", []).append(time.perf_counter() - began)
        self.session.phase_ended("bare")

    def check_images(self, images: int) -> None:
        """Check that no image of a call was dropped.

        Raises:
            CaseRejected: with status ``invalid``.
        """
        if images != self.session.case["batch"]:
            reason = f"A call on {self.session.case['batch']} images gave {images} results: an image cannot be decoded."
            raise CaseRejected("invalid", reason)

    def check(self) -> None:
        """Check, after the window, that the scenario was what it says."""


class Offline(ClosedLoop):
    """One call on a list of many batches, ``stream=True``: a step is from the end of one batch to that of the next."""

    def settings(self, images: int) -> dict[str, Any]:
        """Return what runs."""
        return {"scenario": "offline"}

    def run(self, predictor: Any) -> None:
        """Predict the list again and again; what a new call costs belongs to its first batch."""
        listing = self.sources[0].with_name("all.txt")
        listing.write_text("".join(source.read_text(encoding="utf-8") for source in self.sources), encoding="utf-8")
        batch = self.session.case["batch"]
        self.session.stopwatch.settle_steps = 1  # a batch may have been read ahead while the window was opened
        while True:
            with contextlib.closing(predictor(listing, stream=True)) as stream:
                self.session.batch_arrived()
                for number, _ in enumerate(stream, 1):
                    if number % batch == 0:
                        self.session.phase_ended("postprocess")
                        self.session.step_ended(batch)
                        self.session.batch_arrived()
                self.check_images(number - batch * (len(self.sources) - 1))


class Server(ClosedLoop):
    """Requests of one image that arrive at random, at a rate, and wait in a queue while the last one is served.

    The arrivals are those of a Poisson process with a seed. They never wait for the service: a request that arrives
    while another one is served counts from its arrival. A window begins with an empty queue.
    """

    def settings(self, images: int) -> dict[str, Any]:
        """Return what runs."""
        return {"scenario": "server", "arrival_rate": self.asked.get("arrival_rate")}

    def run(self, predictor: Any) -> None:
        """Serve each request as soon as it has arrived and the last one has been served."""
        watch, windows = self.session.stopwatch, -1
        arrival, draw = 0.0, random.Random()
        for source in itertools.cycle(self.sources):
            if len(watch.windows) != windows:
                windows = len(watch.windows)
                arrival, draw = watch.clock(), random.Random(windows)
            arrival += draw.expovariate(self.asked["arrival_rate"])
            if (wait := arrival - watch.clock()) > 0:
                time.sleep(wait)
            watch.request_arrived(arrival)
            self.session.batch_arrived()
            self.end_call(predictor(source))

    def check(self) -> None:
        """Check that requests were served as fast as they arrived; else the latency depends on the window alone.

        Raises:
            CaseRejected: with status ``invalid``.
        """
        watch = self.session.stopwatch
        start, end = watch.span()
        served = [seconds - wait for seconds, wait in zip(watch.seconds[start:end], watch.data_wait[start:end])]
        load = sum(served) / len(served) * self.asked["arrival_rate"]
        self.session.extra["load"] = round(load, 4)
        if load >= 1:
            raise CaseRejected(
                "invalid",
                f"arrival_rate {self.asked['arrival_rate']:g} requested, and {self.asked['arrival_rate'] / load:.3g} "
                "requests per second can be served: the queue only grows. Ask for a lower rate.",
            )


LOOPS: dict[str, type[ClosedLoop]] = {"offline": Offline, "server": Server}
"""Loops of the scenarios that are no closed loop."""


def loop_of(session: Session, source: Path) -> ClosedLoop:
    """Return the loop of a case.

    Args:
        session: of the case.
        source: text file that lists one batch, for a case without a scenario.

    Raises:
        CaseRejected: with status ``unsupported`` for a scenario that cannot run as asked.
    """
    asked = {requested.axis: requested.value for requested in session.asked}
    scenario = asked.get("scenario")
    if scenario is None:
        return ClosedLoop(session, [source])
    if scenario == "server":
        _check_server(session, asked)
    return LOOPS.get(scenario, ClosedLoop)(session, batches(session))


def _check_server(session: Session, asked: dict[str, Any]) -> None:
    if "arrival_rate" not in asked:
        reason = "scenario server requested without a rate of arrivals: add --arrival-rate 5, in requests per second."
        raise CaseRejected("unsupported", reason, ("mode", "scenario"))
    if session.case["batch"] != SERVED_BATCH:
        raise CaseRejected("unsupported", "scenario server requested: a request has one image, so use batch 1.")
    if session.takes_turns:
        reason = "scenario server requested: arrivals do not wait, so two processes cannot take turns at it."
        raise CaseRejected("unsupported", reason, ("mode", "scenario"))


def batches(session: Session) -> list[Path]:
    """Write a text file for each batch of different images, at most :data:`MOST_BATCHES`; return their paths.

    Raises:
        CaseRejected: with status ``unsupported`` where there are fewer images than one batch.
    """
    batch, images = session.case["batch"], training_images(session.data)
    count = min(len(images) // batch, MOST_BATCHES)
    if not count:
        raise CaseRejected("unsupported", f"The dataset has {len(images)} images, fewer than a batch of {batch}.")
    folder = Path(session.scratch) / "batches"
    folder.mkdir()
    sources = []
    for number in range(count):
        links = []
        for place in range(number * batch, (number + 1) * batch):
            links.append(folder / f"{place:06d}{Path(images[place]).suffix}")
            links[-1].symlink_to(images[place])
        sources.append(folder / f"batch{number:06d}.txt")
        sources[-1].write_text("".join(f"{link}\n" for link in links), encoding="utf-8")
    return sources
