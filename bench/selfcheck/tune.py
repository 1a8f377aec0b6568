"""Check the search for the fastest settings: on a simulated machine, and against an exhaustive grid on this one."""

from __future__ import annotations

import contextlib
import itertools
import random
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.cases import Case
from bench.cases.device_kinds import kind_of
from bench.environments.interpreter import Interpreter
from bench.formatting import format_rough_duration
from bench.machine.fingerprint import devices
from bench.machine.limits import usable_processors
from bench.records.store import Store
from bench.records.tune import Tuning
from bench.runner.estimate import Estimator
from bench.runner.launchers.local import Launcher, open_launcher
from bench.runner.run import Run
from bench.selfcheck.check import Check
from bench.selfcheck.simulated_machine import (
    DECODING,
    SimulatedMachine,
    Simulation,
    decoding_seconds,
    grid_behind,
    simulate,
    small_seconds,
)
from bench.tune.answer import Verdict, answer
from bench.tune.measurer import Planner
from bench.tune.service import TuneRequest, begin, tune
from bench.tune.space import Space, describe_change

SIMULATED = 40
"""Simulated searches of each kind."""

SLACK, SHARE = 0.03, 0.25
"""Goals: an answer within 3 % of the best of the grid, in a quarter of the grid's time."""

GRID_PROCESSES = 3
"""Processes of each cell of the exhaustive grid: with fewer, the best cell is as often luck."""

LEAST_CELLS = 54

CLOSE, FURTHER_PROCESSES = 0.15, 5
"""Cells this close to the best of the grid are measured in so many further processes, to know which is the best."""

LARGE, SMALL = 2048, (64, 64)
"""Pixels per side of large images; images and pixels of a small data set, where decoding holds nothing up."""

KEPT_BATCHES = 8
"""Batches of decoded images that Ultralytics keeps (``max_buffer_length`` of its datasets): an epoch has to be longer
for any image to be decoded again."""

SIZE = 64
"""Image size of training, so small that images take longer to decode than to train on."""

SMALL_BUDGET = 300.0

PROBLEMS: dict[str, tuple[Callable[[Mapping[str, Any]], float], dict[str, Any]]] = {
    "decoding is the bottleneck": (decoding_seconds, {}),
    "the same, slower by 20 % after five minutes": (decoding_seconds, {"step": 0.2}),
    "the same, with twice the noise": (decoding_seconds, {"noise": 0.04}),
    "the defaults are the best": (small_seconds, {}),
}
"""Simulated machines by name: seconds per image, and how it differs from a usual machine."""


def simulations(problem: str, count: int, budget: float = 1e6) -> list[Simulation]:
    """Return searches on a simulated machine, each with its own noise; ``compile`` does not run on it."""
    return [simulate(simulated(problem, seed), DECODING, str(seed), budget=budget) for seed in range(count)]


def simulated(problem: str, seed: int) -> SimulatedMachine:
    """Return a simulated machine by the name of its problem."""
    seconds, machine = PROBLEMS[problem]
    return SimulatedMachine(seconds, random.Random(seed), substituted=(("compile", "on"),), measured=[], **machine)


def simulated_checks() -> Iterator[Check]:
    """Check the search by simulation; takes seconds and measures nothing."""
    for problem in PROBLEMS:
        results = simulations(problem, SIMULATED)
        close = sum(result.behind <= SLACK for result in results)
        whole, alone = ([getattr(result, name) for result in results] for name in ("share", "search_share"))
        grids = {
            processes: sum(
                grid_behind(simulated(problem, seed), DECODING, processes) <= SLACK for seed in range(SIMULATED)
            )
            for processes in (1, GRID_PROCESSES)
        }
        yield Check(
            f"Simulated: {problem}",
            f"within {SLACK:.0%} of the best in {close} of {SIMULATED}; keeps the defaults in "
            f"{sum(result.keeps for result in results)}; {statistics.median(whole):.0%} of the grid's time "
            f"(at most {max(whole):.0%}), {statistics.median(alone):.0%} without the proof",
            f"{SLACK:.0%}, {SHARE:.0%}" if PROBLEMS[problem][0] is decoding_seconds else f"{SLACK:.0%}",
            f"{DECODING.size + 1} cells, {GRID_PROCESSES} processes each; the lowest mean of a grid is within "
            f"{SLACK:.0%} in {grids[GRID_PROCESSES]}, and with one process per cell in {grids[1]}",
        )


def checks(interpreter: Interpreter, seeds: int, say: Callable[[str], None]) -> Iterator[Check]:
    """Check by simulation, then on this machine: large JPEGs against a grid, and a small set with the best defaults.

    Args:
        interpreter: of the environment.
        seeds: searches of each data set; 0 leaves this machine out.
        say: receives lines of progress.
    """
    yield from simulated_checks()
    if not seeds:
        return
    with (
        tempfile.TemporaryDirectory(prefix="yolopace-") as name,
        contextlib.closing(open_launcher(interpreter)) as launcher,
    ):
        folder = Path(name)
        launcher.wait()
        yield from large_checks(launcher, folder, seeds, say)
        yield small_check(launcher, folder, seeds, say)


def large_checks(launcher: Launcher, folder: Path, seeds: int, say: Callable[[str], None]) -> Iterator[Check]:
    """Search on large JPEGs, and compare the answers with the best cell of an exhaustive grid."""
    space = large_space(devices()[0])
    data = make_images(folder / "large", KEPT_BATCHES * (max(space.values["batch"]) + 1), LARGE)
    say(f"measuring an exhaustive grid of {space.size + 1} cells, {GRID_PROCESSES} processes each ...")
    seconds, grid_time = exhaustive(launcher, space, data, folder, say)
    best = min(seconds, key=seconds.__getitem__)
    behind, shares, answers = [], [], []
    for seed in range(seeds):
        began = time.monotonic()
        tuning = search(launcher, space, data, folder / f"seed-{seed}", grid_time * SHARE * 0.96, str(seed), say)
        shares.append((time.monotonic() - began) / grid_time)
        result = answer(tuning)
        chosen = space.present if result.verdict is Verdict.KEEP else tuning.winner or space.present
        answers.append(f"{describe_change(space.present, chosen)} ({result.verdict})")
        behind.append(seconds.get(chosen, float("inf")) / seconds[best] - 1)
        say(f"seed {seed}: {answers[-1]}, {behind[-1]:.1%} behind the best, in {shares[-1]:.0%} of the grid's time")
    close = sum(share <= SLACK for share in behind)
    yield Check(
        "Answer on large JPEGs, behind the best cell",
        f"within {SLACK:.0%} in {close} of {seeds}: {', '.join(f'{share:.1%}' for share in behind)}",
        f"{SLACK:.0%} in {seeds} of {seeds}",
        f"best of {len(seconds)} cells: {describe_change(space.present, best)}; answers: {'; '.join(answers)}",
    )
    yield Check(
        "Time of search and proof over that of the grid",
        ", ".join(f"{share:.0%}" for share in shares),
        f"<= {SHARE:.0%}",
        f"grid: {format_rough_duration(grid_time)}, {len(seconds)} cells, {GRID_PROCESSES} processes each",
    )


def small_check(launcher: Launcher, folder: Path, seeds: int, say: Callable[[str], None]) -> Check:
    """Search on a small set where the present settings are the best, and count how often the answer says so."""
    data = make_images(folder / "small", *SMALL)
    present = large_space(devices()[0]).present
    values: dict[str, list[Any]] = {"threads": [4 * usable_processors(), 8 * usable_processors()]}
    space = Space(present, values | ({} if kind_of(present.device).on_host else {"workers": [0]}))
    verdicts = []
    for seed in range(seeds):
        tuning = search(launcher, space, data, folder / f"small-{seed}", SMALL_BUDGET, str(seed), say)
        verdicts.append(answer(tuning).verdict)
        say(f"seed {seed}: {verdicts[-1]}")
    return Check(
        "Small set where the defaults are the best",
        f"says so in {sum(verdict is Verdict.KEEP for verdict in verdicts)} of {seeds}",
        f"{seeds} of {seeds}",
        f"{SMALL[0]} images of {SMALL[1]} px; tried {', '.join(values)} with values that slow it down",
    )


def large_space(device: str) -> Space:
    """Return settings of at least :data:`LEAST_CELLS` cells for a device."""
    kind, cores = kind_of(device), usable_processors()
    present = Case(mode="train", model="yolov8n", device=device, amp="off", batch=4, imgsz=SIZE)
    values: dict[str, list[Any]] = {"cache": ["ram", "disk"]}
    if kind.on_host:
        values["threads"] = sorted({1, 2, max(cores // 2, 1), cores} - {max(min(8, cores - 1), 1)})
    else:
        values |= {"workers": [0, 2, 4]} if kind.own_memory else {}
    rest = len(list(itertools.product(*([None, *others] for others in values.values()))))
    values["batch"] = [batch for batch in range(1, -(-LEAST_CELLS // rest) + 1) if batch != present.batch]
    return Space(present, values)


def exhaustive(
    launcher: Launcher, space: Space, data: str, folder: Path, say: Callable[[str], None]
) -> tuple[dict[Case, float], float]:
    """Measure every cell in several processes, each round in random order; then the best ones in further processes.

    Returns:
        The geometric mean of the seconds per image of each cell with a figure, and the time that the grid took,
        without the further processes.
    """
    planner = Planner.for_space(space, data, 0)
    run = Run([], Store(folder, "grid"), launcher, Estimator())
    cells = [space.present, *space.product()]
    times: dict[Case, list[float]] = defaultdict(list)

    def measure_round(process: int, chosen: list[Case]) -> None:
        for cell in random.Random(process).sample(chosen, len(chosen)):
            record = run.measure(planner.plan(cell, process))
            if record.steps is not None and record.outcome.status.value == "measured":
                times[cell].append(1 / record.steps.images_per_second)

    def means() -> dict[Case, float]:
        return {cell: float(np.exp(np.mean(np.log(own)))) for cell, own in times.items()}

    began = time.monotonic()
    for process in range(1, GRID_PROCESSES + 1):
        measure_round(process, cells)
        say(f"round {process} of the grid: {format_rough_duration(time.monotonic() - began)} so far")
    grid_time, rough = time.monotonic() - began, means()
    close = [cell for cell, seconds in rough.items() if seconds <= min(rough.values()) * (1 + CLOSE)]
    for process in range(GRID_PROCESSES + 1, GRID_PROCESSES + FURTHER_PROCESSES + 1):
        measure_round(process, close)
    for cell in sorted(close, key=means().__getitem__):
        rates = ", ".join(f"{1 / seconds:.3g}" for seconds in times[cell])
        say(f"{describe_change(space.present, cell)}: {1 / means()[cell]:.3g} images/s of {rates}")
    return means(), grid_time


def search(
    launcher: Launcher, space: Space, data: str, folder: Path, budget: float, seed: str, say: Callable[[str], None]
) -> Tuning:
    """Search and prove in a folder of its own, so that no search starts from the records of another."""
    request = TuneRequest(space=space, data=data, budget=budget, seed=seed, margin=SLACK)
    tuning = begin(request, launcher, say)
    tune(request, tuning, launcher, folder, say=say, on_pair=lambda compared, problem: None)
    return tuning


def make_images(folder: Path, count: int, size: int) -> str:
    """Make a data set of JPEGs with image content that takes time to decode; return its data yaml."""
    from PIL import Image

    draw = np.random.default_rng(0)
    for part, images in (("train", count), ("val", 2)):
        for kind in ("images", "labels"):
            (folder / kind / part).mkdir(parents=True)
        for number in range(images):
            coarse = draw.integers(0, 255, (max(size // 8, 8), max(size // 8, 8), 3), dtype=np.uint8)
            picture = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
            picture.save(folder / "images" / part / f"{number}.jpg", quality=92)
            (folder / "labels" / part / f"{number}.txt").write_text("0 0.5 0.5 0.2 0.2\n", encoding="utf-8")
    text = f"path: {folder.absolute()}\ntrain: images/train\nval: images/val\nnames: [thing]\n"
    (folder / "data.yaml").write_text(text, encoding="utf-8")
    return str(folder / "data.yaml")
