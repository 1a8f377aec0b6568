"""Signals that end a run, also while libraries are imported."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from bench import signals


@pytest.fixture
def interrupting() -> Iterator[None]:
    """Signals raise a keyboard interrupt, as in a run."""
    undo = signals.interrupt_on_signals()
    yield
    undo()


@pytest.mark.parametrize(("number", "name"), [(signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "Ctrl-C")])
def test_a_signal_is_held_back_until_the_block_ends(interrupting: None, number: int, name: str) -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt) as interrupt, signals.held_back():
        os.kill(os.getpid(), number)
        steps.append("imported")
    assert steps == ["imported"]
    assert signals.name_of(interrupt.value) == name


def test_signals_are_handled_as_before_after_the_block(interrupting: None) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, *signals.STOPPING)]
    with signals.held_back():
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, *signals.STOPPING)] == before


def test_another_thread_holds_nothing_back() -> None:
    done: list[bool] = []

    def enter() -> None:
        with signals.held_back():
            done.append(True)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert done == [True]
