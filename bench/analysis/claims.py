"""What web guides claim, held against what one machine measured. The claims themselves are in ``claims.toml``.

A claim gets a verdict only where its conditions were measured. A ratio is judged by its interval: what is claimed to be
at least 3 holds where the interval lies above 3, does not hold where it lies below, and is open else. Claims about what
Ultralytics does are judged by what ran.
"""

from __future__ import annotations

import functools
import math
import tomllib
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec
import pandas as pd

from bench.analysis.precision import batches
from bench.analysis.scaling import efficiencies
from bench.analysis.speedup import speedups
from bench.cases.axes import device_kind, ranks
from bench.records.ceiling import Ceiling
from bench.records.outcome import Status
from bench.records.record import Record

SCATTER = 0.05
"""By how much a peak of memory is taken to scatter: it has no interval of its own."""

NAMED = 3
"""Figures that a verdict names; the others are counted."""

CARD_24 = (22.0, 25.0)
"""GiB of what is sold as a card of 24 GB."""


class Verdict(StrEnum):
    """How a claim stands."""

    HOLDS = "holds"
    FAILS = "does not hold"
    OPEN = "open"
    UNTESTED = "not testable here"


class Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A claim of the guides.

    Attributes:
        id: short name.
        text: what is claimed, in our words.
        of: what it is said of.
        how: what decides it.
        untested: why there is no verdict, where there is none.
    """

    id: str
    text: str
    of: str
    how: str
    untested: str


class Judged(msgspec.Struct, frozen=True):
    """A claim with its verdict on one machine, and why."""

    claim: Claim
    verdict: Verdict
    because: str


class Seen(NamedTuple):
    """What one machine measured.

    Attributes:
        table: its latest rows.
        records: behind them.
        ceilings: of that machine.
    """

    table: pd.DataFrame
    records: Sequence[Record]
    ceilings: Sequence[Ceiling]


class Ratio(NamedTuple):
    """A ratio with its interval (nan without one), and what it is of."""

    name: str
    point: float
    low: float
    high: float


Answer = tuple[Verdict, str] | None
"""A verdict and why; None where the conditions were not measured."""


@functools.cache
def claims() -> tuple[Claim, ...]:
    """All claims, in the order of the file."""
    content = tomllib.loads(Path(__file__).with_name("claims.toml").read_text())
    return tuple(msgspec.convert(content["claim"], list[Claim]))


def judged(seen: Seen) -> list[Judged]:
    """Every claim with its verdict, those with one first."""
    found = []
    for claim in claims():
        judge = JUDGES.get(claim.id)
        answer = judge(seen) if judge else None
        verdict, because = answer or (Verdict.UNTESTED, claim.untested)
        found.append(Judged(claim, verdict, because))
    return sorted(found, key=lambda one: one.verdict is Verdict.UNTESTED)


def decided(ratios: Iterable[Ratio], least: float = 0.0, most: float = math.inf) -> Answer:
    """Whether all ratios lie within bounds, by their intervals; None without any."""
    some = list(ratios)
    if not some:
        return None
    out = [one for one in some if one.high < least or one.low > most]
    inside = [one for one in some if one.low >= least and one.high <= most]
    verdict = Verdict.FAILS if out else Verdict.HOLDS if len(inside) == len(some) else Verdict.OPEN
    shown = out or some
    words = [_shown(one) for one in shown[:NAMED]]
    rest = f"; and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
    return verdict, f"measured {'; '.join(words)}{rest}"


def _shown(one: Ratio) -> str:
    ends = f" ({one.low:.2f} to {one.high:.2f})" if one.low < one.high else ""
    return f"{one.point:.2f}×{ends} for {one.name}"


def _speedups(seen: Seen, baseline: dict[str, str], keep: Callable[[dict[str, object]], bool]) -> list[Ratio]:
    found = []
    for row in speedups(seen.table, baseline).to_dict("records"):
        if row["mode"] == "train" and not row["disturbed"] and keep({str(key): value for key, value in row.items()}):
            name = f"{row['model']}, batch {row['batch']}, {row['imgsz']} px"
            found.append(Ratio(name, row["speedup"], row["speedup_low"], row["speedup_high"]))
    return found


def _kind(row: dict[str, object]) -> str:
    return device_kind(str(row["device"]))


def mac_speed(seen: Seen) -> Answer:
    """Training on mps over training on cpu: all within 3 to 5."""
    return decided(_speedups(seen, {"device": "cpu"}, lambda row: row["device"] == "mps"), 3, 5)


def amp_time(seen: Seen) -> Answer:
    """yolov8n with AMP over without: at least 45 / 28."""
    wanted = _speedups(seen, {"amp": "off"}, lambda row: row["amp"] == "on" and row["model"] == "yolov8n")
    return decided(wanted, 45 / 28)


def ddp_scaling(seen: Seen) -> Answer:
    """yolov8m on four cards over one, the same batch a card: at least 1 / 0.35 of the speed."""
    found = efficiencies(seen.table)
    some = found[(found["devices"] == 4) & (found["scaling"] == "each") & (found["model"] == "yolov8m")]
    return decided(
        [
            Ratio(
                f"{row['device']}, batch {row['batch']}, {row['imgsz']} px",
                row["speedup"],
                row["efficiency_low"] * 4,
                row["efficiency_high"] * 4,
            )
            for row in some.to_dict("records")
        ],
        1 / 0.35,
    )


def _memory(seen: Seen, on: tuple[str, int | None], off: tuple[str, int | None]) -> list[Ratio]:
    """Peak memory of training in one precision and batch over another; the same batch where none is named."""
    table = seen.table
    some = table[(table["mode"] == "train") & (table["status"] == "measured") & table["peak_memory_bytes"].notna()]
    axes = ("model", "device", "imgsz", "peak_memory_how", "torch", "ultralytics", "setup")
    base = {
        (*(row[axis] for axis in axes), row["batch"]): row
        for row in some[some["amp"] == off[0]].to_dict("records")
        if off[1] in (None, row["batch"])
    }
    found = []
    for row in some[some["amp"] == on[0]].to_dict("records"):
        if on[1] not in (None, row["batch"]):
            continue
        other = base.get((*(row[axis] for axis in axes), off[1] or row["batch"]))
        if other is not None:
            ratio = int(row["peak_memory_bytes"]) / int(other["peak_memory_bytes"])
            name = f"{row['model']}, batch {row['batch']}, {row['imgsz']} px"
            found.append(Ratio(name, ratio, ratio * (1 - SCATTER), ratio * (1 + SCATTER)))
    return found


def amp_memory(seen: Seen) -> Answer:
    """With AMP at most 55 % of the memory."""
    return decided(_memory(seen, ("on", None), ("off", None)), 0, 0.55)


def amp_coco8(seen: Seen) -> Answer:
    """Batch 32 with AMP at most 20 / 18 of batch 16 without."""
    return decided(_memory(seen, ("on", 32), ("off", 16)), 0, 20 / 18)


def _over(name: str, larger: Ceiling, smaller: Ceiling) -> Ratio | None:
    """One largest batch over another: each lies between what trained and the next step, which did not."""
    if not smaller.case.batch or not larger.case.batch or "limit" in (larger.ended_by, smaller.ended_by):
        return None
    ratio = larger.case.batch / smaller.case.batch
    low = larger.case.batch / (smaller.case.batch + smaller.granularity)
    high = (larger.case.batch + larger.granularity) / smaller.case.batch
    return Ratio(name, ratio, low, high)


def amp_batch(seen: Seen) -> Answer:
    """The largest batch with AMP at least twice that without."""
    found = [
        _over(f"{model}, {size} px", by_amp["on"], by_amp["off"])
        for (model, _, size, _), by_amp in batches(seen.ceilings).items()
        if {"on", "off"} <= set(by_amp)
    ]
    return decided([one for one in found if one is not None], 2)


def mac_size(seen: Seen) -> Answer:
    """The largest batch at 320 px above that at 640 px."""
    by_size: dict[tuple[str, str, str, int | None], dict[int, Ceiling]] = {}
    for (model, device, size, limit), by_amp in batches(seen.ceilings).items():
        for amp, one in by_amp.items():
            by_size.setdefault((model, device, amp, limit), {})[size] = one
    found = [
        _over(f"{model} on {device}", sizes[320], sizes[640])
        for (model, device, _, _), sizes in by_size.items()
        if {320, 640} <= set(sizes)
    ]
    return decided([one for one in found if one is not None], 1.000001)


def oom_3090(seen: Seen) -> Answer:
    """The largest batch of yolov8n at 640 px on 24 GB: below 32."""
    for one in seen.ceilings:
        held = one.limit_bytes / 2**30 if one.limit_bytes else 0.0
        if (
            one.outcome.status is Status.MEASURED
            and (one.case.model_name, one.case.imgsz, one.case.amp) == ("yolov8n", 640, "off")
            and one.case.device_kind == "cuda"
            and CARD_24[0] <= held <= CARD_24[1]
        ):
            verdict = Verdict.HOLDS if one.case.batch < 32 else Verdict.FAILS
            return verdict, f"batch {one.case.batch} is the largest that trains within {held:.1f} GiB, AMP off"
    return None


def mac_batch(seen: Seen) -> Answer:
    """The largest batch of yolov8s at 640 px: at least 4 on an M2, at least 12 on an M2 Pro or Max."""
    for one in seen.ceilings:
        chip = one.machine.cpu
        named = (one.case.model_name, one.case.imgsz, one.case.device) == ("yolov8s", 640, "mps")
        if one.outcome.status is Status.MEASURED and named and "M2" in chip:
            least = 12 if "Pro" in chip or "Max" in chip else 4
            verdict = Verdict.HOLDS if one.case.batch >= least else Verdict.FAILS
            return verdict, f"batch {one.case.batch} is the largest that trains on {chip}"
    return None


def _asked(seen: Seen, kind: str) -> list[Record]:
    """Records of training on one kind of device that asked for AMP and say what became of that."""
    ends = (Status.MEASURED, Status.SUBSTITUTED, Status.FAILED)
    return [
        record
        for record in seen.records
        if record.case.mode == "train"
        and record.case.amp == "on"
        and record.case.device_kind == kind
        and record.outcome.status in ends
    ]


def mac_amp_error(seen: Seen) -> Answer:
    """What became of AMP on mps."""
    records = _asked(seen, "mps")
    if not records:
        return None
    if any(record.outcome.status is Status.FAILED for record in records):
        return Verdict.OPEN, "a case on mps with AMP failed: its reason says whether it was for that"
    if any(record.outcome.status is Status.SUBSTITUTED for record in records):
        return Verdict.FAILS, "there is no error: Ultralytics trains without AMP, and says nothing of it"
    return Verdict.FAILS, "a case on mps trained with AMP"


def amp_default(seen: Seen) -> Answer:
    """AMP asked for on cpu and cuda: dropped on the one, on from capability 7.0 on the other."""
    told: list[str] = []
    wrong: list[str] = []
    for kind in ("cpu", "cuda"):
        for record in _asked(seen, kind):
            ran = record.outcome.status is Status.MEASURED
            capability = 0.0 if kind == "cpu" else _capability(record)
            if capability is None or record.outcome.status is Status.FAILED:
                continue
            wanted = capability >= 7.0
            word = f"AMP was asked for and is {'on' if ran else 'off'} on {record.case.device}"
            (told if ran == wanted else wrong).append(word)
    if not told and not wrong:
        return None
    return (Verdict.FAILS if wrong else Verdict.HOLDS), "; ".join(dict.fromkeys(wrong or told))


def _capability(record: Record) -> float | None:
    try:
        return float(str(record.device.get("capability")))
    except ValueError:
        return None


def mac_workers(seen: Seen) -> Answer:
    """Data loader processes that ran on a Mac."""
    ran = {
        record.effective.get("workers")
        for record in seen.records
        if record.machine.system.startswith(("macOS", "Darwin")) and record.outcome.status is Status.MEASURED
    } - {None}
    if not ran:
        return None
    if ran == {0}:
        return Verdict.FAILS, "whatever is asked for, Ultralytics runs none on cpu and mps, so none can hang"
    return Verdict.OPEN, f"{', '.join(map(str, sorted(ran, key=str)))} ran, and the case came to its end"


def tf_fallback(seen: Seen) -> Answer:
    """Operators that fell back to the CPU on mps."""
    with_it = [
        record for record in seen.records if record.case.device_kind == "mps" and record.effective.get("mps_fallback")
    ]
    names = dict.fromkeys(str(name) for record in with_it for name in record.device.get("fell_back") or ())
    if names:
        return Verdict.HOLDS, f"{', '.join(names)} ran on the CPU"
    return (Verdict.OPEN, "it was set, and no operator needed it") if with_it else None


def tf_single(seen: Seen) -> Answer:
    """What became of mps+mps."""
    ends = [
        record.outcome for record in seen.records if record.case.device_kind == "mps" and ranks(record.case.device) > 1
    ]
    if any(end.status is Status.MEASURED for end in ends):
        return Verdict.FAILS, "a case trained on mps+mps"
    if any(end.status is Status.UNSUPPORTED for end in ends):
        return Verdict.HOLDS, next(end.reason for end in ends if end.status is Status.UNSUPPORTED)
    return None


def ddp_syncbn(seen: Seen) -> Answer:
    """Batch norm layers of cases on several cards."""
    several = {
        record.effective["sync_bn"]
        for record in seen.records
        if record.case.device_kind == "cuda" and ranks(record.case.device) > 1 and "sync_bn" in record.effective
    }
    if not several:
        return None
    if several == {True}:
        return Verdict.HOLDS, "the layers are SyncBatchNorm"
    return Verdict.FAILS, "the layers are plain batch norm" + (" in some cases" if len(several) > 1 else "")


JUDGES: dict[str, Callable[[Seen], Answer]] = {
    "mac-speed": mac_speed,
    "mac-amp-error": mac_amp_error,
    "mac-workers": mac_workers,
    "mac-batch": mac_batch,
    "mac-size": mac_size,
    "tf-fallback": tf_fallback,
    "tf-single": tf_single,
    "ddp-scaling": ddp_scaling,
    "ddp-syncbn": ddp_syncbn,
    "oom-3090": oom_3090,
    "amp-time": amp_time,
    "amp-memory": amp_memory,
    "amp-batch": amp_batch,
    "amp-coco8": amp_coco8,
    "amp-default": amp_default,
}
"""By the id of a claim; one without an entry is never decided, and its ``untested`` says why."""
