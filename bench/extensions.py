"""Load extensions: Python files of the user's that add device kinds, workloads, axes, metrics, sections and plots.

An extension imports only the standard library at its top. It may define ``register()``, which is called in the suite's
process and adds to the public registries of ``bench``, and ``register_worker(worker)``, which every worker calls.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

import msgspec

from bench.errors import BenchError, UsageError
from bench.text import one_line

OPTION = "--extension"

VARIABLE = "YOLOPACE_EXTENSIONS"
"""Environment variable that lists extensions, separated as in PATH; workers read there what to load."""

HELP = f"a Python file that adds axes, devices, workloads and the like; again for another one (or {VARIABLE})"


class Extension(msgspec.Struct, frozen=True):
    """A loaded extension.

    Attributes:
        path: absolute, of its file.
        name: of its file, without ``.py``.
        digest: the beginning of the SHA-256 of its content.
    """

    path: str
    name: str
    digest: str


_loaded: dict[str, Extension] = {}


def named_in(arguments: Sequence[str]) -> list[str]:
    """Return the extensions that a command line and the environment variable name.

    Extensions may add options, so they are looked for before the command line is parsed.
    """
    own = list(arguments[: arguments.index("--")] if "--" in arguments else arguments)
    paths = [path for path in os.environ.get(VARIABLE, "").split(os.pathsep) if path]
    for place, argument in enumerate(own):
        if argument == OPTION and place + 1 < len(own):
            paths.append(own[place + 1])
        elif argument.startswith(f"{OPTION}="):
            paths.append(argument.partition("=")[2])
    return paths


def load(paths: Iterable[str]) -> None:
    """Load extensions that are not loaded yet, and have the workers load them too.

    Args:
        paths: of their files; relative ones refer to the current folder.

    Raises:
        UsageError: for a file that is missing, does not import or cannot be registered.
    """
    for path in paths:
        where = os.path.abspath(path)
        if where not in _loaded:
            extension = _read(path, where)
            _register(_import(path, extension), path)
            _loaded[where] = extension
    if _loaded:
        os.environ[VARIABLE] = os.pathsep.join(_loaded)  # every process that is started from here inherits it


def loaded_paths() -> list[str]:
    """Return the absolute paths of the loaded extensions, in the order in which they were loaded."""
    return list(_loaded)


def digests() -> dict[str, str]:
    """Return the digest of each loaded extension by its name, as records keep it."""
    return {extension.name: extension.digest for extension in _loaded.values()}


def digest_of(content: bytes) -> str:
    """Return the digest of an extension's file."""
    return hashlib.sha256(content).hexdigest()[:12]


def extra() -> dict[str, dict[str, str]]:
    """Return the loaded extensions as a record's ``extra`` has them: without any, nothing."""
    return {"extensions": digests()} if _loaded else {}


def _read(path: str, where: str) -> Extension:
    """Check the file of an extension."""
    if os.pathsep in where:
        raise UsageError(f"extension {path!r}: its path contains {os.pathsep!r}, which separates paths: rename it.")
    try:
        content = Path(where).read_bytes()
    except FileNotFoundError:
        raise UsageError(f"extension {path!r}: there is no such file.") from None
    except OSError as error:
        raise UsageError(f"extension {path!r} cannot be read: {error.strerror or error}.") from None
    name = Path(where).stem
    if other := next((extension.path for extension in _loaded.values() if extension.name == name), ""):
        raise UsageError(f"extension {path!r} has the same name as {other!r}: rename one of them.")
    return Extension(where, name, digest_of(content))


def _import(path: str, extension: Extension) -> ModuleType:
    name = f"yolopace_extension_{extension.name}"
    spec = importlib.util.spec_from_file_location(name, extension.path)
    if spec is None or spec.loader is None:
        raise UsageError(f"extension {path!r} is not a Python file: its name has to end with .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # classes in it look their own module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise UsageError(f"extension {path!r} does not import: {_described(error)}.") from error
    return module


def _register(module: ModuleType, path: str) -> None:
    register = getattr(module, "register", None)
    if register is None:
        return
    try:
        register()
    except BenchError as error:
        raise UsageError(f"extension {path!r}: {str(error).rstrip('.')}.") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"extension {path!r} cannot be registered: {_described(error)}.") from error


def _described(error: BaseException) -> str:
    text = one_line(str(error), 300).rstrip(".")
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}".rstrip(": ")
