"""Text that comes from elsewhere, made fit for a terminal, a file and a page.

The worker has the functions, since it may import nothing from here.
"""

from __future__ import annotations

import unicodedata
from typing import Any

from bench.worker.text import clean, cleaned, last_shown, one_line, shorten

__all__ = ["clean", "cleaned", "encode", "is_shown", "last_shown", "one_line", "shorten"]


def is_shown(text: str) -> bool:
    """Whether a text has printable characters and spaces alone; the spaces of macOS' and Japanese file names count."""
    return all(sign.isprintable() or unicodedata.category(sign) == "Zs" for sign in text)


def encode(text: Any) -> bytes:
    """Return text as a file has it: UTF-8, without control characters but newline and tab."""
    return clean(str(text)).encode()
