from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from bench.worker.channel import Channel, finite

NAN, INF = math.nan, math.inf


def received(talk: Callable[[Channel], None]) -> bytes:
    """What comes out of a pipe while ``talk`` writes into it."""
    reader, writer = os.pipe()

    def write() -> None:
        try:
            talk(Channel(writer))
        finally:
            os.close(writer)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reader, "rb") as file:
        content = file.read()
    thread.join()
    return content


def test_one_json_object_a_line() -> None:
    def talk(channel: Channel) -> None:
        channel.send("phase", name="setup")
        channel.send("ended", status="failed", reason="two\nlines", scope=["mode"])

    lines = received(talk).split(b"\n")
    assert lines.pop() == b""
    first, second = (json.loads(line) for line in lines)
    assert (first["event"], first["name"]) == ("phase", "setup")
    assert {**second, "at": None} == {
        "event": "ended",
        "at": None,
        "status": "failed",
        "reason": "two\nlines",
        "scope": ["mode"],
    }


def test_every_event_carries_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.worker.channel.time.monotonic", lambda: 12.5)
    assert json.loads(received(lambda channel: channel.send("ready"))) == {"event": "ready", "at": 12.5}


def test_what_json_cannot_carry_is_null() -> None:
    def talk(channel: Channel) -> None:
        channel.send("measured", loss=NAN, steps=[1.0, INF, -INF], extra={"box": (NAN, 2)})

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    event = json.loads(received(talk), parse_constant=refuse)
    assert (event["loss"], event["steps"], event["extra"]) == (None, [1.0, None, None], {"box": [None, 2]})


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (1.5, 1.5),
        (NAN, None),
        (-INF, None),
        (0, 0),
        (True, True),
        (None, None),
        ("nan", "nan"),
        ({1: {"a": [NAN]}}, {"1": {"a": [None]}}),
        ((1, (2, INF)), [1, [2, None]]),
    ],
)
def test_finite(value: Any, result: Any) -> None:
    assert finite(value) == result
    assert type(finite(value)) is type(result)


def test_a_large_payload_comes_through_whole() -> None:
    seconds = [0.123456 + index for index in range(100_000)]
    content = received(lambda channel: channel.send("measured", seconds=seconds))
    assert len(content) > 1_000_000
    assert content.count(b"\n") == 1
    assert json.loads(content)["seconds"] == seconds


def test_a_write_that_takes_only_a_part_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr("bench.worker.channel.os.write", lambda descriptor, data: write(descriptor, data[:7]))
    content = received(lambda channel: channel.send("phase", name="window"))
    assert json.loads(content)["name"] == "window"


def test_letters_beyond_ascii() -> None:
    assert (
        json.loads(received(lambda channel: channel.send("ended", reason="größer · 漢字")))["reason"] == "größer · 漢字"
    )
