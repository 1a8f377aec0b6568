"""Random weights at little cost: large parameters repeat one block of random numbers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

BLOCK = 262_139
"""Random numbers of a block. A prime, so that no two rows of a matrix are alike."""


class Blocks:
    """Blocks of random numbers from torch's present seed; each parameter goes on where the last one ended."""

    def __init__(self) -> None:
        import torch

        generator = torch.Generator().manual_seed(torch.initial_seed())
        self._uniform = torch.rand(BLOCK, generator=generator)
        self._normal = torch.randn(BLOCK, generator=generator)
        self._start = 0

    def uniform(self, tensor: Any, low: float, high: float) -> None:
        """Fill a tensor with numbers between two bounds."""
        self._fill(tensor, self._uniform * (high - low) + low)

    def normal(self, tensor: Any, mean: float, stdev: float) -> None:
        """Fill a tensor with normally distributed numbers."""
        self._fill(tensor, self._normal * stdev + mean)

    def _fill(self, tensor: Any, block: Any) -> None:
        flat, block = tensor.detach().view(-1), block.roll(-self._start)
        whole = len(flat) // BLOCK * BLOCK
        flat[:whole].view(-1, BLOCK).copy_(block.expand(whole // BLOCK, BLOCK))
        flat[whole:].copy_(block[: len(flat) - whole])
        self._start = (self._start + len(flat)) % BLOCK


@contextlib.contextmanager
def repeated() -> Iterator[None]:
    """Fill parameters of more than one block that are made in this context with repeated blocks.

    The speed of training does not depend on the values of its weights. Drawing 10^8 numbers takes the better part of a
    second of processor time, in each process again. The library still chooses distribution and scale of each parameter,
    and draws the small ones itself. One thread does all: a block is too small for several, which would wait for each
    other.
    """
    import torch

    threads = torch.get_num_threads()
    if can_change := "backend: OpenMP" in torch.__config__.parallel_info():  # others keep the first number for good
        torch.set_num_threads(1)
    blocks = Blocks()
    uniform, normal = torch.Tensor.uniform_, torch.Tensor.normal_

    def is_large(tensor: Any) -> bool:
        return bool(tensor.numel() > BLOCK and tensor.is_contiguous())

    def fill_uniform(tensor: Any, low: float = 0.0, high: float = 1.0, *, generator: Any = None) -> Any:
        if generator is not None or not is_large(tensor):
            return uniform(tensor, low, high, generator=generator)
        blocks.uniform(tensor, low, high)
        return tensor

    def fill_normal(tensor: Any, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Any:
        if generator is not None or not is_large(tensor):
            return normal(tensor, mean, std, generator=generator)
        blocks.normal(tensor, mean, std)
        return tensor

    torch.Tensor.uniform_, torch.Tensor.normal_ = fill_uniform, fill_normal  # layers call these
    try:
        yield
    finally:
        if can_change:
            torch.set_num_threads(threads)
        del torch.Tensor.uniform_, torch.Tensor.normal_  # torch's own are those of its base class
