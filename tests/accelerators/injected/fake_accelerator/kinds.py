"""What torch's Python modules of a kind say, and what Ultralytics asks of them."""

from __future__ import annotations

import ctypes
import functools
import importlib
import sys
import types

import torch

from . import KIND, LIBRARY, MEMORY, autocast
from .memory import memory
from .stream import Event, synchronize
from .tensors import register

NAME = f"Fake {KIND.upper()}"


def install():
    """Make torch believe that it has the kind."""
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # Module.to would keep the CPU's tensors
    torch.Tensor.pin_memory = lambda tensor, device=None: tensor
    {"mps": install_mps, "xpu": install_xpu, "cuda": install_cuda, "npu": install_npu}[KIND]()
    if KIND != "npu":
        ctypes.CDLL(LIBRARY).register_guard(KIND.encode())
    register("PrivateUse1" if KIND == "npu" else KIND.upper())
    replace(torch.accelerator, COMMON, ACCELERATOR)
    torch.Event = Event
    torch.nn.Module.to = moving_once(torch.nn.Module.to)
    torch.nn.functional.scaled_dot_product_attention = attention


def moving_once(move):
    """``Module.to`` that leaves a module that is there as it is: real devices keep its parameters too."""

    @functools.wraps(move)
    def to(module, *args, **kwargs):
        device, dtype, _, memory_format = torch._C._nn._parse_to(*args, **kwargs)
        tensors = (*module.parameters(), *module.buffers())
        there = device is not None and all(tensor.device.type == device.type for tensor in tensors)
        return module if there and dtype is None and memory_format is None else move(module, *args, **kwargs)

    return to


def attention(query, key, value, attn_mask=None, dropout_p=0.0, is_causal=False, scale=None, enable_gqa=False):
    """Attention by matrix products: torch has no fused kernel for the kind, and asks a table of C++ for one."""
    further = {"scale": scale, "enable_gqa": enable_gqa}
    math = torch.ops.aten._scaled_dot_product_attention_math
    return math(query, key, value, attn_mask, dropout_p, is_causal, **further)[0]


def replace(module, *groups):
    """Set functions of a module, each to one of its own: torch._dynamo looks them up by what they are."""
    for group in groups:
        for name, function in group.items():
            setattr(module, name, function if isinstance(function, type) else separate(function))


def separate(function):
    """A function that does the same."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*args, **kwargs)

    return call


def always(value):
    """A function that returns a value, whatever it is asked."""
    return lambda *_, **__: value


def nothing(*_, **__):
    """Nothing has to be done."""


COMMON = {
    "is_available": always(True),
    "device_count": always(1),
    "synchronize": synchronize,
    "empty_cache": nothing,
    "memory_allocated": memory.allocated,
    "max_memory_allocated": memory.peak,
    "memory_reserved": memory.allocated,
    "max_memory_reserved": memory.peak,
    "memory_stats": memory.statistics,
    "reset_peak_memory_stats": memory.reset_peak,
}
"""What torch.accelerator has, and the modules of kinds that are like torch.cuda."""

ACCELERATOR = {"get_memory_info": memory.info}

PROPERTIES = types.SimpleNamespace(name=NAME, total_memory=MEMORY, major=9, minor=0, multi_processor_count=1)

LIKE_CUDA = {
    "init": nothing,
    "_lazy_init": nothing,
    "is_initialized": always(True),
    "_is_in_bad_fork": always(False),
    "current_device": always(0),
    "set_device": nothing,
    "get_device_name": always(NAME),
    "get_device_properties": always(PROPERTIES),
    "get_device_capability": always((9, 0)),
    "is_bf16_supported": always(True),
    "mem_get_info": memory.info,
    "set_per_process_memory_fraction": memory.set_fraction,
    "manual_seed": nothing,
    "manual_seed_all": nothing,
    "Event": Event,
}


def install_mps():
    """``torch.mps`` and ``torch.backends.mps``."""
    replace(torch.backends.mps, {"is_available": always(True), "is_built": always(True)})
    replace(
        torch.mps,
        {
            **{name: COMMON[name] for name in ("is_available", "device_count", "synchronize", "empty_cache")},
            "current_allocated_memory": memory.allocated,
            "driver_allocated_memory": memory.allocated,
            "recommended_max_memory": always(MEMORY),
            "set_per_process_memory_fraction": memory.set_fraction,
            "manual_seed": nothing,
            "Event": Event,
        },
    )


def install_xpu():
    """``torch.xpu``."""
    replace(torch.xpu, COMMON, LIKE_CUDA)


def install_cuda():
    """``torch.cuda`` and ``torch.backends``."""
    replace(torch.cuda, COMMON, LIKE_CUDA, {"get_arch_list": always(["sm_90"])})
    torch.backends.cuda.is_built = always(True)
    torch.backends.cudnn.version = always(92600)
    torch._C._cuda_getDeviceCount = always(1)


def install_npu():
    """``torch.npu``, and the package torch_npu, from which Ultralytics takes autocast and the loss scaler."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    class GradScaler(torch.amp.GradScaler):
        def __init__(self, *args, **kwargs):
            super().__init__("npu", *args, **kwargs)

    class Autocast(torch.amp.autocast):
        def __init__(self, enabled=True, dtype=torch.float16, **kwargs):
            super().__init__("npu", dtype=dtype, enabled=enabled, **kwargs)

    module = types.ModuleType("torch.npu")
    replace(module, COMMON, LIKE_CUDA, {"get_amp_supported_dtype": always([torch.float16, torch.bfloat16])})
    module.amp = types.SimpleNamespace(GradScaler=GradScaler, autocast=Autocast)
    _setup_privateuseone_for_python_backend("npu", backend_module=module)
    autocast.register("AutocastPrivateUse1")
    package = types.ModuleType("torch_npu")
    package.__spec__ = importlib.machinery.ModuleSpec("torch_npu", None)
    package.__version__ = "0"
    package.npu = module
    sys.modules.update({"torch_npu": package, "torch.npu": module})
