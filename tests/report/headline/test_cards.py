"""Cards of made machines: their speeds mean nothing, and show that the right case is chosen and named."""

from __future__ import annotations

from bench.analysis.throughput import COCO_TRAIN_IMAGES
from bench.records.record import Record
from bench.report.context import page
from bench.report.inputs import Inputs
from bench.report.sections.headline import Headline
from tests.analysis.test_reference import LOUD, at
from tests.builders import make_ceiling, make_machine

MAC = make_machine(cpu="Apple M3 Pro", gpus=["Apple M3 Pro GPU (27 GiB)"], system="Darwin arm64")
BOX = make_machine(cpu="AMD Ryzen 9 7950X", gpus=["NVIDIA GeForce RTX 4090 (24 GiB)"])


def headline(*records: Record, **changes: object) -> Headline:
    inputs = Inputs(records=records, **({"epoch_images": COCO_TRAIN_IMAGES} | changes))  # type: ignore[arg-type]
    [machine] = page(inputs).machines
    return next(built.data for built in machine.sections if built.section.key == "headline")


def mac() -> list[Record]:
    return [
        at(90, imgsz=160, machine=MAC),
        at(8, machine=MAC),
        at(40, device="mps", machine=MAC),
        at(95, device="mps", imgsz=320, machine=MAC),
        at(120, mode="predict", device="mps", machine=MAC),
    ]


def test_a_mac_shows_its_gpu_at_the_default_size_and_what_it_gains() -> None:
    training, prediction, gain = headline(*mac()).cards
    assert (training.title, training.value, training.unit) == ("Training", "40.0", "images/s")
    assert training.case == "yolov8n · mps · amp off · batch 16 · 640 px"
    assert training.details[0] == "One COCO epoch at 640 px: 49 min 17 s"
    assert prediction.details[0] == "8.33 ms per image in a batch of 16"
    assert (gain.title, gain.value, gain.unit) == ("mps against the CPU", "5.00×", "as fast")
    assert gain.details == ("95 % interval 4.75× to 5.26×",)
    assert headline(*mac()).cautions == []


def test_names_of_a_machine_are_for_readers() -> None:
    [machine] = page(Inputs(records=mac(), epoch_images=1_000)).machines
    assert "macOS arm64" in machine.facts and "Darwin" not in machine.facts
    xeon = make_machine(cpu="Intel(R) Xeon(R) Processor")
    [machine] = page(Inputs(records=[at(30, machine=xeon)], epoch_images=1_000)).machines
    assert machine.heading.startswith("Intel Xeon Processor: ") and machine.facts.startswith("Intel Xeon Processor, ")


def test_cards_of_two_models_name_them_in_their_titles() -> None:
    cards = headline(at(40), at(90, mode="predict", model="yolo11n")).cards
    assert [card.title for card in cards] == ["Training of yolov8n", "Prediction of yolo11n"]
    cards = headline(at(40), at(90, mode="predict", model="yolo11n"), at(80, mode="predict")).cards
    assert [(card.title, card.value) for card in cards] == [("Training", "40.0"), ("Prediction", "80.0")]


def test_a_gpu_box_shows_amp_and_several_devices() -> None:
    records = [at(400, device="0", machine=BOX), at(600, device="0", amp="on", machine=BOX)]
    two = at(1100, device="0+1", amp="on", machine=BOX)
    assert [card.title for card in headline(*records).cards] == ["Training", "AMP on against off"]
    cards = headline(*records, two).cards
    assert [card.title for card in cards] == ["Training", "cuda:0+1 against cuda:0"]
    assert cards[1].value == "1.83×"


def test_a_ratio_whose_interval_includes_one_is_no_difference() -> None:
    slow, fast = at(30, LOUD, device="0"), at(31, LOUD, device="0", amp="on")
    assert headline(slow, fast).cards[-1].details[0].endswith(": no clear difference")


def test_size_of_the_model_and_achieved_operations() -> None:
    [card] = headline(at(100, extra={"gflops": 8.7})).cards
    assert "3.2 M parameters, 8.7 GFLOPs at 640 px" in card.details
    assert "≈ 2.61 TFLOP/s achieved, backward counted as twice forward" in card.details
    [card] = headline(at(100)).cards
    assert "3.2 M parameters" in card.details and not any("FLOP" in detail for detail in card.details)


def test_other_flags_stay_on_the_card_and_interference_is_in_the_warning() -> None:
    data = headline(at(30, busy=True))
    assert data.cards[0].noisy and not any("interfered" in detail for detail in data.cards[0].details)
    assert len(data.cautions) == 1


def test_the_largest_batch_of_the_reference_is_in_the_recommendation_and_another_one_is_a_card() -> None:
    data = headline(at(30), ceilings=[make_ceiling(20, imgsz=640, model="yolo11n"), make_ceiling(211, imgsz=160)])
    assert data.cards[-1].value == "20" and data.cards[-1].title == "Largest batch that trains"
    data = headline(at(30), ceilings=[make_ceiling(12, imgsz=640), make_ceiling(211, imgsz=160)])
    assert [card.title for card in data.cards] == ["Training"] and data.recommendation is not None
    assert data.recommendation.sentences[1] == "The largest batch that trains is 12 within 4 GiB (--memory-limit)."


def test_an_earlier_run_of_the_machine_is_named() -> None:
    assert headline(at(30)).changes == []
    later = "2026-11-29T18:45:14+00:00"
    [change] = headline(at(30), at(20, run="later", started=later)).changes
    assert change.startswith("Training: 33 % slower than this machine's run of 22 Nov 2026.")


def test_two_processes_on_a_cpu_say_how_many_threads_each_used() -> None:
    card = headline(at(10), at(16, device="cpu+cpu")).cards[-1]
    assert (
        card.title == "2 processes on the CPU (cpu+cpu) against cpu"
        and card.details[-1] == "CPU threads per process: 7"
    )
