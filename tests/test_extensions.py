"""Extensions: what is loaded, what is recorded of it, and the sentences about those that cannot be."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import extensions
from bench.errors import UsageError


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(extensions, "_loaded", {})
    monkeypatch.delenv(extensions.VARIABLE, raising=False)
    yield
    for name in [name for name in sys.modules if name.startswith("yolopace_extension_")]:
        del sys.modules[name]


def write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_an_extension_is_registered_once_however_often_it_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "toy.py", "calls = []\ndef register():\n    calls.append(1)\n")
    extensions.load([path, path])
    extensions.load([path])
    assert sys.modules["yolopace_extension_toy"].calls == [1]
    assert extensions.loaded_paths() == [path]


def test_workers_load_what_an_environment_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, other = (write(tmp_path / name, "") for name in ("one.py", "other.py"))
    monkeypatch.chdir(tmp_path)
    extensions.load(["one.py", other])
    assert os.environ[extensions.VARIABLE].split(os.pathsep) == [first, other]


def test_a_record_says_which_extensions_made_it(tmp_path: Path) -> None:
    assert extensions.extra() == {}
    content = "def register(): pass\n"
    extensions.load([write(tmp_path / "toy.py", content)])
    assert extensions.extra() == {"extensions": {"toy": hashlib.sha256(content.encode()).hexdigest()[:12]}}


def test_classes_of_an_extension_find_their_own_module(tmp_path: Path) -> None:
    text = "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\nclass Toy:\n    size: int\n"
    extensions.load([write(tmp_path / "toy.py", text)])


def test_options_and_the_variable_name_extensions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(extensions.VARIABLE, os.pathsep.join(["a.py", "", "b.py"]))
    arguments = ["bench/", "--extension", "c.py", "--extension=d.py", "--", "--extension", "e.py"]
    assert extensions.named_in(arguments) == ["a.py", "b.py", "c.py", "d.py"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("def register(:\n", "does not import: SyntaxError: invalid syntax"),
        ("import nothing_of_that_name\n", "does not import: ModuleNotFoundError: No module named 'nothing_of_that"),
        ("raise SystemExit\n", "does not import: SystemExit."),
        ("def register():\n    {}['size']\n", "cannot be registered: KeyError: 'size'."),
        (
            "def register():\n    raise ValueError('axis \\'size\\' is registered already.')\n",
            "cannot be registered: axis ",
        ),
    ],
)
def test_an_extension_that_cannot_be_used_is_one_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    path = write(tmp_path / "toy.py", content)
    with pytest.raises(UsageError) as caught:
        extensions.load([path])
    assert str(caught.value).startswith(f"extension {path!r} {sentence}")
    assert str(caught.value).endswith(".") and "\n" not in str(caught.value)
    assert extensions.loaded_paths() == []
    assert extensions.VARIABLE not in os.environ


def test_a_file_that_is_missing_or_no_python(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"extension 'missing.py': there is no such file\."):
        extensions.load(["missing.py"])
    with pytest.raises(UsageError, match=r"cannot be read: Is a directory\."):
        extensions.load([str(tmp_path)])
    with pytest.raises(UsageError, match=r"is not a Python file: its name has to end with \.py\."):
        extensions.load([write(tmp_path / "toy.txt", "")])


def test_two_extensions_of_one_name_are_ambiguous(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first = write(tmp_path / "toy.py", "")
    second = write(tmp_path / "other" / "toy.py", "")
    with pytest.raises(UsageError) as caught:
        extensions.load([first, second])
    assert str(caught.value) == f"extension {second!r} has the same name as {first!r}: rename one of them."
