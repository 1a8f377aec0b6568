"""The page of a run: made between two cases, so that a long run can be watched, and at the end."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Sequence
from pathlib import Path

from bench import signals
from bench.machine.fingerprint import machine
from bench.machine.paths import calibration_folder
from bench.records import calibration, store
from bench.records.ceiling import Ceiling
from bench.records.record import Record

LIVE_AFTER = 30.0
"""Seconds of a run until its page is made for the first time: a shorter run needs no watching."""


class RunPage:
    """Writes the page of one run.

    Attributes:
        folder: where it is written.
    """

    def __init__(self, folder: Path, epoch_images: int, epochs: int = 0, run: Path | None = None) -> None:
        """Write nothing yet.

        Args:
            folder: where it is written.
            epoch_images: images per epoch; 0 for COCO's.
            epochs: epochs of the user's own training; 0 if not named.
            run: folder of the records, to which the page has a link.
        """
        self.folder = folder
        self._run = run
        self._epoch_images = epoch_images
        self._epochs = epochs
        self._next = math.inf
        self._announced = False

    def start(self) -> None:
        """Begin to count the time of the run."""
        self._next = time.monotonic() + LIVE_AFTER

    def refresh(self, records: Sequence[Record], ceilings: Sequence[Ceiling], over: int, total: int) -> Path | None:
        """Make the page of a run that goes on, if it is time for it.

        It takes at most a tenth of the time of the run, and leaves errors to the report at the end.

        Args:
            records: of the run.
            ceilings: of the run.
            over: processes of cases that are over.
            total: processes of cases.

        Returns:
            The path when the page was made for the first time, else None.
        """
        if time.monotonic() < self._next:
            return None
        with signals.held_back():
            from bench.report.page import LIVE_SECONDS  # with pandas and matplotlib, which take a second to import

        began = time.monotonic()
        # A run that is killed leaves this page: its time shows that it is old.
        live = f"Still measuring: {over:,} of {total:,} so far, at {time.strftime('%X')}."
        path = None
        with contextlib.suppress(Exception):
            path = self.write(records, ceilings, ("html",), live)
        spent = time.monotonic() - began
        self._next = time.monotonic() + max(LIVE_SECONDS, 9 * spent)
        first = path is not None and not self._announced
        self._announced = self._announced or path is not None
        return path if first else None

    def write(
        self,
        records: Sequence[Record],
        ceilings: Sequence[Ceiling],
        formats: Sequence[str] | None = None,
        live: str = "",
    ) -> Path:
        """Write the report of records and ceilings, in all usual formats where none is named."""
        with signals.held_back():
            from bench.analysis.throughput import COCO_TRAIN_IMAGES
            from bench.report.links import run_folders
            from bench.report.page import USUAL, Inputs, write

        known, _ = store.read_calibrations(calibration_folder(), machine())
        inputs = Inputs(
            records=calibration.stamped(list(records), known.calibrations, machine()),
            ceilings=list(ceilings),
            epoch_images=self._epoch_images or COCO_TRAIN_IMAGES,
            epochs=self._epochs,
            live=live,
            run_links=run_folders([self._run.name], [self._run], self.folder) if self._run else {},
        )
        return write(inputs, self.folder, formats or USUAL)
