"""Text for a terminal: lines that fit it, colours, and arguments that are refused in one sentence."""

from __future__ import annotations

import io
import sys
import time

import pytest

from bench.cli import app, terminal


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    def isatty(self) -> bool:
        return True


def printed(monkeypatch: pytest.MonkeyPatch, text: str, **variables: str) -> str:
    """What a terminal of 40 columns gets of a text."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    terminal.show(text)
    return stream.getvalue()


def test_lines_fit_and_continue_below_the_second_cell() -> None:
    text = "  Base  one two three four five six seven eight\nshort\n    four five six seven eight nine ten eleven"
    assert terminal.fit(text, 30).splitlines() == [
        "  Base  one two three four",
        "        five six seven eight",
        "short",
        "    four five six seven eight",
        "      nine ten eleven",
    ]


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    text = f"{'a' * 100}\n{'word ' * 50}\n  {'first':<30}  {'second ' * 30}"
    assert max(map(len, terminal.fit(text, columns).splitlines())) <= columns


def test_a_verdict_is_coloured_at_the_start_of_a_line_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "SLOWER  a → b\n    SAME  c\nHead is SLOWER.\nSAMENESS"
    assert printed(monkeypatch, text).splitlines() == [
        "\x1b[1;31mSLOWER\x1b[0m  a → b",
        "    \x1b[1;32mSAME\x1b[0m  c",
        "Head is SLOWER.",
        "SAMENESS",
    ]


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_colour_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert printed(monkeypatch, "SLOWER", **{name: value}) == "SLOWER\n"


def test_a_pipe_gets_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show(f"SLOWER  {'word ' * 50}end")
    assert capsys.readouterr().out == f"SLOWER  {'word ' * 50}end\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["regress"], "missing option '--base'; see yolopace regress --help."),
        (["regress", "--xyz"], "no such option: --xyz; see yolopace regress --help."),
        (["tabel"], "no such command 'tabel' (did you mean 'table'?); see yolopace --help."),
        (
            ["ceiling", "--multiple-of", "x"],
            "invalid value for '--multiple-of': it has to be a valid integer; see yolopace ceiling --help.",
        ),
        (["compare", "a"], "missing argument 'B'; see yolopace compare --help."),
    ],
)
def test_refused_arguments_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"yolopace: {sentence}\n")


def test_silence_is_broken_after_some_seconds_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = terminal.LiveLine()
    line.text = "measuring"
    began = time.monotonic()
    for seconds in (1, 5, 11, 15, 60, 72):
        line._beat(began + seconds)
    assert [text.partition(",")[0] for text in capsys.readouterr().err.splitlines()] == ["... measuring"] * 2


def test_a_terminal_has_one_line_that_makes_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("TERM", "xterm")
    line = terminal.LiveLine()
    line.text = "measuring something long"
    line._beat(time.monotonic() + 3)
    line.clear()
    assert stream.getvalue() == "\r\x1b[K... measuring somet\r\x1b[K"


def test_blocks_may_be_nested_and_end_with_the_last() -> None:
    with terminal.doing("outer"):
        with terminal.doing("inner"):
            assert terminal.LIVE.text == "inner"
            terminal.LIVE.update("inner, later")
            assert terminal.LIVE.text == "inner, later"
        assert terminal.LIVE.text == "outer"
    assert terminal.LIVE.text == ""
    terminal.LIVE.update("nothing is going on")
    assert terminal.LIVE.text == ""
