"""What ``doctor`` says of machines that are played to it: the row that each of them should get."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.machine.doctor import Check, State, devices_of, examine
from bench.machine.doctor.backends import has_kernels, oldest_macos
from bench.machine.interpreter_info import (
    AcceleratorBuild,
    AcceleratorDevice,
    CpuBuild,
    CudaBuild,
    CudaCard,
    MpsBuild,
    Packages,
    Software,
)
from bench.machine.nvml import Card, Nvidia
from bench.machine.system_info import SystemInfo
from bench.report.doctor import summary

GIB = 2**30
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120")


def machine(**fields: Any) -> SystemInfo:
    """A calm Linux box without a GPU."""
    usual: dict[str, Any] = {
        "system": "Linux",
        "architecture": "x86_64",
        "cpu": "AMD EPYC",
        "processors": 8,
        "usable": 8,
        "load": 0.1,
        "memory": 32 * GIB,
        "available": 30 * GIB,
        "swap": 0,
        "swap_used": 0,
        "free": 100 * GIB,
        "has_pressure": True,
        "has_schedstat": True,
        "uv": "uv 0.13.9",
    }
    return SystemInfo(**{**usual, **fields})


def software(**fields: Any) -> Software:
    """A torch for CUDA 13.2 that sees no card."""
    packages = {"torch": "2.15.0", "ultralytics": "8.4.190", "numpy": "2.4.0"}
    usual: dict[str, Any] = {
        "environment": Packages(python="3.11.7", packages=packages),
        "cpu": CpuBuild("AVX512", True),
        "cuda": CudaBuild(built="13.2", nccl=True, tf32=True),
        "gloo": True,
    }
    return Software(**{**usual, **fields})


def boxed(
    capability: tuple[int, int] = (9, 0), cuda: tuple[int, int] = (13, 2), **properties: Any
) -> tuple[SystemInfo, Software]:
    """A box with one card."""
    card = Card(**{"name": "NVIDIA H100", "total": 80 * GIB, "used": GIB, "processes": 0, "energy": True, **properties})
    build = CudaBuild("13.2", "", ARCHITECTURES, (CudaCard("NVIDIA H100", capability, 80 * GIB),), True, True)
    there = machine(nvidia=Nvidia("580.1", cuda, (card,)))
    return there, software(cuda=build, meters=("pynvml",))


def mac(operators: dict[str, str] | None = None, **fields: Any) -> tuple[SystemInfo, Software]:
    tried = {"nms": "native", "unique": "native"} if operators is None else operators
    mac = {"system": "Darwin", "architecture": "arm64", "macos": (14, 5), "has_pressure": False, "has_schedstat": False}
    there = machine(**{**mac, **fields})
    build = MpsBuild(True, True, 24 * GIB, tried)
    return there, software(cuda=CudaBuild(), mps=build, thermal="nominal", meters=("zeus_apple_silicon",))


def rows(there: SystemInfo, offered: Software | None = None) -> dict[str, Check]:
    checks = examine(there, offered or software())
    assert len({row.name for row in checks}) == len(checks)
    for row in checks:
        assert row.detail and row.remedy == row.remedy.strip()
    return {row.name: row for row in checks}


def test_a_linux_box_without_a_gpu() -> None:
    checks = rows(machine())
    assert checks["cpu"] == Check("cpu", State.USABLE, "AMD EPYC, 8 cores, AVX512")
    assert checks["cuda"].status is State.UNUSABLE
    assert checks["cuda"].detail == "torch is built for CUDA 13.2; no NVIDIA driver found"
    assert checks["mps"] == Check("mps", State.UNUSABLE, "requires a Mac with Apple silicon")
    assert checks["interpreter"].detail == "Python 3.11.7, torch 2.15.0, ultralytics 8.4.190"
    usable = {"interpreter", "cpu", "memory", "swap", "disk", "load", "power", "noise", "weights", "uv"}
    assert {what for what, row in checks.items() if row.status is State.USABLE} == usable


def test_a_calm_gpu_box() -> None:
    checks = rows(*boxed())
    assert {checks[what].status for what in ("cuda", "cuda 0", "NVML", "energy of cards")} == {State.USABLE}
    assert checks["cuda 0"].detail == "NVIDIA H100, 80 GiB, capability 9.0"
    assert "TF32" in checks["cuda"].detail and "serves CUDA 13.2" in checks["cuda"].detail
    assert checks["several GPUs"].status is State.UNUSABLE and "requires two" in checks["several GPUs"].detail


@pytest.mark.parametrize(
    ("nccl", "gloo", "state", "detail"),
    [
        (True, True, State.USABLE, "2 GPUs, NCCL for communication"),
        (False, True, State.LIMITED, "2 GPUs, gloo for communication, by way of the host's memory"),
        (False, False, State.UNUSABLE, "2 GPUs, no library for communication"),
    ],
)
def test_two_cards(nccl: bool, gloo: bool, state: State, detail: str) -> None:
    there, offered = boxed()
    build = msgspec.structs.replace(offered.cuda, cards=offered.cuda.cards * 2, nccl=nccl)
    two = msgspec.structs.replace(there, nvidia=msgspec.structs.replace(there.nvidia, cards=there.nvidia.cards * 2))
    row = rows(two, msgspec.structs.replace(offered, cuda=build, gloo=gloo))["several GPUs"]
    assert (row.status, row.detail) == (state, detail)
    assert row.remedy == ("to train on both: --device 0+1" if nccl else "install a torch with NCCL.")


@pytest.mark.parametrize("by", ["driver", "torch"])
def test_a_lost_card_next_to_a_working_one(by: str) -> None:
    there, offered = boxed()
    if by == "driver":
        there = msgspec.structs.replace(there, nvidia=msgspec.structs.replace(there.nvidia, trouble="GPU is lost"))
    else:
        offered = msgspec.structs.replace(offered, cuda=msgspec.structs.replace(offered.cuda, error="GPU is lost"))
    checks = rows(there, offered)
    assert checks["cuda"].status is State.LIMITED and "GPU is lost" in checks["cuda"].detail
    assert checks["cuda"].remedy == "reboot, or reinstall the driver."
    assert checks["cuda 0"].status is State.USABLE


@pytest.mark.parametrize(
    ("driver", "offered", "detail", "advice"),
    [
        (
            Nvidia("535.2", (12, 2), (Card("NVIDIA A100"),)),
            CudaBuild("13.2"),
            "driver 535.2 serves CUDA 12.2",
            "update the driver, or install a torch that is built for CUDA 12.",
        ),
        (Nvidia("580", (13, 0), (Card("NVIDIA A100"),)), CudaBuild(), "is built without CUDA", "install a torch that"),
        (Nvidia(trouble="GPU is lost"), CudaBuild("13.2"), "GPU is lost", "reboot, or reinstall the driver."),
        (
            Nvidia("580", (13, 2), (Card("NVIDIA A100"),)),
            CudaBuild("13.2", error="CUDA unknown error"),
            "CUDA unknown error",
            "make a GPU visible to torch",
        ),
    ],
)
def test_a_card_that_torch_cannot_use(driver: Nvidia, offered: CudaBuild, detail: str, advice: str) -> None:
    row = rows(machine(nvidia=driver), software(cuda=offered))["cuda"]
    assert row.status is State.UNUSABLE
    assert detail in row.detail and row.remedy.startswith(advice)


def test_a_driver_of_the_same_major_cuda_serves_a_newer_minor_one() -> None:
    assert rows(*boxed(cuda=(13, 0)))["cuda"].status is State.USABLE


def test_cards_that_a_variable_hides() -> None:
    there, offered = boxed()
    hidden = msgspec.structs.replace(
        offered, cuda=CudaBuild("13.2", "", ARCHITECTURES), variables={"CUDA_VISIBLE_DEVICES": ""}
    )
    assert "CUDA_VISIBLE_DEVICES is ''" in rows(there, hidden)["cuda"].detail


@pytest.mark.parametrize(
    ("capability", "state", "detail"),
    [
        ((6, 1), State.UNUSABLE, "this torch has kernels for sm_75"),
        ((7, 5), State.LIMITED, "no bfloat16"),
        ((8, 9), State.USABLE, ""),
        ((12, 1), State.USABLE, ""),
    ],
)
def test_the_capability_of_a_card(capability: tuple[int, int], state: State, detail: str) -> None:
    row = rows(*boxed(capability))["cuda 0"]
    assert row.status is state and detail in row.detail


def test_a_card_without_tensor_cores_that_torch_serves() -> None:
    there, offered = boxed((6, 1))
    older = msgspec.structs.replace(offered, cuda=msgspec.structs.replace(offered.cuda, architectures=("sm_60",)))
    row = rows(there, older)["cuda 0"]
    assert row.status is State.LIMITED
    assert "no tensor cores, so fp16 saves memory and hardly any time; no bfloat16" in row.detail


@pytest.mark.parametrize(
    ("properties", "detail", "advice"),
    [
        ({"processes": 1}, "1 process computes on it", "wait until it is free."),
        ({"processes": 3}, "3 processes compute on it", "wait until it is free."),
        ({"used": 40 * GIB}, "40.0 GiB of its memory are in use", "free it"),
        ({"held_back": 0x40}, "its clocks are throttled (heat)", "let it cool"),
        ({"held_back": 0xE8}, "(hardware slowdown, heat, power brake)", "let it cool"),
    ],
)
def test_a_card_that_is_not_free(properties: dict[str, Any], detail: str, advice: str) -> None:
    row = rows(*boxed(**properties))["cuda 0"]
    assert row.status is State.LIMITED
    assert detail in row.detail and row.remedy.startswith(advice)


def test_a_power_cap_is_normal() -> None:
    assert rows(*boxed(held_back=0x04))["cuda 0"].status is State.USABLE


def test_the_card_that_torch_numbers_is_looked_up_by_what_is_visible() -> None:
    there, offered = boxed()
    busy = Card("NVIDIA H100", processes=2)
    two = msgspec.structs.replace(there, nvidia=Nvidia("580", (13, 2), (busy, there.nvidia.cards[0])))
    assert rows(two, offered)["cuda 0"].status is State.LIMITED
    second = msgspec.structs.replace(offered, variables={"CUDA_VISIBLE_DEVICES": "1"})
    assert rows(two, second)["cuda 0"].status is State.USABLE
    by_name = msgspec.structs.replace(offered, variables={"CUDA_VISIBLE_DEVICES": "GPU-1111"})
    assert rows(two, by_name)["cuda 0"].status is State.USABLE, "nothing is known of it"
    ordered = msgspec.structs.replace(offered, variables={"CUDA_DEVICE_ORDER": "FASTEST_FIRST"})
    assert rows(two, ordered)["cuda 0"].status is State.USABLE, "which of the two it is, is not certain"


def test_without_pynvml_cards_tell_nothing() -> None:
    there, offered = boxed()
    row = rows(there, msgspec.structs.replace(offered, meters=()))["NVML"]
    assert row.status is State.LIMITED and "nvidia-ml-py" in row.remedy


def test_a_mac() -> None:
    checks = rows(*mac())
    assert checks["mps"].status is State.USABLE
    assert checks["mps"].detail == (
        "macOS 14.5 on arm64; Metal recommends at most 24.0 GiB; all 2 operators that were tried run on the GPU"
    )
    assert checks["cuda"] == Check("cuda", State.UNUSABLE, "torch 2.15.0 is built without CUDA")
    assert checks["heat"].status is State.USABLE
    assert checks["noise"].status is State.LIMITED
    assert checks["energy of the Mac"].status is State.USABLE
    assert checks["energy of the Mac"].detail == "zeus-apple-silicon estimates it by a model, with --energy"


def test_energy_of_a_mac_by_its_chip() -> None:
    there, offered = mac()
    without = msgspec.structs.replace(offered, meters=())
    assert "install zeus-apple-silicon" in rows(there, without)["energy of the Mac"].remedy
    intel = rows(msgspec.structs.replace(there, architecture="x86_64"), without)["energy of the Mac"]
    assert (intel.status, intel.remedy) == (State.UNUSABLE, "")


def test_a_mac_whose_torch_has_no_mps() -> None:
    there, offered = mac()
    row = rows(there, msgspec.structs.replace(offered, mps=MpsBuild()))["mps"]
    assert (row.status, row.remedy) == (State.UNUSABLE, "install torch for macOS on arm64.")
    intel = msgspec.structs.replace(there, architecture="x86_64")
    assert (
        "this Mac has no Apple silicon" in rows(intel, msgspec.structs.replace(offered, mps=MpsBuild()))["mps"].remedy
    )


def test_an_old_macos() -> None:
    there, offered = mac(macos=(12, 2))
    row = rows(there, msgspec.structs.replace(offered, mps=MpsBuild(True, False)))["mps"]
    assert (row.status, row.remedy) == (State.UNUSABLE, "update to macOS 14.0 or later.")
    assert [oldest_macos(torch) for torch in ("2.11.0", "2.12.0", "")] == [(12, 3), (14, 0), (12, 3)]
    newer, _ = mac(macos=(14, 0))
    row = rows(newer, msgspec.structs.replace(offered, mps=MpsBuild(True, False)))["mps"]
    assert row.status is State.UNUSABLE and "no Metal GPU" in row.detail


@pytest.mark.parametrize(
    ("variables", "operators", "detail"),
    [
        ({"PYTORCH_ENABLE_MPS_FALLBACK": "1"}, None, "PYTORCH_ENABLE_MPS_FALLBACK is set"),
        ({"PYTORCH_MPS_HIGH_WATERMARK_RATIO": "0.0"}, None, "memory has no limit"),
        ({}, {"nms": "native", "svd": "falls back"}, "not on the GPU: svd (falls back)"),
    ],
)
def test_a_mac_that_runs_with_reservations(
    variables: dict[str, str], operators: dict[str, str] | None, detail: str
) -> None:
    there, offered = mac(operators)
    row = rows(there, msgspec.structs.replace(offered, variables=variables))["mps"]
    assert row.status is State.LIMITED and detail in row.detail


def test_a_mac_is_not_set_to_fall_back_by_0() -> None:
    there, offered = mac()
    off = msgspec.structs.replace(offered, variables={"PYTORCH_ENABLE_MPS_FALLBACK": "0"})
    assert rows(there, off)["mps"].status is State.USABLE


@pytest.mark.parametrize(
    ("fields", "what", "detail"),
    [
        ({"on_battery": True}, "power", "on battery"),
        ({"low_power": True, "on_battery": False}, "power", "low power mode is on"),
        ({"load": 6.0}, "load", "6.0 on 8 cores"),
        ({"free": GIB // 2}, "disk", "0.5 GiB free for the cache"),
        ({"free": None}, "disk", "unknown"),
        ({"available": GIB}, "memory", "1.0 of 32.0 GiB are available"),
        ({"memory_limit": 4 * GIB, "memory_left": GIB}, "memory", "a control group allows 4.0 GiB"),
        ({"swap": 4 * GIB, "swap_used": 3 * GIB}, "swap", "3.0 of 4.0 GiB are in use"),
        ({"usable": 2}, "cpu", "this process may use 2 of them"),
        ({"quota": 1.5}, "cpu", "this process may use 1.5 of them"),
        ({"governor": "powersave", "scaling_driver": "acpi-cpufreq"}, "cpu", "frequency governor powersave"),
        ({"has_pressure": False}, "noise", "not pressure"),
        ({"has_pressure": False, "has_schedstat": False}, "noise", "neither"),
    ],
)
def test_conditions_that_speak_against_measuring_now(fields: dict[str, Any], what: str, detail: str) -> None:
    row = rows(machine(**fields))[what]
    assert row.status is State.LIMITED
    assert detail in row.detail


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"on_battery": False}, "power"),
        ({"governor": "powersave", "scaling_driver": "intel_pstate"}, "cpu"),
        ({"swap": 4 * GIB, "swap_used": GIB // 8}, "swap"),
        ({"memory_limit": 8 * GIB}, "memory"),
        ({"free": 3 * GIB}, "disk"),
    ],
)
def test_conditions_that_do_not(fields: dict[str, Any], what: str) -> None:
    assert rows(machine(**fields))[what].status is State.USABLE


def test_a_cache_that_cannot_be_used() -> None:
    row = rows(machine(cache_trouble="the cache /c cannot be written: set YOLOPACE_CACHE to another folder."))["disk"]
    assert row.status is State.UNUSABLE
    assert row.detail == "the cache /c cannot be written: set YOLOPACE_CACHE to another folder."


@pytest.mark.parametrize(
    ("rapl", "state"), [(None, State.UNUSABLE), ("needs root", State.UNUSABLE), ("readable", State.USABLE)]
)
def test_energy_of_the_cpu(rapl: str | None, state: State) -> None:
    assert rows(machine(rapl=rapl))["energy of the CPU"].status is state


def test_an_interpreter_that_cannot_be_used_has_no_backends() -> None:
    broken = software(import_error="libtorch_cuda.so: cannot open shared object file")
    checks = rows(machine(), broken)
    assert checks["interpreter"].status is State.UNUSABLE
    assert "libtorch_cuda.so" in checks["interpreter"].remedy
    assert not {"cpu", "cuda", "mps"} & checks.keys() and "memory" in checks
    lacks = Packages(python="3.11.7", unusable="torch is not installed for python: install torch>=2.6 there.")
    row = rows(machine(), software(environment=lacks, import_error="No module named 'torch'"))["interpreter"]
    assert row.remedy == lacks.unusable


def test_without_uv_there_are_no_upgrades() -> None:
    row = rows(machine(uv=None))["uv"]
    assert (row.status, row.remedy) == (State.UNUSABLE, "pip install uv")


def test_many_weights_are_counted() -> None:
    shown = rows(machine(), software(weights=tuple(f"yolov8{size}.pt" for size in "abcdefg")))["weights"].detail
    assert shown == "yolov8a.pt, yolov8b.pt, yolov8c.pt, yolov8d.pt, yolov8e.pt and 2 more"


@pytest.mark.parametrize(
    ("capability", "architectures", "expected"),
    [
        ((8, 6), ("sm_80",), True),  # of the same major number, and no smaller
        ((8, 0), ("sm_86",), False),
        ((9, 0), ("sm_80",), False),  # machine code of another major number
        ((9, 0), ("compute_80",), True),  # the driver compiles it
        ((12, 0), ("sm_90a", "sm_120"), True),
        ((9, 0), (), True),
        ((9, 0), ("gfx90a",), False),
    ],
)
def test_which_cards_a_torch_has_kernels_for(
    capability: tuple[int, int], architectures: tuple[str, ...], expected: bool
) -> None:
    assert has_kernels(capability, architectures) is expected


def test_kinds_that_have_no_rows_of_their_own() -> None:
    cards = (AcceleratorDevice("Arc B580", 12 * GIB), AcceleratorDevice("Arc A380"))
    checks = rows(machine(), software(accelerators={"xpu": AcceleratorBuild("", cards)}))
    assert checks["xpu 0"] == Check("xpu 0", State.USABLE, "Arc B580, 12 GiB")
    assert checks["xpu 1"] == Check("xpu 1", State.USABLE, "Arc A380")
    blind = {"xpu": AcceleratorBuild("device xpu: torch 2.15.0 sees no XPU device on this machine.")}
    row = rows(machine(), software(accelerators=blind))["xpu"]
    assert row == Check("xpu", State.UNUSABLE, "torch 2.15.0 sees no XPU device on this machine")
    row = rows(machine(), software(accelerators=blind, variables={"ZE_AFFINITY_MASK": "7"}))["xpu"]
    assert row.remedy == "unset ZE_AFFINITY_MASK, which is '7'."


@pytest.mark.parametrize(
    ("checks", "usable", "missing", "line"),
    [
        (rows(machine()), ["cpu"], ["cuda", "mps"], "Ready: cpu. Not available: cuda, mps."),
        (rows(*boxed()), ["cpu", "0"], ["mps"], "Ready: cpu, cuda:0. Not available: mps."),
        (rows(*mac()), ["cpu", "mps"], ["cuda"], "Ready: cpu, mps. Not available: cuda. 1 warning: noise."),
        (
            rows(*boxed(processes=1)),
            ["cpu", "0"],
            ["mps"],
            "Ready: cpu, cuda:0. Not available: mps. 1 warning: cuda 0.",
        ),
        (
            rows(machine(load=9.0, on_battery=True), software(import_error="no torch")),
            [],
            [],
            "Nothing can be measured here. 2 warnings: load, power.",
        ),
        (
            rows(machine(), software(accelerators={"xpu": AcceleratorBuild("", (AcceleratorDevice("Arc"),))})),
            ["cpu", "xpu"],
            ["cuda", "mps"],
            "Ready: cpu, xpu. Not available: cuda, mps.",
        ),
    ],
)
def test_the_last_line_names_the_devices_and_the_warnings(
    checks: dict[str, Check], usable: list[str], missing: list[str], line: str
) -> None:
    assert devices_of(list(checks.values())) == (usable, missing)
    assert summary(list(checks.values())) == line
