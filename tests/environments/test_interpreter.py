"""What an interpreter answers is found among whatever else it prints."""

import pytest

from bench.environments.interpreter import answer_in, variables


@pytest.mark.parametrize("printed", ['{"a": 1}', 'hello\n{"a": 1}\n', '{"a": 1}\nbye\n"a"\n'])
def test_an_answer_among_other_lines(printed):
    assert answer_in(printed) == {"a": 1}


def test_no_answer():
    with pytest.raises(ValueError, match="no line is an answer"):
        answer_in("hello\n[1]\n")


def test_no_worker_waits_for_commands_at_its_end(monkeypatch):
    monkeypatch.setenv("PYTHONINSPECT", "1")
    assert "PYTHONINSPECT" not in variables()
