from __future__ import annotations

import pytest

from bench.cases.axes import fixed_axes, parse_values
from bench.cases.case import Case
from bench.cases.device_kinds import device_kind, device_names, machines, named_twice, ranks
from bench.errors import UsageError
from bench.worker.devices import on_one_machine
from bench.worker.devices import ranks as ranks_in_worker

GOOD = [
    ("mode", "train", "train"),
    ("mode", "predict", "predict"),
    ("model", "yolov8n", "yolov8n"),
    ("model", "yolov8n.yaml", "yolov8n"),
    ("model", "yolo11n-seg", "yolo11n-seg"),
    ("model", "yolov8n.pt", "yolov8n.pt"),
    ("device", "cpu", "cpu"),
    ("device", "CPU", "cpu"),
    ("device", "mps", "mps"),
    ("device", "0", "0"),
    ("device", "cuda", "0"),
    ("device", "cuda:1", "1"),
    ("device", "01", "1"),
    ("device", "0+1", "0+1"),
    ("device", "cuda:0+1", "0+1"),
    ("device", "2x0+1", "2x0+1"),
    ("device", "16xCUDA:0", "16x0"),
    ("device", "2xcpu", "2xcpu"),
    ("amp", "off", "off"),
    ("amp", "on", "on"),
    ("amp", "bf16", "bf16"),
    ("amp", "forced-bf16", "forced-bf16"),
    ("amp", "forced-fp16", "forced-fp16"),
    ("batch", "1", 1),
    ("batch", "65536", 65536),
    ("imgsz", "0640", 640),
    ("imgsz", "16384", 16384),
]

BAD = [
    ("mode", ""),
    ("mode", "val"),
    ("mode", "Train"),
    ("model", ""),
    ("model", "."),
    ("model", "-x"),
    ("model", "yolov8n "),
    ("model", "yolo*"),
    ("model", "nowhere/yolov8n"),
    ("model", "nowhere/best.pt"),
    ("model", "nowhere.yml"),
    ("device", ""),
    ("device", "gpu"),
    ("device", "cuda:"),
    ("device", "-1"),
    ("device", "0+"),
    ("device", "0,1"),
    ("device", "0+cpu"),
    ("device", "cpu+mps"),
    ("device", "1x0"),
    ("device", "0x0"),
    ("device", "2x"),
    ("device", "x0"),
    ("device", "2x2x0"),
    ("amp", ""),
    ("amp", "fp16"),
    ("amp", "ON"),
    ("batch", ""),
    ("batch", "0"),
    ("batch", "-4"),
    ("batch", "4.0"),
    ("batch", "65537"),
    ("batch", "²"),
    ("batch", "1e3"),
    ("imgsz", "0"),
    ("imgsz", "640x480"),
    ("imgsz", "16385"),
]


@pytest.mark.parametrize(("axis", "text", "value"), GOOD)
def test_good_values(axis: str, text: str, value: object) -> None:
    assert fixed_axes()[axis].parse(text) == value


@pytest.mark.parametrize(("axis", "text"), BAD)
def test_bad_values_are_refused_with_one_sentence(axis: str, text: str) -> None:
    with pytest.raises(UsageError) as refused:
        fixed_axes()[axis].parse(text)
    sentence = str(refused.value)
    assert sentence.startswith(f"{axis} {text!r}")
    assert sentence.endswith(".")
    assert "\n" not in sentence


def test_the_same_kind_several_times() -> None:
    assert fixed_axes()["device"].parse("cpu+cpu") == "cpu+cpu"


@pytest.mark.parametrize("text", ["²", "9" * 5000], ids=["superscript", "endless"])
def test_digits_that_are_no_index(text: str) -> None:
    with pytest.raises(UsageError):
        fixed_axes()["device"].parse(text)


def test_a_number_of_any_length() -> None:
    with pytest.raises(UsageError):
        fixed_axes()["batch"].parse("9" * 5000)


def test_a_card_twice_is_a_case_that_is_refused_when_its_turn_comes() -> None:
    assert parse_values(fixed_axes()["device"], "cpu,0+00") == ["cpu", "0+0"]
    assert named_twice("0+0").startswith("device 0+0 names card 0 twice") and "card 1 twice" in named_twice("2x0+1+1")
    assert not any(named_twice(device) for device in ("2x0+1", "cpu+cpu", "mps+mps"))


def test_where_every_device_is_such_nothing_is_begun() -> None:
    with pytest.raises(UsageError, match="device 0\\+0 names card 0 twice: each process needs a card of its own"):
        parse_values(fixed_axes()["device"], "0+0,1+1")


@pytest.mark.parametrize("text", ["cuda:cpu", "cuda:mps", "cuda:cuda"])
def test_a_cuda_device_has_an_index(text: str) -> None:
    with pytest.raises(UsageError):
        fixed_axes()["device"].parse(text)


def test_a_file_name_that_no_system_takes() -> None:
    with pytest.raises(UsageError):
        fixed_axes()["model"].parse("a" * 300 + ".pt")


@pytest.mark.parametrize("name", ["best.pt", "mine.yaml", "mine.yml"])
def test_a_model_file_becomes_its_absolute_path(name: str, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_bytes(b"\x80" if name.endswith(".pt") else b"backbone: []\nhead: []\n")
    monkeypatch.chdir(tmp_path)
    assert fixed_axes()["model"].parse(name) == str(tmp_path / name)
    assert fixed_axes()["model"].parse(f"./{name}") == str(tmp_path / name)


def test_duplicates_collapse_in_the_order_given() -> None:
    assert parse_values(fixed_axes()["batch"], "8,4, 8 ,16,4") == [8, 4, 16]
    assert parse_values(fixed_axes()["device"], "1,cuda:1,cpu,CPU") == ["1", "cpu"]


@pytest.mark.parametrize("text", ["", ",", " , "])
def test_no_value_at_all(text: str) -> None:
    with pytest.raises(UsageError, match=r"^--batch needs at least one value.*\.$"):
        parse_values(fixed_axes()["batch"], text)


def test_one_bad_value_spoils_the_list() -> None:
    with pytest.raises(UsageError, match="'x'"):
        parse_values(fixed_axes()["batch"], "4,x")


def test_every_axis_is_a_field_of_a_case_in_the_same_order() -> None:
    assert (*fixed_axes(), "further") == Case.__struct_fields__
    assert all(name == axis.name for name, axis in fixed_axes().items())


@pytest.mark.parametrize(
    ("device", "kind", "names", "count"),
    [
        ("cpu", "cpu", ["cpu"], 1),
        ("mps", "mps", ["mps"], 1),
        ("0", "cuda", ["0"], 1),
        ("0+1", "cuda", ["0", "1"], 2),
        ("cpu+cpu", "cpu", ["cpu", "cpu"], 2),
        ("2x0+1", "cuda", ["0", "1"], 4),
        ("3xcpu", "cpu", ["cpu"], 3),
    ],
)
def test_what_a_device_is(device: str, kind: str, names: list[str], count: int) -> None:
    assert device_kind(device) == kind
    assert device_names(device) == on_one_machine(device) == names
    assert ranks(device) == ranks_in_worker(device) == count
    assert machines(device) == count // len(names)
