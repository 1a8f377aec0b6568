"""Real Ultralytics prediction on a batch of images: the whole call, and the model's forward pass within it.

A call is what a user waits for: reading the files, letterboxing, the forward pass, non-maximum suppression and the
building of results. Its source is a text file that lists exactly one batch of images: a list of arrays would be one
batch whatever its length, and a tensor ignores batch and size alike.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..data import image_files
from ..refusal import Refused
from ..session import Session, WindowComplete
from . import layers, read_back
from .ultralytics_model import model_file


def precision(amp: str) -> dict[str, Any]:
    """Arguments that ask for a precision: ``quantize=16`` replaced ``half=True`` in 8.4."""
    from ultralytics.utils import DEFAULT_CFG_DICT

    if amp == "bf16":
        reason = "amp bf16 was asked: Ultralytics predicts in float32 or float16 only."
        raise Refused("unsupported", reason, axes=("mode", "amp"))
    if amp == "off":
        return {}
    return {"quantize": 16} if "quantize" in DEFAULT_CFG_DICT else {"half": True}


def one_batch(session: Session) -> Path:
    """A text file that lists as many training images as the case has in a batch."""
    from ultralytics.data.utils import check_det_dataset

    files = image_files(check_det_dataset(session.data)["train"])
    listing = Path(session.scratch) / "batch.txt"
    listing.write_text("\n".join(files[: session.case["batch"]]) + "\n", encoding="utf-8", errors="surrogateescape")
    return listing


def predictor_class(session: Session) -> type:
    """A predictor that marks its parts; made here because importing Ultralytics takes seconds."""
    from ultralytics.models.yolo.detect import DetectionPredictor

    class BenchPredictor(DetectionPredictor):  # type: ignore[misc]
        shape: tuple[int, ...] = ()
        timed = False

        def inference(self, im: Any, *args: Any, **kwargs: Any) -> Any:
            self.shape = tuple(im.shape)
            if not self.timed:
                return super().inference(im, *args, **kwargs)
            session.part_ended("preprocess")
            predictions = super().inference(im, *args, **kwargs)
            session.part_ended("forward")
            return predictions

    return BenchPredictor


def run(session: Session) -> None:
    """Predict until the session has seen enough."""
    from ultralytics import YOLO

    case = session.case
    file = model_file(case["model"])
    arguments = {
        **session.pins,
        **precision(case["amp"]),
        "task": "detect",
        "mode": "predict",
        "model": file,
        "device": session.device.asked,
        "batch": case["batch"],
        "imgsz": case["imgsz"],
        "project": session.scratch,
        "name": "predict",
        "exist_ok": True,
    }
    source = one_batch(session)
    predictor = predictor_class(session)(overrides=arguments)
    predictor.setup_model(model=YOLO(file).model, verbose=False)
    session.set_threads()
    first = predictor(source)  # shows shape and batch, and is the coldest call of all
    session.extra["detections_per_image"] = round(sum(len(r) for r in first) / len(first), 2)

    def settings() -> dict[str, Any]:
        return read_back.of_predictor(predictor, len(first), session.device)

    if not read_back.is_compiled(predictor.model):
        layers.mark(read_back.network(predictor), session)
    session.ready(settings(), cycle=1)
    predictor.timed = True
    try:
        while True:
            session.batch_arrived()
            found = predictor(source)
            session.part_ended("postprocess")
            session.step_ended(len(found))
    except WindowComplete:
        session.still_runs(settings())
        session.report()
        raise
