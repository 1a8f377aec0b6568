"""Load an exported model into Ultralytics' predictor, and read back what it runs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .... import effective_settings
from ....monitors.system import try_read
from ....timing.session import Session
from .. import read_settings
from . import find, format_of, parity
from .base import Reading, Runtime, busy_threads, check, forbid_installs
from .cache import hold

RECORDED = ("format", "seconds", "bytes", "made", "arguments", "packages")
"""Details of an export that a record keeps."""


OF_EXPORT = ("task", "gflops", "half_distance")
"""Facts of the original that are no settings."""


class ExportedModel:
    """The exported model of a case, in the predictor that runs it.

    Attributes:
        runtime: of the format.
        export: details of the export.
        threads: CPU threads that the runtime is given.
        load_seconds: seconds from the file to a model that can be called, imports of the runtime included.
    """

    def __init__(self, session: Session) -> None:
        """Check that the format can have the case; load nothing."""
        self.session = session
        self.export = session.job.export
        self.runtime: Runtime = find(format_of(session.case))
        check(self.runtime, session.case, session.device.kind, making=False)
        self.threads = session.threads or session.workload.default_threads()
        self.load_seconds = 0.0
        self._calls: list[tuple[int, ...]] = []
        self._facts: dict[str, Any] = {}
        self._busy: int | None = None
        self._held = hold(Path(self.export["folder"]))

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of the predictor that differ from those of the original model."""
        quantize = self.runtime.export_arguments(self.session.case["amp"]).get("quantize")
        half = {"quantize": 16} if quantize == 16 else {}
        return {"model": self.export["file"], "compile": False, **half}

    def load(self, predictor: Any) -> None:
        """Load the model into a predictor, with the threads and the precision of the case."""
        session, runtime = self.session, self.runtime
        forbid_installs()
        began = time.perf_counter()
        runtime.import_packages()
        imported = time.perf_counter() - began
        inspected = runtime.inspect(self.export["file"], self.threads, session.device.kind, session.scratch)
        self._facts = {**inspected, "amp": session.case["amp"]}
        with runtime.prepare(self.threads, session.case["amp"]):
            began = time.perf_counter()
            predictor.setup_model(model=None, verbose=False)
            self.load_seconds = imported + time.perf_counter() - began

    def observe(self, predictor: Any, call: Callable[[], Any]) -> None:
        """Note the shapes in which the runtime is called in one call of the predictor, and its threads.

        Threads that compute are counted where the runtime does not say its number.
        """
        backend = predictor.model.backend
        with calls_of(backend) as inputs:
            call()
        self._calls = [tuple(int(side) for side in images.shape) for images in inputs]
        if self._read(predictor).threads is None:
            self._busy = busy_threads(lambda: backend.forward(inputs[0]))

    def bare(self, predictor: Any) -> Callable[[], Any]:
        """Return a function that runs the model by its runtime alone, on the images of the last untimed call."""
        images = predictor.images.cpu().float().numpy()
        return self.runtime.bare(predictor.model.backend, images)

    def mark(self, predictor: Any) -> None:
        """End the phases ``preprocess`` and ``forward`` where the runtime's own calls begin and end."""
        ended = self.session.phase_ended
        self.runtime.mark(predictor.model.backend, lambda: ended("preprocess"), lambda: ended("forward"))
        predictor.marked = True

    @property
    def facts(self) -> dict[str, Any]:
        """Facts of the export for the record."""
        return {name: self.export[name] for name in RECORDED}

    def compare(self, predictor: Any, runs: dict[str, Any]) -> dict[str, Any]:
        """Compare the outputs with those of the original model; return the distance for the record.

        A case that runs in another precision than it was asked for ends by that: nothing is compared with a limit.

        Raises:
            CaseRejected: where they differ by more than the precision explains.
        """
        case = self.session.case
        folder = Path(self.export["folder"])
        distance = parity.compare(predictor.model, folder, case["batch"], self.export["model"], case["imgsz"])
        if runs["amp"] != case["amp"]:
            return distance
        facts = try_read(self.session.device.info) or {}
        half = None if facts.get("tf32") else self.export["model"].get("half_distance")
        return parity.check(distance, case["amp"], case["imgsz"], half)

    def _read(self, predictor: Any) -> Reading:
        return self.runtime.read_back(predictor.model.backend, self._facts)

    def settings(self, predictor: Any) -> dict[str, Any]:
        """Return the effective settings, by the names that the original model has too."""
        model, reading = predictor.model, self._read(predictor)
        batch, imgsz = self.true_batch(bool(model.nhwc))
        inside = bool(model.metadata.get("args", {}).get("nms"))
        end2end = bool(getattr(model, "end2end", False))
        original = self.export["model"]
        named = isinstance(reading.device, str)
        return {
            "device": reading.device if named else effective_settings.device_name(reading.device, self.session.device),
            "amp": reading.amp,
            "batch": batch,
            "imgsz": imgsz,
            **{name: getattr(predictor.args, name, None) for name in read_settings.PREDICT_ARGUMENTS},
            "format": model.format,
            "compiled": read_settings.is_compiled(predictor.model),
            "compile_mode": read_settings.compile_mode(predictor.model),
            "channels_last": None,
            "fused": None,
            "nms": "embedded" if inside else read_settings.suppression(original["head"], end2end),
            "warmed_up": bool(predictor.done_warmup),
            "integrations": read_settings.integrations(predictor.callbacks),
            **{name: value for name, value in original.items() if name not in OF_EXPORT},
            "end2end": end2end,
            "threads": self._busy if reading.threads is None else reading.threads,
            "provider": reading.provider,
            "runtime": reading.details,
        }

    def true_batch(self, nhwc: bool) -> tuple[Any, Any]:
        """Return the batch and the size in which the runtime was called; ``nhwc`` where channels are last."""
        number, *sides = self._calls[0]
        height, width = sides[:2] if nhwc else sides[1:]
        if self.runtime.one_image:
            number = 1
        batch: Any = number if len(self._calls) == 1 else f"{number} in {len(self._calls)} calls"
        return batch, height if height == width else f"{height}x{width}"

    def hints(self, predictor: Any) -> dict[tuple[str, str | None], str]:
        """Return explanations of substitutions that this runtime gives."""
        case, reading = self.session.case, self._read(predictor)
        title = self.runtime.title
        computes = f"{title} computes so here" + (f" ({reading.why})" if reading.why else "")
        hints: dict[tuple[str, str | None], str] = {
            ("amp", str(case["amp"])): computes,
            ("device", str(case["device"])): f"{title} chose {reading.provider}",
            ("threads", None): f"{title} says so",
            ("compile", None): "an exported model is no model of torch",
            ("batch", str(case["batch"])): f"{title} runs the images of a batch that way",
        }
        return hints

    def required(self) -> dict[str, Any]:
        """Return the settings that the original has, and the export has to have too."""
        original = self.export["model"]
        nms = read_settings.suppression(original["head"], original["end2end"])
        return {"threads": self.threads, "nms": nms, "end2end": original["end2end"]}


@contextlib.contextmanager
def calls_of(backend: Any) -> Iterator[list[Any]]:
    """Collect the inputs with which a backend is called within this context."""
    inputs: list[Any] = []
    forward = backend.forward

    def noted(images: Any, *arguments: Any, **named: Any) -> Any:
        inputs.append(images)
        return forward(images, *arguments, **named)

    backend.forward = noted
    try:
        yield inputs
    finally:
        del backend.forward
