"""CoreML: Ultralytics asks for CPU and Neural Engine, and takes the CPU alone where that fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .base import Reading, Runtime

PRECISIONS: Mapping[Any, str] = {None: "off", 32: "off", 16: "on", 8: "int8"}
"""Precision by the argument ``quantize`` in the metadata of an export."""

WANTED = "CPU_AND_NE"


class CoreMl(Runtime):
    """Models of CoreML on a Mac: float32 runs on the CPU, float16 on the Neural Engine where CoreML chooses so."""

    name = "coreml"
    title = "CoreML"
    suffix = ".mlpackage"
    packages = (("coremltools", "coremltools>=9"),)
    recorded = ("coremltools",)
    precisions = ("off", "on", "int8")
    one_image = True
    on_hardware = False

    def read_back(self, backend: Any, facts: dict[str, Any]) -> Reading:
        """Read the compute units that CoreML was asked for, and the precision of the file.

        CoreML does not say how many threads it has.
        """
        unit = getattr(backend.model.compute_unit, "name", str(backend.model.compute_unit))
        amp = PRECISIONS.get(backend.metadata.get("args", {}).get("quantize"), "unknown")
        wanted = "ALL" if backend.metadata.get("head") == "RTDETRDecoder" else WANTED
        device = "cpu" if unit == wanted else f"{unit} of CoreML"
        return Reading(amp, device, None, unit, "" if amp == facts["amp"] else "the exported file has that precision")

    def calls(self, backend: Any) -> tuple[tuple[Any, str], ...]:
        """Return the call of the model."""
        return ((backend.model, "predict"),)

    def bare(self, backend: Any, array: Any) -> Callable[[], Any]:
        """Run the model on pictures, as the exported file takes them."""
        import numpy
        from PIL import Image

        pictures = [Image.fromarray(numpy.uint8(image.transpose(1, 2, 0) * 255)) for image in array]
        inputs = [{backend.input_name: picture} for picture in pictures]
        predict = backend.model.predict
        return lambda: predict(inputs)


RUNTIME = CoreMl()
