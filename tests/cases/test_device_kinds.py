"""The registry of device kinds: how devices are written, in options, in ids of cases and on pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.cases import device_kinds
from bench.cases.case import Case, parse_case
from bench.cases.device_kinds import (
    DeviceKind,
    by_kind,
    id_token,
    kind_of,
    kinds,
    label,
    machines,
    named_twice,
    parse_device,
    ranks,
    register,
    sort_key,
)
from bench.cases.plan import expand_grid, profile, profiles
from bench.errors import UsageError


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[DeviceKind]:
    """A kind that somebody else registers."""
    monkeypatch.setattr(device_kinds, "_registry", kinds())
    kind = DeviceKind(name="toybox", title="Toy", written="toybox or toybox:1")
    register(kind)
    yield kind
    monkeypatch.undo()
    register(kinds()["cpu"])  # which empties the caches


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("xpu", "xpu"),
        ("XPU:0", "xpu"),
        ("xpu:01", "xpu:1"),
        ("xpu1", "xpu:1"),
        ("npu:3", "npu:3"),
        ("xpu+xpu:1", "xpu+xpu:1"),
        ("2xxpu:1", "2xxpu:1"),
        ("cuda:1", "1"),
        ("cuda", "0"),
    ],
)
def test_one_device_has_one_name(text: str, device: str) -> None:
    assert parse_device(text) == device == parse_device(device)


@pytest.mark.parametrize("text", ["mps:0", "cpu0", "cpu:0", "cuda0", "xpu:", "xpu:-1", "xpu::1", "gpu", "x", "xpu:²"])
def test_what_no_kind_reads_is_refused_with_all_that_are_known(text: str) -> None:
    known = ", ".join(kind.written for kind in kinds().values())
    assert known.startswith("cpu, mps, a CUDA index such as 0, xpu or xpu:1, npu or npu:1")
    with pytest.raises(UsageError) as caught:
        parse_device(text)
    assert str(caught.value) == f"device {text!r} is unknown: use {known}, or several as in 0+1."


@pytest.mark.parametrize("text", ["intel:gpu", "intel:cpu", "vulkan:0", "tpu"])
def test_devices_of_runtimes_alone_are_unknown(text: str) -> None:
    """Where they are missing, Ultralytics runs such a model on the CPU."""
    with pytest.raises(UsageError, match="is unknown"):
        parse_device(text)


def test_kinds_do_not_mix() -> None:
    with pytest.raises(UsageError, match=r"mixes CUDA GPU and Intel GPU: the devices of one case are of one kind.$"):
        parse_device("0+xpu:1")


@pytest.mark.parametrize(
    ("device", "token"),
    [("cpu", "cpu"), ("mps", "mps"), ("0+1", "0+1"), ("2x0", "2x0"), ("xpu", "xpu"), ("2xxpu+xpu:12", "2xxpu+xpu12")],
)
def test_the_id_of_a_case_is_a_file_name_and_leads_back(device: str, token: str) -> None:
    case = Case("train", "yolov8n", device, "off", 4, 160)
    assert case.id == f"train-yolov8n-{token}-fp32-b4-i160" and id_token(device) == token
    assert parse_case(case.id) == case


@pytest.mark.parametrize(
    ("device", "kind", "count", "where"),
    [("xpu", "xpu", 1, 1), ("xpu:1", "xpu", 1, 1), ("npu+npu:1", "npu", 2, 1), ("3xxpu+xpu:1", "xpu", 6, 3)],
)
def test_kind_ranks_and_machines(device: str, kind: str, count: int, where: int) -> None:
    assert (kind_of(device).name, ranks(device), machines(device)) == (kind, count, where)


def test_a_card_of_any_kind_serves_one_process() -> None:
    expected = "device xpu:1+xpu:1 names card xpu:1 twice: each process needs a card of its own, as in xpu+xpu:1."
    assert named_twice("xpu:1+xpu:1") == expected
    assert not named_twice("xpu+xpu:1")


@pytest.mark.parametrize(
    ("device", "shown"),
    [("0+1", "cuda:0+1"), ("2x0+1", "2xcuda:0+1"), ("xpu:1", "xpu:1"), ("2xxpu", "2xxpu"), ("", ""), ("?", "?")],
)
def test_label(device: str, shown: str) -> None:
    assert label(device) == shown


def test_gpus_come_before_those_that_share_memory_and_the_cpu_comes_last() -> None:
    devices = ["cpu+cpu", "mps", "xpu", "cpu", "0"]
    assert sorted(devices, key=sort_key) == ["xpu", "0", "mps", "cpu+cpu", "cpu"]


@pytest.mark.parametrize("name", profiles())
@pytest.mark.parametrize("kind", kinds())
def test_every_profile_has_values_for_every_kind(name: str, kind: str) -> None:
    device = kinds()[kind].device(0) if kinds()[kind].indexed else kind
    plans = expand_grid(profile(name), [device], {})
    assert plans and {plan.case.device for plan in plans} == {device}
    assert all(plan.recipe.warmup_seconds > 0 < plan.recipe.window_seconds for plan in plans)


def test_an_entry_of_its_own_comes_before_that_of_all_accelerators() -> None:
    table = {"cpu": 1, "mps": 2, "accelerator": 3, "all": 4}
    assert [by_kind(table, kind) for kind in ("cpu", "mps", "cuda", "npu")] == [1, 2, 3, 3]
    assert [by_kind({"accelerator": 3, "all": 4}, kind) for kind in ("cpu", "xpu")] == [4, 3]


def test_a_kind_on_the_host_takes_the_entry_of_the_cpu(toy: DeviceKind) -> None:
    register(DeviceKind(name="hostbox", title="Host", written="hostbox", on_host=True))
    assert [by_kind({"cpu": 1, "accelerator": 3}, kind) for kind in ("hostbox", toy.name)] == [1, 3]


def test_a_kind_that_is_registered_can_be_asked_for(toy: DeviceKind) -> None:
    assert parse_device("2xtoybox+toybox1") == "2xtoybox+toybox:1"
    assert kind_of("toybox:1") is toy
    [*_, planned] = expand_grid(profile("smoke"), ["toybox"], {})
    assert planned.recipe.warmup_seconds == profile("smoke").recipe.warmup_seconds["accelerator"]
    with pytest.raises(UsageError, match=", toybox or toybox:1, or several"):
        parse_device("gpu")


def test_a_kind_with_an_ambiguous_name_is_refused() -> None:
    for name in ("gpu2", "a", "my_gpu", "GPU"):
        with pytest.raises(ValueError, match=f"device kind '{name}': use 2 to 20 lower-case letters"):
            register(DeviceKind(name=name, title="", written=""))


def test_timings_of_the_kinds_of_before_are_what_they_were() -> None:
    """Recipes are compared by fingerprints."""
    timing = profile("regress").recipe
    timings = {kind: (timing.warmup(kind), timing.least_seconds(kind, False)) for kind in ("cpu", "mps", "cuda")}
    assert timings == {"cpu": (1.0, 1.5), "mps": (5.0, 3.0), "cuda": (5.0, 3.0)}
