"""Reading by one process per CPU, in a command that measures nothing."""

from __future__ import annotations

import multiprocessing
import os
import platform
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from typing import TypeVar

from bench.signals import STOPPING, begin_pool_process

MAX_PROCESSES = 8
"""Maximum number of processes: the machine may be shared, and more of them gain little."""

Task = TypeVar("Task")
Result = TypeVar("Result")


def spread(work: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterable[Result]:
    """Do some work for each task, as :func:`map` does: on Linux in several processes, unless other threads run.

    What a process does not finish, because the system ended it, is done here.

    Args:
        work: function of a module, or a :class:`functools.partial` of one.
        tasks: that travel to other processes.
    """
    usable = len(os.sched_getaffinity(0)) if platform.system() == "Linux" else 1
    count = min(usable, MAX_PROCESSES, len(tasks))
    if count < 2 or threading.active_count() > 1:
        yield from map(work, tasks)
        return
    with ProcessPoolExecutor(count, multiprocessing.get_context("fork"), begin_pool_process) as pool:
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *STOPPING})  # as the pool for plots
        futures: list[Future[Result]] = []
        try:
            futures += (pool.submit(work, task) for task in tasks)
        except (OSError, BrokenExecutor):  # no room for a process, or one died
            pass
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        futures.reverse()
        try:
            for task in tasks:
                try:
                    result = futures.pop().result() if futures else work(task)
                except BrokenExecutor:
                    result = work(task)
                yield result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
