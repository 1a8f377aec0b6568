"""What web guides claim, held against what one machine measured. The claims themselves are in ``claims.toml``.

A claim gets a verdict only where its conditions were measured. A ratio is judged by its interval: what is claimed to be
at least 3 holds where the interval lies above 3, does not hold where it lies below, and is open else. Claims about what
Ultralytics does are judged by what ran.
"""

from __future__ import annotations

import functools
import math
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec
import pandas as pd

from bench.analysis.flags import INTERFERED, fell_back
from bench.analysis.mixed_precision import Place, batches
from bench.analysis.scaling import efficiencies
from bench.analysis.speedup import speedups
from bench.analysis.table import AXES, COMPARABLE_KEYS, axes_of
from bench.cases.axes import NOT_ASKED, value_label
from bench.cases.device_kinds import device_kind, ranks
from bench.machine.description import Machine
from bench.records.ceiling import Ceiling
from bench.records.outcome import Status
from bench.records.record import Record

SCATTER = 0.05
"""By how much a ratio of two peaks of memory is taken to scatter, since it has no interval of its own. Peaks of the
same case differed by up to 2.3 % within 50 sets of 4 to 20 processes on a CPU."""

NAMED = 3
"""Figures that a verdict names; the others are counted."""

CARD_24 = (22.0, 25.0)
"""GiB of what is sold as a card of 24 GB."""


class ClaimVerdict(StrEnum):
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


class ClaimResult(msgspec.Struct, frozen=True):
    """A claim with its verdict on one machine, and why."""

    claim: Claim
    verdict: ClaimVerdict
    because: str


class Evidence(NamedTuple):
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


Answer = tuple[ClaimVerdict, str] | None
"""A verdict and why; None where the conditions were not measured."""


@functools.cache
def claims() -> tuple[Claim, ...]:
    """All claims, in the order of the file."""
    content = tomllib.loads(Path(__file__).with_name("claims.toml").read_text(encoding="utf-8"))
    return tuple(msgspec.convert(content["claim"], list[Claim]))


def judge_claims(seen: Evidence) -> list[ClaimResult]:
    """Every claim with its verdict, those with one first."""
    found = []
    for claim in claims():
        judge = JUDGES.get(claim.id)
        answer = judge(seen) if judge else None
        verdict, because = answer or (ClaimVerdict.UNTESTED, claim.untested)
        found.append(ClaimResult(claim, verdict, because))
    return sorted(found, key=lambda one: one.verdict is ClaimVerdict.UNTESTED)


def decided(ratios: Iterable[Ratio], least: float = 0.0, most: float = math.inf) -> Answer:
    """Whether all ratios lie within bounds, by their intervals; None without any."""
    some = list(ratios)
    if not some:
        return None
    out = [one for one in some if one.high < least or one.low > most]
    inside = [one for one in some if one.low >= least and one.high <= most]
    verdict = ClaimVerdict.FAILS if out else ClaimVerdict.HOLDS if len(inside) == len(some) else ClaimVerdict.OPEN
    return verdict, f"measured {_listed([_shown(one) for one in out or some])}"


def _listed(words: Sequence[str]) -> str:
    rest = f"; and {len(words) - NAMED} more" if len(words) > NAMED else ""
    return "; ".join(words[:NAMED]) + rest


def together(answers: Iterable[tuple[ClaimVerdict, str]]) -> Answer:
    """One answer of several: the claim has to hold everywhere, and what speaks against it is named."""
    some = list(answers)
    if not some:
        return None
    verdicts = [verdict for verdict, _ in some]
    verdict = (
        ClaimVerdict.FAILS
        if ClaimVerdict.FAILS in verdicts
        else ClaimVerdict.OPEN
        if ClaimVerdict.OPEN in verdicts
        else verdicts[0]
    )
    return verdict, _listed(list(dict.fromkeys(word for one, word in some if one is verdict)))


def _shown(one: Ratio) -> str:
    ends = f" ({one.low:.2f} to {one.high:.2f})" if one.low < one.high else ""
    return f"{one.point:.2f}×{ends} for {one.name}"


def _by_versions(seen: Evidence) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each pair of versions, with words for them where there are several pairs."""
    groups = list(seen.table.groupby(["torch", "ultralytics"], sort=False))
    several = len(groups) > 1
    return [
        (f", torch {torch}, Ultralytics {ultralytics}" if several else "", rows)
        for (torch, ultralytics), rows in groups
    ]


def _software(found: Record | Ceiling) -> str:
    return f"torch {found.environment.label('torch')}, Ultralytics {found.environment.label('ultralytics')}"


def _speedups(seen: Evidence, baseline: dict[str, str], keep: Callable[[dict[str, object]], bool]) -> list[Ratio]:
    """Ratios of training speed over a baseline, disturbed ones left out."""
    found = []
    for versions, rows in _by_versions(seen):
        for row in speedups(rows, baseline).to_dict("records"):
            cells = {str(key): value for key, value in row.items()}
            if row["mode"] == "train" and not row["interfered"] and keep(cells):
                found.append(Ratio(_point(cells) + versions, row["speedup"], row["speedup_low"], row["speedup_high"]))
    return found


def _point(row: Mapping[str, object]) -> str:
    further = [value_label(axis, row[axis]) for axis in axes_of(row) if axis not in AXES and row[axis] != NOT_ASKED]
    return ", ".join([f"{row['model']} on {row['device']}, batch {row['batch']}, {row['imgsz']} px", *further])


def mac_speed(seen: Evidence) -> Answer:
    """Training YOLOv8 on mps over training on cpu: all within 3 to 5."""
    return decided(
        _speedups(
            seen, {"device": "cpu"}, lambda row: row["device"] == "mps" and str(row["model"]).startswith("yolov8")
        ),
        3,
        5,
    )


def amp_time(seen: Evidence) -> Answer:
    """yolov8n with AMP over without: at least 45 / 28."""
    wanted = _speedups(seen, {"amp": "off"}, lambda row: row["amp"] == "on" and row["model"] == "yolov8n")
    return decided(wanted, 45 / 28)


def ddp_scaling(seen: Evidence) -> Answer:
    """yolov8m on four cards over one, the same batch a card: at least 1 / 0.35 of the speed."""
    ratios = []
    for versions, rows in _by_versions(seen):
        found = efficiencies(rows[[INTERFERED not in str(marks) for marks in rows["flags"]]])
        some = found[(found["devices"] == 4) & (found["scaling"] == "each") & (found["model"] == "yolov8m")]
        for row in some.to_dict("records"):
            if device_kind(str(row["device"])) == "cuda":
                ends = row["efficiency_low"] * 4, row["efficiency_high"] * 4
                ratios.append(Ratio(_point({str(k): v for k, v in row.items()}) + versions, row["speedup"], *ends))
    return decided(ratios, 1 / 0.35)


def _memory(seen: Evidence, on: tuple[str, int | None], off: tuple[str, int | None]) -> list[Ratio]:
    """Peak memory of training in one precision and batch over another; the same batch where none is named."""
    found = []
    for versions, table in _by_versions(seen):
        axes = [
            *(axis for axis in axes_of(table) if axis not in ("amp", "batch")),
            "peak_memory_method",
            *COMPARABLE_KEYS,
        ]
        some = table[(table["mode"] == "train") & (table["status"] == "measured") & table["peak_memory_bytes"].notna()]
        base = {
            (*(row[axis] for axis in axes), row["batch"]): row
            for row in some[some["amp"] == off[0]].to_dict("records")
            if off[1] in (None, row["batch"])
        }
        for row in some[some["amp"] == on[0]].to_dict("records"):
            other = base.get((*(row[axis] for axis in axes), off[1] or row["batch"]))
            if on[1] in (None, row["batch"]) and other is not None:
                ratio = int(row["peak_memory_bytes"]) / int(other["peak_memory_bytes"])
                name = _point({str(key): value for key, value in row.items()}) + versions
                found.append(Ratio(name, ratio, ratio * (1 - SCATTER), ratio * (1 + SCATTER)))
    return found


def amp_memory(seen: Evidence) -> Answer:
    """With AMP at most 55 % of the memory."""
    return decided(_memory(seen, ("on", None), ("off", None)), 0, 0.55)


def amp_coco8(seen: Evidence) -> Answer:
    """Batch 32 with AMP at most 20 / 18 of batch 16 without."""
    return decided(_memory(seen, ("on", 32), ("off", 16)), 0, 20 / 18)


def _over(name: str, larger: Ceiling, smaller: Ceiling) -> Ratio | None:
    """One largest batch over another; None where it is not known.

    The least is what trained over the largest that may train in the smaller one; the most lies a step further, which
    did not train, and has no end where that was not tried.
    """
    if not smaller.case.batch or not larger.case.batch or smaller.next_untried:
        return None
    ratio = larger.case.batch / smaller.case.batch
    low = larger.case.batch / (smaller.case.batch + smaller.granularity - 1)
    high = (larger.case.batch + larger.granularity) / smaller.case.batch
    return Ratio(name, ratio, low, math.inf if larger.next_untried else high)


def amp_batch(seen: Evidence) -> Answer:
    """The largest batch with AMP at least twice that without."""
    found = [
        _over(f"{_model(by_amp['on'])} on {place.device}, {place.imgsz} px", by_amp["on"], by_amp["off"])
        for place, by_amp in batches(seen.ceilings).items()
        if {"on", "off"} <= set(by_amp)
    ]
    return decided([one for one in found if one is not None], 2)


def _model(one: Ceiling) -> str:
    return one.case.model_label


def mac_size(seen: Evidence) -> Answer:
    """On a Mac, the largest batch at 320 px above that at 640 px."""
    by_size: dict[tuple[Place, str], dict[int, Ceiling]] = {}
    for place, by_amp in batches([one for one in seen.ceilings if _is_mac(one.machine)]).items():
        for amp, one in by_amp.items():
            by_size.setdefault((place._replace(imgsz=0), amp), {})[place.imgsz] = one
    found = [
        _over(f"{_model(sizes[320])} on {place.device}", sizes[320], sizes[640])
        for (place, _), sizes in by_size.items()
        if {320, 640} <= set(sizes)
    ]
    return decided([one for one in found if one is not None], 1.000001)


def _is_mac(machine: Machine) -> bool:
    return machine.system.startswith(("macOS", "Darwin"))


def _fits(one: Ceiling, batch: int) -> bool | None:
    """Whether a batch trains; None where it was not found out."""
    if one.case.batch >= batch:
        return True
    if one.stop_reason == "out of memory" and one.case.batch + one.granularity <= batch:
        return False
    return None


def oom_3090(seen: Evidence) -> Answer:
    """Batch 32 of yolov8n at 640 px on one card of 24 GB."""
    found = []
    for one in seen.ceilings:
        case, held = one.case, (_card_bytes(one) or 0) / 2**30
        wanted = (case.model_name, case.imgsz, case.device_kind) == ("yolov8n", 640, "cuda")
        if one.outcome.status is Status.MEASURED and wanted and CARD_24[0] <= held <= CARD_24[1]:
            verdict = {True: ClaimVerdict.FAILS, False: ClaimVerdict.HOLDS, None: ClaimVerdict.OPEN}[_fits(one, 32)]
            what = f"batch {case.batch} is the largest that trains within {held:.1f} GiB"
            found.append((verdict, f"{what}, AMP {case.amp}, {_software(one)}"))
    return together(found)


def _card_bytes(one: Ceiling) -> int | None:
    """What a search on one card was held to: the limit that was asked for, or else the card's own memory."""
    if one.asked_bytes is not None:
        return one.asked_bytes
    sizes = [re.search(r"\(([0-9.]{1,9}) GiB\)$", name) for name in one.machine.gpus]
    place = _card(one)
    if place is None and len(set(one.machine.gpus)) == 1:
        place = 0  # all cards are alike
    told = sizes[place] if place is not None and place < len(sizes) else None
    return int(float(told[1]) * 2**30) if told else None


def _card(one: Ceiling) -> int | None:
    """The place of a search's one card among the GPUs of its machine; None where that is not certain.

    A worker leaves itself that card alone by ``CUDA_VISIBLE_DEVICES``, which numbers as the driver does unless the user
    chose another order. Older records, which do not hold the variable, are certain where there is one card.
    """
    variables = one.effective.get("variables")
    if not one.case.device.isdigit() or not isinstance(variables, dict):
        return None
    chosen = str(variables.get("CUDA_VISIBLE_DEVICES", ""))
    return int(chosen) if chosen.isdigit() and "CUDA_DEVICE_ORDER" not in variables else None


def mac_batch(seen: Evidence) -> Answer:
    """The largest batch of yolov8s at 640 px: 4 to 8 on an M2, 12 to 16 on an M2 Pro or Max."""
    found = []
    for one in seen.ceilings:
        chip = one.machine.cpu
        named = (one.case.model_name, one.case.imgsz, one.case.device) == ("yolov8s", 640, "mps")
        if one.outcome.status is Status.MEASURED and named and "M2" in chip and one.asked_bytes is None:
            least, most = (12, 16) if "Pro" in chip or "Max" in chip else (4, 8)
            verdict = (
                ClaimVerdict.HOLDS if _fits(one, most) else ClaimVerdict.FAILS if _fits(one, least) is False else None
            )
            what = f"batch {one.case.batch} is the largest that trains on {chip}, {_software(one)}"
            found.append((verdict or ClaimVerdict.OPEN, what))
    return together(found)


def _asked(seen: Evidence, kind: str) -> list[Record]:
    """Records of training on one kind of device that asked for AMP and say what became of that."""
    return [
        record
        for record in seen.records
        if record.case.mode == "train"
        and record.case.amp == "on"
        and record.case.device_kind == kind
        and (record.outcome.status in (Status.MEASURED, Status.FAILED) or _lost_amp(record))
    ]


def _lost_amp(record: Record) -> bool:
    """Whether something other than AMP would have run, in the words of the worker's ``effective_settings.explain``."""
    return record.outcome.status is Status.SUBSTITUTED and record.outcome.reason.startswith("amp ")


def mac_amp_error(seen: Evidence) -> Answer:
    """What became of AMP on mps."""
    found = []
    for record in _asked(seen, "mps"):
        which = f" ({_software(record)})"
        if record.outcome.status is Status.FAILED:
            found.append((ClaimVerdict.OPEN, f"a case with AMP failed: its reason says whether it was for that{which}"))
        elif _lost_amp(record):
            found.append(
                (ClaimVerdict.FAILS, f"no error: Ultralytics trains without AMP, and says nothing of it{which}")
            )
        else:
            found.append((ClaimVerdict.FAILS, f"a case trained with AMP{which}"))
    return together(found)


def amp_default(seen: Evidence) -> Answer:
    """AMP asked for on cpu and cuda: dropped on the one, on from capability 7.0 on the other.

    It holds where both halves were seen; where one was, the other is open.
    """
    found: list[tuple[ClaimVerdict, str]] = []
    for kind in ("cpu", "cuda"):
        half = []
        for record in _asked(seen, kind):
            ran = record.outcome.status is Status.MEASURED
            capability = 0.0 if kind == "cpu" else _capability(record)
            if capability is None or record.outcome.status is Status.FAILED:
                continue
            verdict = ClaimVerdict.HOLDS if ran == (capability >= 7.0) else ClaimVerdict.FAILS
            on = f"AMP was asked for and is {'on' if ran else 'off'} on {record.case.device}"
            half.append((verdict, f"{on}, {_software(record)}"))
        answer = together(half)
        found.append(answer or (ClaimVerdict.OPEN, f"on {kind} it was not tried"))
    if all(verdict is ClaimVerdict.OPEN for verdict, _ in found):
        return None
    verdict = ClaimVerdict.FAILS if ClaimVerdict.FAILS in (one for one, _ in found) else found[0][0]
    if verdict is not ClaimVerdict.FAILS and ClaimVerdict.OPEN in (one for one, _ in found):
        verdict = ClaimVerdict.OPEN
    return verdict, "; ".join(word for one, word in found if verdict is not ClaimVerdict.FAILS or one is verdict)


def _capability(record: Record) -> float | None:
    try:
        return float(str(record.device.get("capability")))
    except ValueError:
        return None


def mac_autobatch(seen: Evidence) -> Answer:
    """What Ultralytics takes for ``batch=-1`` on mps."""
    found = []
    for record in seen.records:
        taken = record.effective.get("autobatch")
        if record.case.device_kind != "mps" or record.outcome.status is not Status.MEASURED:
            continue
        if isinstance(taken, int):
            found.append((ClaimVerdict.FAILS, f"Ultralytics takes {taken}, whatever would fit ({_software(record)})"))
        elif isinstance(taken, str):
            found.append((ClaimVerdict.HOLDS, f"Ultralytics ends with {taken} ({_software(record)})"))
    return together(found)


MOST_WORKERS = 2
"""Data loader processes that the guides call safe on macOS."""


def mac_workers(seen: Evidence) -> Answer:
    """Data loader processes that ran on a Mac."""
    ran = {
        workers
        for record in seen.records
        if _is_mac(record.machine) and record.outcome.status is Status.MEASURED
        if isinstance(workers := record.effective.get("workers"), int)
    }
    if not ran:
        return None
    if max(ran) > MOST_WORKERS:
        return ClaimVerdict.FAILS, f"{max(ran)} ran, and the case came to its end"
    if max(ran) == 0:
        return ClaimVerdict.OPEN, "whatever is asked for, Ultralytics runs none on cpu and mps, so none can hang"
    return ClaimVerdict.OPEN, f"no more than {max(ran)} ran"


def tf_fallback(seen: Evidence) -> Answer:
    """Operators that fell back to the CPU on mps."""
    with_it = [
        record
        for record in seen.records
        if record.case.device_kind == "mps"
        and record.outcome.status is Status.MEASURED
        and str(record.effective.get("mps_fallback")) == "1"
    ]
    names = dict.fromkeys(name for record in with_it for name in fell_back(record))
    if names:
        return ClaimVerdict.HOLDS, f"{_listed(list(names))} ran on the CPU, {_software(with_it[0])}"
    return (ClaimVerdict.OPEN, "it was set, and no operator needed it") if with_it else None


def tf_single(seen: Evidence) -> Answer:
    """A case that trained on mps+mps; that this suite refuses one proves nothing."""
    several = [record for record in seen.records if ranks(record.case.device) > 1]
    if any(one.case.device_kind == "mps" and one.outcome.status is Status.MEASURED for one in several):
        return ClaimVerdict.FAILS, "a case trained on mps+mps"
    return None


def ddp_launch(seen: Evidence) -> Answer:
    """Whether Ultralytics starts the processes of several devices itself, as cases that trained on some tell."""
    found = [
        (
            ClaimVerdict.FAILS,
            f"its train() starts them itself, by torch.distributed.run ({_software(record)}; by its code)",
        )
        for record in seen.records
        if ranks(record.case.device) > 1
        and record.outcome.status is Status.MEASURED
        and record.effective.get("spawns_ddp") is True
    ]
    return together(found)


def ddp_syncbn(seen: Evidence) -> Answer:
    """Batch norm layers of cases on several cards."""
    several = {
        told
        for record in seen.records
        if record.case.device_kind == "cuda" and ranks(record.case.device) > 1
        if isinstance(told := record.effective.get("sync_bn"), bool)
    }
    if not several:
        return None
    if several == {True}:
        return ClaimVerdict.HOLDS, "the layers are SyncBatchNorm"
    return ClaimVerdict.FAILS, "the layers are plain batch norm" + (" in some cases" if len(several) > 1 else "")


JUDGES: dict[str, Callable[[Evidence], Answer]] = {
    "mac-speed": mac_speed,
    "mac-amp-error": mac_amp_error,
    "mac-autobatch": mac_autobatch,
    "mac-workers": mac_workers,
    "mac-batch": mac_batch,
    "mac-size": mac_size,
    "tf-fallback": tf_fallback,
    "tf-single": tf_single,
    "ddp-scaling": ddp_scaling,
    "ddp-launch": ddp_launch,
    "ddp-syncbn": ddp_syncbn,
    "oom-3090": oom_3090,
    "amp-time": amp_time,
    "amp-memory": amp_memory,
    "amp-batch": amp_batch,
    "amp-coco8": amp_coco8,
    "amp-default": amp_default,
}
"""By the id of a claim; one without an entry is never decided, and its ``untested`` says why."""
