"""Builds registration.cpp against the torch that is installed."""

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent / "injected" / "fake_accelerator" / "registration.cpp"


class Unbuilt(Exception):
    """The library cannot be had here; the text says why."""


def build(folder):
    """The library in a folder, built there unless it is: one for each torch and source.

    Raises:
        Unbuilt: without Linux or a compiler, or where it does not compile.
    """
    if platform.system() != "Linux":
        raise Unbuilt("built and loaded on Linux alone")
    version = importlib.metadata.version("torch")
    torch = Path(importlib.util.find_spec("torch").origin).parent
    library = folder / f"{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}-{version}.so"
    if library.exists():
        return library
    compiler = shutil.which(os.environ.get("CXX", "g++"))
    if compiler is None:
        raise Unbuilt("no C++ compiler is installed")
    folder.mkdir(parents=True, exist_ok=True)
    part = library.with_suffix(f".{os.getpid()}")
    command = [compiler, "-std=c++20", "-O0", "-w", "-shared", "-fPIC", "-o", part, SOURCE]
    command += [f"-I{torch / 'include'}", f"-L{torch / 'lib'}", "-ltorch_cpu", "-lc10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unbuilt(f"{SOURCE.name} does not compile with torch {version}: {done.stderr.strip()[:300]}")
    os.replace(part, library)  # another process never sees a part of it
    return library
