"""Jobs and events as lines of JSON: written, and read with every field checked.

Needs the standard library alone, from Python 3.10 on.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import types
import typing
from typing import Any, TypeVar, Union

from .protocol import JOBS, Assignment, Event, Job, ProcessSetup

Message = TypeVar("Message")


class ProtocolError(ValueError):
    """A message that is no valid job or event; the text says which field is wrong."""


def to_json(message: Any) -> str:
    """Return a message on one line."""
    return json.dumps(as_dict(message), separators=(",", ":"))


def as_dict(message: Any) -> dict[str, Any]:
    """Return the JSON object of a message; a job begins with ``kind`` and an event with ``event``."""
    content = {item.name: _encode_value(getattr(message, item.name)) for item in dataclasses.fields(message)}
    for tag in ("kind", "event"):
        if getattr(message, tag, ""):
            return {tag: getattr(message, tag), **content}
    return content


def _encode_value(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return as_dict(value)
    if isinstance(value, list):
        return [_encode_value(item) for item in value]
    return value


def job_from_json(text: str | bytes) -> Job:
    """Return the job in a line; raises :class:`ProtocolError`."""
    return _job(_object(text))


def assignment_from_json(text: str | bytes) -> Assignment:
    """Return the assignment in a line; raises :class:`ProtocolError`."""
    return _decoded(Assignment, _object(text), "assignment")


def setup_from_json(text: str | bytes) -> ProcessSetup:
    """Return the process setup in a line; raises :class:`ProtocolError`."""
    return _decoded(ProcessSetup, _object(text), "setup")


def event_from_json(text: str | bytes) -> Event:
    """Return the event in a line; raises :class:`ProtocolError`."""
    return event_from_dict(_object(text))


def event_from_dict(content: dict[str, Any]) -> Event:
    """Return the event of a JSON object; raises :class:`ProtocolError`."""
    return _tagged("event", _event_types(), content)  # type: ignore[no-any-return]


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ProtocolError(f"{text[:80]!r} is no JSON: {error}") from None
    if not isinstance(content, dict):
        raise ProtocolError(f"{text[:80]!r} is no JSON object")
    return content


def _job(content: dict[str, Any]) -> Job:
    return _tagged("kind", JOBS, content)  # type: ignore[no-any-return]


def _tagged(tag: str, known: dict[str, type[Any]], content: dict[str, Any]) -> Any:
    word = content.get(tag)
    if word not in known:
        raise ProtocolError(f"{tag} {word!r} is unknown: use {', '.join(known)}")
    return _decoded(known[word], {key: value for key, value in content.items() if key != tag}, str(word))


@functools.cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decoded(kind: type[Message], content: dict[str, Any], where: str) -> Message:
    """Return a dataclass of a JSON object, whose fields are all known, present and of their types."""
    fields = {item.name: item for item in dataclasses.fields(kind)}  # type: ignore[arg-type]
    if unknown := [name for name in content if name not in fields]:
        raise ProtocolError(f"{where}: unknown field {unknown[0]!r}")
    missing = [
        name
        for name, item in fields.items()
        if name not in content and item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ProtocolError(f"{where}: missing field {missing[0]!r}")
    hints = _hints(kind)  # type: ignore[arg-type]
    return kind(**{name: _checked(hints[name], value, f"{where}.{name}") for name, value in content.items()})


def _checked(hint: Any, value: Any, where: str) -> Any:
    """Return a value of the type that a field has."""
    if hint is Any:
        return value
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint == Job:
        if not isinstance(value, dict):
            raise ProtocolError(f"{where}: {value!r} is no job")
        return _job(value)
    if origin in (Union, types.UnionType):
        return None if value is None and type(None) in parts else _checked(parts[0], value, where)
    if origin is list and isinstance(value, list):
        return [_checked(parts[0], item, where) for item in value]
    if origin is dict and isinstance(value, dict):
        return value
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _decoded(hint, value, where)  # type: ignore[arg-type]
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint in (str, bool) and isinstance(value, hint):
        return value
    raise ProtocolError(f"{where}: {value!r} is no {getattr(hint, '__name__', hint)}")


def _event_types() -> dict[str, type[Event]]:
    return {event_type.event: event_type for event_type in Event.__subclasses__()}
