from __future__ import annotations

import json
from typing import Any

import pytest

from bench.records import store
from tests.analysis.example_figures import EXAMPLES, FILE, machines, read_examples, written

SNAPSHOT: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def figures() -> dict[str, Any]:
    return json.loads(written(read_examples()))


def test_every_committed_example_has_figures() -> None:
    assert {folder.name for folder in EXAMPLES} == set(SNAPSHOT)
    assert sum(len(example["cases"]) for example in SNAPSHOT.values()) == 89
    assert sum(len(example["ceilings"]) for example in SNAPSHOT.values()) == 7
    assert sum(len(example["comparisons"]) for example in SNAPSHOT.values()) == 4


@pytest.mark.parametrize("example", SNAPSHOT)
@pytest.mark.parametrize("part", ["machines", "cases", "ceilings", "comparisons"])
def test_committed_examples_show_the_figures_and_fingerprints_that_they_always_had(
    example: str, part: str, figures: dict[str, Any]
) -> None:
    assert figures[example][part] == approximately(SNAPSHOT[example][part])


def test_a_machine_has_the_fingerprint_that_its_facts_always_had() -> None:
    records, ceilings = store.read(EXAMPLES)[0], store.read_ceilings(EXAMPLES)[0]
    known = machines(*records, *ceilings, *store.read_comparisons(EXAMPLES)[0])
    assert set(known) == {"0fbcd8dd451d", "c58ed8989edf"}
    assert {machine.digest for machine in known.values()} == set(known)


def approximately(expected: Any) -> Any:
    """The same, with room for the last of six digits: libraries of mathematics differ in it."""
    if isinstance(expected, float):
        return pytest.approx(expected, rel=2e-5, abs=1e-9)
    if isinstance(expected, dict):
        return {key: approximately(value) for key, value in expected.items()}
    return [approximately(value) for value in expected] if isinstance(expected, list) else expected
