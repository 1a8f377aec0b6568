from __future__ import annotations

import msgspec
import pytest

from bench.analysis.flags import DATA_BOUND, FELL_BACK, LEGEND, NO_TENSOR_CORES, commonest, flags_of, kinds
from bench.records.record import Data, Record, Window
from tests.builders import make_record, make_steps


def make_windowed(*interfered: str, **changes: object) -> Record:
    window = Window(
        wall_seconds=1.0, cpu_seconds=1.0, involuntary_switches=0, processors=2, interference=list(interfered)
    )
    return make_record(window=window, **changes)


def test_a_quiet_window_has_no_marks() -> None:
    assert flags_of([make_windowed()], []) == []
    assert flags_of([make_record(window=None)], []) == []


def test_an_interfered_window_says_by_what() -> None:
    assert flags_of([make_windowed("steal 3 %", "on battery; too")], []) == ["interfered (steal 3 %, on battery, too)"]


def test_several_processes_say_how_many_were_interfered() -> None:
    flags = flags_of([make_windowed(), make_windowed("steal 3 %"), make_windowed("steal 3 %", "heat")], [])
    assert flags == ["interfered in 2 of 3 processes (steal 3 %, heat)"]


def test_phrases_that_differ_but_in_their_numbers_are_said_once() -> None:
    flags = flags_of([make_windowed("steal 3.1 %", "others used 1.28 of 2"), make_windowed("steal 12 %")], [])
    assert flags == ["interfered in 2 of 2 processes (steal 3.1 %, others used 1.28 of 2)"]


@pytest.mark.parametrize(("share", "bound"), [(DATA_BOUND - 0.001, False), (DATA_BOUND + 0.001, True)])
def test_a_step_that_waits_for_data_most_of_all_is_bound_by_them(share: float, bound: bool) -> None:
    steps = make_steps([0.25] * 4, data_wait=0.25 * share)
    assert flags_of([make_windowed(steps=steps)], []) == ["data bound"] * bound
    assert flags_of([make_windowed(steps=steps, mode="predict")], []) == []


def test_a_modelled_window() -> None:
    steps = make_steps([0.3, 0.2, 0.2, 0.3] * 2, warmup=[0.5] * 4, accumulation_steps=16, timed_accumulation_steps=4)
    assert flags_of([make_windowed(steps=steps)], []) == ["modelled"]


def test_what_is_forced_is_marked() -> None:
    assert flags_of([make_record(amp="forced-bf16")], []) == ["forced"]
    assert flags_of([make_record(further=(("forced_workers", 2),))], []) == ["forced"]


@pytest.mark.parametrize(
    ("sizes", "flags"),
    [
        ({"pixels": 0.8, "epoch_pixels": 0.8}, []),
        ({"pixels": 0.8, "epoch_pixels": 0.81}, []),
        ({"pixels": 0.75, "epoch_pixels": 0.8}, ["batch sizes"]),
        ({"pixels": 0.75, "epoch_pixels": None}, []),
        ({"pixels": "x", "epoch_pixels": 0}, []),
        ("nothing", []),
    ],
)
def test_a_window_of_other_shapes_than_an_epoch_is_marked(sizes: object, flags: list[str]) -> None:
    assert flags_of([make_record(extra={"batch_sizes": sizes})], []) == flags


@pytest.mark.parametrize(
    ("images", "left_out", "mark"),
    [
        (100, {}, []),
        (100, {"empty file": 1}, []),
        (99, {"empty file": 1}, ["images left out (1 of 100: empty file)"]),
        (3000, {"no image": 900, "a; b": 100}, ["images left out (1,000 of 4,000: no image, a, b)"]),
    ],
)
def test_images_that_were_left_out_are_said_from_one_percent_on(
    images: int, left_out: dict[str, int], mark: list[str]
) -> None:
    data = Data("mine.yaml", "111111111111", images, 2, left_out)
    assert flags_of([make_windowed(data=data)], []) == mark
    assert flags_of([make_windowed(data=data), make_windowed(data=data)], []) == mark
    assert [kind for text in mark for kind in kinds(text)] == ["images left out"] * len(mark)


def test_a_repeat_that_failed_is_said_and_one_that_was_stopped_is_not() -> None:
    assert flags_of([make_windowed()], [make_record(process=2, status="failed")]) == ["a repeat failed"]
    assert flags_of([make_windowed()], [make_record(process=2, status="interrupted")]) == []


def test_what_interfered_with_most_windows() -> None:
    records = [
        make_windowed("steal 3 %"),
        make_windowed("heat", "steal 12 %"),
        make_windowed("heat"),
        make_windowed("steal 9 %"),
        make_record(window=None),
    ]
    assert commonest(records) == "steal 3 %"
    assert commonest([make_windowed(), make_record(window=None)]) == ""


def test_kinds_are_found_again_in_a_cell() -> None:
    assert kinds("") == []
    assert kinds("interfered in 2 of 3 processes (data bound, modelled); modelled") == ["interfered", "modelled"]
    assert kinds("; ".join(LEGEND)) == list(LEGEND)


def test_the_remedy_is_named() -> None:
    assert "20%" in LEGEND["data bound"] and "workers" in LEGEND["data bound"] and "cache=ram" in LEGEND["data bound"]


def test_a_card_before_volta_has_no_tensor_cores() -> None:
    old, new = ({"tensor_cores": supported} for supported in (False, True))
    assert flags_of([with_device(old, amp="on")], []) == [NO_TENSOR_CORES]
    assert flags_of([with_device(old, amp="off")], []) == flags_of([with_device(new, amp="on")], []) == []


def test_operators_that_fell_back_are_named() -> None:
    records = [with_device({"fell_back": ["aten::nms"]}), with_device({"fell_back": ["aten::nms", "aten::foo"]})]
    assert flags_of(records, []) == ["operators on the CPU (aten::nms, aten::foo)"]
    assert kinds(flags_of(records, [])[0]) == [FELL_BACK]
    assert flags_of([with_device({"fell_back": []})], []) == []


def with_device(facts: dict[str, object], **axes: object) -> Record:
    return msgspec.structs.replace(make_record(**axes), device=facts)
