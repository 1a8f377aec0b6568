"""The published releases of a package."""

from __future__ import annotations

import re

from bench.environments.resolver import newest
from bench.environments.specification import REQUIREMENT
from bench.environments.uv import ResolutionError
from bench.errors import UsageError

NUMBERED = re.compile(r"\d+(?:\.\d+)*(?:\.post\d+)?")
"""Versions of final releases."""


def published(package: str, exclude_newer: str, least: str = "", most: str = "", last: int = 0) -> list[str]:
    """Final releases that install on this Python and platform, oldest first; those that were yanked are left out.

    uv has no command that lists them: its resolver is asked for the newest one, then for the newest before that, and so
    on.

    Args:
        package: its name.
        exclude_newer: see :func:`bench.environments.resolver.resolve`.
        least: the oldest one that counts; empty for any.
        most: the newest one that counts; empty for any.
        last: only so many, the newest; 0 for all.

    Raises:
        WrongUse: where there is none, with the resolver's reason, or the package index does not answer.
    """
    found = REQUIREMENT.fullmatch(package)
    if not found or found[2]:
        raise UsageError(f"{package!r} is no name of a package: write ultralytics or torch.")
    for end in filter(None, (least, most)):
        if not NUMBERED.fullmatch(end):
            raise UsageError(f"{end!r} is no version of a release: write 8.4.100.")
    if least and most and _numbers(least) > _numbers(most):
        raise UsageError(f"{package} {least} is newer than {most}: name the older one first.")
    floor = [f">={least}"] if least else []
    ceiling = [f"<={most}"] if most else []
    versions: list[str] = []
    while not last or len(versions) < last:
        try:
            version = newest(f"{package}{','.join([*floor, *ceiling])}", exclude_newer)
        except ResolutionError:
            if not versions:
                raise
            break
        versions.append(version)
        ceiling = [f"<{version.partition('+')[0]}"]  # a local part may not be compared with
    return versions[::-1]


def _numbers(version: str) -> tuple[int, ...]:
    """What versions of final releases are ordered by: 8.4 is 8.4.0, and comes before 8.4.0.post1."""
    release, _, post = version.partition(".post")
    numbers = [int(part) for part in release.split(".")]
    while numbers and not numbers[-1]:
        numbers.pop()
    return (*numbers, -1, int(post) + 1 if post else 0)
