"""What a run does now, for the live line: the case, the phase, its number and the time that is left."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.cases.plan import PlannedRun
from bench.pytest_plugin.case_lines import CaseLines, number_text
from bench.pytest_plugin.screen import Screen
from bench.pytest_plugin.start_block import time_left
from bench.runner.run import IMPORTING, PREPARING

DOING = {
    IMPORTING: "importing torch and the model library",
    PREPARING: "preparing the images",
    "setup": "starting",
    "warmup": "warming up",
    "window": "measuring",
    "checking": "checking",
    "rest": "validating",
}
"""What the phases of a case are called in the live line."""


class Activity:
    """What happens now, shown on a screen."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._what = ""
        self._doing = ""
        self._place = ""
        self._end = 0.0
        self._plan: PlannedRun | None = None

    def start(self, doing: str, what: str = "") -> None:
        """Show something that belongs to no case, such as the writing of the report."""
        self._what, self._doing, self._place, self._plan = what, doing, "", None
        self._end = 0.0
        self._screen.show(self.describe)

    def watch(
        self, lines: CaseLines, place: Callable[[], tuple[int, int]], seconds_left: Callable[[], float]
    ) -> Callable[[PlannedRun, str], None]:
        """Return a watch for the cases of a run.

        Args:
            lines: names the cases.
            place: returns how many processes are over, and how many there are.
            seconds_left: returns the estimated time of those that are not over.
        """

        def show(planned: PlannedRun, phase: str) -> None:
            if planned is not self._plan:
                over, total = place()
                self._place, self._plan = number_text(over + 1, total) if total else "", planned
                self._end = time.monotonic() + seconds_left()
            self._what, self._doing = lines.name(planned.case), DOING.get(phase, phase)
            self._screen.show(self.describe)

        return show

    def stop(self) -> None:
        """Show nothing."""
        self._plan = None
        self._screen.hide()

    def describe(self, width: int) -> str:
        """Return what happens now in one line: what at the left, the number and the time left at the right."""
        left = f"> {self._what}: {self._doing} ..." if self._what else f"> {self._doing} ..."
        remaining = time_left(self._end - time.monotonic()) if self._end else ""
        right = ", ".join(filter(None, [self._place, remaining]))
        if len(left) + 2 + len(right) > width:
            return left[:width]
        return f"{left:<{width - len(right)}}{right}"
