"""Tests of a run: parametrised by the plan, in its order, and reduced by pytest's own selection."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from bench.errors import UsageError
from bench.pytest_plugin.session import BenchSession
from bench.text import one_line

TARGET_TEST = "test_target_ci.py"


def parametrize(metafunc: pytest.Metafunc, bench: BenchSession) -> None:
    """Make a test per case and per ceiling, by its id: pytest-benchmark stores parameters as text."""
    if "case_id" in metafunc.fixturenames:
        mode = metafunc.function.__name__.removeprefix("test_")
        metafunc.parametrize("case_id", [name for name, plan in bench.planned.items() if plan.case.mode == mode])
    if "ceiling_id" in metafunc.fixturenames:
        metafunc.parametrize("ceiling_id", list(bench.request.searches))


def take_target_tests(items: list[pytest.Item], bench: BenchSession) -> list[pytest.Item]:
    """Take the test of ``--target-ci`` out of the items; return it where it is asked for."""
    taken = [item for item in items if _is_target_test(item)]
    items[:] = [item for item in items if not _is_target_test(item)]
    return taken if bench.request.target_ci is not None else []


def keep_planned(items: list[pytest.Item], bench: BenchSession) -> None:
    """Drop tests of modes without cases, and sort the others by the plan, whichever file they stand in."""
    order = {name: number for number, name in enumerate(bench.planned)}
    known = {*order, *bench.request.searches}
    items[:] = [item for item in items if (name := _name(item)) is None or name in known]
    sort(items, order)


def sort(items: list[pytest.Item], order: dict[str, int]) -> None:
    """Sort items by the place of their cases; others come last."""
    items.sort(key=lambda item: order.get(_parameter(item, "case_id") or "", len(order)))


def note_selected(items: list[pytest.Item], bench: BenchSession, keyword: str = "") -> None:
    """Keep what pytest's own selection (-k and the like) left.

    Args:
        items: that are left.
        bench: the session.
        keyword: the expression of -k; empty without one.

    Raises:
        UsageError: for a case that would be measured twice, a target without its test, and a keyword without a case.
    """
    bench.selected = [bench.planned[name] for item in items if (name := _parameter(item, "case_id"))]
    bench.selected_searches = [name for item in items if (name := _parameter(item, "ceiling_id"))]
    cases = [plan.case.id for plan in bench.request.cases]
    if keyword and not items and (examples := [*cases, *bench.request.searches, *bench.planned]):
        raise UsageError(f"no case matches -k {keyword!r}: use a part of an id such as {examples[0]}.")
    twice = [name for name, times in Counter(map(_name, items)).items() if name and times > 1]
    if twice:
        raise UsageError(
            f"{twice[0]} was collected more than once, by a plugin that repeats tests: leave that out, and use "
            "--processes N to measure each case N times."
        )
    if bench.request.target_ci is not None and bench.selected and not any(map(_is_target_test, items)):
        raise UsageError(f"--target-ci has a test of its own: name bench/ or bench/{TARGET_TEST} too.")


def keyword_matcher(keyword: str) -> Callable[[str, str], bool]:
    """Return whether pytest's ``-k`` chooses a case or a ceiling, by its mode and its name; an empty one takes all.

    Raises:
        UsageError: for an expression that pytest does not read.
    """
    from _pytest.mark.expression import Expression  # what -k is read by; pytest exports nothing for it

    if not keyword.strip():
        return lambda mode, name: True
    try:
        expression = Expression.compile(keyword)
    except Exception as error:  # another type in each version of pytest
        raise UsageError(f"-k {keyword!r} cannot be read ({one_line(str(error), 200).rstrip('.')}).") from None

    def matches(mode: str, name: str) -> bool:
        names = (f"test_{mode}.py", f"test_{mode}[{name}]".lower())
        return bool(expression.evaluate(lambda part, /, **_: any(part.lower() in text for text in names)))

    return matches


def _is_target_test(item: pytest.Item) -> bool:
    return item.path.name == TARGET_TEST and item.path.parent.name == "bench"


def _parameter(item: pytest.Item, parameter: str) -> str | None:
    """Return the value of a test's parameter; None for a test without it."""
    callspec = getattr(item, "callspec", None)
    return str(callspec.params[parameter]) if callspec and parameter in callspec.params else None


def _name(item: pytest.Item) -> str | None:
    """Return the case or the ceiling of a test; None for a test without either."""
    return _parameter(item, "case_id") or _parameter(item, "ceiling_id")
