"""Ctrl-C at the very start of a command: real processes, stopped in the middle of their imports."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def as_script() -> list[str]:
    """What the installed script does, by its entry in the project's file."""
    module, _, function = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"][
        "yolopace"
    ].partition(":")
    return ["-c", f"import sys\nfrom {module} import {function}\nsys.exit({function}())"]


def usual_signals() -> None:
    """A shell starts what runs in its background with SIGINT ignored, and children inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def stopped_after(imports: int, number: signal.Signals, how: list[str], folder: Path) -> tuple[int, list[str]]:
    """Exit status and remarks of ``table``, stopped after so many imports since it can say a sentence."""
    command = [sys.executable, "-X", "importtime", *how, "table", str(folder)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, cwd=ROOT, preexec_fn=usual_signals
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.endswith("bench.early_signals\n"):
                break
        for _ in itertools.islice(process.stderr, imports):
            pass
        process.send_signal(number)
        remarks = [line.rstrip("\n") for line in process.stderr if not line.startswith("import time:")]
    return process.returncode, remarks


@pytest.mark.parametrize("imports", [1, 30, 150, 260, 400])
def test_ctrl_c_is_one_sentence_however_early(imports: int, tmp_path: Path) -> None:
    assert stopped_after(imports, signal.SIGINT, ["-m", "bench"], tmp_path) == (2, ["yolopace: stopped by Ctrl-C."])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_are_named(number: signal.Signals, tmp_path: Path) -> None:
    for imports in (1, 400):
        ended = stopped_after(imports, number, ["-m", "bench"], tmp_path)
        assert ended == (2, [f"yolopace: stopped by {number.name}."])


STOP = """
import os, signal, sys

class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == "bench.pytest_plugin.loop":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Stop())
"""
"""Stops the process in the middle of the imports of the plugin, where pytest captures output."""


@pytest.mark.parametrize("how", [["pytest", "bench/", "--benchmark-only"], ["bench", "run"]])
def test_ctrl_c_while_pytest_loads_the_plugin(how: list[str], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(STOP)
    command = [sys.executable, "-m", *how, "--plan"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        preexec_fn=usual_signals,
    )
    assert (done.returncode, done.stderr) == (2, "yolopace: stopped by Ctrl-C.\n")


def test_the_script_does_the_same(tmp_path: Path) -> None:
    assert stopped_after(1, signal.SIGINT, as_script(), tmp_path) == (2, ["yolopace: stopped by Ctrl-C."])


def test_ignored_signals_stay_ignored(tmp_path: Path) -> None:
    code = (
        "import signal; [signal.signal(n, signal.SIG_IGN) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]\n"
        "from bench import early_signals, signals; early_signals.end_with_one_sentence()\n"
        "signals.interrupt_on_signals()\n"
        "print([signal.getsignal(n) is signal.SIG_IGN for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[True, True, True]\n", done.stderr
