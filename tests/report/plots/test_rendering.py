"""Drawing by a pool: the same pictures, whatever becomes of a process, and no pool where none was asked for."""

from __future__ import annotations

import functools
import gc
import multiprocessing
import os
import platform
import signal
import subprocess
import sys
import threading

import pytest
from matplotlib.figure import Figure

from bench import signals
from bench.report.plots import rendering, style

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="processes are forked on Linux alone")


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


@pytest.fixture(autouse=True)
def threads_of_this_test_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Idle threads of earlier tests do not count."""
    others = set(threading.enumerate()) - {threading.main_thread()}
    monkeypatch.setattr(threading, "active_count", lambda: len(set(threading.enumerate()) - others))


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The processes that were started, as their parent knows them."""
    started: list[int] = []
    fork = os.fork

    def counted() -> int:
        process = fork()
        if process:
            started.append(process)
        return process

    monkeypatch.setattr(os, "fork", counted)
    return started


def line(height: int) -> Figure:
    drawn, axes = style.canvas(200)
    axes.plot([0, 1], [0, height])
    return drawn


LINE = functools.partial(line, 1)


def deadly(own: int) -> Figure:
    """A figure that ends every process but one."""
    if os.getpid() != own:
        os._exit(3)
    return line(1)


def wrong() -> Figure:
    raise ZeroDivisionError("no figure")


def where() -> Figure:
    """A figure whose title is the process that draws it."""
    drawn, axes = style.canvas(200)
    axes.set_title(f"process-{os.getpid()}-")
    return drawn


def test_the_pool_draws_the_same(forked: list[int]) -> None:
    here = [rendering.pictures(functools.partial(line, height), "A line.") for height in range(3)]
    with rendering.in_parallel():
        started = [rendering.start(functools.partial(line, height), "A line.") for height in range(3)]
        assert len(forked) == 2
        assert [get() for get in started] == here
        assert [get() for get in started] == here, "however often it is asked"
    assert len({svg for svg, _ in here}) == 3


def test_another_process_draws(forked: list[int]) -> None:
    with rendering.in_parallel():
        svg, _ = rendering.start(where, "A process.")()
    assert any(f"process-{process}-" in svg for process in forked)
    assert f"process-{os.getpid()}-" not in svg


def test_garbage_is_collected_as_before_when_all_is_drawn(forked: list[int]) -> None:
    before = gc.get_threshold()
    with rendering.in_parallel():
        assert gc.get_threshold()[0] == rendering.GARBAGE
    assert gc.get_threshold() == before


def test_no_process_is_left(forked: list[int]) -> None:
    with rendering.in_parallel():
        rendering.start(LINE, "A line.")
    assert forked and not multiprocessing.active_children()


def test_an_interruption_leaves_no_process(forked: list[int]) -> None:
    with pytest.raises(KeyboardInterrupt), rendering.in_parallel():
        started = [rendering.start(functools.partial(line, height), "A line.") for height in range(9)]
        for process in forked:  # Ctrl-C goes to every process of a terminal
            os.kill(process, signal.SIGINT)
        assert started[0]() == rendering.pictures(functools.partial(line, 0), "A line.")
        raise KeyboardInterrupt
    assert forked and not multiprocessing.active_children()


def handlers() -> Figure:
    """A figure whose title is how its process handles signals."""
    drawn, axes = style.canvas(200)
    usual = [number for number in signals.STOPPING if signal.getsignal(number) is signal.SIG_DFL]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    axes.set_title(f"{len(usual)} usual and {len(blocked & set(signals.STOPPING))} blocked")
    return drawn


def test_a_process_of_the_pool_has_the_usual_handlers(forked: list[int]) -> None:
    undo = signals.interrupt_on_signals()
    try:
        with rendering.in_parallel():
            svg, _ = rendering.start(handlers, "A process.")()
    finally:
        undo()
    assert f"{len(signals.STOPPING)} usual and 0 blocked" in svg


def test_the_pool_ends_with_a_process_that_is_killed() -> None:
    code = f"""
import multiprocessing, os, signal
os.sched_getaffinity = lambda _: {{0, 1}}
from bench.report.plots import rendering
from {__name__} import LINE
with rendering.in_parallel():
    rendering.start(LINE, "A line.")()
    print(*[process.pid for process in multiprocessing.active_children()], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    # The processes of the pool have the same standard output, which ends when the last of them does.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, len(done.stdout.split()), done.stderr) == (-signal.SIGKILL, 2, "")


@pytest.mark.parametrize("number", signals.STOPPING)
def test_a_signal_ends_a_process_of_the_pool_silently(
    forked: list[int], capfd: pytest.CaptureFixture[str], number: int
) -> None:
    undo = signals.interrupt_on_signals()
    try:
        with rendering.in_parallel():
            get = rendering.start(LINE, "A line.")
            for process in forked:  # a job scheduler ends every process of a job
                os.kill(process, number)
            assert get() == rendering.pictures(LINE, "A line.")
    finally:
        undo()
    assert forked and not multiprocessing.active_children()
    assert capfd.readouterr() == ("", "")


def test_a_signal_to_this_process_ends_the_pool(forked: list[int], capfd: pytest.CaptureFixture[str]) -> None:
    undo = signals.interrupt_on_signals()
    try:
        with pytest.raises(KeyboardInterrupt), rendering.in_parallel():
            rendering.start(LINE, "A line.")
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        undo()
    assert forked and not multiprocessing.active_children()
    assert capfd.readouterr() == ("", "")


def test_without_a_request_there_is_no_process(forked: list[int]) -> None:
    assert rendering.start(LINE, "A line.")() == rendering.pictures(LINE, "A line.")
    with rendering.in_parallel():
        pass
    rendering.start(LINE, "A line.")
    assert not forked


def test_no_process_is_forked_while_other_threads_run(forked: list[int]) -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        with rendering.in_parallel():
            rendering.start(LINE, "A line.")
    finally:
        over.set()
        thread.join()
    assert not forked


def test_one_processor_is_this_one(monkeypatch: pytest.MonkeyPatch, forked: list[int]) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with rendering.in_parallel():
        rendering.start(LINE, "A line.")
    assert not forked


def test_a_process_that_dies_is_made_up_for(forked: list[int]) -> None:
    with rendering.in_parallel():
        get = rendering.start(functools.partial(deadly, os.getpid()), "A line.")
        assert forked
        assert get() == rendering.pictures(LINE, "A line.")
        later = rendering.start(LINE, "A line.")
        assert later() == rendering.pictures(LINE, "A line."), "whether or not the pool is known to be broken"


def test_what_goes_wrong_in_the_pool_goes_wrong_here(forked: list[int], capfd: pytest.CaptureFixture[str]) -> None:
    with rendering.in_parallel():
        get = rendering.start(wrong, "A line.")
        assert forked
        with pytest.raises(ZeroDivisionError, match="no figure"):
            get()
    assert capfd.readouterr() == ("", "")


def test_a_figure_that_cannot_travel_is_drawn_here(forked: list[int]) -> None:
    with rendering.in_parallel():
        get = rendering.start(lambda: line(1), "A line.")
        assert forked
        assert get() == rendering.pictures(LINE, "A line.")


@pytest.mark.parametrize("room", [0, 1])
def test_no_room_for_a_process_is_no_error(monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    fork, left = os.fork, [True] * room

    def full() -> int:
        if left:
            left.pop()
            return fork()
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", full)
    with rendering.in_parallel():
        assert rendering.start(LINE, "A line.")() == rendering.pictures(LINE, "A line.")
    assert not multiprocessing.active_children()


def test_without_a_pool_a_figure_is_drawn_once_and_only_where_it_is_asked_for() -> None:
    drawn: list[int] = []

    def figure() -> Figure:
        drawn.append(1)
        return style.canvas(100)[0]

    asked = rendering.start(figure, "a figure")
    assert not drawn
    assert asked() == asked()
    assert len(drawn) == 1
