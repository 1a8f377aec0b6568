"""Search for the fastest settings by racing: short windows in fresh processes, and the closest in interleaved pairs.

New settings are measured in blocks, each with the leader of the moment. What is clearly slower than the leader drops
out, by its interval. What is close to it is measured in pairs with it, so that the machine's changes affect both alike.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np

from bench.cases import Case
from bench.cases.axes import axes, value_text
from bench.records.tune import NotTried, Tried, changes
from bench.tune.estimates import UNKNOWN, Difference, Estimates, Observation
from bench.tune.space import Space, describe_change, is_number, settings_text
from bench.tune.trials import Measurer, Rule, Trial, rules_of

BLOCK = 5
"""Largest number of settings in a block, besides its reference, which shows a change of the machine's speed."""

CLOSE = math.log(1.3)
"""Settings this close behind a leader that is clearly faster than the present ones do not drop out by single processes:
on a machine that other work shares, one of those may be that much slower."""

LEAST_PAIRS, MOST_PAIRS = 3, 4
"""Pairs with the leader that close settings have before they drop out, and the most of any settings with it."""

WHOLE_MOST = 16
"""Largest number of combinations that are all tried; of more, the effects of single settings show which to try."""

WHOLE_FACTOR = 1.6
"""Measurements of a whole product over its number of combinations: the best ones are measured again in pairs."""

PROPOSED = 4
"""Largest number of predicted combinations that a round adds."""

FIRST_VALUES = 3
"""Number of values of a numeric setting that are tried first, where it has more: between them, others are predicted."""

REACH = math.log(1.8)
"""A neighbour of the leader is not tried where its prediction is slower than the leader by more."""

ALIKE = math.log(1.01)
"""Of settings whose estimates are this close, those that change the fewest settings are chosen."""


class Search:
    """A search; it starts from the trials of earlier ones.

    Attributes:
        space: the settings that may be tried.
        trials: all trials, in the order of measurement.
        dropped: settings that were found slower, by case, with a sentence.
        rules: values that do not run.
        not_tried: settings that were not tried, and why.
        design: how the settings to try were chosen.
        complete: whether it ended by itself, and not for lack of time.
        needed: seconds that it would have needed at least, where it lacked time; else 0.
    """

    def __init__(
        self,
        space: Space,
        measurer: Measurer,
        *,
        budget: float,
        reserve: Callable[[float, float], float] = lambda present, winner: 0.0,
        noise: float,
        margin: float,
        seed: str,
        say: Callable[[str], None] = lambda text: None,
        changed: Callable[[], None] = lambda: None,
        earlier: Callable[[Trial], Sequence[Trial]] = lambda present: (),
        blocks: int = 0,
    ) -> None:
        """Start nothing.

        Args:
            space: the settings that may be tried.
            measurer: measures them.
            budget: seconds, those for the proof included.
            reserve: seconds for the proof, from those of a measurement of the present settings and of the leader.
            noise: standard deviation of a logarithm between processes, as far as it is known.
            margin: a share; a smaller difference counts as none.
            seed: of the order.
            say: called with a line per measurement.
            changed: called after each measurement.
            earlier: returns the trials of earlier searches, once the present settings were measured.
            blocks: number of blocks that a stopped search had.
        """
        self.space = space
        self.trials: list[Trial] = []
        self.dropped: dict[Case, str] = {}
        self.rules: list[Rule] = []
        self.not_tried: list[NotTried] = []
        self.design = ""
        self.complete = False
        self.needed = 0.0
        self._measurer, self._budget, self._reserve = measurer, budget, reserve
        self._noise, self._margin = noise, math.log1p(margin)
        self._random = random.Random(seed)
        self._say, self._changed, self._earlier = say, changed, earlier
        self._seed = seed
        self._began = measurer.clock()
        self._blocks = blocks
        self._whole = False
        self._waiting: list[Case] = []
        self._paired: dict[str, set[Case]] = defaultdict(set)
        self._leader = space.present
        self._proposed_for = math.inf
        self._explored: set[Case] = set()
        self._reference_measured = False
        self._stopped = False

    @property
    def present(self) -> Case:
        """The present settings."""
        return self.space.present

    def run(self) -> None:
        """Search until nothing is left to learn, or the time is used up; nothing where the present settings fail."""
        first = self._measure(self.present, self._new_block())
        if first.seconds is None:
            return
        self._reference_measured = True
        self._drop_present_values(first.effective)
        for trial in self._earlier(first):
            self._take(trial)
        try:
            self._plan()
            self._race()
        except KeyboardInterrupt:
            self._stopped = True
            raise
        finally:
            self._drop_slower()
            self._note_untried()

    def _race(self) -> None:
        """Measure new settings, then pairs of the closest, until nothing is left to learn or the time is used up."""
        while True:
            estimates = self._drop_slower()
            cases = [] if self.needed else self._new_settings(estimates)
            if cases:
                self._measure_round(cases)
            elif (rival := self._closest_rival(estimates)) is None or not self._measure_pair(rival):
                break
        self.complete = not self.needed

    def seconds_left(self) -> float:
        """Remaining seconds of the search, without those of the proof."""
        reserve = min(self._reserve(self.cost(self.present), self.cost(self._leader)), self._budget / 2)
        return self._budget - reserve - (self._measurer.clock() - self._began)

    def estimates(self) -> Estimates:
        """Estimate from all trials with a figure."""
        return Estimates(
            [Observation(t.case, t.block, math.log(t.seconds), t.paired) for t in self.trials if t.seconds is not None],
            self._noise,
        )

    @property
    def measured(self) -> list[Case]:
        """Cases with a figure, in the order of their first trial."""
        return list(dict.fromkeys(trial.case for trial in self.trials if trial.seconds is not None))

    @property
    def alive(self) -> list[Case]:
        """Cases with a figure that are not known to be slower, and did not fail later; the present one stays."""
        failed = {trial.case for trial in self.trials if trial.seconds is None} - {self.present}
        return [case for case in self.measured if case not in self.dropped and case not in failed]

    def difference(self, case: Case) -> Difference:
        """Return the difference of a case to the present settings."""
        return self.estimates().difference(case, self.present) if case in self.measured else UNKNOWN

    @property
    def drift(self) -> float:
        """Range of the machine's speed over the blocks of this search, a share; a pair is too short to show it."""
        return self.estimates().drift({trial.block for trial in self.trials if not (trial.earlier or trial.paired)})

    def winner(self) -> Case:
        """Return the fastest settings; of about equal ones, those that change the least.

        The present settings win where no other is faster by the margin within its interval.
        """
        estimates = self.estimates()
        fastest = estimates.fastest(self.alive, self.present)
        behind = {case: estimates.difference(case, fastest) for case in self.alive}
        close = [case for case, known in behind.items() if math.isfinite(known.half) and abs(known.log) <= ALIKE]
        chosen = min(close, key=lambda case: (len(changes(self.present, case)), behind[case].log))
        gain = estimates.difference(chosen, self.present)
        return self.present if gain.low >= -self._margin else chosen

    def tried(self) -> list[Tried]:
        """Return what became of all settings that were tried, the fastest first and those without a figure last."""
        estimates, rows = self.estimates(), []
        for case in dict.fromkeys(trial.case for trial in self.trials):
            own = [trial for trial in self.trials if trial.case == case]
            seconds = [trial.seconds for trial in own if trial.seconds is not None]
            known = estimates.difference(case, self.present) if seconds else UNKNOWN
            linked = math.isfinite(known.half)
            # What failed when it was measured again does not win, so that is what it is shown with.
            shown = [trial for trial in own if (trial.seconds is None) == (case != self.present)]
            outcome = (shown or own)[-1].outcome
            rows.append(
                Tried(
                    case=case,
                    status=outcome.status.value,
                    reason=self.dropped.get(case, "") or outcome.reason,
                    seconds_per_image=float(np.exp(np.mean(np.log(seconds)))) if seconds else None,
                    log=known.log if linked else None,
                    half=known.half if linked else None,
                    processes=len(seconds),
                    earlier=sum(trial.earlier for trial in own if trial.seconds is not None),
                )
            )
        return sorted(rows, key=lambda row: (row.log is None, row.log or 0.0))

    # Rounds

    def _plan(self) -> None:
        """Choose the settings of the first round: the whole product where there is time for it, else single changes."""
        everything = [case for case in self.space.product() if self._is_open(case)]
        affordable = int(self.seconds_left() / self.cost())
        small = len(everything) <= WHOLE_MOST and len(everything) * WHOLE_FACTOR <= affordable
        self._whole = small or len(self.space.values) < 2
        count = f"{len(everything)} combination{'s' if len(everything) != 1 else ''}"
        if self._whole:
            self.design = f"all {count}"
            self._waiting = everything
        else:
            self.design = (
                f"of {count}: each setting alone, of many numbers a few, then predicted combinations and neighbours of "
                f"the leader, in an order with seed {self._seed!r}; the closest in pairs with the leader"
            )
            singles = self.space.single_changes(FIRST_VALUES)
            self._waiting = [case for case in singles if self._is_open(case)]
        known = set(self.measured)
        self._waiting = [case for case in self._waiting if case not in known]

    def _new_settings(self, estimates: Estimates) -> list[Case]:
        """Return the settings to measure next that were not measured, as far as time is left; empty for none."""
        added, self._waiting, kept = self._waiting, [], 1
        if not added and not self._whole:
            added = self._proposals(estimates)
            kept += 2 * LEAST_PAIRS  # measurements, for pairs of the closest
        affordable = max(int(self.seconds_left() / self.cost()) - kept, 0)
        if (lacking := len(added) - affordable) > 0:
            self.needed = lacking * self.cost()
            added = added[:affordable]
        self._random.shuffle(added := list(added))
        return added

    def _closest_rival(self, estimates: Estimates) -> Case | None:
        """Return what to measure in a pair with the leader: of those with the fewest yet, what may be the fastest."""
        lows = {case: estimates.difference(case, self._leader).low for case in self.alive}
        rivals = [
            case
            for case in self.alive
            if case != self._leader
            and (pairs := self._pairs_with_leader(case)) < MOST_PAIRS
            and (lows[case] < -self._margin or (pairs < LEAST_PAIRS and self._is_close(estimates, case)))
        ]
        return min(rivals, key=lambda case: (self._pairs_with_leader(case), lows[case]), default=None)

    def _is_close(self, estimates: Estimates, case: Case) -> bool:
        """Whether a case is close to a leader that is clearly faster than the present settings."""
        gains = estimates.difference(self._leader, self.present).high < -self._margin
        return gains and estimates.difference(case, self._leader).log < CLOSE

    def _pairs_with_leader(self, case: Case) -> int:
        return sum(cases == {case, self._leader} for cases in self._paired.values())

    def _measure_pair(self, rival: Case) -> bool:
        """Measure a pair of a rival and the leader; return whether there was time for it."""
        cost = self.cost(rival) + self.cost(self._leader)
        if self.seconds_left() < cost:
            self.needed = max(self.needed, cost)
            return False
        block, self._reference_measured = self._new_block(), False
        self._paired[block] = {rival, self._leader}  # a pair that fails counts too, or it would be tried for ever
        for trial in self._measurer.measure_pair(self._leader, rival, block):
            self._take(trial)
            self._say(f"{self._line(trial)}, in a pair")
        self._changed()
        return True

    def _measure_round(self, cases: Sequence[Case]) -> None:
        """Measure settings in blocks, each with a reference: the leader, which an earlier block has."""
        waiting, block = list(cases), str(self._blocks)
        while waiting:
            first, self._reference_measured = self._reference_measured, False
            reference = self.present if first else self._drop_slower().fastest(self.alive, self.present)
            block = block if first else self._new_block()
            members, waiting = waiting[:BLOCK], waiting[BLOCK:]
            if not first and reference not in members:
                members.append(reference)
            self._random.shuffle(members)
            for place, case in enumerate(members):
                if case != reference and not self._is_open(case):
                    continue
                # Without the reference, nothing links a block to the others: time is kept for it.
                kept = self.cost(reference) if reference in members[place + 1 :] else 0.0
                if self.seconds_left() < self.cost(case) + kept:
                    self.needed = max(self.needed, self.cost(case) * (len(members) - place + len(waiting)))
                    if reference in members[place:] and any(trial.block == block for trial in self.trials):
                        self._measure(reference, block)
                    return
                self._measure(case, block)

    def _drop_slower(self) -> Estimates:
        """Find the leader, and drop the settings whose interval says that they are slower."""
        estimates = self.estimates()
        self.dropped = {}
        self._leader = estimates.fastest(self.alive, self.present)
        for case in self.alive:
            behind = estimates.difference(case, self._leader)
            enough = self._pairs_with_leader(case) >= LEAST_PAIRS or not self._is_close(estimates, case)
            if case != self._leader and behind.low > 0 and enough:
                least = math.expm1(behind.low) * 100
                self.dropped[case] = (
                    f"slower than {describe_change(self.present, self._leader)} by at least {least:.0f} %"
                )
        return estimates

    def _proposals(self, estimates: Estimates) -> list[Case]:
        """Return combinations that were not tried: those predicted to be the fastest, else neighbours of the leader."""
        predict, leader = self._prediction(estimates), self._leader
        best = estimates.difference(leader, self.present).log
        tried = {trial.case for trial in self.trials}
        near = {
            case: predict(case)
            for case in self.space.product()
            if case not in tried and self._is_open(case) and predict(case) - best < REACH
        }
        ranked = sorted(near, key=lambda case: (near[case], len(changes(self.present, case))))
        proposals = [case for case in ranked if near[case] - best < ALIKE][:PROPOSED]
        if proposals and best <= self._proposed_for - ALIKE:  # not where those of the last round brought nothing
            self._proposed_for = best
            return proposals
        if leader in self._explored:
            return []
        self._explored.add(leader)
        neighbours = set(self.space.neighbours(leader))
        return [case for case in ranked if case in neighbours]

    def _prediction(self, estimates: Estimates) -> Callable[[Case], float]:
        """Return a function that predicts ``ln(time / time of the present settings)`` by a sum over changed settings.

        A setting without any measurement has no prediction: the function then returns infinity.
        """
        rows = [
            (changes(self.present, case), estimates.difference(case, self.present).log)
            for case in self.measured
            if math.isfinite(estimates.difference(case, self.present).half)
        ]
        columns = list(dict.fromkeys(item for changed, _ in rows for item in changed.items()))
        matrix = np.array([[float(changed.get(name) == value) for name, value in columns] for changed, _ in rows])
        if not columns:
            return lambda case: math.inf
        ridge = np.vstack([matrix, 0.1 * np.eye(len(columns))])
        effects = np.linalg.lstsq(ridge, np.array([log for _, log in rows] + [0.0] * len(columns)), rcond=None)[0]
        effect = dict(zip(columns, effects.tolist(), strict=True))
        for name, values in self.space.values.items():
            known = {value: log for (axis, value), log in effect.items() if axis == name}
            effect |= {(name, value): log for value, log in self._between(name, values, known).items()}
        return lambda case: sum(effect.get(item, math.inf) for item in changes(self.present, case).items())

    def _between(self, name: str, values: Sequence[Any], known: dict[Any, float]) -> dict[Any, float]:
        """Predict the values of a setting that were not measured, on straight lines between those that were.

        Empty where the setting has no numbers. The lines are over the logarithm of the value.
        """
        points = {self.present.value(name): 0.0, **known}
        if not known or not all(is_number(value) for value in (*points, *values)):
            return {}
        xs = sorted(points)
        logs = [math.log1p(x) for x in xs]
        missing = [value for value in values if value not in points]
        return {value: float(np.interp(math.log1p(value), logs, [points[x] for x in xs])) for value in missing}

    # Measurements

    def _new_block(self) -> str:
        self._blocks += 1
        return str(self._blocks)

    def cost(self, case: Case | None = None) -> float:
        """Return the expected seconds of a measurement: of a case the mean of its own, else of all."""
        own = [trial.cost for trial in self.trials if trial.case == case and not trial.earlier]
        costs = own or [trial.cost for trial in self.trials if not trial.earlier and trial.seconds is not None]
        return sum(costs) / len(costs) if costs else 0.0

    def _measure(self, case: Case, block: str) -> Trial:
        trial = self._measurer.measure(case, block)
        self._take(trial)
        self._say(self._line(trial))
        self._changed()
        return trial

    def _take(self, trial: Trial) -> None:
        """Add a trial, and learn from its outcome which settings do not run."""
        self.trials.append(trial)
        if trial.paired:
            self._paired[trial.block].add(trial.case)
        if trial.seconds is None and trial.case != self.present:
            self.rules += rules_of(trial, self.present)

    def _is_open(self, case: Case) -> bool:
        """Whether settings may be tried, or measured again."""
        if case in self.dropped or any(rule.applies(case) for rule in self.rules):
            return False
        failed = any(trial.case == case and trial.seconds is None for trial in self.trials)
        return not failed and (case in self.measured or not self._measurer.why_not(case))

    def _drop_present_values(self, effective: dict[str, Any]) -> None:
        """Leave out values that run already, whatever they are called."""
        for name, values in self.space.values.items():
            axis = axes()[name]
            for value in values:
                if not axis.fixed and axis.setting in effective and effective[axis.setting] == axis.expected(value):
                    self.space = self.space.without(name, value)
                    self.not_tried.append(NotTried(settings_text({name: value}), "it is what runs already"))

    def _note_untried(self) -> None:
        """Note why values and combinations were not tried."""
        tried = {trial.case for trial in self.trials}
        reasons: dict[str, list[Case]] = defaultdict(list)
        predict = self._prediction(self.estimates()) if self.measured else lambda case: math.inf
        for case in self.space.product():
            if case not in tried:
                reasons[self._why_untried(case, predict(case))].append(case)
        for reason, cases in reasons.items():
            if len(cases) == 1:
                text = describe_change(self.present, cases[0])
            else:
                common = dict(set.intersection(*(set(changes(self.present, case).items()) for case in cases)))
                text = f"{len(cases)} combinations{f' with {settings_text(common)}' if common else ''}"
            self.not_tried.append(NotTried(text, reason))

    def _why_untried(self, case: Case, predicted: float) -> str:
        rule = next((rule for rule in self.rules if rule.applies(case)), None)
        if rule is not None:
            return rule.reason
        if why := self._measurer.why_not(case):
            return why
        if math.isfinite(predicted) and not self.needed and not self._stopped:
            return "predicted to be no faster than what was tried, from the effects of single settings"
        return "the search was stopped" if self._stopped else "no time was left"

    def _line(self, trial: Trial) -> str:
        name = describe_change(self.present, trial.case)
        if trial.seconds is None:
            return f"{name}: {trial.outcome.status.value.replace('_', ' ')}: {trial.outcome.reason}"
        known = self.difference(trial.case)
        text = f"{name}: {1 / trial.seconds:.3g} images/s"
        if trial.case == self.present or not math.isfinite(known.half):
            return text
        return f"{text}, {math.exp(-known.log):.2f} times as fast as the present settings"


def value_texts(values: dict[str, list[Any]]) -> dict[str, list[str]]:
    """Return values by axis as text."""
    return {name: [value_text(name, value) for value in others] for name, others in values.items()}


def untried_axes(left_out: Iterable[tuple[str, str]], names: Collection[str]) -> list[NotTried]:
    """Return the axes that are not searched, with the reasons, but for those that are."""
    return [NotTried(name, reason) for name, reason in left_out if name not in names]
