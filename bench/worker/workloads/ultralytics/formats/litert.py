"""LiteRT: its threads are set in Ultralytics' module; it does not say them, so busy threads are counted."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Callable, Iterator
from typing import Any

from .base import Reading, Runtime, replaced

TYPES = {"float32": "f32", "float16": "f16", "int8": "i8", "uint8": "i8", "int16": "i16"}


class LiteRt(Runtime):
    """Models of LiteRT, once TensorFlow Lite, on a CPU in float32."""

    name = "litert"
    title = "LiteRT"
    suffix = ".tflite"
    packages = (("ai_edge_litert", "ai-edge-litert>=2.1.4"),)
    export_packages = (("litert_torch", "litert-torch"),)
    recorded = ("litert-torch", "ai-edge-litert")

    def import_packages(self) -> None:
        """Import the interpreter, and the module of Ultralytics that runs it."""
        super().import_packages()
        importlib.import_module("ultralytics.nn.backends.litert")

    @contextlib.contextmanager
    def prepare(self, threads: int, amp: str) -> Iterator[None]:
        """Give every interpreter the number of threads."""
        with replaced(importlib.import_module("ultralytics.nn.backends.litert"), "NUM_THREADS", threads):
            yield

    def read_back(self, backend: Any, facts: dict[str, Any]) -> Reading:
        """Read the types of the tensors."""
        details = [item for item in backend.interpreter.get_tensor_details() if len(item["shape"]) == 4]
        names = {str(getattr(item["dtype"], "__name__", item["dtype"])) for item in details}
        kinds = {TYPES.get(name, name) for name in names}
        reduced = sorted(kinds - {"f32"})
        amp = "off" if not reduced else {"f16": "on", "i8": "int8"}.get(reduced[0], reduced[0])
        why = f"its tensors are {', '.join(sorted(names))}" if reduced else ""
        return Reading(amp, "cpu", None, "CPU", why)

    def calls(self, backend: Any) -> tuple[tuple[Any, str], ...]:
        """Return the call of the interpreter that computes."""
        return ((backend.interpreter, "invoke"),)

    def bare(self, backend: Any, array: Any) -> Callable[[], Any]:
        """Run the interpreter."""
        interpreter, index = backend.interpreter, backend.input_details[0]["index"]
        invoke = interpreter.invoke
        images = array.transpose(0, 2, 3, 1) if backend.nhwc else array
        outputs = [item["index"] for item in backend.output_details]

        def run() -> Any:
            interpreter.set_tensor(index, images)
            invoke()
            return [interpreter.get_tensor(output) for output in outputs]

        return run


RUNTIME = LiteRt()
