"""What is held while the releases of one package change; the fake uv answers."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.environments.release_series import ReleaseSeries
from bench.errors import UsageError

from .uv_index import Uv


@pytest.fixture
def uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Uv:
    return Uv(tmp_path, monkeypatch)


def quiet(text: str) -> None:
    """Hears what takes long."""


def test_other_packages_are_pinned_as_they_are_with_one_ultralytics(uv: Uv) -> None:
    uv.needs("ultralytics-opencv-headless", "torchvision")
    assert ReleaseSeries("ultralytics").pinned_to("8.4.190", quiet).pin_labels == ("torch==2.15.0",)


def test_what_is_named_is_held_as_it_was_named(uv: Uv) -> None:
    held = ReleaseSeries.parse("ultralytics", "torch==2.6.0", "").pinned_to("8.4.190", quiet)
    assert held.pin_labels == ("torch==2.6.0",)
    assert held.provide("8.4.100", quiet).interpreter.environment.torch == "2.6.0"


def test_for_torch_ultralytics_is_pinned_whichever_its_distribution(uv: Uv) -> None:
    held = ReleaseSeries.parse(" Torch ", "", "").pinned_to("2.15.0", quiet)
    assert (held.package, held.pin_labels) == ("torch", ("ultralytics==8.4.190",))
    prepared = held.provide("2.6.0", quiet)
    environment = prepared.interpreter.environment
    assert (environment.torch, environment.ultralytics) == ("2.6.0", "8.4.190")
    assert prepared.requested == "torch==2.6.0"


def test_a_release_without_a_solution_is_one_sentence(uv: Uv) -> None:
    with pytest.raises(UsageError, match="no environment can be made of torch==99") as error:
        ReleaseSeries("torch").pinned_to("99", quiet)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("text", "release"), [("8.4", "8.4.0"), ("8.4.100", "8.4.100")])
def test_a_release_is_spelled_as_the_index_spells_it(uv: Uv, text: str, release: str) -> None:
    assert ReleaseSeries("ultralytics").release(text) == release


@pytest.mark.parametrize(
    ("text", "exclude_newer", "sentence"),
    [
        ("8.4.101", "", "ultralytics 8.4.101 was not published, or does not install on this Python."),
        ("8.4.101", "2026-01-31", "ultralytics 8.4.101 was not published up to 2026-01-31, or does not install"),
        ("newest", "", "'newest' is no version of a release"),
        ("8.4.0,<9", "", "'8.4.0,<9' is no version of a release"),
        ("", "", "'' is no version of a release"),
    ],
)
def test_what_is_no_release(uv: Uv, text: str, exclude_newer: str, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        ReleaseSeries("ultralytics", (), exclude_newer).release(text)
    assert str(error.value).startswith(sentence)


def test_a_network_that_does_not_answer_is_no_missing_release(uv: Uv) -> None:
    uv.breaks("no-network")
    with pytest.raises(UsageError, match="the package index does not answer"):
        ReleaseSeries("ultralytics").release("8.4.100")


@pytest.mark.parametrize(
    ("package", "others", "sentence"),
    [
        ("numpy", "", "package 'numpy' is not what is measured: use torch or ultralytics, or one of onnxruntime,"),
        ("", "", "package '' is not what is measured: use torch or ultralytics, or one of onnxruntime,"),
        ("torch", "torch==2.6", "'torch==2.6' names torch, whose releases are compared"),
        ("ultralytics", "ultralytics-opencv-headless==8.4.0", "'ultralytics-opencv-headless==8.4.0' names ultralytics"),
        ("ultralytics", "python:python3", "'python:python3' is an interpreter"),
        ("ultralytics", "torch 2.6", "'torch 2.6' is no requirement"),
    ],
)
def test_what_cannot_be_held(package: str, others: str, sentence: str) -> None:
    with pytest.raises(UsageError) as error:
        ReleaseSeries.parse(package, others, "")
    assert str(error.value).startswith(sentence)


def test_a_wheel_is_shown_without_its_folder(tmp_path: Path) -> None:
    wheel = tmp_path / "torch-2.16.0-py3-none-any.whl"
    held = ReleaseSeries("ultralytics", (wheel, "numpy<3"))
    assert held.pin_labels == ("torch-2.16.0-py3-none-any.whl", "numpy<3")
    assert held.specification("8.4.0").parts == ("ultralytics==8.4.0", wheel, "numpy<3")
