"""Every claim is decided by complete records: made ones that support it, and made ones that contradict it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from bench.analysis.table import frame, newest_rows
from bench.cases.axes import PRECISIONS
from bench.claims.accuracy import Accuracy
from bench.claims.claim import ClaimVerdict, Evidence, claims
from bench.claims.verdicts import judge_claims
from bench.machine.description import Machine
from bench.records.ceiling import Ceiling
from bench.records.record import Energy, Memory, Record
from tests.builders import GIB, make_ceiling, make_environment, make_machine, make_record, make_steps

M1_PRO = make_machine(fingerprint="a" * 12, system="macOS arm64", cpu="Apple M1 Pro", gpus=[], memory_gib=16)
CORE_I9 = make_machine(fingerprint="b" * 12, cpu="Intel(R) Core(TM) i9-12900K")
RTX_3060 = make_machine(fingerprint="c" * 12, gpus=["NVIDIA GeForce RTX 3060 (12 GiB)"], cores=16)

UNITS = {
    "torch": {"name": "torch", "unit": "image", "size_unit": "px", "epoch_items": 50_000},
    "transformers": {"name": "transformers", "unit": "sequence", "size_unit": "tokens", "epoch_items": 3_668},
}


class Kit(msgspec.Struct, frozen=True):
    """What a page has: the records of the machine that is judged, of other ones, ceilings and accuracies."""

    records: Sequence[Record] = ()
    elsewhere: Sequence[Record] = ()
    ceilings: Sequence[Ceiling] = ()
    accuracy: Sequence[Accuracy] = ()

    def verdicts(self) -> dict[str, tuple[ClaimVerdict, str]]:
        """Judge all claims."""

        def evidence(records: Sequence[Record]) -> Evidence:
            return Evidence(newest_rows(frame(records)), records, self.ceilings, self.accuracy)

        others = evidence(self.elsewhere) if self.elsewhere else None
        results = judge_claims(evidence(self.records)._replace(elsewhere=others))
        return {result.claim.id: (result.verdict, result.because) for result in results}


def case(rate: float = 10.0, *, workload: str = "", data_wait: float = 0.0, **changes: Any) -> Record:
    """A measured training whose interval is ± 0.6 % of so many items per second; ``workload`` is another family."""
    batch = int(changes.get("batch", 16))
    seconds = [batch / rate * factor for factor in (1.0, 1.005, 0.995) * 8]
    steps = make_steps(seconds, images=batch, data_wait=data_wait * batch / rate)
    ran = changes.pop("ran", {})
    record = make_record(steps=steps, extra={"workload": UNITS[workload]} if workload else {}, **changes)
    record.effective.update(ran)
    return record


def ended(status: str, reason: str = "It did not work.", **changes: Any) -> Record:
    """A case that was not measured."""
    return make_record(status=status, reason=reason, **changes)


def with_peak(gib: float, rate: float = 10.0, **changes: Any) -> Record:
    """A measured training with this peak of allocated memory."""
    figure = Memory(int(gib * GIB), "torch.cuda.max_memory_allocated")
    return msgspec.structs.replace(case(rate, **changes), memory={"allocated": figure})


def with_no_peak(rate: float, **changes: Any) -> Record:
    """A measured training on mps of which no memory is known."""
    return msgspec.structs.replace(case(rate, device="mps", workload="torch", **changes), memory={})


def on_mps(**device: Any) -> Record:
    """A case on mps whose device says this."""
    record = case(device="mps", machine=M1_PRO)
    record.device.update(device)
    return record


def replaced(batch: int, **changes: Any) -> Record:
    """A case of several devices whose batch Ultralytics rounds down."""
    reason = f"batch {batch} requested, batch {batch - 1} would run: each device takes the same number."
    return ended("substituted", reason, batch=batch, **changes)


def watts(power: float, scope: str, **changes: Any) -> Record:
    """ResNet18 in the plain loop, with this power in its window of 10 s."""
    energy = Energy(joules=10 * power, seconds=10.0, images=1000, method="a counter", scope=scope)
    return msgspec.structs.replace(case(model="resnet18", workload="torch", **changes), energy=energy)


def table_of_guide(factor: float = 1.0) -> Kit:
    """The ratios of the guide's table; those of the CPU are ``factor`` times as large."""
    times = {"resnet18": (12.3, 8.7, 45.2), "vit-tiny-4": (28.5, 19.8, 120.3), "lstm256": (5.8, 4.2, 22.1)}
    own, others = [], []
    for model, (mps, card, cpu) in times.items():
        own.append(case(1000 / mps, model=model, workload="torch", device="mps", machine=M1_PRO))
        card_torch = {"machine": RTX_3060, "environment": make_environment("2.14.1+cu132")}
        others.append(case(1000 / card, model=model, workload="torch", device="0", **card_torch))
        others.append(case(1000 / (cpu * factor), model=model, workload="torch", machine=CORE_I9))
    return Kit(own, others)


def attention(convolutions: float, vit: float) -> Kit:
    """Shares of the card that the Apple GPU reaches."""
    own = [
        case(100 * share, model=model, workload="torch", device="mps", machine=M1_PRO)
        for model, share in (("resnet18", convolutions), ("vit_b_16", vit))
    ]
    others = [
        case(100.0, model=model, workload="torch", device="0", machine=RTX_3060) for model in ("resnet18", "vit_b_16")
    ]
    return Kit(own, others)


def halved(speed: float, memory: float, amp: str = "on", workload: str = "torch") -> Kit:
    """Training on mps in float32, and in float16 by so much faster and smaller."""
    shape = {"device": "mps", "model": "resnet18", "machine": M1_PRO, "workload": workload}
    return Kit([with_peak(4.0, 10.0, amp="off", **shape), with_peak(4.0 * memory, 10.0 * speed, amp=amp, **shape)])


def parallel(factor: float) -> Kit:
    """Two cards by DistributedDataParallel, so many times as fast as by DataParallel."""

    def trained(rate: float, value: str, module: str) -> Record:
        ran = {"parallel": module}
        further = (("parallel", value),)
        return case(rate, device="0+1", model="resnet18", workload="torch", further=further, ran=ran)

    return Kit([trained(10.0 * factor, "ddp", "DistributedDataParallel"), trained(10.0, "dp", "DataParallel")])


def with_workers(beyond: float) -> Kit:
    """4 processes on 16 cores, and 12 by so much faster."""
    shape = {"device": "0", "machine": RTX_3060}
    return Kit(
        [case(10.0, further=(("workers", 4),), **shape), case(10.0 * beyond, further=(("workers", 12),), **shape)]
    )


def used(utilization: float, data_wait: float) -> Kit:
    """A GPU that was used so much, and waited for data so long."""
    record = case(device="0", machine=RTX_3060, data_wait=data_wait)
    assert record.window is not None
    window = msgspec.structs.replace(record.window, device_utilization=utilization)
    return Kit([msgspec.structs.replace(record, window=window)])


def maps(on: Sequence[float], off: Sequence[float]) -> Kit:
    """Accuracies of trainings with AMP, and without."""
    figures = [Accuracy("yolov8n", amp, figure) for amp, side in (("on", on), ("off", off)) for figure in side]
    return Kit(accuracy=figures)


def cached(factor: float) -> Kit:
    """Training on a Mac with cache=ram, so many times as fast as without."""
    shape = {"device": "mps", "machine": M1_PRO}
    return Kit(
        [
            case(10.0, further=(("cache", "off"),), **shape),
            case(10.0 * factor, further=(("cache", "ram"),), **shape),
        ]
    )


def loaders(*ran: int, hung: int = 0) -> Kit:
    """Cases of a plain loop on a Mac with loader processes, and one that came to no end."""
    shape: dict[str, Any] = {"machine": M1_PRO, "model": "resnet18"}
    kit = [case(workload="torch", ran={"workers": count}, further=(("workers", count),), **shape) for count in ran]
    slow = [ended("timed_out", further=(("workers", hung),), **shape)] if hung else []
    return Kit([*kit, *slow])


def several(**ran: Any) -> Kit:
    """A training on two cards with these effective settings."""
    return Kit([case(device="0+1", ran=ran)])


def on_card(amp: str, capability: str) -> Record:
    """A card of this capability where AMP was asked for and is on."""
    record = case(device="0", amp=amp)
    record.device.update(capability=capability)
    return record


NO_AMP = "amp on requested, amp off would run: Ultralytics offers no mixed precision here."
MAC_CEILING: dict[str, Any] = {"device": "mps", "limit": None, "machine": make_machine(system="macOS", cpu="Apple M2")}
CARD: dict[str, Any] = {"device": "0", "imgsz": 640, "limit": 24 * GIB}
ON_ONE = (
    "device mps+mps: torch 2.15.0 trains on one mps: its backend for mps is gloo, which takes tensors of cpu alone."
)
LACKS = "NotImplementedError: The operator is not currently implemented for the MPS device."


def exported(name: str, speed: float, device: str) -> Kit:
    """Prediction as .pt, and so many times as fast in a format."""
    shape = {"mode": "predict", "device": device}
    return Kit([case(10.0, **shape), case(10.0 * speed, further=(("format", name),), **shape)])


KITS: dict[str, tuple[Kit, Kit]] = {
    "mac-speed": (Kit([case(10.0), case(40.0, device="mps")]), Kit([case(10.0), case(20.0, device="mps")])),
    "mac-amp-error": (
        Kit([case(device="mps"), ended("failed", device="mps", amp="on")]),
        Kit([ended("substituted", NO_AMP, device="mps", amp="on")]),
    ),
    "mac-autobatch": (
        Kit([case(device="mps", ran={"autobatch": "AssertionError: no CUDA"})]),
        Kit([case(device="mps", ran={"autobatch": 16})]),
    ),
    "mac-workers": (loaders(0, 2, hung=4), loaders(0, 4)),
    "mac-batch": (
        Kit(ceilings=[make_ceiling(8, model="yolov8s", imgsz=640, **MAC_CEILING)]),
        Kit(ceilings=[make_ceiling(3, model="yolov8s", imgsz=640, **MAC_CEILING)]),
    ),
    "mac-size": (
        Kit(ceilings=[make_ceiling(20, imgsz=320, **MAC_CEILING), make_ceiling(5, imgsz=640, **MAC_CEILING)]),
        Kit(ceilings=[make_ceiling(4, imgsz=320, **MAC_CEILING), make_ceiling(9, imgsz=640, **MAC_CEILING)]),
    ),
    "mac-cache": (cached(1.3), cached(1.0)),
    "torch-table": (table_of_guide(), table_of_guide(1.5)),
    "torch-attention": (attention(0.75, 0.60), attention(0.71, 0.69)),
    "torch-fp16": (halved(1.4, 0.6), halved(1.4, 1.2)),
    "torch-power": (
        Kit(
            [watts(15.0, "machine", device="mps", machine=M1_PRO)],
            [watts(200.0, "machine", device="0", machine=RTX_3060)],
        ),
        Kit([watts(35.0, "machine", device="mps", machine=M1_PRO)]),
    ),
    "torch-op": (
        Kit([on_mps(operators={"linalg.inv": LACKS, "cumsum": "native"})]),
        Kit([on_mps(operators={"linalg.inv": "native", "linalg.svd": "falls back"})]),
    ),
    "tf-fallback": (
        Kit([case(device="mps", ran={"mps_fallback": "1"}, machine=M1_PRO)]),
        Kit([case(device="mps", ran={"mps_fallback": "1"}, machine=M1_PRO)]),
    ),
    "tf-single": (Kit([ended("unsupported", ON_ONE, device="mps+mps")]), Kit([case(device="mps+mps")])),
    "ddp-scaling": (
        Kit(
            [
                case(100.0, model="yolov8m", batch=32, device="0"),
                case(300.0, model="yolov8m", batch=128, device="0+1+2+3"),
            ]
        ),
        Kit(
            [
                case(100.0, model="yolov8m", batch=32, device="0"),
                case(200.0, model="yolov8m", batch=128, device="0+1+2+3"),
            ]
        ),
    ),
    "ddp-dp": (parallel(1.5), parallel(1.1)),
    "ddp-launch": (several(spawns_ddp=False), several(spawns_ddp=True)),
    "ddp-syncbn": (several(sync_bn=True), several(sync_bn=False)),
    "ddp-divide": (
        Kit([ended("failed", "ValueError: 'batch=5' must be a multiple of GPU count 2.", batch=5, device="0+1")]),
        Kit([replaced(5, device="cpu+cpu")]),
    ),
    "ddp-workers": (with_workers(0.9), with_workers(1.2)),
    "ddp-starved": (used(0.4, 0.5), used(0.4, 0.01)),
    "oom-3090": (Kit(ceilings=[make_ceiling(24, **CARD)]), Kit(ceilings=[make_ceiling(40, **CARD)])),
    "amp-time": (
        Kit([case(100.0, device="0"), case(170.0, device="0", amp="on")]),
        Kit([case(100.0, device="0"), case(120.0, device="0", amp="on")]),
    ),
    "amp-memory": (
        Kit([with_peak(10.0, device="0"), with_peak(5.0, device="0", amp="on")]),
        Kit([with_peak(10.0, device="0"), with_peak(7.0, device="0", amp="on")]),
    ),
    "amp-batch": (
        Kit(ceilings=[make_ceiling(24, device="0"), make_ceiling(60, device="0", amp="on")]),
        Kit(ceilings=[make_ceiling(24, device="0"), make_ceiling(40, device="0", amp="on")]),
    ),
    "amp-coco8": (
        Kit([with_peak(18.0, device="0"), with_peak(18.5, device="0", amp="on", batch=32)]),
        Kit([with_peak(18.0, device="0"), with_peak(30.0, device="0", amp="on", batch=32)]),
    ),
    "amp-default": (
        Kit([ended("substituted", NO_AMP, amp="on"), on_card("on", "8.6")]),
        Kit([case(amp="on"), on_card("on", "8.6")]),
    ),
    "amp-map": (maps([0.371, 0.372, 0.373], [0.372, 0.371, 0.373]), maps([0.341, 0.342, 0.343], [0.372, 0.371, 0.373])),
    **{
        f"format-{name}": (exported(name, 2.0, device), exported(name, 8.0, device))
        for name, device in (("onnx", "cpu"), ("openvino", "cpu"), ("engine", "0"))
    },
}
"""By claim: what a page has that supports it, and what contradicts it."""

for _kit, _tried in zip(KITS["tf-fallback"], ("falls back", LACKS), strict=True):
    _kit.records[0].device.update(operators={"linalg.inv": _tried, "linalg.svd": "falls back"})


@pytest.fixture(autouse=True)
def precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know the precisions of all families."""
    for amp, token in (("half", "half"), ("forced-fp16", "forcedfp16"), ("forced-bf16", "forcedbf16")):
        monkeypatch.setitem(PRECISIONS, amp, PRECISIONS.get(amp, token))


def test_every_claim_has_both_kits() -> None:
    assert list(KITS) == [claim.id for claim in claims()]


@pytest.mark.parametrize("claim", KITS)
def test_complete_records_decide_a_claim_either_way(claim: str) -> None:
    for kit, verdict in zip(KITS[claim], (ClaimVerdict.HOLDS, ClaimVerdict.FAILS), strict=True):
        actual, because = kit.verdicts()[claim]
        assert actual is verdict, because
        assert because and not because.endswith(".")


def test_no_claim_says_that_it_cannot_be_decided() -> None:
    for claim in claims():
        for text in (claim.untested, claim.how):
            assert "suite" not in text and "not recorded" not in text


PARTS: list[tuple[str, Callable[[], Kit]]] = [
    ("torch-table", lambda: Kit(table_of_guide().records, table_of_guide().elsewhere[:2])),
    ("torch-attention", lambda: Kit(attention(0.75, 0.6).records[:1], attention(0.75, 0.6).elsewhere)),
    ("torch-power", lambda: Kit([watts(15.0, "machine", device="mps", machine=M1_PRO)])),
    ("torch-power", lambda: Kit([watts(150.0, "card", device="0", machine=RTX_3060)])),
    ("torch-fp16", lambda: Kit([case(10.0, device="mps"), case(14.0, device="mps", amp="forced-fp16")])),
    ("torch-fp16", lambda: Kit([with_no_peak(10.0, amp="off"), with_no_peak(14.0, amp="on")])),
    ("mac-workers", lambda: loaders(0)),
    ("mac-workers", lambda: loaders(hung=4)),
    ("mac-amp-error", lambda: Kit([ended("failed", device="mps", amp="on")])),
    ("ddp-starved", lambda: used(0.95, 0.01)),
    ("amp-map", lambda: maps([0.372], [0.371])),
    ("amp-map", lambda: maps([0.30, 0.40], [0.35, 0.36])),
]


@pytest.mark.parametrize(("claim", "kit"), PARTS)
def test_a_part_of_the_evidence_leaves_a_claim_open(claim: str, kit: Callable[[], Kit]) -> None:
    verdict, because = kit().verdicts()[claim]
    assert verdict is ClaimVerdict.OPEN, because


def test_a_window_without_a_duration_has_no_power() -> None:
    record = watts(15.0, "machine", device="mps", machine=M1_PRO)
    assert record.energy is not None
    broken = msgspec.structs.replace(record, energy=msgspec.structs.replace(record.energy, seconds=0.0))
    assert Kit([broken]).verdicts()["torch-power"][0] is ClaimVerdict.UNTESTED


def test_a_card_that_takes_more_than_the_whole_machine_contradicts() -> None:
    verdict, because = Kit([watts(320.0, "card", device="0", machine=RTX_3060)]).verdicts()["torch-power"]
    assert verdict is ClaimVerdict.FAILS and "320.00 W" in because


def test_hardware_that_the_guide_does_not_speak_of_says_nothing() -> None:
    def elsewhere(record: Record, machine: Machine) -> Record:
        return msgspec.structs.replace(record, machine=machine)

    kit = table_of_guide()
    newer = make_machine(fingerprint="d" * 12, system="macOS arm64", cpu="Apple M4 Max")
    moved = Kit([elsewhere(record, newer) for record in kit.records], kit.elsewhere)
    verdicts = moved.verdicts()
    assert {verdicts[claim][0] for claim in ("torch-table", "torch-attention")} == {ClaimVerdict.UNTESTED}


def test_other_families_and_forced_precisions_decide_nothing_about_ultralytics() -> None:
    plain = [case(workload="torch", model="resnet18", amp="on"), on_card("on", "8.6")]
    assert Kit(plain).verdicts()["amp-default"][0] is ClaimVerdict.OPEN, "autocast of a plain loop runs on a CPU"
    peaks = [with_peak(10.0, device="0", workload="torch"), with_peak(9.0, device="0", workload="torch", amp="on")]
    assert Kit(peaks).verdicts()["amp-memory"][0] is ClaimVerdict.UNTESTED
    forced = [case(10.0, amp="forced-fp16"), case(40.0, device="mps", amp="forced-fp16")]
    assert Kit(forced).verdicts()["mac-speed"][0] is ClaimVerdict.UNTESTED
    axis = (("forced_workers", 2),)
    assert Kit([case(10.0, further=axis), case(40.0, device="mps", further=axis)]).verdicts()["mac-speed"][0] is (
        ClaimVerdict.UNTESTED
    )


@pytest.mark.parametrize(("amp", "workload"), [("half", "torch"), ("on", "torch"), ("forced-fp16", "")])
def test_float16_on_mps_says_which_precision_of_which_family(amp: str, workload: str) -> None:
    verdict, because = halved(1.4, 0.6, amp, workload).verdicts()["torch-fp16"]
    assert verdict is ClaimVerdict.HOLDS
    assert f"amp {amp} ({workload or 'ultralytics'})" in because and "the memory of" in because


def test_interfered_figures_decide_nothing() -> None:
    kit = parallel(1.5)
    window = kit.records[0].window
    assert window is not None
    loud = msgspec.structs.replace(window, interference=["the machine swapped"])
    records = [msgspec.structs.replace(record, window=loud) for record in kit.records]
    assert Kit(records).verdicts()["ddp-dp"][0] is ClaimVerdict.UNTESTED


def test_processes_are_counted_against_the_cores_of_the_machine() -> None:
    few = [msgspec.structs.replace(record, machine=make_machine(cores=4)) for record in with_workers(1.2).records]
    assert Kit(few).verdicts()["ddp-workers"][0] is ClaimVerdict.UNTESTED, "4 of 4 cores are too many too"


def test_the_words_of_older_records_are_understood_too() -> None:
    reason = "batch 5 requested, batch 4 would run: each device takes the same number."
    old = ended("substituted", reason, batch=5, device="cpu+cpu")
    assert Kit([old]).verdicts() == Kit([replaced(5, device="cpu+cpu")]).verdicts()
