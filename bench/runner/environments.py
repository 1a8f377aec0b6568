"""Environments to measure, built by uv outside this project: found by what they hold, kept, and used again."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from bench.errors import WrongUse
from bench.runner.paths import cache_folder

MEASURED = ("torch", "ultralytics")
"""What a specification has to name at least one of."""

HEADLESS = "ultralytics-opencv-headless"
"""The code and the version numbers of Ultralytics without the OpenCV that needs libGL; older releases are not in it."""

NO_OPENCV = 'opencv-python ; sys_platform == "never"'
"""In place of every requirement of ``opencv-python``, where ``opencv-python-headless`` is installed instead."""

SEPARATOR = re.compile(r",(?![^\[]*\])(?!\s*[<>=!~])")
"""Commas between requirements: neither those of ``torch>=2.6,<2.8`` nor those of ``ultralytics[export,solutions]``."""

REQUIREMENT = re.compile(
    r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*((?:\[[^\]]*\])?\s*(?:(?:[<>]|[<>=!~]=)\s*[^<>=!~].*)?)"
)
"""A name, and the extras and versions after it."""

ADDRESS = re.compile(r"`?\b[a-z][a-z0-9+.-]*://[^\s`)]+`?")

CAUSE = re.compile(r"^\s*(?:error:|cause:|[×├╰]─?▶?|Caused by:)\s*", re.MULTILINE)
"""What begins a message of uv, in the form of this year's releases and of the last one's."""

FETCH = re.compile(r"^\W*(?:error: )?(?:Request failed|Failed to fetch)", re.MULTILINE)

PACKAGES = "packages.txt"
"""Written last into an environment: the installed packages, and the sign that it is complete."""

Say = Callable[[str], None]


class Specification(msgspec.Struct, frozen=True):
    """What an environment has to hold: ``torch==2.6.0,ultralytics==8.4.0``.

    Attributes:
        requirements: as uv takes them; Ultralytics, which brings torch, is always among them.
    """

    requirements: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Specification:
        """Read requirements that are separated by commas; without a version, the newest one is meant.

        Raises:
            WrongUse: where one is no requirement, or none names torch or Ultralytics.
        """
        requirements = [part.strip() for part in SEPARATOR.split(text)]
        for requirement in requirements:
            if not REQUIREMENT.fullmatch(requirement):
                raise WrongUse(
                    f"{requirement!r} is no requirement: write torch==2.14.1, or several with commas between."
                )
        names = {name_of(requirement) for requirement in requirements}
        if not names & {*MEASURED, HEADLESS}:
            raise WrongUse(f"{text!r} names neither torch nor ultralytics: add one of them.")
        if not names & {"ultralytics", HEADLESS}:
            requirements.append("ultralytics")
        return cls(tuple(requirements))

    def __str__(self) -> str:
        return ",".join(self.requirements)


class Resolved(msgspec.Struct, frozen=True):
    """Everything that an environment will hold.

    Attributes:
        packages: ``name==version``, sorted.
    """

    packages: tuple[str, ...]

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits over the packages, this Python and this platform."""
        content = [platform.python_implementation(), platform.python_version(), sysconfig.get_platform(), self.packages]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def version(self, *names: str) -> str:
        """Version of the first of these distributions that is among the packages; empty where none is."""
        versions = dict(package.split("==", 1) for package in self.packages if "==" in package)
        return next((versions[name] for name in names if name in versions), "")

    @property
    def ultralytics(self) -> str:
        """Version of Ultralytics, whichever distribution brings it."""
        return self.version("ultralytics", HEADLESS)

    @property
    def torch(self) -> str:
        """Version of torch."""
        return self.version("torch")


class Built(msgspec.Struct, frozen=True):
    """An environment that is there.

    Attributes:
        python: path of its interpreter, for :func:`bench.runner.interpreter.inspect`.
        packages: all that is installed in it, ``name==version``, sorted.
    """

    python: str
    packages: tuple[str, ...]


def name_of(requirement: str) -> str:
    """The distribution that a requirement is about, in the spelling of the package index; empty if it is none."""
    found = REQUIREMENT.match(requirement)
    return re.sub(r"[-_.]+", "-", found[1]).lower() if found else ""


def find_uv() -> list[str]:
    """The command that runs uv: the one on PATH, else the module of this Python; raises :class:`WrongUse` without."""
    if path := shutil.which("uv"):
        return [path]
    if importlib.util.find_spec("uv") is not None:
        return [sys.executable, "-m", "uv"]
    raise WrongUse(f"environments are built by uv, which is not here: {sys.executable} -m pip install uv")


def resolve(specification: Specification, newer: str = "") -> Resolved:
    """The packages that an environment would hold, for this Python and platform; installs nothing.

    Ultralytics is taken from the distribution without libGL where that has the version, since servers lack the
    library; else OpenCV's own headless distribution takes the place of the other.

    Args:
        specification: what it has to hold.
        newer: a date; releases after it are left out (uv's ``--exclude-newer``), so that environments that are
            resolved on different days hold the same.

    Raises:
        WrongUse: where there is no solution, with the resolver's reason.
    """
    if all(name_of(requirement) != "ultralytics" for requirement in specification.requirements):
        return _compiled(specification.requirements, newer)
    with contextlib.suppress(WrongUse):
        return _compiled([_headless(requirement) for requirement in specification.requirements], newer)
    return _compiled(specification.requirements, newer, without_libgl=True)


def oldest(requirement: str, newer: str = "") -> str:
    """The oldest version that a requirement allows and that installs on this Python: ``torch>=2.6`` is ``2.6.0``.

    Raises:
        WrongUse: where there is none.
    """
    options = ("--resolution", "lowest-direct", "--no-deps")
    return _compiled([requirement], newer, options).version(name_of(requirement))


def _headless(requirement: str) -> str:
    """A requirement with the headless distribution in place of Ultralytics' own."""
    found = REQUIREMENT.fullmatch(requirement)
    return f"{HEADLESS}{found[2]}" if found and name_of(requirement) == "ultralytics" else requirement


def _compiled(
    requirements: Sequence[str], newer: str, options: Sequence[str] = (), without_libgl: bool = False
) -> Resolved:
    """What uv's resolver makes of requirements; without libGL, OpenCV's headless distribution replaces the other."""
    arguments = ["pip", "compile", "-", "--python", sys.executable, "--no-header", "--no-annotate", *options]
    arguments += ["--exclude-newer", newer] if newer else []
    wanted = [*requirements]
    with tempfile.TemporaryDirectory(prefix="yolopace-") as folder:
        if without_libgl:
            file = Path(folder) / "overrides.txt"
            file.write_text(f"{NO_OPENCV}\n")
            arguments += ["--override", str(file)]
            wanted.append("opencv-python-headless")
        done = _uv(arguments, Path(folder), "\n".join(wanted))
    if done.returncode:
        raise WrongUse(f"no environment can be made of {', '.join(requirements)}: {reason(done.stderr)}")
    lines = (line.strip() for line in done.stdout.splitlines())
    return Resolved(tuple(sorted(line for line in lines if line and not line.startswith("#"))))


def environments_folder() -> Path:
    """Where the environments are: one folder each, named by :attr:`Resolved.key`."""
    return cache_folder() / "environments"


def install(resolved: Resolved, say: Say) -> Built:
    """The environment that holds these packages, built unless it is there.

    It is built in a folder of its own, which gets its name when it is complete: nobody sees half of one, and one that
    was left half-built is built anew. Of two runs that want the same one, the second waits.

    Raises:
        WrongUse: where it cannot be built, with uv's own reason.
    """
    folder = environments_folder()
    final = folder / resolved.key
    if built := _complete(final):
        return built
    title = f"the environment of Ultralytics {resolved.ultralytics} and torch {resolved.torch}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f".{resolved.key}.lock", lambda: say(f"waiting for another run that builds {title} ...")):
            if built := _complete(final):
                return built
            say(f"building {title}: {len(resolved.packages)} packages, minutes if they have to be fetched ...")
            for left in (final, *folder.glob(f".{resolved.key}-*")):
                shutil.rmtree(left, ignore_errors=True)
            _build(resolved, folder, final, title)
    except OSError as error:
        raise WrongUse(f"{title} cannot be built in {folder}: {error.strerror or error}.") from error
    if built := _complete(final):
        return built
    raise WrongUse(f"{title} has no Python that can be started: {_python(final)}.")


def _build(resolved: Resolved, folder: Path, final: Path, title: str) -> None:
    """Build an environment beside its place, and move it there when it is complete."""
    partial = Path(tempfile.mkdtemp(prefix=f".{resolved.key}-", dir=folder))
    try:
        content = "".join(f"{package}\n" for package in resolved.packages)
        place = partial / "environment"
        # Relocatable: it is moved once, and scripts that it brings would name the Python of its first place.
        steps = (
            (["venv", "--relocatable", "--no-project", "--python", sys.executable, str(place)], ""),
            # What is listed is complete, and an override may have left something out on purpose.
            (["pip", "install", "--python", str(_python(place)), "--no-deps", "--requirements", "-"], content),
        )
        for arguments, sent in steps:
            done = _uv(arguments, partial, sent)
            if done.returncode:
                raise WrongUse(f"{title} cannot be built: {reason(done.stderr)}")
        written = partial / PACKAGES
        written.write_text(content)
        os.replace(written, place / PACKAGES)
        os.replace(place, final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _python(environment: Path) -> Path:
    """The interpreter of an environment."""
    return environment / "bin" / "python"


def _complete(environment: Path) -> Built | None:
    """An environment, if it was built to its end and the Python that it was made from is still there."""
    python = _python(environment)
    try:
        packages = (environment / PACKAGES).read_text().split()
    except OSError:
        return None
    return Built(str(python), tuple(packages)) if os.access(python, os.X_OK) else None


@contextlib.contextmanager
def _alone(lock: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Keep other runs out for a while; the system lets them in if this one dies. ``wait`` is called before waiting."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _uv(arguments: Sequence[str], where: Path, sent: str) -> subprocess.CompletedProcess[str]:
    """Run uv in a folder in which it finds no project whose settings it would follow."""
    command = [*find_uv(), "--quiet", *arguments]
    variables = {**os.environ, "NO_COLOR": "1", "UV_NO_PROGRESS": "1"}
    return subprocess.run(command, input=sent, cwd=where, env=variables, capture_output=True, text=True, check=False)


def reason(said: str) -> str:
    """The last thing that uv gave as the cause of a failure: one line, without addresses of package registries."""
    text = ADDRESS.sub("the package index", said.strip())
    text = text[max(text.rfind("\nerror:"), 0) :].strip()
    text = re.split(r"\n\s*\n|\n\s*hint:", text)[0]
    last = " ".join(CAUSE.split(text)[-1].split()).rstrip("^ .") or "uv gave no reason"
    unreachable = "the package index does not answer: " if FETCH.search(text) else ""
    return f"{unreachable}{last}."
