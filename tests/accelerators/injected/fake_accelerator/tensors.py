"""Tensors of the device: each holds one on the CPU, and every operator on it becomes a kernel of the stream."""

from __future__ import annotations

import copy
import functools

import torch
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from . import KIND, SYNCHRONOUS
from .memory import block_of
from .stream import stream, synchronize

aten = torch.ops.aten
CPU = torch.device("cpu")
DEVICE = torch.device(KIND, 0)

WAITING = {
    *("_assert_async", "_local_scalar_dense", "_unique2", "bincount", "equal", "is_nonzero", "masked_select", "nms"),
    *("nonzero", "repeat_interleave", "resize_", "set_", "unique_consecutive", "unique_dim"),
}
"""Operators for which a host has to wait: their result is a number, or has a size that depends on the data."""


class DeviceTensor(torch.Tensor):
    """A tensor of the device.

    Attributes:
        raw: the tensor on the CPU whose numbers it has, once the stream has come so far.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, raw):
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            raw.size(),
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device=DEVICE,
        )
        tensor.raw = raw
        tensor.block = block_of(raw)
        return tensor

    @classmethod
    def __torch_dispatch__(cls, operator, types, args=(), kwargs=None):
        grad = torch.is_grad_enabled()  # which leaving inference mode would switch on
        with torch.inference_mode(False), torch.set_grad_enabled(grad):  # an inference tensor takes no kernel's result
            return dispatch(operator, args, kwargs or {})

    def __deepcopy__(self, memo):
        # torch would copy the attributes too: numbers that the stream has not come to yet.
        if id(self) not in memo:
            copied = memo[id(self)] = self.detach().clone().requires_grad_(self.requires_grad)
            copied.grad = copy.deepcopy(self.grad, memo)
            if isinstance(self, torch.nn.Parameter):
                copied._is_param = True
        return memo[id(self)]

    def __reduce_ex__(self, protocol):
        # As files have it: the numbers alone, without the device.
        plain = self.detach().cpu()
        if isinstance(self, torch.nn.Parameter):
            plain = torch.nn.Parameter(plain, self.requires_grad)
        return plain.__reduce_ex__(protocol)

    def __repr__(self, **_):
        return f"{KIND}({self.cpu()!r})"

    def tolist(self):
        return self.cpu().tolist()

    def numpy(self, **_):
        raise TypeError(f"can't convert {KIND}:0 device type tensor to numpy. Use Tensor.cpu() first.")


def to_raw(value):
    """What stands for an argument on the CPU."""
    if isinstance(value, DeviceTensor):
        return value.raw
    return CPU if isinstance(value, torch.device) else value


def to_device(value):
    """A result on the CPU as one of the device."""
    return DeviceTensor(value) if isinstance(value, torch.Tensor) and not isinstance(value, DeviceTensor) else value


def dispatch(operator, args, kwargs):
    """Run one operator: views and copies at once, everything else by a kernel."""
    special = SPECIAL.get(operator.overloadpacket)
    if special is not None:
        return special(*args, **kwargs)
    if (cast := without_half(operator, args)) is not None:
        return cast()
    if composite(operator):
        return operator._op_dk(torch._C.DispatchKey.CompositeImplicitAutograd, *args, **kwargs)
    values, spec = tree_flatten((args, kwargs))
    raws = [to_raw(value) for value in values]
    raw_args, raw_kwargs = tree_unflatten(raws, spec)
    call = functools.partial(operator, *raw_args, **raw_kwargs)
    changes, views = effects(operator)
    if views and not changes:
        return tree_map(to_device, call())
    if changes and not must_wait(operator, raws):
        launch(call)
        return changed(operator, args, kwargs)
    shapes = None if changes or must_wait(operator, raws) else shapes_of(operator, raws, spec)
    if shapes is None:
        synchronize()
        result = call()
        return changed(operator, args, kwargs) if changes else tree_map(to_device, result)
    results, results_spec = shapes
    outputs = [empty(*result) if isinstance(result, tuple) else result for result in results]
    launch(lambda: fill(operator, outputs, call()))
    return tree_unflatten([to_device(output) for output in outputs], results_spec)


def launch(kernel):
    """Let a kernel run behind the host, or now where the device is synchronous."""
    stream().launch(kernel)
    if SYNCHRONOUS:
        synchronize()


def fill(operator, outputs, results):
    """Copy the results of a kernel into the memory that the host has for them, if they are as the meta kernel said."""
    for output, result in zip(outputs, tree_leaves(results), strict=True):
        # The CPU leaves out statistics that batch normalisation has in training alone.
        if isinstance(output, torch.Tensor) and (result.numel() or not output.numel()):
            if (output.size(), output.dtype) != (result.size(), result.dtype):
                expected, computed = (f"{tensor.dtype} {tuple(tensor.size())}" for tensor in (output, result))
                raise RuntimeError(f"{operator}: its meta kernel says {expected}, and the CPU computes {computed}")
            output.copy_(result)


@functools.cache
def effects(operator):
    """Whether an operator changes an argument, and whether a result is a view of one."""
    schema = operator._schema
    views = any(result.alias_info is not None and not result.alias_info.is_write for result in schema.returns)
    return schema.is_mutable, views


@functools.cache
def composite(operator):
    """Whether an operator is made of others, which autograd would have taken apart: in inference mode it does not."""
    return torch._C._dispatch_has_kernel_for_dispatch_key(operator.name(), "CompositeImplicitAutograd")


def must_wait(operator, raws):
    """Whether the host needs the numbers."""
    name = operator.overloadpacket.__name__
    by_mask = name == "index" and any(
        isinstance(raw, torch.Tensor) and raw.dtype in (torch.bool, torch.uint8) for raw in raws[1:]
    )
    return name in WAITING or by_mask


def changed(operator, args, kwargs):
    """The arguments that an operator changed, as it returns them."""
    arguments = operator._schema.arguments
    results = []
    for result in operator._schema.returns:
        for index, argument in enumerate(arguments):
            if argument.alias_info is not None and argument.alias_info.before_set == result.alias_info.before_set:
                results.append(args[index] if index < len(args) else kwargs[argument.name])
                break
    return results[0] if len(results) == 1 else tuple(results) or None


_shapes = {}


def shapes_of(operator, raws, spec):
    """Size, strides and dtype of each result of an operator, by its meta kernel; None where it has none."""
    key = (operator, spec, *map(_described, raws))
    try:
        if key not in _shapes:
            _shapes[key] = _by_meta(operator, raws, spec)
        return _shapes[key]
    except TypeError:  # an argument that cannot be a key
        return _by_meta(operator, raws, spec)


def _described(raw):
    if isinstance(raw, torch.Tensor):
        return raw.size(), raw.stride(), raw.dtype
    return type(raw), raw


def _by_meta(operator, raws, spec):
    args, kwargs = tree_unflatten([_to_meta(raw) for raw in raws], spec)
    try:
        results, results_spec = tree_flatten(operator(*args, **kwargs))
    except (RuntimeError, NotImplementedError):
        return None
    return [_result(result) for result in results], results_spec


def _to_meta(raw):
    if isinstance(raw, torch.Tensor):
        return torch.empty_strided(raw.size(), raw.stride(), dtype=raw.dtype, device="meta")
    return torch.device("meta") if isinstance(raw, torch.device) else raw


def _result(result):
    if not isinstance(result, torch.Tensor):
        return result
    overlaps = any(stride == 0 and size > 1 for size, stride in zip(result.size(), result.stride(), strict=True))
    return tuple(result.size()), None if overlaps else result.stride(), result.dtype


def empty(size, strides, dtype):
    """Memory for a result."""
    if strides is None:
        return torch.empty(size, dtype=dtype)
    return torch.empty_strided(size, strides, dtype=dtype)


def without_half(operator, args):
    """What stands for a softmax that turns float16 into float32, which the CPU has not; None for anything else."""
    if operator in (aten._softmax.default, aten._log_softmax.default) and args[2]:
        return lambda: dispatch(operator, (to_copy(args[0], dtype=torch.float32), args[1], False), {})
    backward = (aten._softmax_backward_data.default, aten._log_softmax_backward_data.default)
    if operator in backward and args[3] != args[0].dtype:
        return lambda: to_copy(dispatch(operator, (*args[:3], args[0].dtype), {}), dtype=args[3])
    return None


def to_copy(source, *, device=None, non_blocking=False, pin_memory=None, **kwargs):
    """Copy within the device, to it, or from it; the last waits."""
    target = torch.device(device) if device is not None else source.device
    if not isinstance(source, DeviceTensor):
        return DeviceTensor(aten._to_copy(source, **kwargs))
    raw = source.raw
    if target.type != KIND:
        synchronize()
        return aten._to_copy(raw, **kwargs)
    shape = aten._to_copy(_to_meta(raw), **kwargs)
    output = empty(*_result(shape))
    launch(lambda: output.copy_(raw))
    return DeviceTensor(output)


def copy_(target, source, non_blocking=False):
    """Copy into a tensor, of whatever device."""
    if not isinstance(target, DeviceTensor):
        synchronize()
        return target.copy_(source.raw)
    output, raw = target.raw, source.raw if isinstance(source, DeviceTensor) else source.clone()
    launch(lambda: output.copy_(raw))
    return target


def copy_from(source, target, non_blocking=False):
    """Copy as the backend's own function, whose arguments are the other way round."""
    return copy_(target, source)


SPECIAL = {
    aten._to_copy: to_copy,
    aten.copy_: copy_,
    aten._pin_memory: lambda tensor, device=None: tensor,
    aten.detach: lambda tensor: DeviceTensor(tensor.raw),
}

_libraries = []


def register(key):
    """Register the operators that make a tensor of no other one, and so reach no subclass.

    Args:
        key: the device's dispatch key, such as ``MPS``.
    """
    library = torch.library.Library("aten", "IMPL")
    _libraries.append(library)  # it takes back what it registered when it is freed
    override = {"allow_override": True} if key == "CUDA" else {}
    for name in torch._C._dispatch_get_all_op_names():
        operator = _operator(name)
        if operator is not None and _makes_tensors(operator, name):
            library.impl(name.removeprefix("aten::"), functools.partial(_make, operator), key, **override)
    library.impl("copy_", copy_, key, **override)
    library.impl("_copy_from", copy_from, key, **override)


def _operator(name):
    base, _, overload = name.removeprefix("aten::").partition(".")
    try:
        return getattr(getattr(aten, base), overload or "default") if name.startswith("aten::") else None
    except AttributeError:
        return None


def _makes_tensors(operator, name):
    schema = operator._schema
    return (
        any(argument.name == "device" for argument in schema.arguments)
        and not any("Tensor" in str(argument.type) for argument in schema.arguments)
        and len(schema.returns) == 1
        and not torch._C._dispatch_has_kernel_for_dispatch_key(name, "CompositeImplicitAutograd")
    )


def _make(operator, *args, **kwargs):
    kwargs = {**{name: to_raw(value) for name, value in kwargs.items()}, "device": CPU, "pin_memory": None}
    known = {argument.name for argument in operator._schema.arguments}
    with torch.inference_mode(False):
        return DeviceTensor(operator(*map(to_raw, args), **{k: v for k, v in kwargs.items() if k in known}))
