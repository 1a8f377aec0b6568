"""Identify what a package's name imports: its file, its version, and whether it is unchanged since installation.

The metadata of a distribution say what was installed once. A folder on PYTHONPATH, a ``.pth`` file, a checkout that is
installed as editable, or an editor may have put something else in its place.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import sys
from pathlib import Path
from typing import Any

from ..text import one_line
from ..workloads import workloads

DISTRIBUTIONS = {
    "ultralytics": ("ultralytics", "ultralytics-opencv-headless"),
    "torch": ("torch",),
    "torchvision": ("torchvision",),
    "numpy": ("numpy",),
    "cv2": (
        "opencv-python",
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
    "PIL": ("pillow", "pillow-simd"),
}
"""Modules whose figures count, and the distributions that install them."""

WHOLE = ("ultralytics",)
"""Packages whose files are all read to see whether they are as installed: some 400 files, in 0.03 s."""

GLANCED = ("torch", "torchvision")
"""Packages whose files are read only where size or time suggests a change since installation."""

TEXTS = (".py", ".yaml")
LIBRARIES = (".so", ".dylib", ".pyd")

STATED = re.compile(
    r"""^(__version__|version|opencv_version)\s*(?::[^=\n]+)?=\s*["']([^"'\n]+)["']\s*(?:#.*)?$""", re.MULTILINE
)
GIT = re.compile(r"""^git_version\s*(?::[^=\n]+)?=\s*["']([0-9a-f]+)["']""", re.MULTILINE)

SITES = ("site-packages", "dist-packages")
"""Names of folders that installers fill."""

SLACK = 2 * 10**9
"""Nanoseconds by which a file may be newer than the list of installed files, since that is written last."""


def modules() -> dict[str, tuple[str, ...]]:
    """Return the modules whose figures count with the distributions that install them, those of families included."""
    named = dict(DISTRIBUTIONS)
    for workload in workloads().values():
        for module, distributions in workload.distributions.items():
            named.setdefault(module, distributions)
    return named


class Unidentified(Exception):
    """Error for a package whose import cannot be determined; its text is one sentence that says what to do."""


def release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: ``(2, 15, 0)`` for ``2.15.0+cu132``."""
    numbers = []
    for part in version.split("+")[0].split("."):
        if not part.isdigit():
            break
        numbers.append(int(part))
    return tuple(numbers)


def identify(name: str) -> dict[str, Any] | None:
    """Identify what ``import name`` would load, without importing it; None where there is no such module.

    Returns:
        - ``file``: imported file.
        - ``version``: version of the imported package.
        - ``installed``: version in the metadata of the distribution that installed the file, otherwise of one that is
          installed and not imported; empty without any.
        - ``source``: ``distribution`` where a distribution installed that file, else ``path``.
        - ``edited``: whether the files differ from those that the distribution installed.
        - ``hash``: twelve digits over the files, empty where they are as installed.
        - ``stated``: version that the source states.
        - ``git``: commit that torch was built from.
        - ``by``: entry of PYTHONPATH that leads to the file, or empty.

    Raises:
        Unidentified: where the name would import no package, or a package without a version.
    """
    try:
        spec = importlib.util.find_spec(name)
    except Exception as error:  # a finder of the user's, or a module without a specification
        raise Unidentified(
            f"{name} cannot be looked up ({type(error).__name__}: {one_line(str(error))}): find what changes how "
            "modules are found (a sitecustomize, a .pth file), and remove that."
        ) from error
    if spec is None:
        return None
    if not spec.origin or not os.path.isfile(spec.origin):
        place = next(iter(spec.submodule_search_locations or []), spec.origin or "?")
        if spec.origin and spec.origin.endswith((".py", ".pyc")):
            raise Unidentified(f"{name} would be imported from {place}, which is in an archive: {_way_out(place)}.")
        raise Unidentified(
            f"{name} would be imported from {place}, which has no __init__.py, as an incomplete removal leaves it: "
            f"{_way_out(place)}, and install {name} again if need be."
        )
    file = os.path.abspath(spec.origin)
    package = Path(file).parent if spec.submodule_search_locations else None
    stated = _stated(package) if package else ""
    owner = _owner(name, file, package, stated)
    identity: dict[str, Any] = {
        "file": file,
        "installed": owner.version if owner else _installed(name),
        "source": "distribution" if owner else "path",
        "edited": False,
        "hash": "",
        "stated": stated,
        "git": _git(package) if package else "",
        "by": entry_of(file),
    }
    identity["version"] = owner.version if owner else stated
    if owner and stated and release(stated) != release(owner.version):
        identity["version"] = stated
    if not identity["version"]:
        raise Unidentified(
            f"{name} would be imported from {file}, which states no version and is not part of an installed {name}: "
            f"{_way_out(file)}."
        )
    record = _record(owner, name) if owner else None
    if package and (owner is None or (record is not None and not _as_installed(name, package, record, owner))):
        identity["edited"] = owner is not None
        identity["hash"] = digest(package)
    return identity


def entry_of(file: str) -> str:
    """Return the entry of PYTHONPATH that leads to a file; empty where no entry does."""
    above = {os.path.realpath(place) for place in (os.path.dirname(file), os.path.dirname(os.path.dirname(file)))}
    for entry in (os.environ.get("PYTHONPATH") or os.devnull).split(os.pathsep):
        if os.path.realpath(entry) in above:
            return entry or "."
    return ""


def _way_out(place: str) -> str:
    entry = entry_of(place)
    return f"take {entry!r} out of PYTHONPATH" if entry else "move it away"


def _stated(package: Path) -> str:
    """Return the version that a package states in its source as plain text; the last one of several."""
    for name in ("__init__.py", "version.py", "_version.py"):
        statements = STATED.findall(_text(package / name))
        values = [value for variable, value in statements if variable == "__version__" or name != "__init__.py"]
        if values:
            return str(values[-1])
    return ""


def _git(package: Path) -> str:
    commits = GIT.findall(_text(package / "version.py"))
    return str(commits[-1]) if commits else ""


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _candidates(name: str) -> list[importlib.metadata.Distribution]:
    """Return the distributions that may have installed a module, in the order in which Python finds them."""
    every = [distribution for named in modules()[name] for distribution in importlib.metadata.distributions(name=named)]
    return [distribution for distribution in every if _version(distribution)]


def _version(distribution: importlib.metadata.Distribution) -> str:
    try:
        return distribution.version or ""
    except Exception:  # metadata that were cut off, or are empty
        return ""


def _installed(name: str) -> str:
    return next(map(_version, _candidates(name)), "")


def _owner(name: str, file: str, package: Path | None, stated: str) -> importlib.metadata.Distribution | None:
    """Return the distribution that installed a file; of several, the one whose files are there now."""
    inside = f"{name}/{os.path.basename(file)}" if package else os.path.basename(file)
    owners = [candidate for candidate in _candidates(name) if _owns(candidate, name, file, inside)]
    if len(owners) > 1 and package:
        intact = [
            owner for owner in owners if (lines := _record(owner, name)) and _as_installed(name, package, lines, owner)
        ]
        alike = [owner for owner in owners if release(_version(owner)) == release(stated)]
        return [*intact, *alike, *owners][0]
    return owners[0] if owners else None


def _owns(distribution: importlib.metadata.Distribution, name: str, file: str, inside: str) -> bool:
    """Whether a distribution installed a file, whose path below the folder of its packages is ``inside``."""
    try:
        there = os.path.samefile(str(distribution.locate_file(inside)), file)
    except OSError:
        return False
    record = _record(distribution, name)
    if record is None:  # a system's package manager writes no list, and the metadata in a checkout have none
        return there and Path(str(distribution.locate_file(""))).name in SITES
    return there and (inside in record or not inside.endswith(".py"))


def _record(distribution: importlib.metadata.Distribution, name: str) -> dict[str, tuple[str, str]] | None:
    """Return the files of a distribution below a package: SHA-256 and size by path; None where it has no list."""
    text = distribution.read_text("RECORD")
    if text is None:
        return None
    files = {}
    for line in text.splitlines():
        if line.startswith((f"{name}/", f"{name}.py,")):
            path, _, rest = line.partition(",")
            sha, _, size = rest.partition(",")
            files[path] = (sha.partition("=")[2], size)
    return files


def _as_installed(
    name: str, package: Path, record: dict[str, tuple[str, str]], distribution: importlib.metadata.Distribution
) -> bool:
    """Whether a package's files are those that its distribution installed."""
    root = package.parent
    if name in WHOLE:
        listed = {path: sha for path, (sha, _) in record.items() if path.endswith(TEXTS)}
        return {f"{name}/{path}": sha for path, sha in _hashes(package).items()} == listed
    if name not in GLANCED:
        return True
    try:
        written = os.stat(str(distribution.locate_file(_list_of(distribution)))).st_mtime_ns + SLACK
        for path, (sha, size) in record.items():
            if path.endswith((*TEXTS, *LIBRARIES)):
                status = os.stat(root / path)
                if size and int(size) != status.st_size:
                    return False
                if status.st_mtime_ns > written and path.endswith(TEXTS) and sha != _sha(root / path):
                    return False
    except (OSError, ValueError):  # a file is gone
        return False
    return True


def _list_of(distribution: importlib.metadata.Distribution) -> str:
    """Return the name of the folder of a distribution's metadata, next to the package."""
    return os.path.basename(str(getattr(distribution, "_path", "")))


def _hashes(package: Path) -> dict[str, str]:
    """Return SHA-256 of a package's Python and yaml files, as lists of installed files have it, by relative path."""
    hashes = {}
    for folder, folders, names in os.walk(package):
        folders[:] = [subfolder for subfolder in folders if subfolder != "__pycache__"]
        for name in names:
            if name.endswith(TEXTS):
                file = Path(folder, name)
                hashes[file.relative_to(package).as_posix()] = _sha(file)
    return hashes


def _sha(file: Path) -> str:
    try:
        content = file.read_bytes()
    except OSError:  # a link that leads nowhere
        return ""
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def digest(package: Path) -> str:
    """Hash a package's Python and yaml files, and the sizes of its libraries, to twelve hexadecimal digits."""
    libraries = [
        (file.relative_to(package).as_posix(), str(file.stat().st_size))
        for file in package.rglob("*")
        if file.suffix in LIBRARIES and file.is_file()
    ]
    content = sorted([*_hashes(package).items(), *libraries])
    return hashlib.sha256(repr(content).encode("utf-8", "surrogateescape")).hexdigest()[:12]


def differs(identified: dict[str, dict[str, Any]]) -> str:
    """Compare this process's imports with those identified before; return the difference in a sentence, or empty.

    Args:
        identified: results of :func:`identify` in an earlier process, by module.
    """
    for name, before in identified.items():
        module = sys.modules.get(name)
        file = getattr(module, "__file__", None)
        if module is None or file is None:
            continue
        if os.path.realpath(file) != os.path.realpath(before["file"]):
            return _changed(name, before, f"{name} was imported from {file}, and {before['file']} was found before")
        if name in (*WHOLE, *GLANCED) and (what := _at_run_time(name, module, before)):
            return _changed(name, before, what)
    return ""


def _at_run_time(name: str, module: Any, before: dict[str, Any]) -> str:
    """Describe how an imported package, or its files, differ from the earlier identification; empty if they do not."""
    version = str(getattr(module, "__version__", ""))
    if version and before["stated"] and version != before["stated"]:
        return f"{name} says at run time that it is {version}, and its files say {before['stated']}"
    git = str(getattr(getattr(module, "version", None), "git_version", None) or "")
    if git and before["git"] and git != before["git"]:
        return f"{name} was built from {git[:12]}, and {before['git'][:12]} was found before"
    try:
        now = identify(name) or {}
    except Unidentified as error:
        return str(error).rstrip(".")
    if any(now.get(key) != before[key] for key in ("version", "source", "edited", "hash")):
        return f"the files of {name} in {os.path.dirname(before['file'])} have changed since this began"
    return ""


def _changed(name: str, before: dict[str, Any], what: str) -> str:
    label = f"{name} {before['version']}"
    return f"{what}: the figure would not be of {label}. Start again once nothing changes it any more."
