"""NCNN: its threads and types are options of its network; it computes the images of a batch one by one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from .base import MarkedCall, Reading, Runtime, replaced

HALVES = ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage")
"""Options of a network by which it computes or stores in 16 bits where the CPU can."""


class Ncnn(Runtime):
    """Models of NCNN on a CPU, in float32: it does not say in which type a layer computes."""

    name = "ncnn"
    title = "NCNN"
    suffix = "_ncnn_model"
    packages = (("ncnn", "ncnn"),)
    export_packages = (("pnnx", "pnnx==20260526"),)  # as Ultralytics pins it: exports of a later one crashed
    recorded = ("ncnn", "pnnx")
    extra = "ncnn"
    one_image = True

    @contextlib.contextmanager
    def prepare(self, threads: int, amp: str) -> Iterator[None]:
        """Give every network the number of threads, and float32."""
        import ncnn

        original = ncnn.Net

        def with_settings() -> Any:
            net = original()
            net.opt.num_threads = threads
            for option in HALVES:
                if hasattr(net.opt, option):
                    setattr(net.opt, option, False)
            return net

        with replaced(ncnn, "Net", with_settings):
            yield

    def read_back(self, backend: Any, facts: dict[str, Any]) -> Reading:
        """Read the options of the network."""
        options = backend.net.opt
        halves = [option for option in HALVES if getattr(options, option, False)]
        device = "vulkan" if options.use_vulkan_compute else "cpu"
        why = f"NCNN has {', '.join(halves)}" if halves else ""
        return Reading("on" if halves else "off", device, int(options.num_threads), device.upper(), why)

    def mark(self, backend: Any, began: Callable[[], None], ended: Callable[[], None]) -> None:
        """Mark the extraction of each output, which computes; a network makes an extractor for each image."""
        backend.net = _MarkedNet(backend.net, began, ended)

    def bare(self, backend: Any, array: Any) -> Callable[[], Any]:
        """Run the images through extractors of the network."""
        net, matrix = backend.net, backend.pyncnn.Mat
        name, outputs = net.input_names()[0], sorted(net.output_names())

        def run() -> Any:
            results = []
            for image in array:
                with net.create_extractor() as extractor:
                    extractor.input(name, matrix(image))
                    results.append([extractor.extract(output)[1] for output in outputs])
            return results

        return run


class _MarkedNet:
    """A network of NCNN whose extractors are marked."""

    def __init__(self, net: Any, *marks: Callable[[], None]) -> None:
        self._net, self._marks = net, marks

    def create_extractor(self) -> _MarkedExtractor:
        return _MarkedExtractor(self._net.create_extractor(), *self._marks)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._net, name)


class _MarkedExtractor:
    """An extractor of NCNN whose extractions are marked."""

    def __init__(self, extractor: Any, *marks: Callable[[], None]) -> None:
        self._extractor = extractor
        self.extract = MarkedCall(extractor.extract, *marks)

    def __enter__(self) -> _MarkedExtractor:
        self._extractor.__enter__()
        return self

    def __exit__(self, *raised: Any) -> Any:
        return self._extractor.__exit__(*raised)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._extractor, name)


RUNTIME = Ncnn()
