"""One case of the worker's training in this process, with the host's clock and the device's kernels at each mark."""

import json
import sys
import time
from pathlib import Path

TINY = """
nc: 80
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
head:
  - [[2, 3], 1, Detect, [nc]]
"""
"""A detection model of few layers: what is looked at are shares of a step, and each kernel takes its time."""

LITTLE = 2**20
"""Bytes that are too few to train it."""


def measured(device, question, data):
    """Measure one case: its phases, the same by a clock of the host that never waits, and the kernels of each."""
    from fake_accelerator.stream import stream

    from bench.cases.recipe import overrides_for
    from bench.worker.protocol import CaseJob, Measured, Window
    from bench.worker.timing import session, windows
    from bench.worker.timing.phases import Phases
    from bench.worker.workloads import workloads
    from bench.worker.workloads.ultralytics import train

    class Channel:
        def __init__(self):
            self.events = []

        def send(self, event):
            self.events.append(event)

    class Marked(session.Session):
        """Notes the moment at each mark as a careless benchmark would."""

        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.moments = Phases(time.perf_counter, lambda before, now: now - before, "host clock")
            self.kernels = Phases(lambda: stream().kernels, lambda before, now: now - before, "kernels")
            self.both = self.moments, self.kernels

        def batch_arrived(self):
            super().batch_arrived()
            for marks in self.both:
                marks.step_began()

        def phase_ended(self, part):
            for marks in self.both:
                marks.phase_ended(part)
            super().phase_ended(part)

        def step_ended(self, images):
            for marks in self.both:
                marks.step_ended()
            super().step_ended(images)

    windows.RETRIES = 0  # no speed is of interest, so a window with interference will do
    model = Path(question["scratch"]) / "tiny.yaml"
    model.write_text(TINY)
    name = "0" if question["kind"] == "cuda" else question["kind"]
    job = CaseJob(
        workload="ultralytics",
        case={"mode": "train", "model": str(model), "device": name, "amp": "off", "batch": 2, "imgsz": 64},
        overrides={**overrides_for("train"), "nbs": 2},
        threads=1,
        data=data,
        scratch=question["scratch"],
        window=Window(warmup_seconds=0.0, window_steps=3, window_seconds=0.0),
    )
    channel = Channel()
    marked = Marked(job, workloads()["ultralytics"], channel, device)
    try:
        train.run(marked)
    except session.WindowComplete:
        pass
    [reading] = [event for event in channel.events if isinstance(event, Measured)]
    window = marked.stopwatch.span(0)
    return {
        "method": reading.phases["method"],
        "phases": reading.phases["seconds"],
        "steps": reading.steps["seconds"][-(window[1] - window[0]) :],
        "host": marked.moments.seconds(*window),
        "kernels": marked.kernels.seconds(*window),
        "memory": reading.memory,
    }


def main():
    from bench.worker import devices, rejection
    from bench.worker.workloads.ultralytics import isolation, made_data

    question = json.load(sys.stdin)
    cache = Path(question["cache"])
    settings = cache / "accelerators-config"
    settings.mkdir(parents=True, exist_ok=True)
    isolation.before_import(str(settings), False)
    isolation.after_import()
    images = made_data.provide({"root": str(cache / "data"), "images": 16, "seed": 0})["yaml"]
    device = devices.open_device("0" if question["kind"] == "cuda" else question["kind"])
    assert not device.why_unusable()
    answer = measured(device, question, images)
    device.release()
    device.limit_memory(LITTLE)
    try:
        measured(device, question, images)
    except Exception as error:
        refused = rejection.from_exception(error)
        answer["limited"] = [refused.status, refused.reason]
    print("\n" + json.dumps(answer))


if __name__ == "__main__":
    main()
