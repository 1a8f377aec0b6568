"""Read the packages of an interpreter that was not built by this suite."""

from __future__ import annotations

import hashlib
import json
import subprocess

import msgspec

from bench.environments import failure_causes
from bench.environments.interpreter import Interpreter, answer_in, printed_by
from bench.environments.local_source import with_local_version
from bench.environments.package_origins import RECORDED_AS
from bench.environments.specification import ULTRALYTICS
from bench.errors import UsageError

LIST = """\
import sys
sys.path[:] = [entry for entry in sys.path if entry]
import hashlib, importlib.metadata, importlib.util, json, os, pathlib, re
versions = {}
for distribution in importlib.metadata.distributions():
    try:
        name, version = distribution.metadata["Name"], distribution.version
    except Exception:
        continue
    if name and version:
        versions.setdefault(re.sub("[-_.]+", "-", name).lower(), version)
place = [os.path.realpath(sys.prefix), os.path.realpath(sys.executable)]
inside = []
for name in ("torch", "ultralytics"):
    spec = importlib.util.find_spec(name)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        files = [*pathlib.Path(folder).rglob("*.py")] if name == "ultralytics" else []
        inside += [[str(file), hashlib.sha256(file.read_bytes()).hexdigest()] for file in sorted(files)]
        # A build of torch takes minutes to read, so its files are compared by size and time.
        own = pathlib.Path(folder)
        files = [*own.glob("lib/*"), *own.glob("_C*"), *own.rglob("*.py")] if name == "torch" else []
        inside += [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in sorted(files)]
print(json.dumps({"packages": sorted("==".join(pair) for pair in versions.items()), "place": place, "inside": inside}))
"""
"""Lists what a worker can import. It is not run in isolation (``-I``), since workers are not either: packages in the
user's own folder or on PYTHONPATH are part of what is measured. Packages in the current folder are not."""


class Installed(msgspec.Struct, frozen=True):
    """Packages of an interpreter.

    Attributes:
        packages: ``name==version``, sorted; of two of one name, that which is imported.
        key: sixteen hexadecimal digits over the packages, the version of Python, the interpreter's path, and the files
            of Ultralytics and torch. A project that is edited in place keeps its version.
    """

    packages: tuple[str, ...]
    key: str


def installed(interpreter: Interpreter) -> Installed:
    """Return the packages of an interpreter; takes a tenth of a second.

    Raises:
        UsageError: where it does not answer.
    """
    try:
        answer = answer_in(printed_by([interpreter.path, "-c", LIST]))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        why = failure_causes.describe_call_failure(error)
        raise UsageError(f"python {interpreter.path} does not list its packages {why}") from error
    answer["packages"] = as_imported(answer["packages"], interpreter)
    content = [interpreter.environment.python, answer["packages"], answer["place"], answer["inside"]]
    return Installed(tuple(answer["packages"]), hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16])


def as_imported(packages: list[str], interpreter: Interpreter) -> list[str]:
    """Replace installed versions by imported ones in a list of packages.

    A package that differs from its distribution has the first digits of a hash over its files in its version.
    """
    by_name = {package.partition("==")[0]: package for package in packages}
    for module, package_import in interpreter.imported.items():
        if package_import.as_installed:
            continue
        for name in ULTRALYTICS if module == "ultralytics" else (RECORDED_AS.get(module, module),):
            by_name.pop(name, None)
        name = RECORDED_AS.get(module, module)
        by_name[name] = f"{name}=={with_local_version(package_import.version, package_import.hash)}"
    return sorted(by_name.values())
