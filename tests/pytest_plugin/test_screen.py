"""Lines on terminals and in pipes: widths, styles, encodings, and the live line."""

from __future__ import annotations

import io
import os
import time

import pytest

from bench.pytest_plugin import screen as screens
from bench.pytest_plugin.screen import CLEAR, Screen, columns, wrap


class Terminal(io.StringIO):
    """A terminal that keeps what was written."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class AsciiPipe(io.StringIO):
    encoding = "ascii"


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("named", "width"), [("40", 40), ("80", 80), ("200", 80), ("5", 20)])
def test_a_line_is_never_wider_than_the_terminal_or_80(monkeypatch: pytest.MonkeyPatch, named: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", named)
    pipe = io.StringIO()
    screen = Screen(pipe)
    assert screen.width == width
    screen.entry("Machine", "a machine with a long name and many cores " * 4)
    screen.text("some sentence that goes on " * 8, indent="    ", first="  ")
    assert max(map(len, pipe.getvalue().splitlines())) <= width


def test_what_is_no_terminal_has_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    read, write = os.pipe()
    with open(read), open(write, "w") as stream:
        assert columns(stream) == 80
    assert columns(io.StringIO()) == 80


def test_a_number_keeps_its_unit_and_a_path_stays_whole() -> None:
    assert wrap("it takes 28 min 19 s", 14) == ["it takes", "28 min 19 s"]
    assert wrap("half 69.6 images/s ± 4.1 %", 12) == ["half", "69.6 images/s", "± 4.1 %"]
    path = "/a/rather/long/path/to-a-file"
    assert wrap(f"in {path}", 10) == ["in", path]


def test_a_pipe_gets_no_styles() -> None:
    pipe = io.StringIO()
    Screen(pipe).line(("fast", "bold"), "  ", ("noisy", "yellow"))
    assert pipe.getvalue() == "fast  noisy\n"


def test_a_terminal_gets_styles_unless_it_wants_none(monkeypatch: pytest.MonkeyPatch) -> None:
    coloured, plain = Terminal(), Terminal()
    Screen(coloured).line(("noisy", "yellow"))
    monkeypatch.setenv("NO_COLOR", "1")
    Screen(plain).line(("noisy", "yellow"))
    assert coloured.getvalue() == "\x1b[33mnoisy\x1b[0m\n"
    assert plain.getvalue() == "noisy\n"


def test_markup_of_others_is_text() -> None:
    terminal = Terminal()
    Screen(terminal).line(("[red]model[/red] :smile:", "bold"))
    assert "[red]model[/red] :smile:" in terminal.getvalue()


def test_what_an_encoding_lacks_is_ascii_and_still_fits() -> None:
    pipe = AsciiPipe()
    screen = Screen(pipe)
    screen.entry("Plan", "6 × 7 → " * 20)
    assert pipe.getvalue().isascii()
    assert max(map(len, pipe.getvalue().splitlines())) <= 80


def test_the_live_line_is_erased_before_a_line_and_drawn_again_below() -> None:
    terminal = Terminal()
    screen = Screen(terminal)
    screen.show(lambda width: "measuring ...")
    screen.line("a case")
    screen.close()
    assert terminal.getvalue() == f"{CLEAR}measuring ...{CLEAR}a case\n{CLEAR}measuring ...{CLEAR}"


def test_the_live_line_never_wraps() -> None:
    terminal = Terminal()
    screen = Screen(terminal)
    screen.show(lambda width: "x" * 200)
    screen.close()
    assert terminal.getvalue().count("x") == 79


def test_the_live_line_is_drawn_again_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screens, "REDRAWN_AFTER", 0.05)
    terminal = Terminal()
    screen = Screen(terminal)
    screen.show(lambda width: "measuring ...")
    wait_until(lambda: terminal.getvalue().count("measuring") > 2)
    screen.close()
    assert "\n" not in terminal.getvalue()


def test_a_pipe_is_silent_only_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screens, "SILENT_AFTER", 0.3)
    pipe = io.StringIO()
    screen = Screen(pipe)
    screen.show(lambda width: "measuring ...")
    assert pipe.getvalue() == "", "nothing as long as others write"
    wait_until(lambda: pipe.getvalue().count("\n") > 1)
    screen.hide()
    length = len(pipe.getvalue())
    screen.close()
    assert set(pipe.getvalue().splitlines()) == {"      measuring ..."}
    assert len(pipe.getvalue()) == length


def test_a_dumb_terminal_is_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    terminal = Terminal()
    screen = Screen(terminal)
    screen.show(lambda width: "measuring ...")
    screen.line(("a case", "bold"))
    screen.close()
    assert terminal.getvalue() == "a case\n"


def wait_until(condition) -> None:
    end = time.monotonic() + 60
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    assert condition()
