"""What an interpreter answers is found among whatever else it prints."""

import pytest

from bench.environments.interpreter import Interpreter, answer_in, variables
from tests.builders import make_case, make_environment


@pytest.mark.parametrize("printed", ['{"a": 1}', 'hello\n{"a": 1}\n', '{"a": 1}\nbye\n"a"\n'])
def test_an_answer_among_other_lines(printed):
    assert answer_in(printed) == {"a": 1}


def test_no_answer():
    with pytest.raises(ValueError, match="no line is an answer"):
        answer_in("hello\n[1]\n")


def test_no_worker_waits_for_commands_at_its_end(monkeypatch):
    monkeypatch.setenv("PYTHONINSPECT", "1")
    assert "PYTHONINSPECT" not in variables()


def test_only_cases_of_a_format_record_its_runtime():
    environment = make_environment()
    python = Interpreter("python", environment, runtimes={"onnxruntime": "1.32.0", "openvino": "2026.4.1"})
    assert python.environment_of(make_case()) is environment
    assert python.environment_of(make_case(mode="predict")).fingerprint == environment.fingerprint
    onnx = python.environment_of(make_case(mode="predict", further=(("format", "onnx"),)))
    assert onnx.packages == {**environment.packages, "onnxruntime": "1.32.0"}
    assert onnx.fingerprint != environment.fingerprint
    both = python.environment_of(*(make_case(further=(("format", name),)) for name in ("onnx", "openvino")))
    assert set(both.packages) - set(environment.packages) == {"onnxruntime", "openvino"}
