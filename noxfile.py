"""Environments of this project: each session makes its own with uv and keeps it for the next time."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "uv"
nox.options.reuse_existing_virtualenvs = True
nox.options.sessions = ["bench"]

CONSTRAINTS = ("--constraint", "constraints.txt")
CHECKED = ("bench", "tests", "noxfile.py", "reports/examples/make.py")
SIDE_BY_SIDE = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
"""Two processes: most tests of the real thing wait for one core. Fixtures of a file that cost seconds are shared."""

SLOW = ("accelerators", "end_to_end/real", "end_to_end/settings", "end_to_end/cli")
FAST = tuple(f"--ignore=tests/{folder}" for folder in SLOW)
"""Leaves out the tests that run real Ultralytics for minutes."""


@nox.session
def bench(session: nox.Session) -> None:
    """Measure this machine and make the report; arguments go to pytest: nox -s bench -- --profile smoke."""
    session.install(*CONSTRAINTS, "--editable", ".[headless]")
    # Exit status 1 says that a case failed; the others were measured and the report was made.
    session.run("python", "-m", "pytest", "bench/", "--benchmark-only", *session.posargs)


@nox.session
def tests(session: nox.Session) -> None:
    """Lint, types and tests; arguments go to pytest: nox -s tests -- -n 0 tests/report runs some, one after another."""
    session.install(*CONSTRAINTS, "--editable", ".[headless]", "--group", "tests")
    session.run("ruff", "check", *CHECKED)
    session.run("ruff", "format", "--check", *CHECKED)
    session.run("mypy")
    session.run("python", "-m", "pytest", *SIDE_BY_SIDE, *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the fast tests with the oldest versions that pyproject.toml allows; torch is that of constraints.txt.

    An older torch takes gigabytes and is measured, not imported, by the suite: compat tries those.
    """
    lines = Path("constraints.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    # Not in nox's own temporary folder: it would become that of the tests, within what git ignores here.
    with tempfile.TemporaryDirectory() as folder:
        held = Path(folder, "torch.txt")
        held.write_text("".join(line for line in lines if line.startswith("torch")), encoding="utf-8")
        session.install("--resolution", "lowest-direct", "--constraint", str(held), "--editable", ".[headless]")
    session.run("python", "-m", "bench", "--help", silent=True)
    session.run("python", "-m", "pytest", *FAST, *session.posargs)


@nox.session
def report(session: nox.Session) -> None:
    """Make the report of recorded runs again; arguments go to python -m bench report."""
    session.install(*CONSTRAINTS, "--editable", ".[headless]")
    session.run("python", "-m", "bench", "report", *session.posargs)


@nox.session
def examples(session: nox.Session) -> None:
    """Make all pages in reports/examples again from the records in results/examples."""
    session.install(*CONSTRAINTS, "--editable", ".[headless]")
    session.run("python", "reports/examples/make.py")


@nox.session
def compat(session: nox.Session) -> None:
    """Run the smoke profile with old and new Ultralytics and torch; arguments go to python -m bench compat."""
    session.install(*CONSTRAINTS, "--editable", ".[headless]", "uv")
    # Exit status 1 says that something did not run as it should: the table says what.
    session.run("python", "-m", "bench", "compat", *session.posargs)


@nox.session
def regress(session: nox.Session) -> None:
    """Is one torch or Ultralytics slower than another? nox -s regress -- --base torch==2.14.1 --head torch==2.15.0."""
    session.install(*CONSTRAINTS, "--editable", ".[headless]", "uv")
    # Exit status 1 says that head is slower, 3 that it is not decided: what was printed says what.
    session.run("python", "-m", "bench", "regress", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Fix what ruff can fix, and check the rest."""
    session.install(*CONSTRAINTS, "ruff")
    session.run("ruff", "check", "--fix", *CHECKED)
    session.run("ruff", "format", *CHECKED)
