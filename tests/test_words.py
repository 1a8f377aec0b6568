"""Docstrings, messages and names use the words of the glossary: none of the private ones that the project once had."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
FILES = sorted(BENCH.rglob("*.py"))
NAMED = [*FILES, *sorted((ROOT / "tests").rglob("*.py")), ROOT / "noxfile.py"]

FORBIDDEN = {
    "predicted": r"foretold|foretell\w*",
    "again, or new": r"anew",
    "interleaved": r"abreast|in turns",
    "background load": r"crowd\w*|strangers?",
    "interference": r"disturb\w*",
    "missing, unavailable, or unknown": r"(?:is|are|was|were) none\b(?! of)",
    "with, next to, or at the same time": r"beside",
    "repair, correct, or retry": r"mend\w*",
    "report, show, or say": r"tells?|told|telling",
    "called with": r"hears?",
    "compared with, or limited to": r"held (?:against|to|beside)",
    "no one, or a named reader": r"nobody",
}
"""What is written instead, by the words that the glossary has another one for."""

NEIGHBOUR = re.compile(r"(?:The same|Of one|One of them|Not by this|It closes|Likewise|See above)\b[^.]{0,40}\.")
"""Docstrings that make sense only next to another one."""

VARIABLES = {"found", "one", "seen", "said", "told", "some"}
"""Names that say nothing of what a variable, a parameter or an attribute is: its noun is written instead."""

FUNCTIONS = re.compile(r"_?(?:about|found|known|one|plain|said|seen|shown|told|whole)|of_\w+")
"""Names of functions that are no verb, no predicate and no noun."""


def texts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Docstrings and messages: constant texts of several words, each with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip():
            yield node.lineno, node.value


def docstrings(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and (text := ast.get_docstring(node)):
            yield text


def found_in(tree: ast.Module) -> list[str]:
    """One sentence for each forbidden word of a file."""
    return [
        f"line {line}: '{match.group()}' (write: {instead})"
        for line, text in texts(tree)
        for instead, words in FORBIDDEN.items()
        for match in re.finditer(rf"\b(?:{words})\b", text, re.IGNORECASE)
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(BENCH).as_posix())
def test_docstrings_and_messages_use_the_words_of_the_glossary(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert found_in(tree) == []
    assert [text for text in docstrings(tree) if NEIGHBOUR.fullmatch(text)] == []


def test_a_private_word_is_found_wherever_it_stands() -> None:
    source = 'def f():\n    """What is foretold."""\n    raise ValueError(f"{x} was told anew")\n'
    assert [line.partition(": ")[2].split("'")[1] for line in found_in(ast.parse(source))] == [
        "foretold",
        "anew",
        "told",
    ]
    assert found_in(ast.parse('x = "told"\ny = "records of a run"\n')) == []


def names_in(tree: ast.Module) -> list[str]:
    """One phrase for each name of a file that does not say what it names."""
    phrases = []
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.Attribute(attr=name, ctx=ast.Store()):
                forbidden = name in VARIABLES
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                forbidden = FUNCTIONS.fullmatch(name) is not None
            case _:
                continue
        if forbidden:
            phrases.append(f"line {node.lineno}: '{name}'")
    return phrases


@pytest.mark.parametrize("path", NAMED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_names_say_what_they_name(path: Path) -> None:
    assert names_in(ast.parse(path.read_text(encoding="utf-8"))) == []


def test_a_name_without_a_noun_is_found_wherever_it_stands() -> None:
    source = "def told(found): self.seen = [one for one in x]\nasync def of_all(): pass\n"
    assert sorted(phrase.split("'")[1] for phrase in names_in(ast.parse(source))) == [
        "found",
        "of_all",
        "one",
        "seen",
        "told",
    ]
    assert names_in(ast.parse("def describe(record): return record.found\n")) == []
