"""The published releases of a package."""

from __future__ import annotations

from packaging.utils import InvalidName, canonicalize_name
from packaging.version import InvalidVersion, Version

from bench.environments.resolver import newest
from bench.environments.uv import ResolutionError
from bench.errors import UsageError


def parse_release(text: str) -> Version:
    """Parse the version of a final release, such as ``8.4.100`` or ``8.4.0.post1``.

    Raises:
        UsageError: where it is no version, or that of a pre-release or of a local build.
    """
    try:
        version = Version(text)
    except InvalidVersion:
        version = None
    if version is None or version.is_prerelease or version.local:
        raise UsageError(f"{text!r} is no version of a release: write 8.4.100.")
    return version


def published(package: str, exclude_newer: str, least: str = "", most: str = "", last: int = 0) -> list[str]:
    """List the final releases that install on this Python and platform, oldest first, without those that were yanked.

    uv has no command for it: its resolver is asked for the newest one, then for the newest before that, and so on.

    Args:
        package: its name.
        exclude_newer: see :func:`bench.environments.resolver.resolve`.
        least: the oldest release to list; empty for any.
        most: the newest release to list; empty for any.
        last: how many of the newest to list; 0 for all.

    Raises:
        UsageError: where no release installs, with the resolver's reason, or the package index does not answer.
    """
    try:
        canonicalize_name(package, validate=True)
    except InvalidName as error:
        raise UsageError(f"{package!r} is no name of a package: write ultralytics or torch.") from error
    oldest, latest = (parse_release(bound) if bound else None for bound in (least, most))
    if oldest and latest and oldest > latest:
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
        ceiling = [f"<{Version(version).public}"]  # a local part may not be compared with
    return versions[::-1]
