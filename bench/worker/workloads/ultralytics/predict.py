"""Real Ultralytics prediction on a batch of images: the whole call, and the model's forward pass within it.

A call is what a user waits for: reading the files, letterboxing, the forward pass, non-maximum suppression and the
building of results. Its source is a text file that lists exactly one batch of images. Ultralytics would take a list of
arrays as one batch whatever its length, and would ignore batch and size for a tensor.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...rejection import CaseRejected
from ...timing.session import Session, WindowComplete
from . import forced_precision, random_objects, read_settings, scenarios, tasks, yield_points
from .formats.exported import ExportedModel
from .formats.weights import seeded
from .made_data import training_images
from .models import Model, built, check_arguments, check_image_size, complete, find_model, shape_of

AMP_SCOPE = ("mode", "amp", "format")
"""Axes of a case that decide whether Ultralytics' own models predict in a precision."""


def precision(amp: str) -> dict[str, Any]:
    """Return the arguments that request a precision: ``quantize=16`` replaced ``half=True`` in 8.4."""
    from ultralytics.utils import DEFAULT_CFG_DICT

    if amp == "int8":
        reason = "amp int8 requested: only exported models predict in int8: name a format, as in --format openvino."
        raise CaseRejected("unsupported", reason, scope=AMP_SCOPE)
    if amp == "bf16":
        reason = "amp bf16 requested: Ultralytics predicts in float32 or float16 only."
        raise CaseRejected("unsupported", reason, scope=AMP_SCOPE)
    if amp in forced_precision.DTYPES:
        reason = f"amp {amp} requested: a precision is forced on training only; predict with amp off or on."
        raise CaseRejected("unsupported", reason, scope=AMP_SCOPE)
    if amp == "off":
        return {}
    return {"quantize": 16} if "quantize" in DEFAULT_CFG_DICT else {"half": True}


def one_batch(session: Session) -> Path:
    """Write a text file that lists one batch of images, the first ones that training uses; return its path.

    It lists links to the images, since the name of an image may contain characters that Ultralytics takes for a
    pattern, or that a text file cannot hold.
    """
    folder = Path(session.scratch) / "batch"
    folder.mkdir()
    links = []
    for number, image in enumerate(training_images(session.data)[: session.case["batch"]]):
        links.append(folder / f"{number:06d}{Path(image).suffix}")
        links[-1].symlink_to(image)
    listing = Path(session.scratch) / "batch.txt"
    listing.write_text("".join(f"{link}\n" for link in links), encoding="utf-8")
    return listing


def images_of(source: Path) -> list[str]:
    """Return the images that a text file lists."""
    return source.read_text(encoding="utf-8").splitlines()


def first_of(source: Path, images: int) -> Path:
    """Write a text file that lists the first images of another one; return its path."""
    listing = source.with_name("first.txt")
    listing.write_text("".join(f"{image}\n" for image in images_of(source)[:images]), encoding="utf-8")
    return listing


def first_call(predictor: Any, source: Path) -> Any:
    """Return the results of the first call, which shows shape and batch, and is the slowest because nothing is warm.

    Raises:
        CaseRejected: where an image of the batch passed Ultralytics' check of the data set but cannot be decoded.
            Ultralytics would drop it, and the timed batch would be smaller.
    """
    from ultralytics.utils.patches import imread

    links = [Path(image) for image in images_of(source)]
    try:
        results = list(predictor(source))
    except (IndexError, ZeroDivisionError, StopIteration):  # raised for an empty batch; versions differ in which
        results = []
    if len(results) < len(links):
        for link in links:
            if imread(str(link)) is None:
                reason = f"image {os.readlink(link)} passes Ultralytics' check and cannot be decoded: remove it."
                raise CaseRejected("unsupported", reason)
    return results


def predictor_class(session: Session, task: tasks.Task = tasks.DETECT) -> type:
    """Return a task's predictor that marks its phases; defined here, since importing Ultralytics takes seconds."""
    base: Any = tasks.load(task.predictor)

    class BenchPredictor(base):  # type: ignore[misc]
        shape: tuple[int, ...] = ()
        images: Any = None  # of a call that is not timed
        timed = False
        marked = False  # whether the calls within are marked

        def inference(self, im: Any, *args: Any, **kwargs: Any) -> Any:
            self.shape = tuple(im.shape)
            if not self.timed:
                self.images = im
            if self.marked or not self.timed:
                return super().inference(im, *args, **kwargs)
            session.phase_ended("preprocess")
            predictions = super().inference(im, *args, **kwargs)
            session.phase_ended("forward")
            return predictions

    return BenchPredictor


def run(session: Session) -> None:
    """Predict until the session ends the prediction."""
    check_arguments(session.asked)
    model = find_model(session.case["model"], "predict", session.data)
    try:
        (predict_exported if session.job.export else predict)(session, model)
    except RuntimeError as error:
        check_image_size(error, model.task, session.case["imgsz"])
        raise


def new_predictor(session: Session, model: Model, arguments: dict[str, Any]) -> Any:
    """Return a task's predictor with the arguments of a case, and further ones, which go before those."""
    case = session.case
    given = {
        **session.overrides,
        "task": model.task.name,
        "mode": "predict",
        "model": model.file,
        "device": session.device.device_argument,
        "batch": case["batch"],
        "imgsz": case["imgsz"],
        "project": session.scratch,
        "name": "predict",
        "exist_ok": True,
        **arguments,
    }
    return predictor_class(session, model.task)(overrides=given)


def predict(session: Session, model: Model) -> None:
    """Run a task's predictor with the session's marks in it."""
    import torch

    case = session.case
    predictor = new_predictor(session, model, precision(case["amp"]))
    source = one_batch(session)
    loop = scenarios.loop_of(session, source)
    random = not model.file.endswith(".pt")
    raises_scores = model.task.raises_scores and random and not session.job.seeded
    if raises_scores:
        torch.manual_seed(0)  # the weights decide how many objects are found
    if random and session.job.seeded:
        network = seeded(case["model"], model, session.data, case["imgsz"], session.overrides, session.scratch)
    else:
        network = built(case["model"], model, session.data)
        complete(network, case["imgsz"])
    if raises_scores:
        random_objects.settle_batch_norm(network, images_of(source)[: random_objects.IMAGES], case["imgsz"])
    predictor.setup_model(model=network, verbose=False)
    session.set_threads()
    called = time.perf_counter()
    first = first_call(predictor, source)
    session.extra["first_call_seconds"] = round(time.perf_counter() - called, 6)
    if raises_scores:
        probe = first_of(source, random_objects.IMAGES)
        network = read_settings.network(predictor)
        random_objects.raise_scores(network, predictor.args.conf, lambda: list(predictor(probe)))
        first = list(predictor(source))
    note_detections(session, model, first)

    def settings() -> dict[str, Any]:
        return read_settings.read_predictor(predictor, len(first), session.device) | loop.settings(len(first))

    if not read_settings.is_compiled(predictor.model):
        yield_points.install_hooks(read_settings.network(predictor), session)
    runs = settings()
    read_settings.fits_data(runs, shape_of(session.data), classes=not model.file.endswith(".pt"))
    session.ready(runs, accumulation_steps=1)
    loop.bare = bare_original(predictor, predictor.images) if session.job.bare else None
    predictor.timed = True
    try:
        loop.run(predictor)
    except WindowComplete:
        loop.check()
        session.still_runs(settings())
        if not session.takes_turns:
            session.extra["gflops"] = read_settings.count_gflops(read_settings.network(predictor), case["imgsz"])
        if read_settings.is_compiled(predictor.model):
            session.extra |= read_settings.compilation()
        session.report()
        raise


def note_detections(session: Session, model: Model, results: Any) -> None:
    """Record the mean number of detections in an image, for tasks that have them."""
    if model.task is not tasks.CLASSIFY:
        session.extra["detections_per_image"] = round(sum(len(r) for r in results) / len(results), 2)


def bare_original(predictor: Any, images: Any) -> Callable[[], Any]:
    """Return a function that runs the network of a predictor by torch alone."""
    import torch

    network = read_settings.network(predictor)

    def run() -> Any:
        with torch.inference_mode():
            return network(images)

    return run


def predict_exported(session: Session, model: Model) -> None:
    """Run a task's predictor on an exported model, once it agrees with the model that it was made from."""
    exported = ExportedModel(session)
    predictor = new_predictor(session, model, exported.arguments)
    source = one_batch(session)
    loop = scenarios.loop_of(session, source)
    exported.load(predictor)
    session.set_threads()
    called = time.perf_counter()
    first = first_call(predictor, source)
    session.extra["first_call_seconds"] = round(time.perf_counter() - called, 6)
    session.extra["load_seconds"] = round(exported.load_seconds, 6)
    session.extra["export"] = exported.facts
    note_detections(session, model, first)
    exported.observe(predictor, lambda: list(predictor(source)))

    def settings() -> dict[str, Any]:
        return exported.settings(predictor) | loop.settings(len(first))

    runs = settings()
    read_settings.fits_data(runs, shape_of(session.data), classes=not model.file.endswith(".pt"))
    session.extra["parity"] = exported.compare(predictor, runs)
    session.ready(runs, accumulation_steps=1, required=exported.required(), hints=exported.hints(predictor))
    loop.bare = exported.bare(predictor) if session.job.bare else None
    exported.mark(predictor)
    predictor.timed = True
    try:
        loop.run(predictor)
    except WindowComplete:
        loop.check()
        session.still_runs(settings())
        session.extra["gflops"] = session.job.export["model"].get("gflops")
        session.report()
        raise
