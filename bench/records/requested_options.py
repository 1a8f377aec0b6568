"""The options that a run was started with, for ``--resume``."""

from __future__ import annotations

from typing import Any

import msgspec

FILE_NAME = ".options.json"
"""Name of the file in the folder of a run."""

SCHEMA = 1


class RequestedOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a run that decide its cases, and how they are measured.

    Attributes:
        schema: number of this format.
        axes: values of the axes that the user named, by axis, as text.
        options: values of other options by name.
    """

    schema: int = SCHEMA
    axes: dict[str, list[str]]
    options: dict[str, Any]

    @property
    def file_name(self) -> str:
        """Name of the file in the folder of the run."""
        return FILE_NAME
