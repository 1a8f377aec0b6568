"""Guard for facts that are only recorded: an error of the system must not end a measurement."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

Value = TypeVar("Value")


def try_read(question: Callable[..., Value], *arguments: Any) -> Value | None:
    """Return the answer of a question to the system; None where it raises anything.

    The worker has a copy: it imports nothing of this package.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # psutil warns of what a system lacks
            return question(*arguments)
    except Exception:
        return None
