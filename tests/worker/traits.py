"""What kinds of devices can do, for fakes that stand for one of them."""

from __future__ import annotations

from typing import Any

from bench.worker.devices import kinds

TRAITS = ("kind", "on_host", "own_memory", "caches_memory", "asynchronous", "weighs_steps", "compare_losses")


def take(fake: Any, kind: str) -> None:
    """Give a fake what the class of a kind says of itself."""
    for name in TRAITS:
        setattr(fake, name, getattr(kinds()[kind], name))
