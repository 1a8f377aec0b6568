"""Every file is read and written in UTF-8, by name: the locale's encoding is that of whoever happens to run it."""

import ast
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[1] / "bench"
FILES = sorted(BENCH.rglob("*.py"))

FILE_METHODS = {"read_text": 0, "write_text": 1}
"""Methods of a path, and after how many positional arguments the encoding comes."""

TEMPORARY = {"NamedTemporaryFile", "TemporaryFile", "SpooledTemporaryFile"}
STARTERS = {"run", "Popen", "check_output", "check_call", "call"}


def name_of(call):
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def owner_of(call):
    value = getattr(call.func, "value", None)
    return getattr(value, "id", "")


def mode_of(call, place):
    """The mode of a file that is opened, as far as it is written out."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"] or call.args[place : place + 1]
    return given[0].value if given and isinstance(given[0], ast.Constant) else ""


def unnamed(tree):
    """Lines of calls that open text and do not name its encoding."""
    lines = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name, owner = name_of(call), owner_of(call)
        keywords = {keyword.arg for keyword in call.keywords}
        if "encoding" in keywords:
            continue
        if name in FILE_METHODS:
            opens = len(call.args) <= FILE_METHODS[name]
        elif name == "open" and owner in {"", "io"} and isinstance(call.func, ast.Name | ast.Attribute):
            is_method = isinstance(call.func, ast.Attribute) and owner != "io"
            mode = mode_of(call, 0 if is_method else 1)
            # A method without arguments is one of ours that opens no file.
            opens = "b" not in mode and not (is_method and not call.args)
        elif name == "open" and owner not in {"os"}:
            opens = bool(call.args) and "b" not in mode_of(call, 0) and isinstance(call.args[0], ast.Constant)
        elif name == "fdopen":
            opens = "b" not in mode_of(call, 1)
        elif name in TEMPORARY:
            mode = mode_of(call, 0)
            opens = bool(mode) and "b" not in mode
        elif name in STARTERS and owner == "subprocess":
            opens = bool({"text", "universal_newlines"} & keywords)
        else:
            opens = name in {"TextIOWrapper", "getoutput", "getstatusoutput"}
        if opens:
            lines.append(call.lineno)
    return lines


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(BENCH).as_posix())
def test_every_text_file_has_its_encoding_named(path):
    assert unnamed(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "open(name)",
        "open(name, 'w')",
        "io.open(name)",
        "path.open('w')",
        "os.fdopen(3, 'w')",
        "path.read_text()",
        "path.write_text(text)",
        "(a / 'b').read_text(errors='replace')",
        "subprocess.run(command, text=True)",
        "subprocess.Popen(command, universal_newlines=True)",
        "tempfile.NamedTemporaryFile('w')",
        "tempfile.NamedTemporaryFile(mode='w')",
        "io.TextIOWrapper(raw)",
    ],
)
def test_a_call_without_an_encoding_is_found(source):
    assert unnamed(ast.parse(source)) == [1]


@pytest.mark.parametrize(
    "source",
    [
        "open(name, 'rb')",
        "open(name, encoding='utf-8')",
        "os.open(name, os.O_RDONLY)",
        "session.open()",
        "path.open('rb')",
        "path.read_text(encoding='utf-8')",
        "path.write_text(text, 'utf-8')",
        "subprocess.run(command)",
        "tempfile.TemporaryFile()",
    ],
)
def test_other_calls_are_left_alone(source):
    assert unnamed(ast.parse(source)) == []
