"""Pictures of figures, drawn here or by a pool of processes.

Only a command that measures nothing may have a pool (:func:`in_parallel`): where something is measured, no other
process may run.
"""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import platform
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor

from matplotlib.figure import Figure

from bench.report.plots import style

Pictures = tuple[str, bytes]
"""A figure as SVG and as PNG."""

MAX_PROCESSES = 8
"""Processes of a pool: the machine may not be ours alone, and more of them gain little."""

_pool: ProcessPoolExecutor | None = None


def pictures(figure: Callable[[], Figure], alt: str) -> Pictures:
    """Draw a figure.

    Args:
        figure: makes it; is called within :func:`style.styled`.
        alt: one sentence for readers who do not see it.
    """
    with style.styled():
        drawn = figure()
        style.settle(drawn)
        return style.to_svg(drawn, alt), style.to_png(drawn)


@contextlib.contextmanager
def in_parallel() -> Iterator[None]:
    """Draw figures in as many processes as there are processors, within this context.

    On Linux alone: elsewhere a forked process cannot draw, and a spawned one imports longer than it draws. No process
    is forked while other threads run.
    """
    global _pool
    count = min(len(os.sched_getaffinity(0)), MAX_PROCESSES) if platform.system() == "Linux" else 1
    if count > 1 and threading.active_count() == 1:
        _pool = ProcessPoolExecutor(count, multiprocessing.get_context("fork"))
    pool = _pool
    try:
        yield
    finally:
        _pool = None
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def start(figure: Callable[[], Figure], alt: str) -> Callable[[], Pictures]:
    """Have a figure drawn, as :func:`pictures` does: by the pool where there is one, else when its pictures are asked
    for.

    Args:
        figure: for the pool a :class:`functools.partial` of a function of a module, with arguments that can be pickled.
        alt: one sentence for readers who do not see it.

    Returns:
        A function that returns the pictures; it draws them itself where the pool could not.
    """
    draw = functools.partial(pictures, figure, alt)
    future = _submit(draw)
    return functools.cache(draw if future is None else functools.partial(_result, future, draw))


def _submit(draw: Callable[[], Pictures]) -> Future[Pictures] | None:
    """Submit a drawing to the pool; return None without a pool or without processes in it."""
    global _pool
    if _pool is None:
        return None
    # Ctrl-C is for this process, which stops the others: they inherit a mask that keeps it from them.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    others = multiprocessing.active_children()
    try:
        with warnings.catch_warnings():
            # Python warns since numpy has threads of its own; they have nothing to do here, and know of forks.
            warnings.simplefilter("ignore", DeprecationWarning)
            return _pool.submit(draw)
    except (OSError, BrokenExecutor):  # no room for a process, or one died
        for process in set(multiprocessing.active_children()) - set(others):
            process.kill()
        _pool = None
        return None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _result(future: Future[Pictures], draw: Callable[[], Pictures]) -> Pictures:
    """The pictures of the pool; drawn here where that failed, so that an error shows where it belongs."""
    try:
        return future.result()
    except Exception:
        return draw()
