"""Distinguish errors in the user's input from crashes, and report each in one clean sentence.

:func:`explained` knows the messages in :data:`KNOWN`. Code that knows which input it was reading (a model file, a data
yaml) raises :class:`~.rejection.CaseRejected` with :func:`describe_error` itself. The log keeps the whole message.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .rejection import CaseRejected
from .text import clean, one_line

WRONG_ADVICE = re.compile(
    r"settings\.json"
    r"|\byolo (settings|checks|train|val|predict|export|task|mode|detect)\b"
    r"|\bpip3? (install|uninstall)|\bpython -m pip\b"
    r"|\bYOLO\(|\bmodel\.(train|val|predict|export)\("
    r"|\b(docs|hub|platform)\.ultralytics\.com|\bultralytics\.com/(hub|docs|help)"
    r"|github\.com/ultralytics/\w+/(issues|blob|wiki)|community\.ultralytics"
    r"|^(please )?(see|visit|refer to)\b.*https?://"
    r"|^requirement[s:].*not found.*update"
    r"|^verify yaml with http",
    re.IGNORECASE,
)
"""Advice of Ultralytics that is wrong here: its settings are ours for the case, and it installs and fetches nothing."""

SENTENCE = re.compile(r"(?<!i\.e\.)(?<!e\.g\.)(?<=[.!?])\s+|\s*\n\s*")
SIGNS = re.compile("\\s*[\N{CROSS MARK}\N{WARNING SIGN}\N{ELECTRIC LIGHT BULB}\N{WHITE HEAVY CHECK MARK}]\ufe0f?")
PREFIX = re.compile(r"^(ERROR|WARNING)\b:?\s*")


class Known(NamedTuple):
    """A library message that is about the user's input.

    Attributes:
        message: pattern to search for in the message, which is on one line.
        status: status of the case: ``unsupported`` or ``invalid``.
        reason: one sentence; ``{name}`` stands for what the group of that name matched.
        scope: fields of the case that decide it; see :class:`~.rejection.CaseRejected`.
    """

    message: re.Pattern[str]
    status: str
    reason: str
    scope: tuple[str, ...] = ()


KNOWN: tuple[Known, ...] = (
    Known(
        re.compile(r"expected input\[.*\] to have (?P<wanted>\d+) channels, but got (?P<there>\d+) channels"),
        "unsupported",
        "The images have {there} channels and the network takes {wanted}: set channels: {there} in the data yaml, or "
        "give images of {wanted} channels.",
        ("model",),
    ),
    Known(
        re.compile(r"(?P<error>Invalid [A-Z]+ 'device=[^']*')"),
        "unsupported",
        "This Ultralytics does not run on that device here: {error}.",
        ("device",),
    ),
)
"""Known messages; the first match counts."""


def describe_error(error: BaseException | str) -> str:
    """Return a message on one line, without control characters and :data:`WRONG_ADVICE`.

    An exception without a message is described by its type.
    """
    message = (
        error.args[0] if isinstance(error, KeyError) and error.args else error
    )  # a KeyError puts its text in quotes
    text = PREFIX.sub("", SIGNS.sub("", clean(str(message))).strip())
    sentences = [one_line(part) for part in SENTENCE.split(text) if part.strip()]
    kept = [part for part in sentences if not WRONG_ADVICE.search(part)]
    if not kept and sentences:  # one sentence with advice: keep the part before the advice
        kept = [WRONG_ADVICE.split(sentences[0])[0].rstrip(" ,;:('\"")]
    whole = ""
    for part in kept:
        ended = not whole or whole.endswith((".", "!", "?", ":", ",")) or not part[:1].isupper()  # a sentence goes on
        whole += f"{'' if ended else '.'} {part}"
    return one_line(whole) or type(error).__name__


def explained(error: BaseException) -> CaseRejected | None:
    """Return the rejection that a known message means; None for an unknown message, which is a crash."""
    text = one_line(str(error))
    for known in KNOWN:
        if (match := known.message.search(text)) is not None:
            return CaseRejected(known.status, one_line(known.reason.format(**match.groupdict())), known.scope)
    return None
