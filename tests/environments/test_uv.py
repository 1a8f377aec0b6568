"""How uv is found, and how its failures are reported."""

import errno

import pytest

from bench.environments import uv
from bench.environments.uv import call, find_uv, reason, system_reason
from bench.errors import UsageError

FULL = "the disk is full, so make room on it or set YOLOPACE_CACHE to a folder on another one."


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("", "uv gave no reason."),
        ("thread 'main' panicked\nnote: x", "thread 'main' panicked note: x."),
        # As releases of uv before 0.10 said it.
        (
            "  × No solution found when resolving dependencies:\n  ╰─▶ Because a==1 and\n      b, no.\n",
            "Because a==1 and b, no.",
        ),
        ("warning: old\n  cause: never mind\n\nerror: real\n", "real."),
        (
            "error: Couldn't parse `-`\n  cause: no version\n         torch==x\n              ^^^\n",
            "no version torch==x.",
        ),
        ("error: HTTP 503 for url (https://user:pw@index.example/simple)\n", "HTTP 503 for url (the package index)."),
        (
            "error: Failed to build `a`\n  cause: Failed to fetch: `https://index.example/b/`\n  cause: refused\n",
            "the package index does not answer: refused.",
        ),
        ("error: Failed to read `a @ file:///home/me/a-1.whl`\n", "Failed to read `a @ a-1.whl`."),
        ("error: Failed to install: a\n  cause: failed to write `x`: No space left on device (os error 28)\n", FULL),
        ("log\nsetup.py: no room\n  OSError: [Errno 28] No space left on device\nerror: Failed to build `a`\n", FULL),
        (
            "Building ...\n  KeyError: 'x'\nerror: Failed to build `a`\n  cause: Call to `b` failed (exit status: 1)",
            "KeyError: 'x'.",
        ),
        (
            "error: Failed to build `a`\n  cause: Call to `b.c` failed (exit status: 1)",
            "Call to `b.c` failed (exit status: 1).",
        ),
    ],
)
def test_the_reason_is_the_last_cause_on_one_line(output, shown):
    assert reason(output) == shown


def test_the_reason_of_the_system():
    assert system_reason(OSError(errno.ENOSPC, "No space left on device")) == FULL
    assert system_reason(OSError(errno.EDQUOT, "Disk quota exceeded")) == FULL
    assert system_reason(PermissionError(errno.EACCES, "Permission denied", "/x")) == "Permission denied."
    assert system_reason(OSError("odd")) == "odd."


def test_without_uv_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(uv.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        UsageError, match=r"environments are built by uv, which is not here: install it .pip install uv."
    ):
        find_uv()


def test_uv_may_be_a_module_of_this_python(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(uv.importlib.util, "find_spec", lambda name: name if name == "uv" else None)
    assert find_uv()[1:] == ["-m", "uv"]


@pytest.mark.parametrize(
    ("output", "unsolvable"),
    [
        ("error: No solution found when resolving dependencies\n  cause: no\n", True),
        ("error: Failed to fetch: `https://index.example/simple/a/`\n  cause: no\n", False),
        ("error: unexpected argument\n", False),
    ],
)
def test_a_missing_solution_is_distinguished_from_other_failures(output, unsolvable, tmp_path, monkeypatch):
    (tmp_path / "uv").write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{output}END\nexit 1\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(UsageError, match="it cannot be: ") as error:
        call(["pip", "compile"], tmp_path, "it cannot be")
    assert isinstance(error.value, uv.ResolutionError) is unsolvable
