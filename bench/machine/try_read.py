"""One guard for all that is only recorded: whatever a system gets wrong about itself, nothing that is measured ends."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")


def try_read(question: Callable[..., Value], *arguments: Any) -> Value | None:
    """The answer of a question to the system; None where it raises anything.

    The worker has its own ``told``: it imports nothing of this package.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # psutil warns of what a system lacks
            return question(*arguments)
    except Exception:
        return None
