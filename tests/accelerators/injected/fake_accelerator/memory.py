"""The memory of the device: bytes of the storages that tensors of the device hold."""

from __future__ import annotations

import threading
import weakref
from collections import deque

import torch

from . import KIND, MEMORY


class Memory:
    """A count of bytes, kept by all threads that make and free tensors."""

    def __init__(self):
        self.limit = MEMORY
        self._allocated = self._peak = 0
        self._lock = threading.Lock()
        self._freed = deque()  # taken off later: what frees a tensor may run in the midst of anything

    def take(self, size):
        """Count bytes; raises what torch raises on this kind where they are more than there are."""
        with self._lock:
            self._settle()
            if self._allocated + size > self.limit:
                name, error = ("MPS backend", RuntimeError) if KIND == "mps" else (KIND.upper(), torch.OutOfMemoryError)
                raise error(f"{name} out of memory. Tried to allocate {size / 2**20:.2f} MiB.")
            self._allocated += size
            self._peak = max(self._peak, self._allocated)

    def give_back(self, size):
        """Take bytes off the count."""
        self._freed.append(size)

    def _settle(self):
        while self._freed:
            self._allocated -= self._freed.popleft()

    def allocated(self, device=None):
        """Bytes that tensors hold now."""
        with self._lock:
            self._settle()
            return self._allocated

    def peak(self, device=None):
        """Most bytes that they held since the last reset."""
        return self._peak

    def reset_peak(self, device=None):
        """Start a new peak."""
        self._peak = self.allocated()

    def info(self, device=None):
        """Bytes that are free, and all."""
        return MEMORY - self.allocated(), MEMORY

    def set_fraction(self, fraction, device=None):
        """Hold this process to a share of the device's memory."""
        self.limit = int(fraction * MEMORY)

    def statistics(self, device=None):
        """Counts under the names that torch gives them."""
        return {"allocated_bytes.all.current": self.allocated(), "allocated_bytes.all.peak": self._peak}


memory = Memory()
_blocks = weakref.WeakValueDictionary()


class Block:
    """The bytes of one storage, until no tensor of the device holds it any more."""

    __slots__ = ("__weakref__", "_size")

    def __init__(self, size):
        self._size = 0
        memory.take(size)
        self._size = size

    def __del__(self):
        memory.give_back(self._size)


def block_of(tensor):
    """The block of a tensor on the CPU that stands for one of the device."""
    storage = tensor.untyped_storage()
    block = _blocks.get(storage._cdata)
    if block is None:
        block = _blocks[storage._cdata] = Block(storage.nbytes())
    return block
