"""The registry of axes: what follows from an entry, and what it refuses."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from bench.cases.axes import (
    NOT_ASKED,
    PRECISIONS,
    Axis,
    axes,
    find_axis,
    fixed_axes,
    further_axes,
    parse_options,
    register,
    sort_values,
    unregister,
    value_label,
    whole_number,
)
from bench.cases.case import Case, check, parse_case
from bench.cases.plan import expand_grid, profile
from bench.cases.recipe import check_threads, overrides_of
from bench.errors import UsageError
from tests.builders import make_case

VALUES = {
    "workers": (0, 2, 16),
    "cache": ("off", "ram", "disk"),
    "compile": ("off", "on", "reduce-overhead", "max-autotune-no-cudagraphs"),
    "channels_last": ("off", "on"),
    "deterministic": ("off", "on"),
    "optimizer": ("SGD", "MuSGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSProp"),
    "rect": ("off", "on"),
    "multi_scale": ("off", "0.25", "0.5", "1"),
    "nbs": (1, 64, 256),
    "forced_workers": (0, 2),
    "threads": (1, 4),
    "accumulate": (1, 4),
    "parallel": ("ddp", "dp"),
    "scenario": ("single", "multi", "offline", "server"),
    "arrival_rate": (5, 0.25, 123.5),
    "format": ("torchscript", "onnx", "openvino", "ncnn", "litert", "coreml", "engine"),
}
OF_THE_RUNNER = {"forced_workers", "format", "arrival_rate"}
"""Axes that change neither the library's arguments nor a field of the job: a worker reads them off the case."""


@pytest.fixture
def seed() -> Iterator[Axis]:
    """An axis of this test alone."""
    axis = Axis(
        "seed",
        "Seed",
        whole_number("seed", 0, 512),
        "seed of training, such as 16,64",
        order=int,
        modes=("train",),
        arguments=lambda value: {"seed": value},
        setting="seed",
    )
    yield register(axis)
    unregister("seed")


def test_six_axes_are_fixed_and_more_may_be_asked_for() -> None:
    assert tuple(fixed_axes()) == ("mode", "model", "device", "amp", "batch", "imgsz")
    assert set(further_axes()) == set(VALUES)
    assert list(axes()) == [*fixed_axes(), *further_axes()]


@pytest.mark.parametrize("name", VALUES)
def test_every_value_is_written_as_it_is_read(name: str) -> None:
    axis = find_axis(name)
    for value in VALUES[name]:
        assert axis.parse(axis.text(value)) == value
        assert axis.setting
        changes = axis.arguments(value) or axis.job(value) or axis.least(value)
        assert changes or name in OF_THE_RUNNER


def test_a_case_without_further_axes_is_what_it_was() -> None:
    case = make_case()
    assert case.id == "train-yolov8n-cpu-fp32-b16-i160"
    assert msgspec.json.encode(case) == (
        b'{"mode":"train","model":"yolov8n","device":"cpu","amp":"off","batch":16,"imgsz":160}'
    )


def test_ids_of_all_kinds_of_cases_say_what_the_case_is() -> None:
    draw = random.Random(0)
    cases = {}
    models = ("yolov8n", "yolo11n-p2", "a-cpu-fp32-b4-i160", "x-workers2")
    for model, mode, amp in itertools.product(models, ("train", "predict"), PRECISIONS):
        for _ in range(20):
            names = [name for name in VALUES if mode in find_axis(name).modes and draw.random() < 0.5]
            further = {name: draw.choice(VALUES[name]) for name in names}
            values = {"mode": mode, "model": model, "device": "2x0+1", "amp": amp, "batch": 4, "imgsz": 160, **further}
            case = Case.of(values)
            check(case)
            assert parse_case(case.id) == case
            assert msgspec.json.decode(msgspec.json.encode(case), type=Case) == case
            assert case.values == {**values, **further}
            assert cases.setdefault(case.id.lower(), case) == case, "file systems may know no capitals"


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        ("-speed2", "'speed2' names no axis with a value: use one of workers, cache, "),
        ("-workers", "'workers' names no axis with a value"),
        ("-cacheram-cachedisk", "axis 'cache' is named twice."),
        ("-cachessd", "cache 'ssd' is unknown: use off, ram, disk."),
    ],
)
def test_an_id_with_an_axis_that_is_none_is_refused(token: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence.replace(".", r"\.")):
        parse_case(f"train-yolov8n-cpu-fp32-b4-i160{token}")


def test_an_id_of_a_mode_that_does_not_take_the_axis_is_refused() -> None:
    with pytest.raises(UsageError, match="axis 'cache' is not taken by prediction: use --mode train"):
        parse_case("predict-yolov8n-cpu-fp32-b4-i160-cacheram")


@pytest.mark.parametrize(
    "further",
    [
        (("workers", 2), ("cache", "ram")),
        (("cache", "ram"), ("cache", "off")),
        (("mode", "train"),),
        (("../up", 1),),
        (("cache", ""),),
        (("cache", "a\nb"),),
        (("speed", "x" * 61),),
        (("workers", "many"),),
        (("workers", True),),
        (("workers", 2.0),),
        (("compile", 1),),
    ],
)
def test_a_recorded_case_with_impossible_further_axes_is_refused(further: tuple[tuple[str, object], ...]) -> None:
    with pytest.raises(ValueError, match=r"^case: "):
        check(make_case(further=further))


def test_a_recorded_axis_without_an_entry_is_kept_and_named() -> None:
    case = make_case(further=(("speed", "very fast"),))
    check(case)
    assert case.id.endswith("-i160-speedvery_fast")
    assert (case.value("speed"), case.value("workers"), case.asked) == ("very fast", NOT_ASKED, [])
    assert value_label("speed", "very fast") == "speed very fast"


@pytest.mark.parametrize(
    ("options", "further", "sentence"),
    [
        ({}, ["speed=1"], "axis 'speed' is unknown: use mode, model, device"),
        ({}, ["workers"], "axis 'workers': write NAME=VALUES, such as workers=0,2."),
        ({}, ["workers="], "--axis workers needs at least one value"),
        ({}, ["workers=many"], "workers 'many' is not allowed: use a whole number from 0 to 1024."),
        ({}, ["workers=0", "workers=2"], "axis 'workers' is named twice: give all its values at once"),
        ({"workers": "0"}, ["workers=2"], "axis 'workers' is named twice"),
        ({"batch": "4"}, ["batch=8"], "axis 'batch' is named twice"),
        ({}, ["optimizer=auto"], "optimizer 'auto' depends on the length of the run"),
        ({}, ["optimizer=Lion"], "optimizer 'Lion' is unknown: use SGD, MuSGD"),
        ({}, ["multi_scale=2"], "multi_scale '2' is unknown: use off, or a share of the image size such as 0.5."),
        ({}, ["multi_scale=big"], "multi_scale 'big' is unknown: use off, or a share of the image size such as 0.5."),
        ({}, ["nbs=0"], "nbs '0' is not allowed: use a whole number from 1 to 65536."),
        ({}, ["rect=maybe"], "rect 'maybe' is unknown: use off, on."),
        ({}, ["compile=yes"], "compile 'yes' is unknown: use off, on, reduce-overhead, max-autotune-no-cudagraphs."),
    ],
)
def test_what_cannot_be_asked_for_is_one_sentence(
    options: dict[str, str | None], further: list[str], sentence: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_options(options, further)
    assert str(caught.value).startswith(sentence)


def test_axes_are_asked_for_by_their_option_or_by_name() -> None:
    options = parse_options({"batch": "8,4", "cache": None}, ["optimizer=sgd,adamw", "channels-last=on"])
    assert options == {"batch": [8, 4], "channels_last": ["on"], "optimizer": ["SGD", "AdamW"]}


def test_a_share_of_sizes_has_one_spelling() -> None:
    assert parse_options({}, ["multi_scale=0.50,.5,off"]) == {"multi_scale": ["0.5", "off"]}
    axis = find_axis("multi_scale")
    assert [axis.arguments(value) for value in ("off", "0.5")] == [{"multi_scale": False}, {"multi_scale": 0.5}]
    assert sort_values("multi_scale", ["0.5", "off", "0.25"]) == ["off", "0.25", "0.5"]


@pytest.mark.parametrize(
    ("changes", "forced"),
    [
        ({}, False),
        ({"amp": "bf16"}, False),
        ({"amp": "forced-bf16"}, True),
        ({"further": (("workers", 2),)}, False),
        ({"further": (("forced_workers", 2),)}, True),
    ],
)
def test_what_is_forced_is_known_by_its_case(changes: dict[str, Any], forced: bool) -> None:
    case = make_case(**changes)
    assert case.is_forced is forced
    assert ("forced" in case.id) is forced


def test_a_case_that_cannot_have_an_axis_has_no_value_of_it() -> None:
    assert value_label("arrival_rate", NOT_ASKED) == "arrival_rate none"
    assert value_label("scenario", NOT_ASKED) == "scenario default"


def test_threads_have_one_place() -> None:
    check_threads(0, {"threads": [1]})
    with pytest.raises(UsageError, match="threads is named twice: leave out --threads 2"):
        check_threads(2, {"threads": [1]})


@pytest.mark.parametrize("name", ["workers", "work", "workersmax", "x", "Cache", "two words", "a1"])
def test_a_name_that_ids_could_not_tell_apart_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"axis {name!r}"):
        register(Axis(name, "Title", str, "help"))


def test_values_stand_in_their_order_with_the_default_first() -> None:
    assert sort_values("workers", [16, 2, NOT_ASKED, 2, 4]) == [NOT_ASKED, 2, 4, 16]
    assert sort_values("cache", ["disk", "off", "ram"]) == ["off", "ram", "disk"]
    assert sort_values("speed", ["b", "a", "b"]) == ["b", "a"]


def test_a_plan_has_every_combination_and_a_recipe_without_what_the_axes_say() -> None:
    values = {"mode": ["train"], "amp": ["off"], "workers": [0, 2], "optimizer": ["SGD", "AdamW"]}
    planned = expand_grid(profile("smoke"), ["cpu"], values)
    assert {plan.case.id.partition("-i64")[2] for plan in planned} == {
        "-optimizerSGD-workers0",
        "-optimizerSGD-workers2",
        "-optimizerAdamW-workers0",
        "-optimizerAdamW-workers2",
    }
    assert len(planned) == 4
    assert planned[0].case.further == (("optimizer", "SGD"), ("workers", 0))
    plain = expand_grid(profile("smoke"), ["cpu"], {"mode": ["train"], "amp": ["off"]})
    assert {pin.key for pin in overrides_of("train")} == set(plain[0].recipe.overrides)
    assert set(plain[0].recipe.overrides) - set(planned[0].recipe.overrides) == {"optimizer"}
    workers = expand_grid(profile("smoke"), ["cpu"], {"mode": ["train"], "amp": ["off"], "workers": [0]})
    assert workers[0].recipe.fingerprint == plain[0].recipe.fingerprint


def test_a_mode_that_does_not_take_an_axis_ends_the_plan() -> None:
    with pytest.raises(UsageError, match="axis 'workers' is not taken by prediction: use --mode train"):
        expand_grid(profile("smoke"), ["cpu"], {"workers": [0]})


def test_a_new_axis_needs_its_entry_alone(seed: Axis) -> None:
    values = parse_options({}, ["seed=16,64"])
    cases = [
        plan.case for plan in expand_grid(profile("smoke"), ["cpu"], {**values, "mode": ["train"], "amp": ["off"]})
    ]
    assert [case.id for case in cases] == [f"train-yolov8n-cpu-fp32-b16-i64-seed{n}" for n in (16, 64)]
    assert [case.arguments for case in cases] == [{"seed": 16}, {"seed": 64}]
    assert parse_case(cases[0].id) == cases[0]
    assert value_label(seed.name, 64) == "seed 64"
