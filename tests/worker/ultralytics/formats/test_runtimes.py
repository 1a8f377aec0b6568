"""Each runtime on a faithful fake: threads and precision are set before a model is loaded, and read back from it."""

from __future__ import annotations

import sys
import types
from types import SimpleNamespace
from typing import Any

import numpy
import pytest

from bench.worker.rejection import CaseRejected
from bench.worker.workloads.ultralytics.formats import find


def installed(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> Any:
    module = types.ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)
    return module


# ONNX Runtime


class FakeSession:
    def __init__(self, path: str, options: Any = None, providers: Any = None) -> None:
        self.options = options
        self.providers = providers or ["CPUExecutionProvider"]

    def get_providers(self) -> list[str]:
        return [provider if isinstance(provider, str) else provider[0] for provider in self.providers]

    def get_session_options(self) -> Any:
        return self.options

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="images", shape=[1, 3, 64, 64])]

    def run(self, outputs: Any, inputs: dict[str, Any]) -> list[Any]:
        return [inputs["images"].sum()]


def onnx_session(monkeypatch: pytest.MonkeyPatch, providers: Any = None) -> Any:
    """A session as Ultralytics makes it while the runtime is prepared for three threads."""
    options = lambda: SimpleNamespace(intra_op_num_threads=0, inter_op_num_threads=0)  # noqa: E731
    runtime = installed(monkeypatch, "onnxruntime", InferenceSession=FakeSession, SessionOptions=options)
    with find("onnx").prepare(3, "off"):
        session = runtime.InferenceSession("model.onnx", None, providers=providers)
    assert runtime.InferenceSession is FakeSession
    return session


def test_onnx_gets_its_threads_and_says_them(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = SimpleNamespace(session=onnx_session(monkeypatch), device="cpu")
    reading = find("onnx").read_back(backend, {"types": {"f32": 64}, "amp": "off"})
    assert (reading.amp, reading.device, reading.threads) == ("off", "cpu", 3)
    assert reading.provider == "CPUExecutionProvider"
    assert find("onnx").bare(backend, numpy.ones((1, 3, 2, 2), numpy.float32))() == [12]


def test_onnx_that_falls_back_to_the_cpu_is_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for mps without the CoreML provider, Ultralytics takes the CPU's and leaves its own device as it is."""
    backend = SimpleNamespace(session=onnx_session(monkeypatch), device="mps")
    assert find("onnx").read_back(backend, {"types": {"f32": 64}, "amp": "off"}).device == "cpu"


def test_onnx_on_a_gpu_is_where_its_provider_is(monkeypatch: pytest.MonkeyPatch) -> None:
    providers = [("CUDAExecutionProvider", {"device_id": 0}), "CPUExecutionProvider"]
    backend = SimpleNamespace(session=onnx_session(monkeypatch, providers), device="cuda:0")
    reading = find("onnx").read_back(backend, {"types": {"f16": 64}, "amp": "on"})
    assert (reading.amp, reading.device, reading.provider) == ("on", "cuda:0", "CUDAExecutionProvider")


# OpenVINO


class FakeType:
    f32, bf16, f16 = "f32", "bf16", "f16"


class FakeCore:
    def __init__(self) -> None:
        self.available_devices = ["CPU", "GPU"]
        self.settings: dict[str, Any] = {}

    def get_property(self, device: str, name: str) -> list[str]:
        return ["FP32", "INT8"]

    def set_property(self, device: str, settings: dict[str, Any]) -> None:
        if settings.get("INFERENCE_PRECISION_HINT") == "f16":
            raise RuntimeError("unsupported")
        self.settings |= settings


def test_openvino_gets_threads_precision_and_the_cpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = installed(monkeypatch, "openvino", Core=FakeCore, Type=FakeType)
    with find("openvino").prepare(2, "off"):
        core = openvino.Core()
    assert core.settings == {"INFERENCE_NUM_THREADS": 2, "INFERENCE_PRECISION_HINT": "f32"}
    assert core.available_devices == ["CPU"], "else Ultralytics leaves the device to OpenVINO"
    assert openvino.Core is FakeCore


def test_openvino_without_float16_runs_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    openvino = installed(monkeypatch, "openvino", Core=FakeCore, Type=FakeType)
    with find("openvino").prepare(2, "on"):
        assert openvino.Core().settings == {"INFERENCE_NUM_THREADS": 2}


def test_openvino_refuses_bfloat16_where_the_cpu_lacks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "openvino", Core=FakeCore, Type=FakeType)
    with pytest.raises(CaseRejected) as caught, find("openvino").prepare(2, "bf16"):
        pass
    assert caught.value.status == "unsupported"
    assert caught.value.reason == "amp bf16 requested: OpenVINO offers FP32, INT8 on this CPU."


def openvino_backend(
    kernels: list[str], devices: tuple[str, ...] = ("CPU",), types: str = "f32", threads: int = 2
) -> Any:
    nodes = [{"layerType": "Convolution", "primitiveType": kernel, "runtimePrecision": types} for kernel in kernels]
    nodes += [{"layerType": "Eltwise", "primitiveType": "jit_f32", "runtimePrecision": "f32"}, {}]
    runs = SimpleNamespace(get_ops=lambda: [SimpleNamespace(get_rt_info=lambda node=node: node) for node in nodes])
    settings = {
        "EXECUTION_DEVICES": list(devices),
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
    }
    return SimpleNamespace(
        ov_compiled_model=SimpleNamespace(get_property=settings.__getitem__, get_runtime_model=lambda: runs)
    )


@pytest.mark.parametrize(
    ("kernels", "types", "asked", "amp"),
    [
        (["brgconv_avx512_f32"] * 3, "f32", "off", "off"),
        (["brgconv_avx512_1x1_bf16"] * 3, "bf16", "off", "bf16"),
        (["brgconv_avx512_f32"] * 3, "f16", "on", "off"),  # float16 in the file alone
        (["brgconv_avx512_vnni_i8"] * 3 + ["jit_f32"], "i8", "int8", "int8"),
        (["unknown"] * 3, "f32", "off", "off"),
    ],
)
def test_openvino_computes_in_the_type_of_its_kernels(kernels: list[str], types: str, asked: str, amp: str) -> None:
    reading = find("openvino").read_back(openvino_backend(kernels, types=types), {"amp": asked})
    assert (reading.amp, reading.threads, reading.device, reading.provider) == (amp, 2, "cpu", "CPU")
    assert reading.details["streams"] == 1


def test_openvino_on_another_device_is_there() -> None:
    reading = find("openvino").read_back(openvino_backend(["jit_f32"], ("GPU.0", "CPU")), {"amp": "off"})
    assert reading.device == "GPU.0, CPU"


# NCNN


class FakeNet:
    def __init__(self) -> None:
        self.opt = SimpleNamespace(num_threads=8, use_vulkan_compute=False, use_fp16_packed=True, use_fp16_storage=True)


def test_ncnn_gets_threads_and_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    ncnn = installed(monkeypatch, "ncnn", Net=FakeNet)
    with find("ncnn").prepare(1, "off"):
        net = ncnn.Net()
    reading = find("ncnn").read_back(SimpleNamespace(net=net), {"amp": "off"})
    assert (reading.amp, reading.device, reading.threads) == ("off", "cpu", 1)
    assert find("ncnn").read_back(SimpleNamespace(net=FakeNet()), {"amp": "off"}).amp == "on"
    net.opt.use_vulkan_compute = True
    assert find("ncnn").read_back(SimpleNamespace(net=net), {"amp": "off"}).device == "vulkan"


# LiteRT


def litert_backend(kind: str) -> Any:
    tensors = [{"shape": (1, 3, 64, 64), "dtype": getattr(numpy, kind)}, {"shape": (2,), "dtype": numpy.int64}]
    return SimpleNamespace(interpreter=SimpleNamespace(get_tensor_details=lambda: tensors))


@pytest.mark.parametrize(("kind", "amp"), [("float32", "off"), ("float16", "on"), ("int8", "int8")])
def test_litert_says_its_types_and_not_its_threads(kind: str, amp: str) -> None:
    reading = find("litert").read_back(litert_backend(kind), {"amp": "off"})
    assert (reading.amp, reading.threads, reading.device) == (amp, None, "cpu")


def test_litert_gets_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    module = installed(monkeypatch, "ultralytics.nn.backends.litert", NUM_THREADS=7)
    with find("litert").prepare(2, "off"):
        assert module.NUM_THREADS == 2
    assert module.NUM_THREADS == 7


# CoreML


def coreml_backend(unit: str, quantize: Any = None, head: str = "Detect") -> Any:
    model = SimpleNamespace(compute_unit=SimpleNamespace(name=unit), predict=lambda inputs: inputs)
    return SimpleNamespace(model=model, metadata={"args": {"quantize": quantize}, "head": head}, input_name="image")


def test_coreml_on_the_cpu_alone_is_no_neural_engine() -> None:
    """Ultralytics takes CPU_ONLY on any error of CPU_AND_NE, without a word."""
    assert find("coreml").read_back(coreml_backend("CPU_AND_NE"), {"amp": "off"}).device == "cpu"
    reading = find("coreml").read_back(coreml_backend("CPU_ONLY"), {"amp": "off"})
    assert (reading.device, reading.provider, reading.threads) == ("CPU_ONLY of CoreML", "CPU_ONLY", None)
    assert find("coreml").read_back(coreml_backend("ALL", head="RTDETRDecoder"), {"amp": "off"}).device == "cpu"


@pytest.mark.parametrize(
    ("quantize", "amp"), [(None, "off"), (32, "off"), (16, "on"), (8, "int8"), ("w8a16", "unknown")]
)
def test_coreml_has_the_precision_of_its_file(quantize: Any, amp: str) -> None:
    assert find("coreml").read_back(coreml_backend("CPU_AND_NE", quantize), {"amp": "off"}).amp == amp


def test_coreml_takes_pictures() -> None:
    [first] = find("coreml").bare(coreml_backend("CPU_AND_NE"), numpy.zeros((1, 3, 8, 4), numpy.float32))()
    assert first["image"].size == (4, 8)


# TensorRT


def engine_backend(quantize: Any, graph: Any = None) -> Any:
    bindings = {"images": SimpleNamespace(dtype="float32")}
    return SimpleNamespace(metadata={"args": {"quantize": quantize}}, graph=graph, bindings=bindings, device="cuda:0")


def test_an_engine_has_the_precision_of_its_header() -> None:
    reading = find("engine").read_back(engine_backend(8, graph=object()), {"amp": "on"})
    assert (reading.amp, reading.device, reading.provider) == ("int8", "cuda:0", "TensorRT")
    assert reading.details == {"cuda_graph": True, "bindings": {"images": "float32"}}
    assert find("engine").read_back(engine_backend(None), {"amp": "off"}).details["cuda_graph"] is False


def test_an_engine_belongs_to_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Card of {device}")
    assert find("engine").identity("cuda:1")["card"] == "Card of cuda:1"
    assert find("onnx").identity("cpu") == {}


# TorchScript


def test_torchscript_has_the_types_of_its_weights() -> None:
    import torch

    layer = torch.nn.Conv2d(3, 4, 1)
    runtime = find("torchscript")
    reading = runtime.read_back(SimpleNamespace(model=layer, device="cpu"), {"amp": "off"})
    assert (reading.amp, reading.threads, reading.provider) == ("off", torch.get_num_threads(), "torch")
    assert runtime.read_back(SimpleNamespace(model=layer.half(), device="cpu"), {"amp": "off"}).amp == "on"


# The phase forward


class Events(list[str]):
    """What was called, in its order, the marks of the phase included."""

    def call(self, name: str, result: Any = None) -> Any:
        def called(*arguments: Any, **named: Any) -> Any:
            self.append(name)
            return result

        return called

    def mark(self, name: str, backend: Any) -> None:
        find(name).mark(backend, lambda: self.append("began"), lambda: self.append("ended"))


def test_forward_of_onnx_is_the_run_of_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    events = Events()
    session = onnx_session(monkeypatch)
    session.run, session.run_with_iobinding = events.call("run", [1]), events.call("bound")
    backend = SimpleNamespace(session=session, device="cpu")
    bare = find("onnx").bare(backend, numpy.ones((1, 3, 2, 2), numpy.float32))
    events.mark("onnx", backend)
    assert backend.session.run(None, {}) == [1]
    backend.session.run_with_iobinding(None)
    assert events == ["began", "run", "ended", "began", "bound", "ended"]
    assert bare() == [1] and events[6:] == ["run"], "the loop of the check is not marked"
    assert find("onnx").read_back(backend, {"types": {"f32": 64}, "amp": "off"}).threads == 3


def test_forward_of_openvino_is_the_call_of_the_compiled_model() -> None:
    class Compiled:
        def __init__(self, properties: Any) -> None:
            vars(self).update(vars(properties))

        def __call__(self, images: Any) -> str:
            events.append("infer")
            return f"outputs of {images}"

    events, backend = Events(), openvino_backend(["jit_f32"])
    backend.ov_compiled_model = Compiled(backend.ov_compiled_model)
    bare = find("openvino").bare(backend, "array")
    events.mark("openvino", backend)
    assert backend.ov_compiled_model("images") == "outputs of images"
    assert events == ["began", "infer", "ended"]
    assert bare() == "outputs of array" and events[3:] == ["infer"]
    assert find("openvino").read_back(backend, {"amp": "off"}).threads == 2


class FakeExtractor:
    def __init__(self, events: Events) -> None:
        self.input, self.extract = events.call("input"), events.call("extract", (0, "output"))

    def __enter__(self) -> FakeExtractor:
        return self

    def __exit__(self, *raised: Any) -> None:
        pass


def test_forward_of_ncnn_is_the_extraction_of_each_output() -> None:
    events, net = Events(), FakeNet()
    names = {"input_names": lambda: ["in0"], "output_names": lambda: ["out1", "out0"]}
    vars(net).update(create_extractor=lambda: FakeExtractor(events), **names)
    backend = SimpleNamespace(net=net, pyncnn=SimpleNamespace(Mat=lambda image: image))
    bare = find("ncnn").bare(backend, [0])
    events.mark("ncnn", backend)
    with backend.net.create_extractor() as extractor:
        extractor.input("in0", 0)
        assert [extractor.extract(name)[1] for name in sorted(backend.net.output_names())] == ["output"] * 2
    assert events == ["input", *["began", "extract", "ended"] * 2]
    del events[:]
    assert bare() == [["output", "output"]] and events == ["input", "extract", "extract"]
    assert find("ncnn").read_back(backend, {"amp": "off"}).threads == 8


def test_forward_of_litert_coreml_and_engine() -> None:
    events = Events()
    interpreter = SimpleNamespace(
        set_tensor=events.call("set"), invoke=events.call("invoke"), get_tensor=events.call("get")
    )
    litert = SimpleNamespace(
        interpreter=interpreter, nhwc=False, input_details=[{"index": 0}], output_details=[{"index": 1}]
    )
    bare = find("litert").bare(litert, numpy.ones((1, 3, 2, 2)))
    events.mark("litert", litert)
    bare()
    litert.interpreter.invoke()
    assert events == ["set", "invoke", "get", "began", "invoke", "ended"]
    del events[:]
    coreml = coreml_backend("CPU_AND_NE")
    coreml.model.predict = events.call("predict")
    events.mark("coreml", coreml)
    coreml.model.predict([])
    engine = SimpleNamespace(forward=events.call("forward"))
    events.mark("engine", engine)
    engine.forward(None)
    assert events == ["began", "predict", "ended", "began", "forward", "ended"]


def test_forward_of_torchscript_is_the_call_of_the_backend() -> None:
    events = Events()
    backend = SimpleNamespace(forward=events.call("forward", "outputs"))
    events.mark("torchscript", backend)
    assert backend.forward("images") == "outputs" and events == ["began", "forward", "ended"]
