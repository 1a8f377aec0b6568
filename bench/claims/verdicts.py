"""Verdicts on claims of web guides, by what one machine measured; the claims themselves are in ``claims.toml``.

A claim gets a verdict only where its conditions were measured. Claims that are a ratio are judged by
:mod:`bench.claims.ratios`, other figures by :mod:`bench.claims.figures`, claims about what a library does by what ran.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

import msgspec

from bench.analysis.flags import fell_back
from bench.cases.device_kinds import label, ranks
from bench.claims import figures
from bench.claims.claim import (
    Answer,
    ClaimResult,
    ClaimVerdict,
    Evidence,
    claims,
    combine,
    is_mac,
    list_some,
    software,
    together,
)
from bench.claims.ratios import judge_ratio
from bench.records.ceiling import Ceiling
from bench.records.outcome import Status
from bench.records.record import Record

CARD_24 = (22.0, 25.0)
"""Memory of cards that are sold as 24 GB, in GiB."""


def judge_claims(evidence: Evidence) -> list[ClaimResult]:
    """Judge every claim; those with a verdict come first."""
    results = []
    of = functools.cache(evidence.of)
    for claim in claims():
        counted = of(claim.workload, claim.forced)
        answer = judge_ratio(claim.ratio, counted) if claim.ratio else JUDGES[claim.id](counted)
        verdict, because = answer or (ClaimVerdict.UNTESTED, claim.untested)
        results.append(ClaimResult(claim, verdict, because))
    return sorted(results, key=lambda result: result.verdict is ClaimVerdict.UNTESTED)


def _fits(ceiling: Ceiling, batch: int) -> bool | None:
    """Whether a batch trains; None where that is unknown."""
    if ceiling.case.batch >= batch:
        return True
    if ceiling.stop_reason == "out of memory" and ceiling.case.batch + ceiling.granularity <= batch:
        return False
    return None


def oom_3090(evidence: Evidence) -> Answer:
    """Batch 32 of yolov8n at 640 px on one card of 24 GB."""
    answers = []
    for ceiling in evidence.ceilings:
        case, gib = ceiling.case, (_card_bytes(ceiling) or 0) / 2**30
        wanted = (case.model_name, case.imgsz, case.device_kind) == ("yolov8n", 640, "cuda")
        if ceiling.outcome.status is Status.MEASURED and wanted and CARD_24[0] <= gib <= CARD_24[1]:
            verdict = {True: ClaimVerdict.FAILS, False: ClaimVerdict.HOLDS, None: ClaimVerdict.OPEN}[_fits(ceiling, 32)]
            what = f"batch {case.batch} is the largest that trains within {gib:.1f} GiB"
            answers.append((verdict, f"{what}, AMP {case.amp}, {software(ceiling)}"))
    return combine(answers)


def _card_bytes(ceiling: Ceiling) -> int | None:
    """Memory limit of a search on one card: the limit that was requested, else the card's own memory."""
    if ceiling.asked_bytes is not None:
        return ceiling.asked_bytes
    sizes = [re.search(r"\(([0-9.]{1,9}) GiB\)$", name) for name in ceiling.machine.gpus]
    place = _card(ceiling)
    if place is None and len(set(ceiling.machine.gpus)) == 1:
        place = 0  # all cards are alike
    size = sizes[place] if place is not None and place < len(sizes) else None
    return int(float(size[1]) * 2**30) if size else None


def _card(ceiling: Ceiling) -> int | None:
    """The place of a search's one card among the GPUs of its machine; None where that is not certain.

    A worker leaves itself that card alone by ``CUDA_VISIBLE_DEVICES``, which numbers as the driver does unless the user
    chose another order. Older records, which do not hold the variable, are certain where there is one card.
    """
    variables = ceiling.effective.get("variables")
    if not ceiling.case.device.isdigit() or not isinstance(variables, dict):
        return None
    chosen = str(variables.get("CUDA_VISIBLE_DEVICES", ""))
    return int(chosen) if chosen.isdigit() and "CUDA_DEVICE_ORDER" not in variables else None


def mac_batch(evidence: Evidence) -> Answer:
    """The largest batch of yolov8s at 640 px: 4 to 8 on an M2, 12 to 16 on an M2 Pro or Max."""
    answers = []
    for ceiling in evidence.ceilings:
        chip = ceiling.machine.cpu
        named = (ceiling.case.model_name, ceiling.case.imgsz, ceiling.case.device) == ("yolov8s", 640, "mps")
        if ceiling.outcome.status is Status.MEASURED and named and "M2" in chip and ceiling.asked_bytes is None:
            least, most = (12, 16) if "Pro" in chip or "Max" in chip else (4, 8)
            verdict = (
                ClaimVerdict.HOLDS
                if _fits(ceiling, most)
                else ClaimVerdict.FAILS
                if _fits(ceiling, least) is False
                else None
            )
            what = f"batch {ceiling.case.batch} is the largest that trains on {chip}, {software(ceiling)}"
            answers.append((verdict or ClaimVerdict.OPEN, what))
    return combine(answers)


def _asked_for_amp(evidence: Evidence, kind: str) -> list[Record]:
    """Records of training on one kind of device that requested AMP and were measured, failed or lost it."""
    return [
        record
        for record in evidence.records
        if record.case.mode == "train"
        and record.case.amp == "on"
        and record.case.device_kind == kind
        and (record.outcome.status in (Status.MEASURED, Status.FAILED) or _lost_amp(record))
    ]


def _lost_amp(record: Record) -> bool:
    """Whether something other than AMP would have run, in the words of the worker's ``effective_settings.explain``."""
    return record.outcome.status is Status.SUBSTITUTED and record.outcome.reason.startswith("amp ")


def mac_amp_error(evidence: Evidence) -> Answer:
    """Whether training with AMP on mps raises an error; AMP caused it where the same case trains without."""
    answers = []
    trained = {
        (record.case, record.environment.fingerprint)
        for record in evidence.records
        if record.case.amp == "off" and record.outcome.status is Status.MEASURED
    }
    for record in _asked_for_amp(evidence, "mps"):
        which = f" ({software(record)})"
        without = msgspec.structs.replace(record.case, amp="off"), record.environment.fingerprint
        if record.outcome.status is Status.FAILED and without in trained:
            answers.append((ClaimVerdict.HOLDS, f"a case failed with AMP, and trained without it{which}"))
        elif record.outcome.status is Status.FAILED:
            answers.append((ClaimVerdict.OPEN, f"a case with AMP failed: its reason says whether AMP caused it{which}"))
        elif _lost_amp(record):
            answers.append(
                (ClaimVerdict.FAILS, f"no error: Ultralytics trains without AMP, and says nothing of it{which}")
            )
        else:
            answers.append((ClaimVerdict.FAILS, f"a case trained with AMP{which}"))
    return combine(answers)


def amp_default(evidence: Evidence) -> Answer:
    """Whether requested AMP is dropped on cpu, and on from capability 7.0 on cuda.

    It holds where both halves were measured; where one was, the other is open.
    """
    parts: dict[str, Answer] = {}
    for kind in ("cpu", "cuda"):
        half = []
        for record in _asked_for_amp(evidence, kind):
            ran = record.outcome.status is Status.MEASURED
            capability = 0.0 if kind == "cpu" else _capability(record)
            if capability is None or record.outcome.status is Status.FAILED:
                continue
            verdict = ClaimVerdict.HOLDS if ran == (capability >= 7.0) else ClaimVerdict.FAILS
            on = f"AMP was asked for and is {'on' if ran else 'off'} on {label(record.case.device)}"
            half.append((verdict, f"{on}, {software(record)}"))
        parts[f"on {kind} it was not tried"] = combine(half)
    return together(parts)


def _capability(record: Record) -> float | None:
    try:
        return float(str(record.device.get("capability")))
    except ValueError:
        return None


def mac_autobatch(evidence: Evidence) -> Answer:
    """Whether Ultralytics chooses a batch for ``batch=-1`` on mps."""
    answers = []
    for record in evidence.records:
        taken = record.effective.get("autobatch")
        if record.case.device_kind != "mps" or record.outcome.status is not Status.MEASURED:
            continue
        if isinstance(taken, int):
            answers.append((ClaimVerdict.FAILS, f"Ultralytics takes {taken}, whatever would fit ({software(record)})"))
        elif isinstance(taken, str):
            answers.append((ClaimVerdict.HOLDS, f"Ultralytics ends with {taken} ({software(record)})"))
    return combine(answers)


SAFE_WORKERS = 2
"""Data loader processes that the guides call safe on macOS."""


def mac_workers(evidence: Evidence) -> Answer:
    """Data loader processes that ran on a Mac, and whether a case with more than two came to no end."""
    on_mac = [record for record in evidence.records if is_mac(record)]
    ran = {
        workers
        for record in on_mac
        if record.outcome.status is Status.MEASURED and isinstance(workers := record.effective.get("workers"), int)
    }
    hung = {
        value
        for record in on_mac
        if record.outcome.status is Status.TIMED_OUT
        for axis, value in record.case.further
        if axis.endswith("workers") and isinstance(value, int) and value > SAFE_WORKERS
    }
    if ran and max(ran) > SAFE_WORKERS:
        return ClaimVerdict.FAILS, f"{max(ran)} ran, and the case came to its end"
    if hung and ran:
        return ClaimVerdict.HOLDS, f"{max(ran)} ran, and a case with {min(hung)} came to no end"
    if hung:
        return ClaimVerdict.OPEN, f"a case with {min(hung)} came to no end, and none with fewer was tried"
    if not ran:
        return None
    if max(ran) == 0:
        return ClaimVerdict.OPEN, "no case ran any: Ultralytics runs none on cpu and mps, whatever is asked for"
    return ClaimVerdict.OPEN, f"no more than {max(ran)} ran"


LINALG_INV = "linalg.inv"
ALWAYS_FALL_BACK = ("linalg.svd",)
"""Operators that fall back to the CPU on mps with the variable and without it."""


def torch_op(evidence: Evidence) -> Answer:
    """Whether mps lacks the operator that guides name, by the operators that a case on mps tried after its window."""
    answers = []
    for record in evidence.records:
        tried = _operators(record)
        if LINALG_INV not in tried:
            continue
        others = [name for name, how in tried.items() if how != "native" and name != LINALG_INV]
        native = tried[LINALG_INV] == "native"
        named = f"{LINALG_INV} runs on the GPU" if native else f"{LINALG_INV} does not run there: {tried[LINALG_INV]}"
        rest = (
            f"of {len(tried) - 1} others, {list_some(others)} not" if others else f"{len(tried) - 1} others run there"
        )
        text = f"{named.rstrip('.')}; {rest} ({software(record)})"
        answers.append((ClaimVerdict.FAILS if native else ClaimVerdict.HOLDS, text))
    return combine(answers)


def _operators(record: Record) -> dict[str, str]:
    """How each operator that was tried on mps ran: ``native``, ``falls back``, or its error."""
    tried = record.device.get("operators") if record.case.device_kind == "mps" else None
    return {str(name): str(how) for name, how in tried.items()} if isinstance(tried, dict) else {}


def tf_fallback(evidence: Evidence) -> Answer:
    """Operators that fell back to the CPU on mps, and missing ones that did not although the variable was set."""
    fallback = [
        record
        for record in evidence.records
        if record.case.device_kind == "mps"
        and record.outcome.status is Status.MEASURED
        and str(record.effective.get("mps_fallback")) == "1"
    ]
    missing = [
        f"{name}: {how}"
        for record in fallback
        for name, how in _operators(record).items()
        if how.startswith("NotImplementedError")
    ]
    if missing:
        return ClaimVerdict.FAILS, f"{list_some(list(dict.fromkeys(missing)))}, {software(fallback[0])}"
    names = dict.fromkeys(name for record in fallback for name in _fallen_back(record))
    if names:
        return ClaimVerdict.HOLDS, f"{list_some(list(names))} ran on the CPU, {software(fallback[0])}"
    return (ClaimVerdict.OPEN, "it was set, and no operator needed it") if fallback else None


def _fallen_back(record: Record) -> list[str]:
    """Operators that ran on the CPU: in warm-up, or where they were tried after the window."""
    tried = [name for name, how in _operators(record).items() if how == "falls back" and name not in ALWAYS_FALL_BACK]
    return [*fell_back(record), *tried]


def tf_single(evidence: Evidence) -> Answer:
    """Whether a case trained on mps+mps, or torch itself names no backend that takes tensors of mps."""
    answers = []
    for record in evidence.records:
        if record.case.device_kind != "mps" or ranks(record.case.device) == 1:
            continue
        if record.outcome.status is Status.MEASURED:
            answers.append((ClaimVerdict.FAILS, f"a case trained on {record.case.device} ({software(record)})"))
        elif record.outcome.status is Status.UNSUPPORTED and NO_BACKEND.search(record.outcome.reason):
            answers.append((ClaimVerdict.HOLDS, record.outcome.reason.rstrip(".")))
    return combine(answers)


NO_BACKEND = re.compile(r"torch \S+ trains on one mps")
"""What a worker says of several devices after a look into the tables of the measured torch."""


def ddp_launch(evidence: Evidence) -> Answer:
    """Whether Ultralytics starts the processes of several devices itself, by cases that trained on several."""
    answers = []
    for record in evidence.records:
        if ranks(record.case.device) == 1 or record.outcome.status is not Status.MEASURED:
            continue
        if record.effective.get("spawns_ddp") is True:
            how = "starts them itself, by torch.distributed.run"
            answers.append((ClaimVerdict.FAILS, f"its train() {how} ({software(record)}; by its code)"))
        elif record.effective.get("spawns_ddp") is False:
            answers.append((ClaimVerdict.HOLDS, f"its train() starts none ({software(record)}; by its code)"))
    return combine(answers)


ANOTHER_BATCH = re.compile(r"batch \d+ (?:requested|was asked), batch (\d+) would run")


def ddp_divide(evidence: Evidence) -> Answer:
    """What Ultralytics makes of a batch that is no multiple of the number of devices."""
    answers = []
    for record in evidence.records:
        batch, count = record.case.batch, ranks(record.case.device)
        if count == 1 or batch % count == 0:
            continue
        case, reason = f"batch {batch} on {count} devices", record.outcome.reason
        which = f" ({software(record)})"
        if record.outcome.status is Status.MEASURED:
            answers.append((ClaimVerdict.FAILS, f"{case} trains{which}"))
        elif record.outcome.status is Status.SUBSTITUTED and (ran := ANOTHER_BATCH.search(reason)):
            answers.append((ClaimVerdict.FAILS, f"{case} trains with batch {ran[1]}, without an error{which}"))
        elif record.outcome.status is Status.FAILED and "multiple" in reason:
            answers.append((ClaimVerdict.HOLDS, f"{case} fails: {reason.rstrip('.')}{which}"))
    return combine(answers)


def ddp_syncbn(evidence: Evidence) -> Answer:
    """Batch norm layers of cases on several cards."""
    several = {
        synchronized
        for record in evidence.records
        if record.case.device_kind == "cuda" and ranks(record.case.device) > 1
        if isinstance(synchronized := record.effective.get("sync_bn"), bool)
    }
    if not several:
        return None
    if several == {True}:
        return ClaimVerdict.HOLDS, "the layers are SyncBatchNorm"
    return ClaimVerdict.FAILS, "the layers are plain batch norm" + (" in some cases" if len(several) > 1 else "")


JUDGES: dict[str, Callable[[Evidence], Answer]] = {
    "mac-amp-error": mac_amp_error,
    "mac-autobatch": mac_autobatch,
    "mac-workers": mac_workers,
    "mac-batch": mac_batch,
    "torch-table": figures.torch_table,
    "torch-attention": figures.torch_attention,
    "torch-fp16": figures.torch_fp16,
    "torch-power": figures.torch_power,
    "torch-op": torch_op,
    "tf-fallback": tf_fallback,
    "tf-single": tf_single,
    "ddp-dp": figures.ddp_dp,
    "ddp-launch": ddp_launch,
    "ddp-syncbn": ddp_syncbn,
    "ddp-divide": ddp_divide,
    "ddp-workers": figures.ddp_workers,
    "ddp-starved": figures.ddp_starved,
    "oom-3090": oom_3090,
    "amp-default": amp_default,
    "amp-map": figures.amp_map,
}
"""Judges by claim id, of all claims that no ratio in ``claims.toml`` decides."""
