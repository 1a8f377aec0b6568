"""Claims of the guides: verdicts only where their conditions were measured, ratios by their intervals."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from bench.analysis.claims import JUDGES, Ratio, Seen, Verdict, claims, decided, judged
from bench.analysis.table import frame, latest
from bench.records.ceiling import Ceiling
from bench.records.record import Memory, Record
from tests.builders import GIB, make_ceiling, make_machine, make_record, make_steps

NOTHING = "Ultralytics offers no mixed precision here."


def steady(rate: float, **changes: object) -> Record:
    """A measured record whose interval is narrow: ± 0.6 % of so many images a second."""
    batch = int(str(changes.get("batch", 16)))
    steps = [batch / rate * factor for factor in (1.0, 1.005, 0.995) * 8]
    return make_record(steps=make_steps(steps, images=batch), **changes)


def verdicts(records: Sequence[Record] = (), ceilings: Sequence[Ceiling] = ()) -> dict[str, tuple[Verdict, str]]:
    found = judged(Seen(latest(frame(records)), records, ceilings))
    return {one.claim.id: (one.verdict, one.because) for one in found}


def test_all_28_claims_are_there_and_each_says_everything() -> None:
    assert len(claims()) == 28 == len({claim.id for claim in claims()})
    for claim in claims():
        assert claim.text.endswith(".") and claim.of and claim.how and claim.untested
    assert set(JUDGES) <= {claim.id for claim in claims()}


def test_where_nothing_was_measured_every_claim_says_why() -> None:
    found = verdicts()
    assert {verdict for verdict, _ in found.values()} == {Verdict.UNTESTED}
    assert found["mac-speed"][1] == "no case was trained both on mps and on cpu"


def test_claims_with_a_verdict_come_first() -> None:
    record = make_record(amp="on", status="substituted", reason=NOTHING)
    found = judged(Seen(latest(frame([record])), [record], []))
    assert found[0].claim.id == "amp-default"


@pytest.mark.parametrize(
    ("rate", "verdict"),
    [(40.0, Verdict.HOLDS), (20.0, Verdict.FAILS), (60.0, Verdict.FAILS), (30.02, Verdict.OPEN)],
)
def test_mps_is_3_to_5_times_the_cpu_by_its_interval(rate: float, verdict: Verdict) -> None:
    found, because = verdicts([steady(10.0), steady(rate, device="mps")])["mac-speed"]
    assert found is verdict
    assert f"{rate / 10:.2f}×" in because and "yolov8n, batch 16, 160 px" in because


def test_one_case_that_is_out_of_range_is_enough_and_is_named() -> None:
    records = [steady(10.0), steady(40.0, device="mps"), steady(10.0, batch=4), steady(20.0, batch=4, device="mps")]
    found, because = verdicts(records)["mac-speed"]
    assert found is Verdict.FAILS
    assert "batch 4" in because and "batch 16" not in because


def test_without_an_interval_a_ratio_decides_nothing() -> None:
    nan = float("nan")
    assert decided([Ratio("x", 4.0, nan, nan)], 3, 5) == (Verdict.OPEN, "measured 4.00× for x")
    assert decided([], 3, 5) is None
    many = decided([Ratio(str(n), 4.0, 3.5, 4.5) for n in range(5)], 3, 5)
    assert many is not None and many[1].endswith("and 2 more")


def test_amp_is_dropped_on_a_cpu_and_on_from_volta_on() -> None:
    dropped = make_record(amp="on", status="substituted", reason=NOTHING)
    card = {"capability": "8.6"}
    on = steady(90.0, device="0", amp="on")
    on.device.update(card)
    assert verdicts([dropped])["amp-default"][0] is Verdict.HOLDS
    found, because = verdicts([dropped, on])["amp-default"]
    assert found is Verdict.HOLDS
    assert because == "AMP was asked for and is off on cpu; AMP was asked for and is on on 0"
    assert verdicts([steady(9.0, amp="on")])["amp-default"][0] is Verdict.FAILS


def test_amp_on_mps_gives_no_error() -> None:
    dropped = make_record(device="mps", amp="on", status="substituted", reason=NOTHING)
    broken = make_record(device="mps", amp="on", status="failed", reason="RuntimeError.")
    assert verdicts([dropped])["mac-amp-error"][0] is Verdict.FAILS
    assert verdicts([broken])["mac-amp-error"][0] is Verdict.OPEN


def with_peak(amp: str, batch: int, gib: float) -> Record:
    figure = Memory(int(gib * GIB), "torch.cuda.max_memory_allocated")
    return make_record(device="0", amp=amp, batch=batch, memory={"allocated": figure}, steps=make_steps(images=batch))


@pytest.mark.parametrize(("gib", "verdict"), [(5.0, Verdict.HOLDS), (7.0, Verdict.FAILS), (5.5, Verdict.OPEN)])
def test_memory_is_taken_to_scatter(gib: float, verdict: Verdict) -> None:
    found = verdicts([with_peak("off", 16, 10.0), with_peak("on", 16, gib)])
    assert found["amp-memory"][0] is verdict
    assert found["amp-coco8"][0] is Verdict.UNTESTED


def test_batch_32_with_amp_against_16_without() -> None:
    found = verdicts([with_peak("off", 16, 18.0), with_peak("on", 32, 30.0)])
    assert found["amp-coco8"][0] is Verdict.FAILS
    assert found["amp-memory"][0] is Verdict.UNTESTED


def test_the_largest_batch_decides_what_fits() -> None:
    card = {"device": "0", "imgsz": 640, "limit": 24 * GIB}
    assert verdicts(ceilings=[make_ceiling(40, **card)])["oom-3090"][0] is Verdict.FAILS
    assert verdicts(ceilings=[make_ceiling(24, **card)])["oom-3090"][0] is Verdict.HOLDS
    small = {"device": "0", "imgsz": 640, "limit": 8 * GIB}
    assert verdicts(ceilings=[make_ceiling(24, **small)])["oom-3090"][0] is Verdict.UNTESTED


@pytest.mark.parametrize(("on", "verdict"), [(60, Verdict.HOLDS), (40, Verdict.FAILS), (48, Verdict.OPEN)])
def test_twice_the_batch_is_known_to_a_step(on: int, verdict: Verdict) -> None:
    found = verdicts(ceilings=[make_ceiling(24, device="0"), make_ceiling(on, device="0", amp="on")])
    assert found["amp-batch"][0] is verdict


def test_a_smaller_size_takes_a_larger_batch() -> None:
    sizes = [make_ceiling(20, imgsz=320), make_ceiling(5, imgsz=640)]
    assert verdicts(ceilings=sizes)["mac-size"][0] is Verdict.HOLDS
    limited = [make_ceiling(20, imgsz=320, ended_by="limit"), make_ceiling(5, imgsz=640)]
    assert verdicts(ceilings=limited)["mac-size"][0] is Verdict.UNTESTED, "the larger one is not known"


def test_an_m2_is_known_by_its_name() -> None:
    chips = {"Apple M2": Verdict.HOLDS, "Apple M2 Max": Verdict.FAILS, "Apple M4": Verdict.UNTESTED}
    for chip, verdict in chips.items():
        one = make_ceiling(6, model="yolov8s", imgsz=640, device="mps", machine=make_machine(cpu=chip))
        assert verdicts(ceilings=[one])["mac-batch"][0] is verdict, chip


def test_loader_processes_on_a_mac() -> None:
    mac = make_machine(system="macOS arm64")
    record = make_record(device="mps", machine=mac)
    record.effective.update(workers=0)
    assert verdicts([record])["mac-workers"][0] is Verdict.FAILS
    assert verdicts([make_record()])["mac-workers"][0] is Verdict.UNTESTED


def test_several_cards() -> None:
    one = {"model": "yolov8m", "batch": 32, "device": "0"}
    four = {"model": "yolov8m", "batch": 128, "device": "0+1+2+3"}
    fast = steady(300.0, **four)
    fast.effective.update(sync_bn=False)
    found = verdicts([steady(100.0, **one), fast])
    assert found["ddp-scaling"][0] is Verdict.HOLDS
    assert found["ddp-syncbn"] == (Verdict.FAILS, "the layers are plain batch norm")
    assert verdicts([steady(100.0, **one), steady(200.0, **four)])["ddp-scaling"][0] is Verdict.FAILS


def test_mps_alone_and_with_the_cpu_behind_it() -> None:
    refused = make_record(device="mps+mps", batch=16, status="unsupported", reason="mps has no distributed backend.")
    assert verdicts([refused])["tf-single"] == (Verdict.HOLDS, "mps has no distributed backend.")
    fell = make_record(device="mps")
    fell.effective.update(mps_fallback=True)
    assert verdicts([fell])["tf-fallback"][0] is Verdict.OPEN
    fell.device.update(fell_back=["aten::linalg_inv"])
    assert verdicts([fell])["tf-fallback"] == (Verdict.HOLDS, "aten::linalg_inv ran on the CPU")


def test_amp_over_none_of_yolov8n_alone() -> None:
    both = [steady(100.0, device="0"), steady(170.0, device="0", amp="on")]
    assert verdicts(both)["amp-time"][0] is Verdict.HOLDS
    other = [steady(100.0, device="0", model="yolo11n"), steady(170.0, device="0", amp="on", model="yolo11n")]
    assert verdicts(other)["amp-time"][0] is Verdict.UNTESTED
