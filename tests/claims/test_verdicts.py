"""Claims of the guides: verdicts only where their conditions were measured, ratios by their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from bench.analysis.table import frame, newest_rows
from bench.claims.claim import ClaimVerdict, Evidence, claims
from bench.claims.ratios import Ratio, decide
from bench.claims.verdicts import JUDGES, judge_claims
from bench.records.ceiling import Ceiling
from bench.records.record import Memory, Record
from tests.builders import GIB, make_ceiling, make_environment, make_machine, make_record, make_steps

NOTHING = "amp on requested, amp off would run: Ultralytics offers no mixed precision here."
SOFTWARE = "torch 2.14.1, Ultralytics 8.4.100"


def steady(rate: float, **changes: object) -> Record:
    """A measured record whose interval is narrow: ± 0.6 % of so many images a second."""
    batch = int(str(changes.get("batch", 16)))
    steps = [batch / rate * factor for factor in (1.0, 1.005, 0.995) * 8]
    return make_record(steps=make_steps(steps, images=batch), **changes)


def verdicts(records: Sequence[Record] = (), ceilings: Sequence[Ceiling] = ()) -> dict[str, tuple[ClaimVerdict, str]]:
    judgements = judge_claims(Evidence(newest_rows(frame(records)), records, ceilings))
    return {judgement.claim.id: (judgement.verdict, judgement.because) for judgement in judgements}


def test_all_31_claims_are_there_and_each_says_everything() -> None:
    assert len(claims()) == 31 == len({claim.id for claim in claims()})
    for claim in claims():
        assert claim.text.endswith(".") and claim.of and claim.how and claim.untested
    assert set(JUDGES) <= {claim.id for claim in claims()}
    assert not {claim.id for claim in claims() if claim.ratio} & set(JUDGES), "one way of judging a claim"
    judged = {claim.id for claim in claims() if claim.ratio} | set(JUDGES)
    assert judged == {claim.id for claim in claims()}, "every claim has a way"


def test_where_nothing_was_measured_every_claim_says_why() -> None:
    judgements = verdicts()
    assert {verdict for verdict, _ in judgements.values()} == {ClaimVerdict.UNTESTED}
    assert judgements["mac-speed"][1] == "no YOLOv8 was trained both on mps and on cpu"


def test_claims_with_a_verdict_come_first() -> None:
    record = make_record(amp="on", status="substituted", reason=NOTHING)
    judgements = judge_claims(Evidence(newest_rows(frame([record])), [record], []))
    assert judgements[0].claim.id == "amp-default"


def test_what_was_forced_shows_nothing_of_ultralytics() -> None:
    forced = [steady(10.0), steady(20.0, amp="forced-bf16"), steady(40.0, device="mps", amp="forced-bf16")]
    workers = [make_record(device="mps", further=(("forced_workers", 8),)), steady(40.0, amp="forced-bf16")]
    assert {verdict for verdict, _ in verdicts([*forced, *workers]).values()} == {ClaimVerdict.UNTESTED}
    ceiling = make_ceiling(batch=64)
    ceilings = [msgspec.structs.replace(ceiling, case=msgspec.structs.replace(ceiling.case, amp="forced-fp16"))]
    assert {verdict for verdict, _ in verdicts(ceilings=ceilings).values()} == {ClaimVerdict.UNTESTED}


@pytest.mark.parametrize(
    ("rate", "verdict"),
    [(40.0, ClaimVerdict.HOLDS), (20.0, ClaimVerdict.FAILS), (60.0, ClaimVerdict.FAILS), (30.02, ClaimVerdict.OPEN)],
)
def test_mps_is_3_to_5_times_the_cpu_by_its_interval(rate: float, verdict: ClaimVerdict) -> None:
    actual, because = verdicts([steady(10.0), steady(rate, device="mps")])["mac-speed"]
    assert actual is verdict
    assert f"{rate / 10:.2f}×" in because and "yolov8n on mps, batch 16, 160 px" in because


def test_that_claim_is_of_yolov8_alone_and_names_versions_where_there_are_several() -> None:
    other = [steady(10.0, model="yolo11n"), steady(40.0, device="mps", model="yolo11n")]
    assert verdicts(other)["mac-speed"][0] is ClaimVerdict.UNTESTED
    newer = make_environment("2.15.0")
    both = [steady(10.0), steady(40.0, device="mps")]
    both += [steady(10.0, environment=newer), steady(20.0, device="mps", environment=newer)]
    verdict, because = verdicts(both)["mac-speed"]
    assert verdict is ClaimVerdict.FAILS
    assert because.endswith("px, torch 2.15.0, Ultralytics 8.4.100")


def test_one_case_that_is_out_of_range_is_enough_and_is_named() -> None:
    records = [steady(10.0), steady(40.0, device="mps"), steady(10.0, batch=4), steady(20.0, batch=4, device="mps")]
    verdict, because = verdicts(records)["mac-speed"]
    assert verdict is ClaimVerdict.FAILS
    assert "batch 4" in because and "batch 16" not in because


def test_without_an_interval_a_ratio_decides_nothing() -> None:
    nan = float("nan")
    assert decide([Ratio("x", 4.0, nan, nan)], 3, 5) == (ClaimVerdict.OPEN, "measured 4.00× for x")
    assert decide([], 3, 5) is None
    many = decide([Ratio(str(n), 4.0, 3.5, 4.5) for n in range(5)], 3, 5)
    assert many is not None and many[1].endswith("and 2 more")


def test_amp_is_dropped_on_a_cpu_and_on_from_volta_on() -> None:
    dropped = make_record(amp="on", status="substituted", reason=NOTHING)
    on = steady(90.0, device="0", amp="on")
    on.device.update(capability="8.6")
    half, because = verdicts([dropped])["amp-default"]
    assert half is ClaimVerdict.OPEN and because.endswith("; on cuda it was not tried")
    verdict, because = verdicts([dropped, on])["amp-default"]
    assert verdict is ClaimVerdict.HOLDS
    assert (
        because == f"AMP was asked for and is off on cpu, {SOFTWARE}; AMP was asked for and is on on cuda:0, {SOFTWARE}"
    )
    verdict, because = verdicts([steady(9.0, amp="on")])["amp-default"]
    assert verdict is ClaimVerdict.FAILS and because == f"AMP was asked for and is on on cpu, {SOFTWARE}"


def test_what_was_replaced_for_another_reason_says_nothing_of_amp() -> None:
    other = make_record(amp="on", status="substituted", reason="batch 16 requested, batch 8 would run.")
    assert verdicts([other])["amp-default"][0] is ClaimVerdict.UNTESTED


def test_amp_on_mps_gives_no_error() -> None:
    dropped = make_record(device="mps", amp="on", status="substituted", reason=NOTHING)
    broken = make_record(device="mps", amp="on", status="failed", reason="RuntimeError.")
    verdict, because = verdicts([dropped])["mac-amp-error"]
    assert verdict is ClaimVerdict.FAILS and because.endswith(f"({SOFTWARE})")
    assert verdicts([broken])["mac-amp-error"][0] is ClaimVerdict.OPEN


def with_peak(amp: str, batch: int, gib: float) -> Record:
    figure = Memory(int(gib * GIB), "torch.cuda.max_memory_allocated")
    return make_record(device="0", amp=amp, batch=batch, memory={"allocated": figure}, steps=make_steps(images=batch))


@pytest.mark.parametrize(
    ("gib", "verdict"), [(5.0, ClaimVerdict.HOLDS), (7.0, ClaimVerdict.FAILS), (5.5, ClaimVerdict.OPEN)]
)
def test_memory_is_taken_to_scatter(gib: float, verdict: ClaimVerdict) -> None:
    judgements = verdicts([with_peak("off", 16, 10.0), with_peak("on", 16, gib)])
    assert judgements["amp-memory"][0] is verdict
    assert judgements["amp-coco8"][0] is ClaimVerdict.UNTESTED


def test_batch_32_with_amp_against_16_without() -> None:
    judgements = verdicts([with_peak("off", 16, 18.0), with_peak("on", 32, 30.0)])
    assert judgements["amp-coco8"][0] is ClaimVerdict.FAILS
    assert judgements["amp-memory"][0] is ClaimVerdict.UNTESTED


@pytest.mark.parametrize(
    ("batch", "changes", "verdict"),
    [
        (40, {}, ClaimVerdict.FAILS),
        (32, {"stop_reason": "limit"}, ClaimVerdict.FAILS),
        (24, {}, ClaimVerdict.HOLDS),
        (31, {}, ClaimVerdict.HOLDS),
        (24, {"granularity": 8}, ClaimVerdict.HOLDS),
        (24, {"granularity": 16}, ClaimVerdict.OPEN),
        (24, {"stop_reason": "limit"}, ClaimVerdict.OPEN),
        (24, {"stop_reason": "time"}, ClaimVerdict.OPEN),
        (24, {"stop_reason": "predicted"}, ClaimVerdict.OPEN),
    ],
)
def test_batch_32_on_24_gb_is_decided_by_what_was_tried(
    batch: int, changes: dict[str, Any], verdict: ClaimVerdict
) -> None:
    card = {"device": "0", "imgsz": 640, "limit": 24 * GIB}
    assert verdicts(ceilings=[make_ceiling(batch, **card, **changes)])["oom-3090"][0] is verdict


def test_a_card_of_24_gb_is_one_by_limit_or_by_itself() -> None:
    own = {"device": "0", "imgsz": 640, "limit": None}
    real = make_ceiling(24, machine=make_machine(gpus=["NVIDIA GeForce RTX 3090 (24 GiB)"]), **own)
    verdict, because = verdicts(ceilings=[real])["oom-3090"]
    assert verdict is ClaimVerdict.HOLDS
    assert because == f"batch 24 is the largest that trains within 24.0 GiB, AMP off, {SOFTWARE}"
    large = make_ceiling(24, machine=make_machine(gpus=["NVIDIA H200 (139 GiB)"]), **own)
    small = make_ceiling(24, device="0", imgsz=640, limit=8 * GIB)
    for ceiling in (large, small, make_ceiling(24, **own)):
        assert verdicts(ceilings=[ceiling])["oom-3090"][0] is ClaimVerdict.UNTESTED


@pytest.mark.parametrize(
    ("device", "variables", "verdict"),
    [
        ("0", {"CUDA_VISIBLE_DEVICES": "1"}, ClaimVerdict.HOLDS),  # the worker's own card, as the driver numbers it
        ("1", {"CUDA_VISIBLE_DEVICES": "1"}, ClaimVerdict.HOLDS),
        ("0", {"CUDA_VISIBLE_DEVICES": "0"}, ClaimVerdict.UNTESTED),
        ("0", {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "FASTEST_FIRST"}, ClaimVerdict.UNTESTED),
        ("1", {"CUDA_VISIBLE_DEVICES": "GPU-8932f937"}, ClaimVerdict.UNTESTED),
        ("1", None, ClaimVerdict.UNTESTED),  # an older record: which card that was is not certain
    ],
)
def test_the_card_of_a_search_is_the_one_that_was_left_visible(
    device: str, variables: dict[str, str] | None, verdict: ClaimVerdict
) -> None:
    two = make_machine(gpus=["NVIDIA H200 (139 GiB)", "NVIDIA GeForce RTX 3090 (24 GiB)"])
    ran = {} if variables is None else {"variables": variables}
    ceiling = make_ceiling(24, device=device, imgsz=640, limit=None, machine=two, effective=ran)
    assert verdicts(ceilings=[ceiling])["oom-3090"][0] is verdict
    same = make_machine(gpus=["NVIDIA GeForce RTX 3090 (24 GiB)"] * 2)
    alike = msgspec.structs.replace(ceiling, machine=same)
    assert verdicts(ceilings=[alike])["oom-3090"][0] is ClaimVerdict.HOLDS


@pytest.mark.parametrize(
    ("on", "verdict"),
    [(60, ClaimVerdict.HOLDS), (48, ClaimVerdict.HOLDS), (40, ClaimVerdict.FAILS), (47, ClaimVerdict.OPEN)],
)
def test_twice_the_batch_is_known_to_a_step(on: int, verdict: ClaimVerdict) -> None:
    judgements = verdicts(ceilings=[make_ceiling(24, device="0"), make_ceiling(on, device="0", amp="on")])
    assert judgements["amp-batch"][0] is verdict


def test_ceilings_of_other_versions_or_steps_are_not_compared() -> None:
    off, on = make_ceiling(24, device="0"), {"device": "0", "amp": "on"}
    for change in ({"environment": make_environment("2.15.0")}, {"granularity": 8}, {"limit": 8 * GIB}):
        assert verdicts(ceilings=[off, make_ceiling(48, **on, **change)])["amp-batch"][0] is ClaimVerdict.UNTESTED


MAC = {"device": "mps", "limit": None, "machine": make_machine(system="macOS arm64", cpu="Apple M2")}


def test_a_smaller_size_takes_a_larger_batch() -> None:
    def verdict(large: Ceiling, small: Ceiling) -> ClaimVerdict:
        return verdicts(ceilings=[large, small])["mac-size"][0]

    small = make_ceiling(5, imgsz=640, **MAC)
    assert verdict(make_ceiling(20, imgsz=320, **MAC), small) is ClaimVerdict.HOLDS
    assert verdict(make_ceiling(20, imgsz=320, stop_reason="limit", **MAC), small) is ClaimVerdict.HOLDS
    for end in ("limit", "predicted"):
        cut = make_ceiling(5, imgsz=640, stop_reason=end, **MAC)
        assert verdict(make_ceiling(20, imgsz=320, **MAC), cut) is ClaimVerdict.UNTESTED, "the smaller one is not known"
    assert verdict(make_ceiling(20, imgsz=320), make_ceiling(5, imgsz=640)) is ClaimVerdict.UNTESTED, "no Mac"


@pytest.mark.parametrize(
    ("batch", "chip", "changes", "verdict"),
    [
        (8, "Apple M2", {}, ClaimVerdict.HOLDS),
        (6, "Apple M2", {}, ClaimVerdict.OPEN),
        (3, "Apple M2", {}, ClaimVerdict.FAILS),
        (3, "Apple M2", {"stop_reason": "limit"}, ClaimVerdict.OPEN),
        (16, "Apple M2 Max", {}, ClaimVerdict.HOLDS),
        (11, "Apple M2 Pro", {}, ClaimVerdict.FAILS),
        (20, "Apple M4", {}, ClaimVerdict.UNTESTED),
        (20, "Apple M2", {"limit": 8 * GIB}, ClaimVerdict.UNTESTED),
    ],
)
def test_an_m2_is_known_by_its_name(batch: int, chip: str, changes: dict[str, Any], verdict: ClaimVerdict) -> None:
    what = {"model": "yolov8s", "imgsz": 640, "device": "mps", "machine": make_machine(cpu=chip), "limit": None}
    assert verdicts(ceilings=[make_ceiling(batch, **{**what, **changes})])["mac-batch"][0] is verdict


@pytest.mark.parametrize(
    ("taken", "verdict"),
    [
        (16, ClaimVerdict.FAILS),
        ("AssertionError: Torch not compiled with CUDA enabled", ClaimVerdict.HOLDS),
        (None, ClaimVerdict.UNTESTED),
    ],
)
def test_the_batch_that_ultralytics_would_take_on_mps(taken: object, verdict: ClaimVerdict) -> None:
    record = make_record(device="mps")
    record.effective.update(autobatch=taken)
    actual, because = verdicts([record])["mac-autobatch"]
    assert actual is verdict
    assert taken is None or str(taken) in because
    on_cpu = make_record(device="cpu")
    on_cpu.effective.update(autobatch=taken)
    assert verdicts([on_cpu])["mac-autobatch"][0] is ClaimVerdict.UNTESTED


@pytest.mark.parametrize(
    ("workers", "verdict"), [(0, ClaimVerdict.OPEN), (2, ClaimVerdict.OPEN), (3, ClaimVerdict.FAILS)]
)
def test_loader_processes_on_a_mac(workers: int, verdict: ClaimVerdict) -> None:
    record = make_record(device="mps", machine=make_machine(system="macOS arm64"))
    record.effective.update(workers=workers)
    assert verdicts([record])["mac-workers"][0] is verdict
    assert verdicts([make_record()])["mac-workers"][0] is ClaimVerdict.UNTESTED


def test_several_cards() -> None:
    single = {"model": "yolov8m", "batch": 32, "device": "0"}
    four = {"model": "yolov8m", "batch": 128, "device": "0+1+2+3"}
    fast = steady(300.0, **four)
    fast.effective.update(sync_bn=False)
    judgements = verdicts([steady(100.0, **single), fast])
    assert judgements["ddp-scaling"][0] is ClaimVerdict.HOLDS
    assert judgements["ddp-syncbn"] == (ClaimVerdict.FAILS, "the layers are plain batch norm")
    assert verdicts([steady(100.0, **single), steady(200.0, **four)])["ddp-scaling"][0] is ClaimVerdict.FAILS
    assert fast.window is not None
    loud = msgspec.structs.replace(
        fast, window=msgspec.structs.replace(fast.window, interference=["the machine swapped"])
    )
    assert verdicts([steady(100.0, **single), loud])["ddp-scaling"][0] is ClaimVerdict.UNTESTED
    slow = [steady(10.0, **{**single, "device": "cpu"}), steady(30.0, **{**four, "device": "cpu+cpu+cpu+cpu"})]
    assert verdicts(slow)["ddp-scaling"][0] is ClaimVerdict.UNTESTED


def test_who_starts_the_processes_of_several_devices() -> None:
    several = make_record(device="cpu+cpu", batch=16)
    several.effective.update(spawns_ddp=True)
    verdict, because = verdicts([several])["ddp-launch"]
    assert verdict is ClaimVerdict.FAILS and "torch.distributed.run" in because
    several.effective.update(spawns_ddp=None)
    assert verdicts([several])["ddp-launch"][0] is ClaimVerdict.UNTESTED
    alone = make_record()
    alone.effective.update(spawns_ddp=True)
    assert verdicts([alone])["ddp-launch"][0] is ClaimVerdict.UNTESTED


def test_that_a_runner_refused_mps_twice_unasked_proves_nothing() -> None:
    refused = make_record(device="mps+mps", batch=16, status="unsupported", reason="mps has no distributed backend.")
    assert verdicts([refused])["tf-single"][0] is ClaimVerdict.UNTESTED
    assert verdicts([make_record(device="mps+mps")])["tf-single"][0] is ClaimVerdict.FAILS


def test_operators_that_fell_back_count_where_the_variable_was_set() -> None:
    fell = make_record(device="mps")
    assert fell.effective["mps_fallback"] == "0"
    assert verdicts([fell])["tf-fallback"][0] is ClaimVerdict.UNTESTED
    fell.effective.update(mps_fallback="1")
    assert verdicts([fell])["tf-fallback"][0] is ClaimVerdict.OPEN
    fell.device.update(fell_back=["aten::linalg_inv"])
    assert verdicts([fell])["tf-fallback"] == (ClaimVerdict.HOLDS, f"aten::linalg_inv ran on the CPU, {SOFTWARE}")


def test_amp_over_none_of_yolov8n_alone() -> None:
    both = [steady(100.0, device="0"), steady(170.0, device="0", amp="on")]
    assert verdicts(both)["amp-time"][0] is ClaimVerdict.HOLDS
    other = [steady(100.0, device="0", model="yolo11n"), steady(170.0, device="0", amp="on", model="yolo11n")]
    assert verdicts(other)["amp-time"][0] is ClaimVerdict.UNTESTED
