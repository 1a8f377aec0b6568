"""The queue of the device: kernels run one after another on a thread of their own, behind the host."""

from __future__ import annotations

import atexit
import os
import queue
import threading
import time

import torch

from . import LYING_EVENTS, SLOW


class Stream:
    """Work in the order in which it was enqueued.

    Attributes:
        kernels: how many were launched.
    """

    def __init__(self):
        self.kernels = 0
        self._work = queue.SimpleQueue()
        self._error = None
        self._thread = threading.Thread(target=self._run, name="fake accelerator", daemon=True)
        self._thread.start()

    def enqueue(self, work):
        """Run ``work`` after everything that was enqueued before."""
        self._work.put(work)

    def launch(self, kernel):
        """Enqueue a kernel, which may be slowed down."""
        self.kernels += 1
        if SLOW:
            self._work.put(lambda: time.sleep(SLOW))
        self._work.put(kernel)

    def wait(self):
        """Return once the queue is empty; raises what a kernel raised, as late as a device would."""
        done = threading.Event()
        self._work.put(done.set)
        done.wait()
        error, self._error = self._error, None
        if error is not None:
            raise error

    def end(self):
        """Let the thread end, so that nothing runs while the interpreter is torn down."""
        self._work.put(None)
        self._thread.join()

    def _run(self):
        torch.set_grad_enabled(False)
        while (work := self._work.get()) is not None:
            try:
                work()
            except BaseException as error:
                self._error = self._error or error
            del work  # it holds memory of the device


_stream = None


def stream():
    """The stream of this process; a forked one begins with an empty one."""
    global _stream
    if _stream is None:
        _stream = Stream()
    return _stream


def synchronize(device=None):
    """Wait for the device."""
    if _stream is not None:
        _stream.wait()


def _forget():
    global _stream
    _stream = None


@atexit.register
def _end():
    if _stream is not None:
        _stream.end()


os.register_at_fork(after_in_child=_forget)


class Event:
    """A mark in the stream with the moment at which the device passed it."""

    def __init__(self, device=None, *, enable_timing=False, **_):
        self.enable_timing = enable_timing
        self._passed = threading.Event()
        self._moment = 0.0

    def record(self, stream_=None):
        """Enqueue the mark."""
        self._passed.clear()
        if LYING_EVENTS:
            self._pass()
        else:
            stream().enqueue(self._pass)

    def _pass(self):
        self._moment = time.perf_counter()
        self._passed.set()

    def query(self):
        """Whether the device has passed it."""
        return self._passed.is_set()

    def synchronize(self):
        """Wait until the device has passed it."""
        self._passed.wait()

    def wait(self, stream_=None):
        """Nothing: there is one stream."""

    def elapsed_time(self, end):
        """Milliseconds from this mark to another one."""
        if not (self.enable_timing and end.enable_timing):
            raise RuntimeError("Both events must be created with enable_timing=True")
        self.synchronize()
        end.synchronize()
        return (end._moment - self._moment) * 1e3
