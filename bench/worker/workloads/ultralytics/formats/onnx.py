"""ONNX Runtime: its threads are options of its session, and its precision is that of the graph that it makes."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from .base import Reading, Runtime, precision_of, replaced

FLOATS = ("Conv", "FusedConv", "ConvTranspose", "Gemm", "FusedGemm", "MatMul", "FusedMatMul")
INTEGERS = ("QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger", "QGemm")
PROVIDERS = {"CPUExecutionProvider": "cpu", "CUDAExecutionProvider": "cuda", "CoreMLExecutionProvider": "mps"}
"""Kinds of devices by the name of what computes for ONNX Runtime."""


class Onnx(Runtime):
    """Models in ONNX, run by ONNX Runtime."""

    name = "onnx"
    title = "ONNX Runtime"
    suffix = ".onnx"
    packages = (
        ("onnx", "onnx>=1.16,<2"),
        ("onnxruntime", "onnxruntime>=1.20"),
    )
    export_packages = (("onnxslim", "onnxslim>=0.1.82"),)
    recorded = ("onnx", "onnxslim")
    extra = "export"
    kinds = ("cpu", "cuda", "mps")
    precisions = ("off", "on", "int8")

    def options(self, threads: int) -> Any:
        """Return options of a session with a number of threads."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        return options

    def inspect(self, file: str, threads: int, kind: str, scratch: str) -> dict[str, Any]:
        """Count the types in which the graph computes: on a CPU the graph that ONNX Runtime makes of the file."""
        import onnxruntime

        if kind != "cpu":  # other providers compute in the types of the file
            return {"types": count_types(file)}

        optimized = os.path.join(scratch, "optimized.onnx")
        options = self.options(threads)
        options.optimized_model_filepath = optimized
        options.log_severity_level = 3  # it warns that such a graph fits this machine only
        onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
        try:
            return {"types": count_types(optimized)}
        finally:
            os.unlink(optimized)

    @contextlib.contextmanager
    def prepare(self, threads: int, amp: str) -> Iterator[None]:
        """Give every session the number of threads."""
        import onnxruntime

        original = onnxruntime.InferenceSession

        def with_threads(path: Any, sess_options: Any = None, *arguments: Any, **named: Any) -> Any:
            return original(path, self.options(threads), *arguments, **named)

        with replaced(onnxruntime, "InferenceSession", with_threads):
            yield

    def read_back(self, backend: Any, facts: dict[str, Any]) -> Reading:
        """Read provider and threads of the session, and the precision of its graph."""
        session = backend.session
        providers = list(session.get_providers())
        amp, why = precision_of(facts["types"], facts["amp"])
        kind = PROVIDERS.get(providers[0], providers[0])
        device = "cpu" if kind == "cpu" else backend.device
        threads = int(session.get_session_options().intra_op_num_threads)
        shape = next(item.shape for item in session.get_inputs())
        return Reading(amp, device, threads, providers[0], why, {"types": facts["types"], "input": list(shape)})

    def calls(self, backend: Any) -> tuple[tuple[Any, str], ...]:
        """Return the two calls by which a session runs; the second one is of accelerators."""
        return (backend.session, "run"), (backend.session, "run_with_iobinding")

    def bare(self, backend: Any, array: Any) -> Callable[[], Any]:
        """Run the session."""
        run, inputs = backend.session.run, {backend.session.get_inputs()[0].name: array}
        return lambda: run(None, inputs)


def count_types(file: str) -> dict[str, int]:
    """Return the number of convolutions and matrix products of a graph, by the type in which they compute."""
    import onnx

    graph = onnx.load(file).graph
    types = {tensor.name: tensor.data_type for tensor in graph.initializer}
    halves = {onnx.TensorProto.FLOAT16: "f16", onnx.TensorProto.BFLOAT16: "bf16"}
    count: Counter[str] = Counter()
    for node in graph.node:
        if node.op_type in INTEGERS:
            count["i8"] += 1
        elif node.op_type in FLOATS:
            given = [types[name] for name in node.input if name in types]
            count[next((halves[kind] for kind in given if kind in halves), "f32")] += 1
    return dict(count)


RUNTIME = Onnx()
