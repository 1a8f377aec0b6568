"""Ends of a run by Ctrl-C and signals, and arguments that pytest refuses."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from bench import conftest
from bench.pytest_plugin import endings, terminal
from bench.pytest_plugin.endings import Endings, describe_usage_error, stopped
from bench.pytest_plugin.screen import Screen
from bench.pytest_plugin.state import BENCH, SCREEN
from bench.runner.measure import Interrupted


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A session of pytest with a run that has measured a case; its screen is a pipe."""
    bench = SimpleNamespace(fatal=None, run=object(), measured=1, ceilings=[])
    config = SimpleNamespace(stash={BENCH: bench, SCREEN: Screen(io.StringIO())})
    activity = SimpleNamespace(stop=lambda: None)
    monkeypatch.setattr(terminal, "activity", lambda config: activity)
    monkeypatch.setattr(terminal, "is_verbose", lambda config: False)
    return SimpleNamespace(config=config, Interrupted=pytest.Session.Interrupted, bench=bench)


def ended(hook: Any, error: BaseException) -> Any:
    """What a hook returns where the others raise an error."""
    next(hook)
    with pytest.raises(StopIteration) as end:
        hook.throw(error)
    return end.value.value


def test_ctrl_c_ends_a_run_with_one_sentence_and_exit_status_2(session: Any) -> None:
    assert ended(Endings().pytest_runtestloop(session), KeyboardInterrupt()) is True
    written = session.config.stash[SCREEN]._stream.getvalue()
    assert written == "yolopace: stopped by Ctrl-C: what was measured is kept.\n"
    assert int(session.bench.fatal.code) == 2


@pytest.mark.parametrize(("unsaved", "status"), [([], 0), ([object()], 2)])
def test_records_that_had_no_room_in_their_folder_are_exit_status_2(
    session: Any, monkeypatch: pytest.MonkeyPatch, unsaved: list[object], status: int
) -> None:
    activity = SimpleNamespace(start=lambda text: None, stop=lambda: None)
    monkeypatch.setattr(terminal, "activity", lambda config: activity)
    session.bench.end, session.bench.store = lambda: None, SimpleNamespace(unsaved=unsaved)
    session.exitstatus = pytest.ExitCode.OK
    conftest.pytest_sessionfinish(session)
    assert int(session.exitstatus) == status


def test_a_run_without_a_figure_says_so() -> None:
    assert str(stopped(KeyboardInterrupt())) == "stopped by Ctrl-C before anything was measured."


def test_a_signal_is_named_although_the_runner_replaced_the_exception() -> None:
    try:
        try:
            raise KeyboardInterrupt("stopped by SIGTERM")
        except KeyboardInterrupt:
            raise Interrupted() from None
    except KeyboardInterrupt as interrupt:
        assert str(stopped(interrupt, kept=True)).startswith("stopped by SIGTERM: ")


def test_an_end_that_was_asked_for_is_left_to_pytest(session: Any) -> None:
    hook = Endings().pytest_runtestloop(session)
    next(hook)
    with pytest.raises(pytest.Session.Interrupted):
        hook.throw(pytest.Session.Interrupted("-x"))


def test_ctrl_c_during_the_collection(session: Any) -> None:
    ended(Endings().pytest_collection(session), KeyboardInterrupt())
    assert str(session.bench.fatal) == "stopped by Ctrl-C before anything was measured."


def test_a_path_that_is_not_there_is_a_usage_error(session: Any) -> None:
    ended(Endings().pytest_collection(session), pytest.UsageError("file or directory not found: smoke"))
    assert str(session.bench.fatal) == "file or directory not found: smoke; see yolopace run --help."
    assert int(session.bench.fatal.code) == 2


def test_the_usage_and_the_files_of_pytest_are_left_out() -> None:
    text = "usage: pytest.main() [options] [...]\npytest.main(): error: unrecognized arguments: --foo\n  inifile: /a"
    assert str(describe_usage_error(pytest.UsageError(text))) == (
        "unrecognized arguments: --foo; see yolopace run --help."
    )


def test_sentences_of_errors_fit_a_terminal_and_stay_whole_in_a_pipe(
    session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = endings.RunStopped("a long sentence " * 12 + "ends.")
    terminal.write_error(session.config, error)
    screen = session.config.stash[SCREEN]
    assert screen._stream.getvalue().count("\n") == 1
    screen.is_terminal = True
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.write_error(session.config, error)
    lines = screen._stream.getvalue().splitlines()[1:]
    assert len(lines) > 2 and max(map(len, lines)) <= 60
    assert " ".join(line.strip() for line in lines) == f"yolopace: {error}"
