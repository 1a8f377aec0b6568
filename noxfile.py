"""Environments of this project: each session makes its own with uv and keeps it for the next time."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["bench"]
os.environ.setdefault("UV_PYTHON_INSTALL_BIN", "0")  # A Python that uv downloads stays off the user's PATH.

PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))
"""Python versions of the environments, oldest first: all packages in constraints.txt have wheels for them."""

CONSTRAINTS = ("--constraint", "constraints.txt")
CHECKED = ("bench", "tests", "noxfile.py", "reports/examples/make.py")
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
"""Two processes: most tests of the real thing wait for one core. Fixtures of a file that cost seconds are shared."""

SLOW = ("accelerators", "end_to_end/real", "end_to_end/settings", "end_to_end/cli")
FAST = tuple(f"--ignore=tests/{folder}" for folder in SLOW)
"""Leaves out the tests that run real Ultralytics for minutes."""

DOWNLOADS = {
    "linux": "about 80 packages: up to 3.2 GB to download and 6 GB on disk, mostly the CUDA libraries of torch",
    "darwin": "about 60 packages: up to 0.3 GB to download",
}
"""Size of the first installation, summed over the wheels of constraints.txt."""


def choose_python(running: str) -> str | None:
    """Return the Python for the environments; None means the one that runs nox.

    If that one is too old or too new, take the newest suitable one of this machine; else nox has uv download one.
    """
    if running in PYTHONS:
        return None
    for version in reversed(PYTHONS):
        command = [sys.executable, "-m", "uv", "python", "find", "--system", "--no-python-downloads", version]
        answer = subprocess.run(command, capture_output=True, check=False, encoding="utf-8")
        if answer.returncode == 0:
            return answer.stdout.strip()
    return PYTHONS[-1]


PYTHON = choose_python(f"{sys.version_info.major}.{sys.version_info.minor}")


def install(session: nox.Session, *arguments: str) -> None:
    """Install packages and show the progress; the first time in an environment, say how much it is."""
    if not any(Path(session.virtualenv.location).glob("lib/python*/site-packages/torch")):
        size = DOWNLOADS.get(sys.platform, "about 80 packages")
        session.log(f"First installation, {size}. Later runs reuse it.")
    session.install(*arguments, silent=False)


@nox.session(python=PYTHON)
def bench(session: nox.Session) -> None:
    """Measure this machine and make the report; arguments go to pytest: nox -s bench -- --profile smoke."""
    install(session, *CONSTRAINTS, "--editable", ".[headless]", "uv")  # its users run regress there too, which needs uv
    # Exit status 1 says that a case failed; the others were measured and the report was made.
    session.run("python", "-m", "pytest", "bench/", "--benchmark-only", *session.posargs)


def check(session: nox.Session, *selection: str) -> None:
    """Run lint, types and the selected tests."""
    install(session, *CONSTRAINTS, "--editable", ".[headless,transformers,export,fleet]", "--group", "tests")
    session.run("ruff", "check", *CHECKED)
    session.run("ruff", "format", "--check", *CHECKED)
    session.run("mypy")
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, *selection)


@nox.session(python=PYTHON)
def tests(session: nox.Session) -> None:
    """Lint, types and tests; arguments go to pytest: nox -s tests -- -n 0 tests/report runs some, one after another."""
    check(session, *session.posargs)


@nox.session(python=PYTHON)
def fast(session: nox.Session) -> None:
    """Lint, types and the tests that do not run real Ultralytics for minutes; arguments go to pytest."""
    check(session, *FAST, *session.posargs)


@nox.session(python=PYTHON)
def lowest(session: nox.Session) -> None:
    """Run the fast tests with the oldest versions that pyproject.toml allows; torch is that of constraints.txt.

    An older torch takes gigabytes and is measured, not imported, by the suite: compat tries those.
    """
    lines = Path("constraints.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    # Not in nox's own temporary folder: it would become that of the tests, within what git ignores here.
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder, "torch.txt")
        held.write_text("".join(line for line in lines if line.startswith("torch")), encoding="utf-8")
        install(session, "--resolution", "lowest-direct", "--constraint", str(held), "--editable", ".[headless]")
    session.run("python", "-m", "bench", "--help", silent=True)
    session.run("python", "-m", "pytest", *FAST, *session.posargs)


@nox.session(python=PYTHON)
def report(session: nox.Session) -> None:
    """Make the report of recorded runs again; arguments go to python -m bench report."""
    install(session, *CONSTRAINTS, "--editable", ".[headless]")
    session.run("python", "-m", "bench", "report", *session.posargs)


@nox.session(python=PYTHON)
def examples(session: nox.Session) -> None:
    """Make all pages in reports/examples again from the records in results/examples."""
    install(session, *CONSTRAINTS, "--editable", ".[headless]")
    session.run("python", "reports/examples/make.py")


@nox.session(python=PYTHON)
def compat(session: nox.Session) -> None:
    """Run the smoke profile with old and new Ultralytics and torch; arguments go to python -m bench compat."""
    install(session, *CONSTRAINTS, "--editable", ".[headless]", "uv")
    # Exit status 1 says that something did not run as it should: the table says what.
    session.run("python", "-m", "bench", "compat", *session.posargs)


@nox.session(python=PYTHON)
def regress(session: nox.Session) -> None:
    """Is one torch or Ultralytics slower than another? nox -s regress -- --base torch==2.14.1 --head torch==2.15.0."""
    install(session, *CONSTRAINTS, "--editable", ".[headless]", "uv")
    # Exit status 1 says that head is slower, 3 that it is not decided: what was printed says what.
    session.run("python", "-m", "bench", "regress", *session.posargs)


@nox.session(python=PYTHON)
def lint(session: nox.Session) -> None:
    """Repair what ruff can repair, and report the rest."""
    session.install(*CONSTRAINTS, "ruff")
    session.run("ruff", "check", "--fix", *CHECKED)
    session.run("ruff", "format", *CHECKED)
