"""Mixed precision for a kind of which torch has no list of operators."""

from __future__ import annotations

import functools

import torch
from torch.utils._pytree import tree_map

from . import KIND

LOWER = ("_convolution", "addmm", "bmm", "conv1d", "conv2d", "conv_transpose2d.input", "linear", "matmul", "mm")
"""Operators that run in the lower precision."""

FLOAT32 = (
    *("binary_cross_entropy_with_logits", "cross_entropy_loss", "cumsum", "exp", "log", "log_softmax.int"),
    *("nll_loss", "pow.Tensor_Scalar", "softmax.int", "sum"),
)
"""Operators that run in float32."""

_libraries = []


def register(key):
    """Register the casts of a dispatch key; what is in neither list runs as it is."""
    everything = torch.library.Library("_", "IMPL")
    everything.fallback(torch.library.fallthrough_kernel, key)
    library = torch.library.Library("aten", "IMPL")
    _libraries.extend((everything, library))
    without = torch._C.DispatchKeySet(torch._C._dispatch_key_parse(key))
    for names, dtype in ((LOWER, None), (FLOAT32, torch.float32)):
        for name in names:
            base, _, overload = name.partition(".")
            operator = getattr(getattr(torch.ops.aten, base), overload or "default")
            library.impl(name, functools.partial(_cast, operator, dtype, without), key)


def _cast(operator, dtype, without, *args, **kwargs):
    dtype = dtype or torch.get_autocast_dtype(KIND)

    def cast(value):
        castable = isinstance(value, torch.Tensor) and value.is_floating_point() and value.dtype != torch.float64
        return value.to(dtype) if castable and value.device.type == KIND else value

    with torch._C._ExcludeDispatchKeyGuard(without):
        args, kwargs = tree_map(cast, (args, kwargs))
        return operator(*args, **kwargs)
