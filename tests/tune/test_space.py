"""Which settings are searched: defaults per kind of device, what needs permission, and bad input."""

from __future__ import annotations

import pytest

from bench.cases.axes import Axis, fixed_axes, further_axes
from bench.errors import UsageError
from bench.tune.space import Space, check_allowed, default_values, describe_change, parse_present
from tests.builders import make_case


def test_a_cpu_searches_caches_and_threads() -> None:
    values, left_out = default_values(make_case(), [], 8, 0)
    assert values == {"cache": ["ram", "disk"], "threads": [1, 4, 8]}
    assert {name for name, _ in left_out} >= {"workers", "compile", "batch", "amp", "deterministic", "prefetch"}
    assert all(reason for _, reason in left_out)


def test_a_gpu_searches_loaders_too_and_no_threads() -> None:
    values, _ = default_values(make_case(device="0"), [], 8, 0)
    assert values == {"cache": ["ram", "disk"], "workers": [2, 4, 8], "channels_last": ["on"], "compile": ["on"]}
    values, left_out = default_values(make_case(device="mps"), [], 8, 0)
    assert values == {"cache": ["ram", "disk"]}
    assert {name for name, _ in left_out} >= {"workers", "compile", "channels_last"}


def test_what_changes_learning_is_searched_where_it_is_allowed() -> None:
    values, left_out = default_values(make_case(device="0", batch=16), ["batch", "amp", "deterministic"], 8, 0)
    assert (values["batch"], values["amp"], values["deterministic"]) == ([8, 32, 64], ["on", "bf16"], ["off"])
    assert not {"batch", "amp", "deterministic"} & {name for name, _ in left_out}


def test_prediction_searches_batches_and_the_formats_that_an_axis_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    predict = make_case(mode="predict", batch=1)
    values = default_values(predict, [], 2, 0)[0]
    assert (values["batch"], values["threads"]) == ([4, 8, 16, 32], [1, 2])

    def parse(text: str) -> str:
        if text == "openvino":
            raise UsageError("unknown")
        return text

    others = {name: axis for name, axis in further_axes().items() if name != "format"}
    axis = Axis("format", "Format", parse, "of an exported model", modes=("predict",))
    monkeypatch.setattr("bench.cases.axes._registry", {**fixed_axes(), **others, "format": axis})
    assert default_values(predict, [], 2, 0)[0]["format"] == ["torchscript", "onnx"]
    assert "format" not in default_values(make_case(), [], 2, 0)[0]
    on_gpu = make_case(mode="predict", batch=1, device="0")
    assert default_values(on_gpu, [], 2, 0)[0]["format"] == ["torchscript", "onnx", "engine"]


def test_threads_of_the_recipe_are_not_searched() -> None:
    assert "threads" not in default_values(make_case(), [], 8, 2)[0]


def test_combinations_and_neighbours() -> None:
    space = Space(make_case(), {"cache": ["ram"], "threads": [2, 4]})
    texts = [describe_change(space.present, case) for case in space.product()]
    assert len(texts) == space.size == 5
    assert "cache=ram, threads=4" in texts
    assert [describe_change(space.present, case) for case in space.single_changes(3)] == [
        "cache=ram",
        "threads=2",
        "threads=4",
    ]
    leader = space.with_changes({"cache": "ram"})
    assert [describe_change(space.present, case) for case in space.neighbours(leader)] == [
        "cache=ram, threads=2",
        "cache=ram, threads=4",
    ]
    assert describe_change(space.present, space.present) == "present settings"
    assert space.without("cache", "ram").values == {"threads": [2, 4]}


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"batch": 8}, ["batch=6", "batch=32"]),
        ({"batch": 32}, ["batch=8"]),
        ({"batch": 6}, ["batch=8"]),  # and the present 4
        ({"batch": 1}, []),
        ({"batch": 16}, ["batch=8", "batch=32"]),  # of an earlier search
    ],
)
def test_neighbours_of_a_number_are_the_next_ones(changed: dict[str, int], expected: list[str]) -> None:
    space = Space(make_case(batch=4), {"batch": [32, 8, 1, 6]})
    neighbours = space.neighbours(space.with_changes(changed))
    assert [describe_change(space.present, neighbour) for neighbour in neighbours] == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("workers", "present 'workers' is no setting: write NAME=VALUE"),
        ("speed=9", "present 'speed=9' is no setting"),
        ("workers=many", "workers 'many' is not allowed"),
    ],
)
def test_present_settings_that_are_none(text: str, sentence: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_present(text)
    assert str(refused.value).startswith(sentence)


def test_present_settings() -> None:
    assert parse_present("workers=8, batch=16,") == {"workers": 8, "batch": 16}
    assert parse_present("") == {}


def test_permissions() -> None:
    assert check_allowed("batch, amp") == ["batch", "amp"]
    with pytest.raises(UsageError, match=r"^allow 'cache' is unknown: use batch, amp, deterministic\.$"):
        check_allowed("cache")
