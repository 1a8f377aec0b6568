"""Every row of ``docs/reference/effective.md`` has tests, which ``effective-tests.md`` names."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCUMENT = TESTS.parent / "docs" / "reference" / "effective.md"
HEADING = ["requested", "what Ultralytics would run", "what yolopace does"]
TESTS_HEADING = ["requested", "tests"]


def parts(path):
    """The rows of each section's table, its heading and ruler included, by the section's title."""
    tables = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            tables[line] = []
        elif line.startswith("|"):
            tables[next(reversed(tables))].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return tables


TABLES = parts(DOCUMENT)
TESTS_TABLES = parts(DOCUMENT.with_name("effective-tests.md"))
ROWS = [
    [*row, tests[-1]]
    for table, named in zip(TABLES.values(), TESTS_TABLES.values(), strict=True)
    for row, tests in zip(table[2:], named[2:], strict=True)
]
FOLDER = "end_to_end/settings"
NAMED = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


@cache
def names_in(path):
    """Names of a file's own tests."""
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_tables_are_whole_and_have_the_same_rows():
    assert len(ROWS) > 60
    assert list(TABLES) == list(TESTS_TABLES)
    for title, table in TABLES.items():
        assert [row[0] for row in table] == [row[0] for row in TESTS_TABLES[title]]
        for (heading, ruler, *rest), expected in ((table, HEADING), (TESTS_TABLES[title], TESTS_HEADING)):
            assert heading == expected
            assert set(ruler) == {"---"}
            assert all(len(row) == len(heading) for row in rest)


@pytest.mark.parametrize("row", ROWS, ids=[row[0][:40] for row in ROWS])
def test_a_row_says_something_everywhere_and_names_tests_that_exist(row):
    assert all(row)
    named = NAMED.findall(row[-1])
    assert named, "no test is named"
    assert NAMED.sub("", row[-1]).strip() == "", "the last cell holds nothing but tests"
    for path, name in named:
        assert name in names_in(path), f"{path} has no test {name}"


def test_every_test_of_the_substitutions_stands_in_the_table():
    """The other way round: a test that no row names shows something that the table does not say."""
    named = {name for row in ROWS for _, name in NAMED.findall(row[-1])}
    files = sorted((TESTS / FOLDER).glob("test_*.py"))
    assert files
    for file in files:
        extra = {name for name in names_in(f"{FOLDER}/{file.name}") if name.startswith("test_")} - named - OF_THE_MEANS
        assert not extra, f"{file.name}: {sorted(extra)}"


OF_THE_MEANS = {
    "test_only_fp16_needs_loss_scaling",
    "test_pins_hold_against_what_a_case_asks_for",
    "test_how_an_optimizer_of_ultralytics_own_walks_is_not_known",
    "test_read_back_changes_nothing",
    "test_read_back_of_a_trainer_is_small_and_knows_every_pin",
    "test_read_back_of_a_predictor_is_small_and_knows_every_pin",
}
"""Tests of reading back itself."""
