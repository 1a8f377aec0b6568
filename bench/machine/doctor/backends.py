"""Checks of the interpreter and of every device that torch knows: usable, or why not and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bench.cases.device_kinds import kinds
from bench.machine.doctor.check import GIB, Check, Limits, State, limited
from bench.machine.interpreter_info import AcceleratorBuild, CudaBuild, CudaCard, MpsBuild, Software
from bench.machine.nvml import Card, Nvidia
from bench.machine.system_info import SystemInfo

OLDEST_MACOS = {(2, 12): (14, 0), (0, 0): (12, 3)}
"""The first macOS for MPS, by the first torch (major, minor) that needs it: wheels of 2.12 are for macOS 14."""

TENSOR_CORES = (7, 0)
"""The first capability of NVIDIA cards with tensor cores: fp16 without them saves memory and hardly any time."""

BFLOAT16 = (8, 0)
"""The first capability that computes in bfloat16, and in TF32; Ultralytics refuses bfloat16 on older ones."""

HELD_BACK = {0x08: "hardware slowdown", 0x20: "heat", 0x40: "heat", 0x80: "power brake"}
"""Bits of ``nvmlClocksEventReasons`` that slow a card down; a power cap is normal."""

OCCUPIED = 0.2
"""Share of a card's memory in use from which ``doctor`` reports it."""


def backends(machine: SystemInfo, software: Software) -> Iterator[Check]:
    """Yield the checks of the interpreter and of every device that torch knows."""
    yield interpreter(software)
    if software.import_error:
        return
    yield cpu(machine, software)
    yield from cuda(machine.nvidia, software)
    yield several_gpus(software)
    yield mps(machine, software)
    for name, build in software.accelerators.items():
        yield from accelerator(name, build, software.variables)


def accelerator(name: str, build: AcceleratorBuild, variables: dict[str, str]) -> Iterator[Check]:
    """Yield a row for another kind of accelerator that cannot be used, or one for each device that torch sees."""
    if build.reason:
        kind = kinds().get(name)
        hidden = variables.get(kind.visibility) if kind else None
        advice = f"unset {kind.visibility}, which is {hidden!r}." if kind and hidden is not None else ""
        yield Check(name, State.UNUSABLE, build.reason.removeprefix(f"device {name}: ").rstrip("."), advice)
    for number, device in enumerate(build.devices):
        size = f", {device.bytes / GIB:.0f} GiB" if device.bytes else ""
        yield Check(f"{name} {number}", State.USABLE, f"{device.name}{size}")


def interpreter(software: Software) -> Check:
    """Return the check of Python, torch and Ultralytics."""
    environment, versions = software.environment, software.environment.packages
    detail = ", ".join(
        [f"Python {environment.python}", *(f"{name} {versions[name]}" for name in NAMED if name in versions)]
    )
    if environment.unusable:
        return Check("interpreter", State.UNUSABLE, detail, environment.unusable)
    if software.import_error:
        advice = f"torch or Ultralytics cannot be imported ({software.import_error}): reinstall it."
        return Check("interpreter", State.UNUSABLE, detail, advice)
    return Check("interpreter", State.USABLE, detail)


NAMED = ("torch", "ultralytics", "torchvision")


def cpu(machine: SystemInfo, software: Software) -> Check:
    """Return the check of the CPU."""
    counted = f"{machine.processors} core{'s' if machine.processors > 1 else ''}"
    detail = f"{machine.cpu}, {counted}, {software.cpu.capability or 'no vector instructions that torch uses'}"
    least = min([machine.usable, *([machine.quota] if machine.quota else [])])
    if least < machine.processors:
        detail += f"; this process may use {least:g} of them, and Ultralytics counts all"
        advice = f"set --threads to {max(int(least), 1)}, or lift the limit of the container."
        return Check("cpu", State.LIMITED, detail, advice)
    if machine.governor in SLOW_GOVERNORS and machine.scaling_driver not in OWN_MIND:
        advice = "set the governor to performance for results that you publish."
        return Check("cpu", State.LIMITED, f"{detail}; frequency governor {machine.governor}", advice)
    return Check("cpu", State.USABLE, detail)


SLOW_GOVERNORS = {"powersave", "conservative"}
"""Frequency governors that keep the clock low."""

OWN_MIND = {"intel_pstate", "amd-pstate-epp"}
"""Drivers that choose the clock by themselves: with them ``powersave`` is the normal one."""


def cuda(driver: Nvidia, software: Software) -> Iterator[Check]:
    """Yield the checks of CUDA and of every card that torch sees."""
    build, torch = software.cuda, software.environment.packages.get("torch", "?")
    if build.built is None:
        advice = "install a torch that is built for CUDA." if driver.cards else ""
        yield Check("cuda", State.UNUSABLE, f"torch {torch} is built without CUDA", advice)
        return
    detail = f"torch is built for CUDA {build.built}"
    if driver.trouble and not build.cards:
        yield Check("cuda", State.UNUSABLE, f"{detail}; {driver.trouble}", "reboot, or reinstall the driver.")
        return
    if not driver.driver and not build.cards:
        yield Check(
            "cuda", State.UNUSABLE, f"{detail}; no NVIDIA driver found", "with an NVIDIA GPU, install its driver."
        )
        return
    detail += f", driver {driver.driver} serves CUDA {'.'.join(map(str, driver.cuda))}" if driver.cuda else ""
    if driver.cuda and driver.cuda[0] < _major(build.built) and not build.cards:
        advice = f"update the driver, or install a torch that is built for CUDA {driver.cuda[0]}."
        yield Check("cuda", State.UNUSABLE, detail, advice)
        return
    if not build.cards:
        hidden = software.variables.get("CUDA_VISIBLE_DEVICES")
        why = f"CUDA_VISIBLE_DEVICES is {hidden!r}" if hidden is not None else build.error or "torch sees no GPU"
        yield Check("cuda", State.UNUSABLE, f"{detail}; {why}", "make a GPU visible to torch: unset or correct that.")
        return
    able = any(card.capability >= BFLOAT16 for card in build.cards)
    tf32 = "float32 convolutions run in TF32" if build.tf32 and able else "float32 runs in float32"
    lost = driver.trouble or build.error
    if lost:  # of one card; those that answer are listed below
        yield Check("cuda", State.LIMITED, f"{detail}; {tf32}; {lost}", "reboot, or reinstall the driver.")
    else:
        yield Check("cuda", State.USABLE, f"{detail}; {tf32}")
    for number, card in enumerate(build.cards):
        yield cuda_card(number, card, build, seen_by(driver, software.variables, number, card))


def _major(version: str) -> int:
    """Return the major version: ``13`` of ``13.2``."""
    match = re.match(r"\d+", version)
    return int(match[0]) if match else 0


def seen_by(driver: Nvidia, variables: dict[str, str], number: int, card: CudaCard) -> Card | None:
    """Return what the driver reports of a card that torch numbers; None where that is not certain."""
    place: int | None = number
    visible = variables.get("CUDA_VISIBLE_DEVICES")
    if len(driver.cards) > 1 and variables.get("CUDA_DEVICE_ORDER", "PCI_BUS_ID") != "PCI_BUS_ID":
        return None  # torch numbers them in another order than the driver
    if visible is not None:
        parts = [part.strip() for part in visible.split(",")]
        place = int(parts[number]) if number < len(parts) and parts[number].isdigit() else None
    if place is not None and place < len(driver.cards) and driver.cards[place].name == card.name:
        return driver.cards[place]
    return None


def cuda_card(number: int, card: CudaCard, build: CudaBuild, driver_card: Card | None) -> Check:
    """Return the check of one card: its properties, and whether it is free."""
    what, capability = f"cuda {number}", card.capability
    detail = f"{card.name}, {card.bytes / GIB:.0f} GiB, capability {_dotted(capability)}"
    if not has_kernels(capability, build.architectures):
        built = ", ".join(build.architectures)
        advice = "install an older torch, or build one for this GPU."
        return Check(what, State.UNUSABLE, f"{detail}; this torch has kernels for {built} only", advice)
    limits: Limits = []
    if capability < TENSOR_CORES:
        limits.append(("no tensor cores, so fp16 saves memory and hardly any time", ""))
    if capability < BFLOAT16:
        limits.append(("no bfloat16", ""))
    return limited(what, detail, limits + (not_free(driver_card) if driver_card else []))


def not_free(card: Card) -> Limits:
    """Return reservations about a card that is in use or held back."""
    limits: Limits = []
    if card.processes:
        subject = "1 process computes" if card.processes == 1 else f"{card.processes} processes compute"
        limits.append((f"{subject} on it", "wait until it is free"))
    elif card.used is not None and card.total and card.used > OCCUPIED * card.total:
        limits.append(
            (f"{card.used / GIB:.1f} GiB of its memory are in use", "free it: less memory is left for batches")
        )
    reasons = dict.fromkeys(word for bit, word in HELD_BACK.items() if (card.held_back or 0) & bit)
    if reasons:
        detail = f"its clocks are throttled ({', '.join(reasons)})"
        limits.append((detail, "let it cool down, or check its power supply"))
    return limits


def _dotted(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"


def has_kernels(capability: tuple[int, int], architectures: tuple[str, ...]) -> bool:
    """Whether a torch that was built for these architectures runs on a card.

    Machine code (``sm_80``) runs on cards of the same major number and no smaller minor one; code that the driver
    compiles (``compute_90``) on every later card. Without a list, torch is assumed to run.
    """
    for text in architectures:
        kind, _, digits = text.partition("_")
        digits = re.sub(r"\D", "", digits)
        if len(digits) < 2:
            continue
        built = int(digits[:-1]), int(digits[-1])
        if kind == "compute" and built <= capability:
            return True
        if kind == "sm" and built[0] == capability[0] and built[1] <= capability[1]:
            return True
    return not architectures


def several_gpus(software: Software) -> Check:
    """Return the check of training on several cards at once."""
    count = len(software.cuda.cards)
    backend = "NCCL" if software.cuda.nccl else "gloo" if software.gloo else "no library"
    detail = f"{count} GPU{'s' if count != 1 else ''}, {backend} for communication"
    if count < 2:
        return Check("several GPUs", State.UNUSABLE, f"{detail}; requires two")
    named = "to train on both: --device 0+1"
    if software.cuda.nccl:
        return Check("several GPUs", State.USABLE, detail, named)
    if software.gloo:
        return Check(
            "several GPUs", State.LIMITED, f"{detail}, by way of the host's memory", "install a torch with NCCL."
        )
    return Check("several GPUs", State.UNUSABLE, detail, "install a torch with NCCL.")


def mps(machine: SystemInfo, software: Software) -> Check:
    """Return the check of Apple's GPU."""
    build, what = software.mps, "mps"
    if machine.system != "Darwin":
        return Check(what, State.UNUSABLE, "requires a Mac with Apple silicon")
    version = ".".join(map(str, machine.macos or ())) or "?"
    detail = f"macOS {version} on {machine.architecture}"
    if not build.built:
        advice = "install torch for macOS on arm64" + (
            "" if machine.architecture == "arm64" else "; this Mac has no Apple silicon"
        )
        return Check(what, State.UNUSABLE, f"{detail}; this torch is built without MPS", f"{advice}.")
    oldest = oldest_macos(software.environment.packages.get("torch", ""))
    if not build.available and machine.macos and machine.macos < oldest:
        return Check(what, State.UNUSABLE, detail, f"update to macOS {'.'.join(map(str, oldest))} or later.")
    if not build.available:
        return Check(
            what, State.UNUSABLE, f"{detail}; torch finds no Metal GPU that it can use", "update macOS or torch."
        )
    return _mps_limits(detail, build, software.variables)


def oldest_macos(torch: str) -> tuple[int, int]:
    """Return the first macOS on which a version of torch has MPS."""
    match = re.match(r"(\d+)\.(\d+)", torch)
    release = (int(match[1]), int(match[2])) if match else (0, 0)
    return next(macos for since, macos in OLDEST_MACOS.items() if release >= since)


def _mps_limits(detail: str, build: MpsBuild, variables: dict[str, str]) -> Check:
    detail += f"; Metal recommends at most {build.bytes / GIB:.1f} GiB" if build.bytes else ""
    missing = [name for name, how in build.operators.items() if how != "native"]
    limits: Limits = []
    if missing:
        limits.append((f"not on the GPU: {', '.join(f'{name} ({build.operators[name]})' for name in missing)}", ""))
    else:
        detail += f"; all {len(build.operators)} operators that were tried run on the GPU"
    if variables.get("PYTORCH_ENABLE_MPS_FALLBACK", "0") not in ("", "0"):
        fallback = "PYTORCH_ENABLE_MPS_FALLBACK is set: operators that MPS lacks run on the CPU"
        limits.append((fallback, "unset it to see which are missing"))
    if variables.get("PYTORCH_MPS_HIGH_WATERMARK_RATIO") in ("0", "0.0"):
        ratio = "PYTORCH_MPS_HIGH_WATERMARK_RATIO is 0: GPU memory has no limit, and the machine may freeze"
        limits.append((ratio, "unset it"))
    return limited("mps", detail, limits)
