"""Pictures of a figure: drawn here, or by a process beside, so that a page with many of them uses all processors.

Only who says so with :func:`beside` has processes: where something is being measured there must be none.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pickle
import platform
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import IO

from matplotlib.figure import Figure

from bench.report.plots import style

Pictures = tuple[str, bytes]
"""A figure as SVG and as PNG."""


def pictures(figure: Callable[[], Figure], alt: str) -> Pictures:
    """Draw a figure.

    Args:
        figure: makes it; is called within :func:`style.styled`.
        alt: one sentence for who does not see it.
    """
    with style.styled():
        drawn = figure()
        style.settle(drawn)
        return style.to_svg(drawn, alt), style.to_png(drawn)


class Drawing:
    """Pictures that a process beside is drawing."""

    def __init__(self, draw: Callable[[], Pictures]) -> None:
        """Start the process; ``draw`` is called in it, and here where that came to nothing."""
        self._draw = draw
        self._found: Pictures | None = None
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="yolopace-")
        # Ctrl-C is for this process, which ends the other one; that one must never go on with what this one does.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            with warnings.catch_warnings():
                # Python warns since numpy has threads of its own; they have nothing to do here, and know of forks.
                warnings.simplefilter("ignore", DeprecationWarning)
                self._process = os.fork()
            if not self._process:
                self._work()
        except OSError:
            self._file.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _work(self) -> None:
        status = 1
        try:
            self._file.write(pickle.dumps(self._draw()))
            self._file.flush()
            status = 0
        finally:
            os._exit(status)  # whatever went wrong shows where it is drawn again

    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._reap(os.WNOHANG)

    def _reap(self, options: int) -> bool:
        if not self._process:
            return True
        try:
            process, status = os.waitpid(self._process, options)
        except ChildProcessError:  # as where whoever started us ignores children that end
            process, status = self._process, 1
        if not process:
            return False
        self._process = 0
        if status == 0:
            self._file.seek(0)
            self._found = pickle.loads(self._file.read())
        self._file.close()
        return True

    def result(self) -> Pictures:
        """The pictures, once they are there."""
        self._reap(0)
        if self._found is None:
            self._found = self._draw()
        return self._found

    def stop(self) -> None:
        """End the process, if it still runs."""
        if self._process:
            os.kill(self._process, signal.SIGKILL)
            self._reap(0)


MOST = 8
"""Processes that draw, this one among them: what a machine has is not always ours, and more of them gain little."""

_under_way: list[Drawing] = []
_most = 0


@contextlib.contextmanager
def beside() -> Iterator[None]:
    """Within this, figures are drawn by as many processes as there are processors, this one among them.

    On Linux alone: elsewhere a process that was forked cannot draw. Nor is one forked while other threads run.
    """
    global _most
    count = len(os.sched_getaffinity(0)) if platform.system() == "Linux" else 1
    _most = min(count, MOST) - 1 if threading.active_count() == 1 else 0
    try:
        yield
    finally:
        _most = 0
        for drawing in _under_way:
            drawing.stop()
        _under_way.clear()


def start(figure: Callable[[], Figure], alt: str) -> Callable[[], Pictures]:
    """Have a figure drawn, as :func:`pictures` does: within :func:`beside` by another process where one is free, else
    at once; elsewhere when its pictures are asked for.

    Returns:
        Gives the pictures; where :func:`beside` was left meanwhile, it may have to draw them anew.
    """

    def draw() -> Pictures:
        return pictures(figure, alt)

    if not _most:
        return functools.cache(draw)
    _under_way[:] = [drawing for drawing in _under_way if not drawing.ended()]
    if len(_under_way) < _most:
        with contextlib.suppress(OSError):  # no room for a file or a process
            drawing = Drawing(draw)
            _under_way.append(drawing)
            return drawing.result
    found = draw()
    return lambda: found
