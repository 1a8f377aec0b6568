"""Check by planted effects whether ``regress`` finds what is there, and nothing else."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from bench.environments.builder import PreparedEnvironment, provide
from bench.environments.interpreter import Interpreter, inspect
from bench.environments.resolver import resolve
from bench.environments.specification import Specification
from bench.selfcheck import trials
from bench.selfcheck.check import Check
from bench.selfcheck.effects import Effect
from bench.selfcheck.planted_environment import COPIES, FLOOR, Planted, prepare
from bench.selfcheck.scores import scored, trial_line


class TrialRunner:
    """Two environments of the same versions, and two more that can be made slower.

    Attributes:
        planned: the case that is compared.
    """

    def __init__(self, interpreter: Interpreter, say: Callable[[str], None]) -> None:
        """Build the environments.

        Args:
            interpreter: its versions of torch and Ultralytics are installed twice, and twice more to be patched.
            say: receives lines of progress.

        Raises:
            UsageError: where the environments cannot be built.
        """
        versions = interpreter.environment
        torch = versions.torch.partition("+")[0]
        specification = Specification.parse(f"ultralytics=={versions.ultralytics},torch=={torch}")
        self.planned = trials.planned_case()
        self._say = say
        self._sides = provide(specification, "", say), provide(specification, "", say, replica=1)
        resolved = resolve(specification)
        self._patched = prepare(resolved, say, COPIES[0]), prepare(resolved, say, COPIES[1])
        self._slower = (
            _patched_side(self._sides[0], self._patched[0], "floor"),
            _patched_side(self._sides[1], self._patched[1], "planted"),
        )
        self._step = 0.0

    def try_one(self, effect: Effect, folder: Path) -> trials.Trial:
        """Plant an effect and measure one trial."""
        if effect.share and not self._step:
            self._step = trials.mean_step(self._sides[0], self.planned) + FLOOR
        seconds = effect.share * self._step
        self._patched[0].plant(effect.where, FLOOR)
        self._patched[1].plant(effect.where, FLOOR + seconds)
        sides = self._slower if effect.share else self._sides
        trial = trials.compare(effect, sides, self.planned, seconds, folder, self._say)
        if effect.share and trial.finding.base:
            self._step = trial.finding.base.seconds
        return trial

    def clear(self) -> None:
        """Plant nothing any more."""
        for patched in self._patched:
            patched.plant("forward", 0.0)


def _patched_side(side: PreparedEnvironment, patched: Planted, key: str) -> PreparedEnvironment:
    return msgspec.structs.replace(side, interpreter=inspect(patched.python), key=key)


def checks(
    interpreter: Interpreter, effects: Sequence[Effect], comparisons: int, keep: Path | None, say: Callable[[str], None]
) -> Iterator[Check]:
    """Plant every effect, measure its trials, and score them.

    Args:
        interpreter: see :class:`TrialRunner`.
        effects: what is planted.
        comparisons: trials per effect, where it does not say how many; those that are in ``keep`` count.
        keep: a folder where every trial is kept; None: nowhere.
        say: receives a line for each trial.

    Raises:
        UsageError: where the environments cannot be built.
    """
    runner = TrialRunner(interpreter, say)
    for effect in effects:
        known = trials.kept_trials(keep, effect, interpreter.environment) if keep else {}
        done = list(known.values())
        count = min(comparisons, effect.comparisons or comparisons)
        free = (number for number in itertools.count(1) if number not in known)
        try:
            for number in itertools.islice(free, max(count - len(known), 0)):
                with trials.trial_folder(keep, effect, number) as folder:
                    trial = runner.try_one(effect, folder)
                done.append(trial)
                say(f"{effect.name} {len(done)}/{count}: {trial_line(trial)}")
        finally:
            runner.clear()
            if done:
                yield from scored(effect, done)
