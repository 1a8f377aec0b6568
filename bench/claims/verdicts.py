"""Verdicts on claims of web guides, by what one machine measured; the claims themselves are in ``claims.toml``.

A claim gets a verdict only where its conditions were measured. Claims that are a ratio are judged by
:mod:`bench.claims.ratios`, claims about what Ultralytics does by what ran.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from bench.analysis.flags import fell_back
from bench.cases.device_kinds import label, ranks
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
)
from bench.claims.ratios import judge_ratio
from bench.records.ceiling import Ceiling
from bench.records.outcome import Status
from bench.records.record import Record

CARD_24 = (22.0, 25.0)
"""Memory of cards that are sold as 24 GB, in GiB."""


def judge_claims(evidence: Evidence) -> list[ClaimResult]:
    """Judge every claim, by cases that force nothing; those with a verdict come first."""
    evidence, results = evidence.without_forced(), []
    for claim in claims():
        judge = JUDGES.get(claim.id)
        answer = judge_ratio(claim.ratio, evidence) if claim.ratio else judge(evidence) if judge else None
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
    """Whether training with AMP on mps raises an error."""
    answers = []
    for record in _asked_for_amp(evidence, "mps"):
        which = f" ({software(record)})"
        if record.outcome.status is Status.FAILED:
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
    answers: list[tuple[ClaimVerdict, str]] = []
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
        answer = combine(half)
        answers.append(answer or (ClaimVerdict.OPEN, f"on {kind} it was not tried"))
    if all(verdict is ClaimVerdict.OPEN for verdict, _ in answers):
        return None
    verdict = ClaimVerdict.FAILS if ClaimVerdict.FAILS in (known for known, _ in answers) else answers[0][0]
    if verdict is not ClaimVerdict.FAILS and ClaimVerdict.OPEN in (known for known, _ in answers):
        verdict = ClaimVerdict.OPEN
    return verdict, "; ".join(text for known, text in answers if verdict is not ClaimVerdict.FAILS or known is verdict)


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
    """Data loader processes that ran on a Mac."""
    ran = {
        workers
        for record in evidence.records
        if is_mac(record) and record.outcome.status is Status.MEASURED
        if isinstance(workers := record.effective.get("workers"), int)
    }
    if not ran:
        return None
    if max(ran) > SAFE_WORKERS:
        return ClaimVerdict.FAILS, f"{max(ran)} ran, and the case came to its end"
    if max(ran) == 0:
        return ClaimVerdict.OPEN, "whatever is asked for, Ultralytics runs none on cpu and mps, so none can hang"
    return ClaimVerdict.OPEN, f"no more than {max(ran)} ran"


def tf_fallback(evidence: Evidence) -> Answer:
    """Operators that fell back to the CPU on mps."""
    fallback = [
        record
        for record in evidence.records
        if record.case.device_kind == "mps"
        and record.outcome.status is Status.MEASURED
        and str(record.effective.get("mps_fallback")) == "1"
    ]
    names = dict.fromkeys(name for record in fallback for name in fell_back(record))
    if names:
        return ClaimVerdict.HOLDS, f"{list_some(list(names))} ran on the CPU, {software(fallback[0])}"
    return (ClaimVerdict.OPEN, "it was set, and no operator needed it") if fallback else None


def tf_single(evidence: Evidence) -> Answer:
    """Whether a case trained on mps+mps; that this suite refuses such a case proves nothing."""
    several = [record for record in evidence.records if ranks(record.case.device) > 1]
    if any(record.case.device_kind == "mps" and record.outcome.status is Status.MEASURED for record in several):
        return ClaimVerdict.FAILS, "a case trained on mps+mps"
    return None


def ddp_launch(evidence: Evidence) -> Answer:
    """Whether Ultralytics starts the processes of several devices itself, by cases that trained on several."""
    answers = [
        (
            ClaimVerdict.FAILS,
            f"its train() starts them itself, by torch.distributed.run ({software(record)}; by its code)",
        )
        for record in evidence.records
        if ranks(record.case.device) > 1
        and record.outcome.status is Status.MEASURED
        and record.effective.get("spawns_ddp") is True
    ]
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
    "tf-fallback": tf_fallback,
    "tf-single": tf_single,
    "ddp-launch": ddp_launch,
    "ddp-syncbn": ddp_syncbn,
    "oom-3090": oom_3090,
    "amp-default": amp_default,
}
"""Judges by claim id. A claim with neither a judge nor a ratio is never decided, and its ``untested`` says why."""
