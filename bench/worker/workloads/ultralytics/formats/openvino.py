"""OpenVINO: it takes bfloat16 where the CPU has it, unless a type is set; each layer says in which type it computes."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from ....rejection import CaseRejected
from .base import SCOPE, TYPES, Reading, Runtime, precision_of, replaced

LAYERS = ("Convolution", "GroupConvolution", "Deconvolution", "FullyConnected", "MatMul")
HINTS = {"off": "f32", "bf16": "bf16", "on": "f16"}
"""Type that the CPU plugin is asked to compute in, by the precision of a case."""


class OpenVino(Runtime):
    """Models in OpenVINO's own format, on a CPU."""

    name = "openvino"
    title = "OpenVINO"
    suffix = "_openvino_model"
    packages = (("openvino", "openvino>=2025.2"),)
    int8_packages = (("nncf", "nncf>=2.14"),)
    recorded = ("openvino", "nncf")
    extra = "export"
    precisions = ("off", "bf16", "on", "int8")

    @contextlib.contextmanager
    def prepare(self, threads: int, amp: str) -> Iterator[None]:
        """Give every model the number of threads, the CPU alone, and the type to compute in.

        A model in int8 computes its other layers in float32, as ``amp off`` does.
        """
        import openvino

        original = openvino.Core
        core = original()
        offers = list(core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
        if amp == "bf16" and "BF16" not in offers:
            reason = f"amp bf16 requested: OpenVINO offers {', '.join(offers)} on this CPU."
            raise CaseRejected("unsupported", reason, SCOPE)
        hint = getattr(openvino.Type, HINTS.get(amp, "f32"))

        def with_settings(*arguments: Any, **named: Any) -> Any:
            made = original(*arguments, **named)
            settings = {"INFERENCE_NUM_THREADS": threads}
            try:
                made.set_property("CPU", {**settings, "INFERENCE_PRECISION_HINT": hint})
            except RuntimeError:  # a type that this CPU does not compute in, which is read back
                made.set_property("CPU", settings)
            return _CpuAlone(made)

        with replaced(openvino, "Core", with_settings):
            yield

    def read_back(self, backend: Any, facts: dict[str, Any]) -> Reading:
        """Read devices and threads of the compiled model, and the type of each of its layers."""
        model = backend.ov_compiled_model
        devices = [str(device) for device in model.get_property("EXECUTION_DEVICES")]
        types: Counter[str] = Counter()
        for node in model.get_runtime_model().get_ops():
            info = node.get_rt_info()
            if "layerType" in info and _text(info["layerType"]) in LAYERS:
                types[computes_in(info)] += 1
        amp, why = precision_of(types, facts["amp"])
        details = {
            "types": dict(types),
            "streams": int(model.get_property("NUM_STREAMS")),
            "hint": str(model.get_property("PERFORMANCE_HINT")),
            "precision_hint": _type_name(model.get_property("INFERENCE_PRECISION_HINT")),
        }
        device = "cpu" if devices == ["CPU"] else ", ".join(devices)
        threads = int(model.get_property("INFERENCE_NUM_THREADS"))
        return Reading(amp, device, threads, "+".join(devices), why, details)

    def calls(self, backend: Any) -> tuple[tuple[Any, str], ...]:
        """Return the call of the compiled model."""
        return ((backend, "ov_compiled_model"),)

    def bare(self, backend: Any, array: Any) -> Callable[[], Any]:
        """Run the compiled model, which copies its outputs."""
        compiled = backend.ov_compiled_model
        return lambda: compiled(array)


class _CpuAlone:
    """A core of OpenVINO that knows the CPU alone, so that Ultralytics does not leave the choice to OpenVINO."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self.available_devices = ["CPU"]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)


def computes_in(info: Any) -> str:
    """Return the type in which a layer computes, by the name of its kernel, such as ``brgconv_avx512_f32``.

    The runtime precision of a layer is the type of its weights in the file, which may be float16 where the kernel
    computes in float32.
    """
    kernel = _text(info["primitiveType"]).lower().rpartition("_")[2] if "primitiveType" in info else ""
    return kernel if kernel in TYPES else _text(info["runtimePrecision"])


def _text(value: Any) -> str:
    """Return a runtime information of a layer as a text."""
    return str(getattr(value, "astype", lambda kind: value)(str))


def _type_name(value: Any) -> str:
    """Return ``f32`` for a type of OpenVINO."""
    return str(getattr(value, "get_type_name", lambda: value)())


RUNTIME = OpenVino()
