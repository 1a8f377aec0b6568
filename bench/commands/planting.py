"""Does ``regress`` find what is there, and nothing else? Whole comparisons with effects that were planted.

Beside each of them the usual way: one run of base, then one of head, and their medians compared at 5 %.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from bench.analysis.upgrade import Finding, upgrade
from bench.analysis.verdict import Verdict, estimate, outstanding
from bench.cases.axes import AXES
from bench.cases.case import parse_case
from bench.cases.matrix import Planned, expand, profile
from bench.commands.comparing import begin
from bench.commands.shared import say
from bench.durations import about
from bench.errors import WrongUse
from bench.machine.fingerprint import machine
from bench.records.comparison import Comparison
from bench.records.store import new_run_name
from bench.runner.environments import Provided, provide
from bench.runner.interpreter import Interpreter, inspect
from bench.runner.launcher import Launcher, open_launcher
from bench.runner.measure import find_data
from bench.runner.pairs import Pairing, alone, measured
from bench.runner.regress import Regress
from bench.runner.resolution import resolve
from bench.runner.selfcheck.check import Check
from bench.runner.selfcheck.planted import prepare
from bench.runner.specification import Specification

CASE = "train-yolov8n-cpu-fp32-b4-i160"

USUAL = 0.05
"""By how much medians of two runs have to differ for the usual way to call it a difference."""


class Effect(msgspec.Struct, frozen=True):
    """Something that is planted in head.

    Attributes:
        name: of the option.
        share: of the mean step; 0 for a copy of base.
        where: in which part, a key of :data:`bench.runner.selfcheck.planted.WHERE`.
        margin: of the comparison, as a share.
        comparisons: at most so many of them; 0: as many as were asked for.
        goal: what is to come of it.
    """

    name: str
    share: float
    where: str
    margin: float
    goal: str
    comparisons: int = 0


EFFECTS = {
    effect.name: effect
    for effect in (
        Effect("none", 0.0, "forward", 0.01, "none slower or faster; ≤ 1 % after 8 pairs"),
        Effect("+5%", 0.05, "forward", 0.03, "slower in 19 of 20"),
        Effect("+2%", 0.02, "forward", 0.01, "slower in 15 of 20"),
        Effect("optimizer", 0.05, "optimizer", 0.03, "slower, by the optimizer", 3),
        Effect("data", 0.05, "data", 0.03, "slower, by data", 3),
    )
}


class Trial(msgspec.Struct, frozen=True):
    """One whole comparison.

    Attributes:
        finding: of its one case.
        planted: logarithm of the ratio that was planted, over the mean step of base in this comparison.
        half: half the width of the 95 % interval of its first eight pairs; None with fewer.
        usual: logarithm of the ratio of medians by the usual way.
        seconds: that it took, importing torch on both sides included; the usual way apart.
    """

    finding: Finding
    planted: float
    half: float | None
    usual: float
    seconds: float


def chosen(text: str) -> list[Effect]:
    """Effects by their names; raises :class:`WrongUse` for one that does not exist."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in EFFECTS:
            raise WrongUse(f"effect {name!r} is unknown: use some of {','.join(EFFECTS)}.")
    return [EFFECTS[name] for name in dict.fromkeys(names)] or list(EFFECTS.values())


def checks(interpreter: Interpreter, effects: Sequence[Effect], comparisons: int) -> Iterator[Check]:
    """Plant every effect, compare as often as was asked for, and say what came of it.

    Args:
        interpreter: its versions of torch and Ultralytics are installed anew, twice, and once more to be patched.
        effects: what is planted.
        comparisons: of each, where it does not say how many.

    Raises:
        WrongUse: where the environments cannot be built.
    """
    environment = interpreter.environment
    torch = environment.torch.partition("+")[0]
    specification = Specification.parse(f"ultralytics=={environment.ultralytics},torch=={torch}")
    base, copy = provide(specification, "", say), provide(specification, "", say, copy=1)
    patched = prepare(resolve(specification), say)
    head = msgspec.structs.replace(copy, interpreter=inspect(patched.python), key="planted")
    case = parse_case(CASE)
    [planned] = expand(profile("regress"), [case.device], {name: [getattr(case, name)] for name in AXES})
    step = 0.0
    for effect in effects:
        trials: list[Trial] = []
        count = min(comparisons, effect.comparisons or comparisons)
        try:
            for number in range(count):
                if effect.share and not step:
                    step = mean_step(base, planned)
                patched.plant(effect.where, effect.share * step)
                side = head if effect.share else copy
                trial = compare(effect, base, side, planned, effect.share * step)
                step = trial.finding.base.seconds if trial.finding.base else step
                trials.append(trial)
                say(f"{effect.name} {number + 1}/{count}: {line(trial)}")
        finally:
            patched.plant("forward", 0.0)
            if trials:
                yield from scored(effect, trials)


def mean_step(base: Provided, planned: Planned) -> float:
    """Seconds of the mean step of base, to plant a share of it."""
    launcher = open_launcher(base.interpreter)
    try:
        data = find_data(launcher, planned)
        return measured(alone(Pairing((launcher, launcher), planned, (data, data)), 0).measured).steps.step_seconds
    finally:
        launcher.close()


def compare(effect: Effect, base: Provided, head: Provided, planned: Planned, planted: float) -> Trial:
    """One whole comparison, and beside it the usual way."""
    sides = base, head
    name = f"selfcheck-{new_run_name(machine().fingerprint)}"
    comparison = begin(sides, [planned], name, "", effect.margin, 0.02)
    launchers = open_launcher(base.interpreter), open_launcher(head.interpreter)
    try:
        with tempfile.TemporaryDirectory(prefix="yolopace-") as folder:
            seconds = run(comparison, launchers, Path(folder))
        usual = in_sequence(launchers, planned)
    finally:
        for launcher in launchers:
            launcher.close()
    [finding] = upgrade(comparison).findings
    logs = comparison.cases[0].looks[:8]
    return Trial(
        finding=finding,
        planted=math.log1p(planted / finding.base.seconds) if finding.base else math.nan,
        half=estimate(logs).half if len(logs) == 8 else None,
        usual=usual,
        seconds=seconds,
    )


def run(comparison: Comparison, launchers: tuple[Launcher, Launcher], folder: Path) -> float:
    """Measure until all is decided; the seconds that it took."""
    began = time.monotonic()
    Regress(comparison, launchers, folder, outstanding, lambda compared, said: None).run()
    return time.monotonic() - began


def in_sequence(launchers: tuple[Launcher, Launcher], planned: Planned) -> float:
    """The usual way: a run of base, then one of head; the logarithm of the ratio of their medians."""
    data = [find_data(launcher, planned) for launcher in launchers]
    pairing = Pairing(launchers, planned, (data[0], data[1]))
    medians = [statistics.median(measured(alone(pairing, number).measured).steps.window) for number in (0, 1)]
    return math.log(medians[1] / medians[0])


def line(trial: Trial) -> str:
    """One comparison in a line."""
    judged = trial.finding.judged
    said = (
        f"{judged.verdict} {judged.estimate.log * 100:+.2f} ± {judged.estimate.half * 100:.2f} %"
        if judged
        else "no pair"
    )
    half = f", ± {trial.half * 100:.2f} % after 8 pairs" if trial.half is not None else ""
    looks, fresh = trial.finding.pairs
    return (
        f"{said} (planted {trial.planted * 100:+.2f} %){half}, {looks} + {fresh} pairs in {about(trial.seconds)}; "
        f"the usual way {trial.usual * 100:+.1f} %"
    )


def scored(effect: Effect, trials: Sequence[Trial]) -> Iterator[Check]:
    """What came of all comparisons of an effect."""
    count = len(trials)
    words = [trial.finding.verdict for trial in trials]
    said = {verdict: words.count(verdict) for verdict in Verdict if verdict in words}
    figure = ", ".join(f"{verdict} {times} of {count}" for verdict, times in said.items())
    seconds = [trial.seconds for trial in trials]
    pairs = [sum(trial.finding.pairs) for trial in trials]
    title = f"{effect.share * 100:g} % planted in {effect.where}" if effect.share else "The same against its copy"
    middle = f"median {statistics.median(pairs):g} pairs, {about(statistics.median(seconds))}"
    how = f"margin {effect.margin * 100:g} %; {middle}, at most {about(max(seconds))}"
    if effect.share:
        logs = [trial.finding.judged.estimate.log - trial.planted for trial in trials if trial.finding.judged]
        how += f"; found {statistics.fmean(logs) * 100:+.2f} % beside what was planted"
    if effect.where != "forward":
        named = sum(bool(trial.finding.parts) and largest(trial.finding) == effect.where for trial in trials)
        figure += f"; that part grew most in {named} of {count}"
    yield Check(title, figure, effect.goal, how)
    halves = [trial.half for trial in trials if trial.half is not None]
    if not effect.share and halves:
        within = sum(half <= 0.01 for half in halves)
        yield Check(
            "Half the 95 % interval of eight such pairs",
            f"median {statistics.median(halves) * 100:.2f} %, at most 1 % in {within} of {len(halves)}",
            "≤ 1 %",
            f"from {min(halves) * 100:.2f} to {max(halves) * 100:.2f} %",
        )
    least = math.log1p(USUAL)
    slower = sum(trial.usual > least for trial in trials)
    faster = sum(trial.usual < -least for trial in trials)
    sizes = sorted(math.expm1(trial.usual) * 100 for trial in trials)
    yield Check(
        f"{title}, the usual way",
        f"slower {slower} of {count}, faster {faster} of {count}",
        "",
        f"a run of base, then one of head, medians at {USUAL * 100:g} %; from {sizes[0]:+.1f} to {sizes[-1]:+.1f} %",
    )


def largest(finding: Finding) -> str:
    """The part of a step that grew most."""
    return max(finding.parts, key=lambda part: part.change).name
