"""Fakes of torch with devices that this machine may not have: they offer the calls that are made and no others."""

from __future__ import annotations

import os
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

GIB = 2**30


class FakeTorch(ModuleType):
    """``torch`` in ``sys.modules``; ``calls`` holds what was called with which index."""

    def __init__(self, **parts: Any) -> None:
        super().__init__("torch")
        self.__version__ = "2.14.1"
        self.calls: list[tuple[Any, ...]] = []
        self.__dict__.update(parts)

    def noted(self, name: str, result: Any = None) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls.append((name, *arguments))
            return result

        return call


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> FakeTorch:
    fake = FakeTorch()
    monkeypatch.setitem(sys.modules, "torch", fake)
    return fake


def visible_cards() -> int:
    """What ``torch.cuda.device_count`` says on a machine with two cards."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return 2 if chosen is None else len([part for part in chosen.split(",") if part not in ("", "-1")])


@pytest.fixture
def cuda(torch: FakeTorch, monkeypatch: pytest.MonkeyPatch) -> FakeTorch:
    """Two cards of 80 GiB."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "set and deleted again, so that it is restored")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    properties = SimpleNamespace(name="NVIDIA H100", major=9, minor=0, total_memory=80 * GIB)
    torch.version = SimpleNamespace(cuda="13.2")
    torch.backends = SimpleNamespace(
        cuda=SimpleNamespace(is_built=lambda: True), cudnn=SimpleNamespace(version=lambda: 91500)
    )
    torch.cuda = SimpleNamespace(
        device_count=visible_cards,
        init=torch.noted("init"),
        set_device=torch.noted("set_device"),
        synchronize=torch.noted("synchronize"),
        reset_peak_memory_stats=torch.noted("reset_peak_memory_stats"),
        mem_get_info=torch.noted("mem_get_info", (30 * GIB, 80 * GIB)),
        max_memory_allocated=torch.noted("max_memory_allocated", 5 * GIB),
        max_memory_reserved=torch.noted("max_memory_reserved", 6 * GIB),
        get_device_properties=torch.noted("get_device_properties", properties),
        memory_stats=torch.noted("memory_stats", {"num_alloc_retries": 2}),
    )
    return torch


@pytest.fixture
def mps(torch: FakeTorch) -> FakeTorch:
    """A Mac whose torch has peak statistics."""
    torch.backends = SimpleNamespace(mps=SimpleNamespace(is_built=lambda: True, is_available=lambda: True))
    torch.mps = SimpleNamespace(
        synchronize=torch.noted("synchronize"),
        driver_allocated_memory=torch.noted("driver_allocated_memory", 7 * GIB),
        recommended_max_memory=lambda: 24 * GIB,
    )
    torch.accelerator = SimpleNamespace(
        current_accelerator=lambda: SimpleNamespace(type="mps"),
        reset_peak_memory_stats=torch.noted("reset_peak_memory_stats"),
        max_memory_allocated=torch.noted("max_memory_allocated", 4 * GIB),
    )
    return torch
