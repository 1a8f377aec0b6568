"""Tiny pools, so that a real loop takes a second on a CPU."""

from __future__ import annotations

import pytest

from bench.worker.workloads.reference import made_data


@pytest.fixture(autouse=True)
def tiny_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {name: (64, *shape[1:]) for name, shape in made_data.ARRAYS.items()}
    for name, shape in shapes.items():
        monkeypatch.setitem(made_data.ARRAYS, name, shape)
    monkeypatch.setattr(made_data, "JPEG_IMAGES", 8)
    monkeypatch.setattr(made_data, "JPEG_CLASSES", 4)
