"""Result of running the smoke profile in one environment."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bench.cases import Case
from bench.records.outcome import Status
from bench.records.record import Record


class EnvironmentRun(msgspec.Struct, frozen=True):
    """Result of one environment.

    Attributes:
        name: unique among those of a table: its versions where they are known, else its specification.
        records: of the cases that were reached.
        failure: one sentence where the environment could not be used, else empty.
    """

    name: str
    records: Sequence[Record]
    failure: str = ""

    @property
    def measured(self) -> dict[Case, Record]:
        """The measured records by case."""
        return {record.case: record for record in self.records if record.outcome.status is Status.MEASURED}
