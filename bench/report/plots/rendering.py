"""Pictures of figures, drawn in this process or by a pool of processes.

Only a command that measures nothing may have a pool (:func:`in_parallel`): no other process may run during a
measurement.
"""

from __future__ import annotations

import contextlib
import functools
import gc
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
from bench.signals import STOPPING, begin_pool_process

Pictures = tuple[str, bytes]
"""A figure as SVG and as PNG."""

MAX_PROCESSES = 8
"""Maximum number of processes in a pool: the machine may be shared, and more processes gain little."""

GARBAGE = 50_000
"""New objects between two searches for garbage while figures are drawn."""

_pool: ProcessPoolExecutor | None = None


def pictures(figure: Callable[[], Figure], alt: str) -> Pictures:
    """Draw a figure.

    Args:
        figure: function that makes the figure; it is called within :func:`style.styled`.
        alt: one sentence for readers who do not see it.
    """
    with style.styled():
        return _pictures(figure, alt)


def _pictures(figure: Callable[[], Figure], alt: str) -> Pictures:
    """Draw a figure in a process that has the style."""
    drawn = figure()
    style.settle(drawn, final=True)
    png = style.to_png(drawn)
    return style.to_svg(drawn, alt), png


@contextlib.contextmanager
def in_parallel() -> Iterator[None]:
    """Draw figures in up to one process per CPU within this context.

    Only on Linux: on other systems a forked process cannot draw, and a spawned one imports longer than it draws. No
    process is forked while other threads run. Figures are many objects that live briefly, so that rarer searches for
    garbage save a tenth of the time.
    """
    global _pool
    thresholds = gc.get_threshold()
    gc.set_threshold(GARBAGE)
    count = min(len(os.sched_getaffinity(0)), MAX_PROCESSES) if platform.system() == "Linux" else 1
    if count > 1 and threading.active_count() == 1:
        _pool = ProcessPoolExecutor(count, multiprocessing.get_context("fork"), _begin)
    pool = _pool
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        _pool = None
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def _begin() -> None:
    """Begin a process of the pool in the style of plots."""
    style.apply()
    gc.freeze()  # records and tables of the other process are no garbage here
    begin_pool_process()


def start(figure: Callable[[], Figure], alt: str) -> Callable[[], Pictures]:
    """Draw a figure as :func:`pictures` does: in the pool if there is one, else when its pictures are requested.

    Args:
        figure: for the pool, a :class:`functools.partial` of a module-level function with picklable arguments.
        alt: one sentence for readers who do not see it.

    Returns:
        A function that returns the pictures; it draws them itself if the pool could not.
    """
    draw = functools.partial(pictures, figure, alt)
    future = _submit(functools.partial(_pictures, figure, alt))
    return functools.cache(draw if future is None else functools.partial(_result, future, draw))


def _submit(draw: Callable[[], Pictures]) -> Future[Pictures] | None:
    """Submit a drawing to the pool; return None without a pool or without processes in it."""
    global _pool
    if _pool is None:
        return None
    # Only this process handles Ctrl-C and stops the others: they inherit a mask that blocks the signal, and the others
    # until they have handlers of their own.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *STOPPING})
    others = multiprocessing.active_children()
    try:
        with warnings.catch_warnings():
            # Python warns because numpy has threads; they are idle here and handle forks.
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
    """Return the pictures of the pool; draw them here if that failed, so that an error shows its true traceback."""
    try:
        return future.result()
    except Exception:
        return draw()
