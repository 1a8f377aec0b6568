"""Verdicts on claims about figures that a single ratio does not decide: several models, machines or quantities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from bench.analysis.flags import DATA_BOUND, data_wait_share
from bench.cases.axes import NOT_ASKED
from bench.cases.device_kinds import kind_of, label
from bench.claims.accuracy import MARGIN, differences
from bench.claims.claim import Answer, ClaimVerdict, Evidence, combine, software, together
from bench.claims.ratios import MEMORY_SCATTER, Ratio, decide, likeness, name_of, quotient, training_rows
from bench.records.outcome import Status
from bench.records.record import Record

NOTICED = 1.03
"""Smallest ratio that counts as faster, or as more: the usual margin of comparisons."""

ROUNDING = 0.1
"""Largest relative difference from a guide's own figure that confirms it: guides name two digits, and no spread."""

OWN_CHIP, OWN_CARD, OWN_CPU = "*M1 Pro*", "*RTX 3060*", "*i9*"
"""Hardware of the guide's table, as the name of a machine has it."""

CPU_OVER_MPS = {"resnet18": 3.7, "vit*": 4.2, "lstm*": 3.8}
"""Time of an epoch on the guide's CPU over that on its Apple GPU, by model."""

MPS_OVER_CARD = 1.4
"""Time of an epoch on the guide's Apple GPU over that on its card."""

SHARE_OF_CARD = {"resnet18": (0.7, 0.8), "vit*": (0.55, 0.65)}
"""Speed of the guide's Apple GPU over that of its card, by model: convolutions, and attention."""

CHIP_WATTS, BOX_WATTS = 15.0, 200.0
"""Power of the guide's chip, and of its machine with a card."""

POWER_SCATTER = 0.05
"""Assumed relative error of power, which has no interval: what NVIDIA states for its own sensor."""

HALF = ("on", "half", "forced-fp16")
"""Precisions in float16 on mps: autocast of torch or Transformers, a model that was halved, and one that was forced."""

STARVED = 0.6
"""Utilization of a GPU below which guides take it to wait for data."""

MOST_WORKERS = 8
"""Data loader processes that guides call the most, if that is no more than half of the cores."""


def _around(figure: float) -> tuple[float, float]:
    return figure * (1 - ROUNDING), figure * (1 + ROUNDING)


def _across(evidence: Evidence, above: Mapping[str, str], below: Mapping[str, str]) -> Iterator[Ratio]:
    """Training speed on this machine over that of the same case on any machine of the page.

    Versions of torch have to be the same; the build (``+cu132``) is another one on each system.
    """

    def alike(row: Mapping[str, Any]) -> tuple[Any, ...]:
        axes, _, _, _, protocol, overrides = likeness(row, "device")
        return axes, protocol, overrides, str(row["torch"]).partition("+")[0]

    parts = [part for part in (evidence, evidence.elsewhere) if part is not None]
    others = [row for part in parts for row in training_rows(part, amp="off", **below)]
    for row in training_rows(evidence, amp="off", **above):
        for other in others:
            if alike(row) == alike(other):
                where = str(other["machine_title"]).partition(" · ")[0]
                yield quotient(f"{name_of(row)}, against {label(str(other['device']))} of {where}", row, other)


def torch_table(evidence: Evidence) -> Answer:
    """Time of an epoch of the reference models on an M1 Pro, against a Core i9 and against an RTX 3060."""
    parts: dict[str, Answer] = {}
    for model, times in CPU_OVER_MPS.items():
        mps = {"kind": "mps", "machine_title": OWN_CHIP, "model": model}
        against_cpu = _across(evidence, mps, {**mps, "kind": "cpu", "machine_title": OWN_CPU})
        against_card = _across(evidence, mps, {**mps, "kind": "cuda", "machine_title": OWN_CARD})
        low, high = _around(MPS_OVER_CARD)
        parts[f"{model.rstrip('*')} was not measured on a Core i9 alike"] = decide(against_cpu, *_around(times))
        parts[f"{model.rstrip('*')} was not measured on an RTX 3060 alike"] = decide(against_card, 1 / high, 1 / low)
    return together(parts)


def torch_attention(evidence: Evidence) -> Answer:
    """Speed of an M1 Pro over that of an RTX 3060: convolutions, and attention."""
    parts: dict[str, Answer] = {}
    for model, bounds in SHARE_OF_CARD.items():
        mps = {"kind": "mps", "machine_title": OWN_CHIP, "model": model}
        ratios = _across(evidence, mps, {**mps, "kind": "cuda", "machine_title": OWN_CARD})
        parts[f"{model.rstrip('*')} was not measured on both alike"] = decide(ratios, *bounds)
    return together(parts)


def torch_power(evidence: Evidence) -> Answer:
    """Power of training ResNet18 on an M1 Pro, and on a machine with an RTX 3060, of which a card is only a part."""
    chip: list[Ratio] = []
    box: list[Ratio] = []
    card: list[Ratio] = []
    for part in (evidence, evidence.elsewhere):
        for record in part.records if part else ():
            energy, case = record.energy, record.case
            if energy is None or not energy.joules or energy.seconds <= 0:
                continue
            if (case.model_name, case.mode) != ("resnet18", "train"):
                continue
            title, watts = record.machine.title, energy.joules / energy.seconds
            ends = watts * (1 - POWER_SCATTER), watts * (1 + POWER_SCATTER)
            figure = Ratio(f"{case.id} ({energy.method})", watts, *ends, unit=" W")
            if case.device_kind == "mps" and "M1 Pro" in title:
                chip.append(figure)
            elif case.device_kind == "cuda" and "RTX 3060" in title:
                (box if energy.scope == "machine" else card).append(figure)
    whole = decide(box, *_around(BOX_WATTS))
    alone = decide(card, most=_around(BOX_WATTS)[1])
    if whole is None and alone is not None:  # a card takes no more than its machine
        fails = alone[0] is ClaimVerdict.FAILS
        whole = alone if fails else (ClaimVerdict.OPEN, f"{alone[1]}: the card alone, and nothing counts the machine")
    parts = {
        "no M1 Pro counted joules": decide(chip, *_around(CHIP_WATTS)),
        "no machine with an RTX 3060 counted joules": whole,
    }
    return together(parts)


def torch_fp16(evidence: Evidence) -> Answer:
    """Speed and memory of training in float16 on mps, over those of the same case in float32."""
    speed: list[Ratio] = []
    memory: list[Ratio] = []
    plain = {likeness(row, "amp"): row for row in training_rows(evidence, kind="mps", amp="off")}
    for amp in HALF:
        for row in training_rows(evidence, kind="mps", amp=amp):
            other = plain.get(likeness(row, "amp"))
            if other is None:
                continue
            name = f"{name_of(row)}, amp {amp} ({row['workload']})"
            speed.append(quotient(f"the speed of {name}", row, other))
            peaks = [side["peak_memory_bytes"] for side in (row, other)]
            if row["peak_memory_method"] == other["peak_memory_method"] and all(map(pd.notna, peaks)):
                ratio = int(peaks[0]) / int(peaks[1])
                ends = ratio * (1 - MEMORY_SCATTER), ratio * (1 + MEMORY_SCATTER)
                memory.append(Ratio(f"the memory of {name}", ratio, *ends))
    parts = {
        "no speed in float16 is known": decide(speed, least=NOTICED),
        "no memory in float16 is known": decide(memory, most=1 / NOTICED),
    }
    return together(parts)


def ddp_dp(evidence: Evidence) -> Answer:
    """Speed of DistributedDataParallel over that of DataParallel, by the module that wraps the model of a case."""
    wrapper = {record.id: record.effective.get("parallel") for record in evidence.records}
    sides: dict[object, list[dict[str, Any]]] = {}
    for row in training_rows(evidence):
        sides.setdefault(wrapper.get(row["id"]), []).append(row)
    single = {likeness(row, "parallel"): row for row in sides.get("DataParallel", [])}
    ratios = [
        quotient(f"{name_of(row)} ({row['workload']})", row, single[likeness(row, "parallel")])
        for row in sides.get("DistributedDataParallel", [])
        if likeness(row, "parallel") in single
    ]
    return decide(ratios, least=1.3)


def ddp_workers(evidence: Evidence) -> Answer:
    """Speed with more data loader processes than guides advise, over the best with as many or fewer, on a card."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in training_rows(evidence):
        if kind_of(str(row["device"])).own_memory and row.get("workers", NOT_ASKED) != NOT_ASKED:
            groups.setdefault(likeness(row, "workers"), []).append(row)
    most = min([MOST_WORKERS, *(record.machine.cores // 2 for record in evidence.records[:1])])
    ratios = []
    for rows in groups.values():
        within = [row for row in rows if row["workers"] <= most]
        beyond = [row for row in rows if row["workers"] > most]
        if within and beyond:
            best, other = (max(side, key=lambda row: float(row["images_per_second"])) for side in (beyond, within))
            name = f"{best['workers']} against {other['workers']} processes: {name_of({**best, 'workers': NOT_ASKED})}"
            ratios.append(quotient(name, best, other))
    return decide(ratios, most=NOTICED)


def ddp_starved(evidence: Evidence) -> Answer:
    """Share of waiting for data in the steps of GPUs whose utilization is low."""
    answers: list[tuple[ClaimVerdict, str]] = []
    calm: list[Record] = [
        record
        for record in evidence.records
        if record.case.mode == "train" and record.outcome.status is Status.MEASURED
        if record.window is not None and not record.window.interference
    ]
    busy = [record for record in calm if record.window and record.window.device_utilization is not None]
    for record in busy:
        used = record.window.device_utilization if record.window else None
        share = data_wait_share(record)
        if used is None or share is None or used >= STARVED:
            continue
        verdict = ClaimVerdict.HOLDS if share > DATA_BOUND else ClaimVerdict.FAILS
        text = f"used {used:.0%}, waited for data {share:.0%} of a step: {record.case.id}, {software(record)}"
        answers.append((verdict, text))
    if busy and not answers:
        return ClaimVerdict.OPEN, f"no GPU was used less than {STARVED:.0%}"
    return combine(answers)


def amp_map(evidence: Evidence) -> Answer:
    """Accuracy with mixed precision less that without it, of trainings that the user did."""
    answers = []
    for difference in differences(evidence.accuracy):
        low, high = (100 * end for end in (difference.low, difference.high))
        known = difference.low > -1
        ends = f" ({low:+.2f} to {high:+.2f})" if known else ", by one training of a side: seeds differ"
        text = f"mAP of {difference.model} differs by {100 * difference.point:+.2f} points{ends}"
        verdict = ClaimVerdict.OPEN
        if known and difference.low >= -MARGIN:
            verdict = ClaimVerdict.HOLDS
        elif known and difference.high < -MARGIN:
            verdict = ClaimVerdict.FAILS
        answers.append((verdict, text))
    return combine(answers)
