"""Time per epoch that a guide gives for three models on three devices, and the ratios of these times."""

from __future__ import annotations

from typing import NamedTuple

SECONDS = {
    "ResNet18": {"mps": 12.3, "cuda": 8.7, "cpu": 45.2},
    "ViT": {"mps": 28.5, "cuda": 19.8, "cpu": 120.3},
    "LSTM": {"mps": 5.8, "cuda": 4.2, "cpu": 22.1},
}
"""Seconds per epoch by model and kind of device."""

HARDWARE = {"mps": "M1 Pro", "cuda": "RTX 3060", "cpu": "Core i9"}
"""The guide's device of each kind."""

MODELS = {"ResNet18": ("resnet18", 32), "ViT": ("vit-tiny-4", 32), "LSTM": ("lstm256", 28)}
"""Reference model and size that stand for each of the guide's models."""


class Side(NamedTuple):
    """One of the two times of a ratio."""

    model: str
    kind: str

    @property
    def seconds(self) -> float:
        """The guide's seconds per epoch."""
        return SECONDS[self.model][self.kind]


def by_device() -> list[tuple[Side, Side]]:
    """Return the ratios of two devices at the same model."""
    pairs = (("cpu", "mps"), ("cpu", "cuda"), ("mps", "cuda"))
    return [(Side(model, slow), Side(model, fast)) for model in SECONDS for slow, fast in pairs]


def by_model(kind: str) -> list[tuple[Side, Side]]:
    """Return the ratios of two models on the same device; none for a kind that the guide does not have."""
    first, *others = SECONDS
    return [(Side(model, kind), Side(first, kind)) for model in others] if kind in HARDWARE else []
