"""Records as they come out of real runs, for any test that needs some. Every field can be changed by its name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from bench.cases import Case, Recipe
from bench.cases.recipe import overrides_for
from bench.machine.description import Conditions, Machine
from bench.records.ceiling import Ceiling, MemoryFit, Probe
from bench.records.comparison import CaseComparison, Comparison, EnvironmentSide, Measurement, Pair, SideOutcome
from bench.records.outcome import Outcome, Status
from bench.records.record import Data, Durations, Environment, Memory, Phase, Record, Window
from bench.records.steps import Steps

GIB = 2**30


def make_case(**changes: Any) -> Case:
    """``train-yolov8n-cpu-fp32-b16-i160``, but for the changes."""
    case = Case(mode="train", model="yolov8n", device="cpu", amp="off", batch=16, imgsz=160)
    return msgspec.structs.replace(case, **changes)


def make_recipe(mode: str = "train", **changes: Any) -> Recipe:
    """The recipe of profile ``quick`` on the CPU, but for the changes."""
    recipe = Recipe(warmup_seconds=2.0, window_steps=12, window_seconds=2.0, overrides=overrides_for(mode))
    return msgspec.structs.replace(recipe, **changes)


def make_steps(
    window: list[float] | None = None,
    *,
    warmup: list[float] | None = None,
    images: int | list[int] = 16,
    accumulation_steps: int = 1,
    optimizer: list[int] | None = None,
    data_wait: float = 0.0,
    epoch_gaps: list[float] | None = None,
    timed_accumulation_steps: int = 0,
) -> Steps:
    """Steps with the given seconds; the optimizer ran in every last step of a cycle unless said otherwise."""
    before = [0.5, 0.5] if warmup is None else warmup
    seconds = before + ([0.25] * 4 if window is None else window)
    if optimizer is None:
        optimizer = [
            index
            for index in range(len(seconds))
            if (index + 1) % (timed_accumulation_steps or accumulation_steps) == 0
        ]
    return Steps(
        warmup=len(before),
        seconds=seconds,
        data_wait=[data_wait] * len(seconds),
        images=images,
        optimizer=optimizer,
        accumulation_steps=accumulation_steps,
        epoch_gaps=epoch_gaps or [],
        timed_accumulation_steps=timed_accumulation_steps,
    )


def make_machine(**changes: Any) -> Machine:
    """A box without a GPU, but for the changes."""
    machine = Machine(
        fingerprint="3f9ac2d41b07",
        system="Linux x86_64",
        cpu="AMD EPYC 7R13 Processor",
        cores=8,
        memory_gib=31,
    )
    return msgspec.structs.replace(machine, **changes)


def make_environment(torch: str = "2.14.1", ultralytics: str = "8.4.100") -> Environment:
    """Python 3.12 with these versions."""
    packages = {
        "ultralytics": ultralytics,
        "torch": torch,
        "torchvision": "0.29.1",
        "numpy": "2.4.1",
        "opencv-python-headless": "4.13.0.90",
        "pillow": "12.1.0",
    }
    return Environment(python="3.12.4", packages=packages, yolopace="0.1.0")


def make_record(**changes: Any) -> Record:
    """A measured training case with every field filled in, but for the changes.

    Fields of the case (``device``, ``batch``, ...) may be given with those of the record. A ``status`` other than
    ``measured`` takes the steps away; ``reason`` goes with it.
    """
    axes = {name: changes.pop(name) for name in Case.__struct_fields__ if name in changes and name != "device"}
    if isinstance(changes.get("device"), str):
        axes["device"] = changes.pop("device")
    case = changes.pop("case", None) or make_case(**axes)
    status = Status(changes.pop("status", "measured"))
    reason = changes.pop("reason", "" if status is Status.MEASURED else "It did not work.")
    measured = status is Status.MEASURED
    fields: dict[str, Any] = {
        "run": "20261122-184512-3f9ac2",
        "started": "2026-11-22T18:45:14+00:00",
        "case": case,
        "recipe": make_recipe(case.mode),
        "outcome": Outcome(status, reason),
        "machine": make_machine(),
        "environment": make_environment(),
        "conditions": Conditions(
            load=0.42,
            memory_available_bytes=27 * GIB + 4096,
            swap_used_bytes=0,
            on_battery=None,
            governor="performance",
        ),
        "data": Data(name="coco-like", fingerprint="9b1f4e0c7a23", images=1024),
        "durations": Durations(setup=1.2345, warmup=4.5678, total=9.8765),
    }
    if measured:
        fields |= {
            "effective": make_effective(case),
            "steps": make_steps(images=case.batch),
            "phases": {"forward": Phase([0.125], "calls of the window")} if case.mode == "predict" else {},
            "memory": {
                "allocated": Memory(None, "torch keeps no statistics of its CPU allocator"),
                "reserved": Memory(None, "torch keeps no statistics of its CPU allocator"),
                "process": Memory(1_234_567_168, "VmHWM, peak resident set since set-up"),
                "device": Memory(None, "a CPU has no memory apart from the machine's"),
            },
            "device": {"capability": "AVX2", "mkldnn": True},
            "window": Window(wall_seconds=1.0, cpu_seconds=6.9, involuntary_switches=12, processors=8),
            "checks": {"loss": {"box_loss": 3.1416, "cls_loss": 5.4321, "dfl_loss": 4.2424}},
        }
    return Record(**(fields | changes))


def make_effective(case: Case) -> dict[str, Any]:
    """What a trainer or predictor that honours the case tells of itself."""
    shared = {
        "device": case.device,
        "amp": case.amp,
        "batch": case.batch,
        "imgsz": case.imgsz,
        "channels_last": False,
        "classes": 80,
        "parameters": 3_157_200,
        "weights": "random",
        "threads": 7,
        "deterministic": case.mode == "train",
        "cudnn_benchmark": False,
        "cudnn_tf32": True,
        "matmul_tf32": False,
        "mps_fallback": "0",
    }
    if case.mode == "predict":
        return {**shared, "fused": True, "end2end": False}
    return {
        **shared,
        "workers": 4,
        "optimizer": "SGD",
        "accumulate": 4,
        "nbs": 64,
        "mosaic": 1.0,
        "loss_scaling": False,
        "compiled": False,
        "images": 1024,
    }


def make_measured(seconds: float = 0.25, **changes: Any) -> Measurement:
    """One process of a pair with steps of so many seconds, parts of which add up to nine tenths of them."""
    parts = {"preprocess": 0.05, "forward": 0.3, "backward": 0.4, "optimizer": 0.1}
    fields: dict[str, Any] = {
        "steps": make_steps([seconds] * 4, warmup=[seconds], data_wait=0.05 * seconds),
        "phases": {name: Phase([share * seconds], "host clock, steps of the window") for name, share in parts.items()},
        "memory": {
            "allocated": Memory(None, "torch keeps no statistics of its CPU allocator"),
            "process": Memory(640 * 2**20, "VmHWM, peak resident set since set-up"),
        },
        "cpu_seconds": 1.0,
    }
    return Measurement(**(fields | changes))


def make_pair(log: float = 0.0, **changes: Any) -> Pair:
    """A pair of which head took ``exp(log)`` times as long as base; both measured sides can be changed."""
    fields: dict[str, Any] = {
        "started": "2026-11-22T18:45:14+00:00",
        "head_first": False,
        "base": make_measured(),
        "head": make_measured(0.25 * math.exp(log)),
        "seconds": 12.0,
    }
    return Pair(**(fields | changes))


def make_pairs(logs: Sequence[float], **changes: Any) -> list[Pair]:
    """Pairs with these logarithms; each side is started first in every second one."""
    return [make_pair(log, head_first=bool(number % 2), **changes) for number, log in enumerate(logs)]


def make_compared(looks: Sequence[float] = (), fresh: Sequence[float] = (), **changes: Any) -> CaseComparison:
    """A case with pairs of these logarithms; fields of the case may be given with its own."""
    own = {name: changes.pop(name) for name in Case.__struct_fields__ if name in changes}
    case = make_case(**own)
    ran = SideOutcome(effective=make_effective(case)) if looks else None
    fields: dict[str, Any] = {
        "case": case,
        "recipe": make_recipe(case.mode),
        "base": ran,
        "head": ran,
        "pairs": [*make_pairs(looks), *make_pairs(fresh, confirmation=True)],
    }
    return CaseComparison(**(fields | changes))


def make_side(torch: str = "2.14.1", **changes: Any) -> EnvironmentSide:
    """An environment with this torch."""
    environment = make_environment(torch)
    packages = sorted(f"{name}=={version}" for name, version in environment.packages.items())
    fields = {"asked": f"torch=={torch}", "key": f"key of torch {torch}", "packages": packages}
    return EnvironmentSide(**({**fields, "environment": environment} | changes))


def make_comparison(cases: Sequence[CaseComparison] = (), **changes: Any) -> Comparison:
    """torch 2.14.1 against 2.15.0 on a box without a GPU."""
    fields: dict[str, Any] = {
        "run": "20261122-184512-3f9ac2",
        "started": "2026-11-22T18:45:12+00:00",
        "machine": make_machine(),
        "base": make_side(),
        "head": make_side("2.15.0"),
        "margin": 0.03,
        "margin_from": "calibrated 2026-11-20",
        "memory_margin": 0.05,
        "cases": list(cases),
        "seconds": sum(pair.seconds for case in cases for pair in case.pairs),
    }
    return Comparison(**(fields | changes))


def make_ceiling(
    batch: int = 24, *, limit: int | None = 4 * GIB, stop_reason: str = "out of memory", **changes: Any
) -> Ceiling:
    """A ceiling that four probes found: 0.5 GiB and 128 MiB an image. Axes of the case may be given by their names."""
    axes = {name: changes.pop(name) for name in ("model", "device", "amp", "imgsz") if name in changes}
    slope, base = 128 * 2**20, GIB // 2

    def probe(tried_batch: int) -> Probe:
        if tried_batch <= batch:
            return Probe(
                batch=tried_batch,
                outcome=Outcome(Status.MEASURED),
                peak=base + slope * tried_batch,
                baseline_bytes=base,
                seconds=4.0,
            )
        outcome = Outcome(Status.OUT_OF_MEMORY, "Out of memory.")
        return Probe(batch=tried_batch, outcome=outcome, stop_reason="out of memory", seconds=3.0)

    fields: dict[str, Any] = {
        "run": "20261122-184512-3f9ac2",
        "started": "2026-11-22T18:50:00+00:00",
        "case": make_case(mode="ceiling", batch=batch, **axes),
        "recipe": make_recipe("train"),
        "outcome": Outcome(Status.MEASURED),
        "stop_reason": stop_reason,
        "machine": make_machine(),
        "environment": make_environment(),
        "granularity": 1,
        "max_batch": 1024,
        "limit_bytes": limit,
        "limit_method": "control group" if limit else "",
        "memory_fit": MemoryFit(base, slope, 0.0, 3),
        "probes": [probe(tried_batch) for tried_batch in (8, batch - 1, batch, batch + 1) if tried_batch > 0],
    }
    return Ceiling(**(fields | changes))
