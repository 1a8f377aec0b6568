"""Real Ultralytics prediction on a batch of images: the whole call, and the model's forward pass within it.

A call is what a user waits for: reading the files, letterboxing, the forward pass, non-maximum suppression and the
building of results. Its source is a text file that lists exactly one batch of images: a list of arrays would be one
batch whatever its length, and a tensor ignores batch and size alike.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from .. import effective
from ..data import image_files
from ..devices import Device
from ..refusal import Refused
from ..session import Session
from .ultralytics_model import model_file

FORWARD_CALLS = 8
"""Calls of the separate pass that times the forward where its end must be waited for."""


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
    listing.write_text("\n".join(files[: session.case["batch"]]) + "\n")
    return listing


def predictor_class(session: Session) -> type:
    """A predictor that takes the time of its forward pass; made here because importing Ultralytics takes seconds."""
    from ultralytics.models.yolo.detect import DetectionPredictor

    class BenchPredictor(DetectionPredictor):  # type: ignore[misc]
        shape: tuple[int, ...] = ()
        forward: list[float]
        waits = True

        def inference(self, im: Any, *args: Any, **kwargs: Any) -> Any:
            self.shape = tuple(im.shape)
            if self.waits:
                session.device.synchronize()
            began = time.perf_counter()
            predictions = super().inference(im, *args, **kwargs)
            if self.waits:
                session.device.synchronize()
            self.forward.append(time.perf_counter() - began)
            return predictions

    return BenchPredictor


def effective_settings(predictor: Any, images: int, device: Device) -> dict[str, Any]:
    """Settings read back from a predictor that has made one call of ``images`` results."""
    height, width = predictor.shape[2:]
    model = predictor.model
    torch_model = getattr(getattr(model, "backend", model), "model", model)
    return {
        "device": effective.device_name(predictor.device, device),
        "amp": "on" if model.fp16 else "off",
        "batch": min(images, predictor.shape[0]),
        "imgsz": height if height == width else f"{height}x{width}",
        "channels_last": effective.channels_last(torch_model),
        "fused": bool(torch_model.is_fused()),
        "end2end": bool(getattr(model, "end2end", False)),
        "classes": len(model.names),
        "parameters": sum(p.numel() for p in torch_model.parameters()),
        "weights": "from file" if str(predictor.args.model).endswith(".pt") else "random",
    }


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
    predictor.forward = []
    # Ultralytics waits around the forward itself on cuda, so waiting there costs nothing; on mps it does not.
    predictor.waits = session.device.kind != "mps"
    predictor.setup_model(model=YOLO(file).model, verbose=False)
    session.set_threads()
    session.subject = (predictor, source)
    first = predictor(source)  # shows shape and batch, and is the coldest call of all
    session.extra["detections_per_image"] = round(sum(len(r) for r in first) / len(first), 2)
    session.ready(effective_settings(predictor, len(first), session.device), cycle=1)
    while True:
        session.stopwatch.batch_arrived()
        found = predictor(source)
        session.step_ended(len(found))


def check(session: Session) -> None:
    """Tell the forward pass apart: from the window itself, or on mps from calls of its own after it."""
    predictor, source = session.subject
    if predictor.waits:
        calls = len(session.stopwatch.seconds) - (session.stopwatch.warmup or 0)
    else:
        calls, predictor.waits = FORWARD_CALLS, True
        for _ in range(FORWARD_CALLS):
            predictor(source)
    separate = session.device.kind == "mps"
    session.phases["forward"] = {
        "seconds": [round(s, 6) for s in predictor.forward[-calls:]],
        "how": "separate calls after the window" if separate else "calls of the window",
    }
