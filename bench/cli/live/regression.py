"""The course of a regression check: two environments, a comparison that is new or continues, and its folder."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bench.cli.live.pairs import own_folder, provide_both
from bench.compare.estimator import pending_cases
from bench.compare.start import reopen
from bench.environments.builder import PreparedEnvironment
from bench.environments.specification import Specification
from bench.errors import UsageError
from bench.records.comparison import Comparison
from bench.records.store import Store, new_run_name

RUN_PREFIX = "regress-"
"""Prefix of the name of a comparison's folder, before the time and the machine."""


def started(comparison: Comparison, results: Path, name: str) -> tuple[Comparison, Path]:
    """Give a comparison a separate folder, named as requested or by the time."""
    chosen = name or RUN_PREFIX + new_run_name(comparison.machine.fingerprint)
    return comparison, own_folder(comparison, results, chosen)


def asked_alike(known: Comparison, specifications: tuple[Specification, Specification]) -> bool:
    """Whether a comparison was asked for in the same words; an interpreter is called by its version in the record."""
    asked = known.base.asked, known.head.asked
    return all(
        specification.python or str(specification) == text
        for specification, text in zip(specifications, asked, strict=True)
    )


def provide_dated(
    specifications: tuple[Specification, Specification], asked: str, before: str
) -> tuple[tuple[PreparedEnvironment, PreparedEnvironment], str]:
    """Build both environments as of one moment, so that no release between them makes a difference.

    Args:
        specifications: of base and head.
        asked: the date that the user named, or empty.
        before: the date of a comparison that continues, or empty.

    Returns:
        The environments, and the moment; empty where the package index does not say when releases were made.
    """
    exclude_newer = asked or before or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        return provide_both(*specifications, exclude_newer), exclude_newer
    except UsageError:
        if asked:
            raise
    return provide_both(*specifications, ""), ""


def continued(
    question: Comparison, known: list[Comparison], results: Path, margin: float | None
) -> tuple[Comparison, Path]:
    """Return the newest comparison of the same question, and its folder; an undecided one before others."""
    same = [comparison for comparison in known if comparison.same_question(question)]
    if not same:
        raise UsageError(
            f"{results} holds no comparison of these environments and cases on this machine: leave --resume out."
        )
    for comparison in same:
        reopen(comparison, question, margin)
    chosen = next((comparison for comparison in reversed(same) if pending_cases(comparison)), same[-1])
    return chosen, results / chosen.run


def forget_empty(comparison: Comparison, folder: Path) -> None:
    """Remove the folder of a comparison that ended before its first pair."""
    if not any(compared.pairs for compared in comparison.cases):
        Store.at(folder).remove(comparison)
