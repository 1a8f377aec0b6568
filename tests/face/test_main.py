"""What every command ends with where something unforeseen happens: never with 1, which would be a regression."""

from __future__ import annotations

import errno

import pytest

from bench import cli
from bench.errors import NotComparable


def test_a_full_disk_is_a_sentence_and_no_regression(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "scratch")

    monkeypatch.setattr(cli, "app", full)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == "yolopace: No space left on device (scratch): mend that, and run it again.\n"


def test_an_error_of_ours_ends_with_its_own_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> None:
        raise NotComparable("they differ.")

    monkeypatch.setattr(cli, "app", refused)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 3
    assert capsys.readouterr().err == "yolopace: they differ.\n"
