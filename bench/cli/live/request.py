"""A live comparison that was asked for, checked before an environment is built or the network is asked."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bench.cli.live.cases import CaseChoice
from bench.cli.live.options import SharedOptions
from bench.cli.live.output import check_file
from bench.environments.cache_checks import check_usable
from bench.formatting import parse_duration, parse_percent


class ComparisonRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Checked options that all live comparisons share.

    Attributes:
        choice: the cases.
        margin: a share, or None for the one of the calibration.
        budget: seconds for all pairs, or None.
        results: folder of all runs.
        json: file for the result, or None.
        resume: whether to continue a comparison that was stopped.
    """

    choice: CaseChoice
    margin: float | None
    budget: float | None
    results: Path
    json: Path | None
    resume: bool

    @classmethod
    def parse(cls, shared: SharedOptions, single: bool = False) -> ComparisonRequest:
        """Check the options that all live comparisons share.

        Args:
            shared: the options.
            single: whether an axis that is not named has only the first of its values.

        Raises:
            UsageError: for an invalid option, or a cache that cannot be used.
        """
        check_file(shared.json)
        check_usable()
        return cls(
            choice=CaseChoice.parse(shared.case, shared.axes, shared.data, shared.threads, single),
            margin=parse_percent("margin", shared.margin) if shared.margin else None,
            budget=parse_duration(shared.time_budget) if shared.time_budget else None,
            results=shared.results,
            json=shared.json,
            resume=shared.resume,
        )
