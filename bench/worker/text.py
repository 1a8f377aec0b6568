"""Clean text from outside (messages, logs, names of files) for a terminal, a file and a page."""

from __future__ import annotations

import re
from typing import Any

LONGEST_REASON = 1500
"""Maximum characters of a reason, about a page of text. The log has the whole text."""

ESCAPE = re.compile(
    "(?:\x1b[\\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\\\|\x9c)?"  # title of the window, link, ...
    "|(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]?"  # colour, cursor, ...
    "|\x1b[ -/]*[0-~]?"
)
"""Escape sequences of terminals as a whole (ECMA-48), cut ones too."""

LINE_END = re.compile("\r+\n|[\r\v\f\x85\u2028\u2029]")
CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
SURROGATE = re.compile("[\ud800-\udfff]")
SUSPECT = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

SENTENCE_END = re.compile(r"[.!?](?=\s)")


def clean(text: str) -> str:
    """Return a text without control characters except newline and tab, and without characters that UTF-8 cannot encode.

    Escape sequences are removed as a whole, so that a colour leaves no ``[34m``.
    """
    if not SUSPECT.search(text):
        return text
    text = CONTROL.sub("", LINE_END.sub("\n", ESCAPE.sub("", text)))
    return SURROGATE.sub(lambda match: _written_out(ord(match[0])), text)


def _written_out(surrogate: int) -> str:
    """Return ``\\xe9`` for a byte of a file name that Python could not decode, ``\\ud800`` for any other surrogate."""
    return f"\\x{surrogate - 0xDC00:02x}" if 0xDC80 <= surrogate <= 0xDCFF else f"\\u{surrogate:04x}"


def cleaned(value: Any) -> Any:
    """Return a JSON value with every text in it cleaned by :func:`clean`, keys included."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key) if isinstance(key, str) else key: cleaned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleaned(item) for item in value]
    return value


def last_shown(text: str) -> str:
    """Return the output of a process as a terminal shows it at the end: only the last state of a progress bar."""
    return clean(re.sub(r"[^\n]*\r(?=[^\r\n])", "", text))


def shorten(text: str, most: int = LONGEST_REASON) -> str:
    """Return a text of at most ``most`` characters, cut after a sentence or else a word, with an ellipsis."""
    if len(text) <= most:
        return text
    kept = text[: most - 2]
    sentences = [match.end() for match in SENTENCE_END.finditer(text[: most - 1])]
    if sentences and sentences[-1] > most // 2:
        return f"{text[: sentences[-1]]} …"
    words, space, _ = kept.rpartition(" ")
    return f"{words if space and len(words) > most // 2 else kept} …"


def one_line(text: str, most: int = LONGEST_REASON) -> str:
    """Return clean text on one line, single spaces between its words, of at most ``most`` characters."""
    return shorten(" ".join(clean(text).split()), most)
