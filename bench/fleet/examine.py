"""What a machine offers, and what stands in the way, before anything is measured."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.fleet import messages
from bench.fleet.links import Connect, Unreachable, connect
from bench.fleet.machines import MachineSpec
from bench.fleet.package import extension_files

ANSWER_SECONDS = 180.0
"""Seconds in which a machine examines itself: it imports torch."""


def examine(spec: MachineSpec, connect: Connect = connect) -> messages.Examined | str:
    """Return what a machine offers, or one sentence on why it cannot be asked."""
    answers: queue.Queue[tuple[str, Any]] = queue.Queue()
    try:
        link = connect(spec, lambda kind, content: answers.put((kind, content)))
    except Unreachable as error:
        return str(error)
    try:
        start = messages.Start(run="doctor", lock=spec.lock, examine=True, extensions=extension_files())
        link.send(messages.encode(start))
        kind, content = answers.get(timeout=ANSWER_SECONDS)
        if kind != "line":
            return f"{content}."
        event = messages.event(content)
        return event if isinstance(event, messages.Examined) else getattr(event, "reason", "it answers something else.")
    except queue.Empty:
        return f"it does not answer within {ANSWER_SECONDS:g} s."
    except ValueError:
        return "it answers something that is no message of this version."
    finally:
        link.close()


def examine_all(specs: Sequence[MachineSpec]) -> Iterator[messages.Examined | str]:
    """Yield the answer of each machine in their order; they are asked at the same time."""
    with ThreadPoolExecutor(len(specs)) as pool:
        yield from pool.map(examine, specs)
