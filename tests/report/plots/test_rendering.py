"""Pictures by processes beside: the same ones, whatever becomes of the process, and none where nobody asked for one."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Callable

import pytest
from matplotlib.figure import Figure

from bench.report.plots import rendering, style

pytestmark = pytest.mark.skipif(platform.system() != "Linux", reason="processes are forked on Linux alone")


@pytest.fixture(autouse=True)
def two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})


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


def line(height: int) -> Callable[[], Figure]:
    def make() -> Figure:
        drawn, axes = style.canvas(200)
        axes.plot([0, 1], [0, height])
        return drawn

    return make


def test_a_process_beside_draws_the_same(forked: list[int]) -> None:
    here = [rendering.pictures(line(height), "A line.") for height in range(3)]
    with rendering.beside():
        started = [rendering.start(line(height), "A line.") for height in range(3)]
        assert forked
        assert [get() for get in started] == here
        assert [get() for get in started] == here  # however often it is asked
    assert len({svg for svg, _ in here}) == 3


def test_no_process_is_left(forked: list[int]) -> None:
    with rendering.beside():
        rendering.start(line(1), "A line.")
    assert len(forked) == 1
    with pytest.raises(ChildProcessError):
        os.waitpid(forked[0], os.WNOHANG)


def test_nobody_asked_and_there_is_no_process(forked: list[int]) -> None:
    assert rendering.start(line(1), "A line.")() == rendering.pictures(line(1), "A line.")
    with rendering.beside():
        pass
    rendering.start(line(1), "A line.")
    assert not forked


def test_no_process_is_forked_beside_other_threads(forked: list[int]) -> None:
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    try:
        with rendering.beside():
            rendering.start(line(1), "A line.")
    finally:
        over.set()
        thread.join()
    assert not forked


def test_one_processor_is_this_one(monkeypatch: pytest.MonkeyPatch, forked: list[int]) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    with rendering.beside():
        rendering.start(line(1), "A line.")
    assert not forked


def test_a_process_that_dies_is_made_up_for(forked: list[int]) -> None:
    own = os.getpid()

    def deadly() -> Figure:
        if os.getpid() != own:
            os._exit(3)
        return line(1)()

    with rendering.beside():
        get = rendering.start(deadly, "A line.")
        assert forked
        assert get() == rendering.pictures(line(1), "A line.")


def test_what_goes_wrong_beside_goes_wrong_here(forked: list[int], capfd: pytest.CaptureFixture[str]) -> None:
    def wrong() -> Figure:
        raise ZeroDivisionError("no figure")

    with rendering.beside():
        get = rendering.start(wrong, "A line.")
        assert forked
        with pytest.raises(ZeroDivisionError, match="no figure"):
            get()
    assert capfd.readouterr() == ("", "")


def test_no_room_for_a_process_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> int:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", full)
    with rendering.beside():
        assert rendering.start(line(1), "A line.")() == rendering.pictures(line(1), "A line.")


def test_without_processes_beside_a_figure_is_drawn_once_and_only_where_it_is_asked_for() -> None:
    drawn: list[int] = []

    def figure() -> Figure:
        drawn.append(1)
        return style.canvas(100)[0]

    asked = rendering.start(figure, "a figure")
    assert not drawn
    assert asked() == asked()
    assert len(drawn) == 1
