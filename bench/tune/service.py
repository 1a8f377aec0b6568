"""The course of a search for the fastest settings: search, proof, and the record that is saved after every step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from bench import extensions
from bench.analysis.noise import default_margin
from bench.analysis.recorded_limits import measured_alike
from bench.cases import Case
from bench.compare.pairs import now
from bench.compare.scheduler import OnPair
from bench.errors import NothingMeasured
from bench.machine.conditions import conditions
from bench.machine.fingerprint import machine
from bench.machine.paths import calibration_folder
from bench.records import store
from bench.records.record import Record
from bench.records.tune import Block, NotTried, Tuning, changes
from bench.runner.estimate import from_history
from bench.runner.launchers.local import Launcher
from bench.runner.run import Run
from bench.tune.measurer import CaseMeasurer, Planner, noise_of, pair_trials, to_trial
from bench.tune.proof import prove, reserve
from bench.tune.search import Search, value_texts
from bench.tune.space import Space
from bench.tune.trials import Trial
from bench.worker.workloads.base import is_made

RUN_PREFIX = "tune-"
"""Prefix of the folder of a search, before the time and the machine."""

FEW_STEPS = 8
"""Steps of an epoch below which the gap between epochs matters, which is not part of a step."""


class TuneRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is searched.

    Attributes:
        space: the present settings, and the values to try.
        present_named: whether the user named the present settings.
        left_out: axes that are not searched, and why.
        data: the user's own data set; empty for a made one.
        threads: see :class:`bench.cases.recipe.Recipe`.
        budget: seconds.
        margin: a share, or None for the one of the calibration.
        epoch_images: images of an epoch; 0 for those of the data set.
        seed: of the order; empty for the name of the run.
    """

    space: Space
    present_named: bool = False
    left_out: list[NotTried] = []
    data: str = ""
    threads: int = 0
    budget: float
    margin: float | None = None
    epoch_images: int = 0
    seed: str = ""


def begin(request: TuneRequest, launcher: Launcher, say: Callable[[str], None]) -> Tuning:
    """Return the record of a search that has measured nothing yet."""
    planned = Planner.for_space(request.space, request.data, request.threads).plan(request.space.present)
    margin, origin = request.margin, "as asked"
    if margin is None:
        known, wrong = store.read_calibrations(calibration_folder(), machine())
        if wrong:
            say(wrong)
        margin, origin = default_margin([planned.case], known.lockstep)
    return Tuning(
        run="",
        started=now(),
        machine=machine(),
        conditions=conditions(launcher.interpreter.variables),
        environment=launcher.interpreter.environment,
        present=planned.case,
        present_named=request.present_named,
        recipe=planned.recipe,
        values=value_texts(request.space.values),
        budget=request.budget,
        margin=margin,
        margin_from=origin,
    )


def tune(
    request: TuneRequest,
    tuning: Tuning,
    launcher: Launcher,
    results: Path,
    *,
    say: Callable[[str], None],
    on_pair: OnPair,
    watch: Callable[[str], None] = lambda text: None,
    usable: Callable[[Record], bool] = lambda record: True,
) -> store.Store:
    """Search, prove the winner, and save the record after every step; Ctrl-C ends it early.

    Args:
        request: what is searched.
        tuning: a new record (:func:`begin`), or that of a search that continues.
        launcher: of the environment; the caller closes it.
        results: folder of all runs.
        say: called with a line per measurement.
        on_pair: called after every pair.
        watch: called with what is done now.
        usable: whether an earlier record may be used, as far as only the caller knows.

    Returns:
        The store of the run, whose last files may still be unsaved.

    Raises:
        NothingMeasured: where the present settings give no figure.
        UsageError: where the environment or the data cannot be used at all.
    """
    began, spent = time.monotonic(), tuning.seconds
    continues = bool(tuning.run)
    kept = store.Store(results, tuning.run or RUN_PREFIX + store.new_run_name(machine().fingerprint), new=not continues)
    tuning.run, tuning.stopped = kept.run, False
    own = store.read([kept.folder])[0] if continues else []
    planner = Planner.for_space(request.space, request.data, request.threads)
    run = Run([], kept, launcher, from_history(results))
    run.watch = lambda planned, phase: watch(f"{planned.name}: {phase}")
    ceilings = [
        ceiling
        for ceiling in store.read_ceilings([results])[0]
        if ceiling.machine.is_same(tuning.machine) and ceiling.environment == tuning.environment
    ]
    measurer = CaseMeasurer(run, planner, own, ceilings, request.budget)
    earlier_blocks, earlier_pairs = list(tuning.blocks), list(tuning.pairs)

    def changed() -> None:
        tuning.blocks = earlier_blocks + [Block(number, names) for number, names in measurer.blocks.items()]
        tuning.pairs = earlier_pairs + measurer.pairs
        tuning.tried = search.tried()
        tuning.seconds = round(spent + time.monotonic() - began, 3)
        if trouble := kept.save(tuning):
            say(trouble)

    def earlier(present: Trial) -> list[Trial]:
        first = measurer.records[0]
        trials = list(_earlier_trials(request, planner, tuning, results, first, usable))
        if trials:
            say(f"starts from {len(trials)} measurements of earlier searches on this machine")
        tuning.notes = _notes(first)
        return trials

    search = Search(
        request.space,
        measurer,
        budget=request.budget,
        reserve=reserve,
        noise=noise_of(None, request.space.present.device),
        margin=tuning.margin,
        seed=request.seed or tuning.run,
        say=say,
        changed=changed,
        earlier=earlier,
        blocks=max(
            [block.number for block in earlier_blocks] + [measured.block for measured in earlier_pairs], default=0
        ),
    )
    try:
        search.run()
        _finish_search(tuning, search, request, measurer)
        changed()
        if tuning.winner != tuning.present:
            left = max(request.budget - (time.monotonic() - began), 0.0)
            watch("proving the winner by pairs")
            gain = -search.difference(tuning.winner or tuning.present).high
            prove(tuning, planner, launcher, kept.folder, left, on_pair, gain)
    except KeyboardInterrupt:
        tuning.stopped = True
        if tuning.winner is None and search.measured:
            _finish_search(tuning, search, request, measurer)
            tuning.complete = False
    finally:
        if measurer.records or not kept.discard():
            changed()
    return kept


def _finish_search(tuning: Tuning, search: Search, request: TuneRequest, measurer: CaseMeasurer) -> None:
    """Enter what the search came to.

    Raises:
        NothingMeasured: where the present settings gave no figure.
    """
    if search.present not in search.measured:
        outcome = search.trials[-1].outcome
        raise NothingMeasured(
            f"the present settings give no figure ({outcome.status.value.replace('_', ' ')}): {outcome.reason} "
            "Name others by --present or by the options of the axes."
        )
    tuning.winner, tuning.complete, tuning.needed = search.winner(), search.complete, search.needed
    tuning.reserve = reserve(search.cost(search.present), search.cost(tuning.winner))
    tuning.design, tuning.drift = search.design, search.drift
    tuning.not_tried = [*request.left_out, *search.not_tried]
    first = measurer.records[0]
    tuning.epoch_images = request.epoch_images or (
        first.data.images if first.data is not None and not is_made(first.recipe.data) else 0
    )
    setups = [
        next((r.durations.setup for r in measurer.records if r.case == case and r.durations.setup), None)
        for case in (tuning.present, tuning.winner)
    ]
    tuning.setup = setups[0], setups[1]


def _notes(first: Record) -> list[str]:
    """Return sentences on a data set that is too small for its figures to hold for whole epochs."""
    if first.data is None or is_made(first.recipe.data) or first.case.mode != "train":
        return []
    steps = -(-first.data.images // first.case.batch)
    if steps >= FEW_STEPS:
        return []
    return [
        f"An epoch of this dataset has {steps} step{'s' if steps != 1 else ''}: the gap between two epochs, which is "
        "no part of a step, may be longer than the steps."
    ]


def _earlier_trials(
    request: TuneRequest,
    planner: Planner,
    tuning: Tuning,
    results: Path,
    first: Record,
    usable: Callable[[Record], bool],
) -> Iterator[Trial]:
    """Yield the trials of earlier searches of the same machine, environment, data and recipe, by blocks."""
    present, current = request.space.present, first.conditions
    for known in store.read_tunings([results])[0]:
        if not known.machine.is_same(tuning.machine) or known.environment != tuning.environment:
            continue
        blocks = {name: block.number for block in known.blocks for name in block.records}
        accepted: list[bool] = []
        for record in store.read([results / known.run])[0]:
            if record.name not in blocks or record.id == first.id or not _in_space(record.case, request.space):
                continue
            same_data = record.data is None or first.data is None or _data_key(record) == _data_key(first)
            alike = (
                same_data
                and planner.plan(record.case).recipe == record.recipe
                and record.extra.get("extensions", {}) == extensions.digests()
                and measured_alike(record, current)
                and usable(record)
            )
            accepted.append(alike)
            settled = record.outcome.status.final or record.outcome.status.broken
            if alike and settled and (record.case != present or record.steps is not None):
                yield to_trial(record, f"{known.run} {blocks[record.name]}", earlier=True)
        if not accepted or not all(accepted):  # pairs have no data of their own to compare: those of the records count
            continue
        for measured in known.pairs:
            if _in_space(measured.base, request.space) and _in_space(measured.head, request.space):
                yield from pair_trials(measured, f"{known.run} {measured.block}", earlier=True)


def _data_key(record: Record) -> tuple[Any, ...]:
    """Return what has to be equal where two records are of the same data set; a made one has any length."""
    data = record.data
    return () if data is None else (data.name, data.scheme, data.fingerprint)


def _in_space(case: Case, space: Space) -> bool:
    """Whether a case has the present settings but for values that are to be tried."""
    return all(value in space.values.get(name, ()) for name, value in changes(space.present, case).items()) and (
        space.with_changes(changes(space.present, case)) == case
    )
