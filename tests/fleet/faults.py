"""Faults of fleets, played with real agents and workers: ``python -m tests.fleet.faults [NUMBERS]`` prints a table.

It is no test of the suite: it takes a quarter of an hour. Each trial begins a fleet of two machines on this one, lets a
fault happen, goes on with ``--resume`` where the fleet did not finish, and counts. Trials with a full disk need root.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil

from bench.selfcheck import waiting_workload

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = ("--profile", "smoke", "--model", "wait10", "--device", "cpu", "--amp", "off", "--batch", "1,2")
SIZES = ("--imgsz", "32,64,96")
CASES, MACHINES = 6, 2
VARIABLE = "YOLOPACE_FAULTS_TRIAL"
SEED = 20261130
FIRST_SECONDS, LAST_SECONDS = 1.0, 14.0
"""Bounds of random moments: a fleet connects, plans and measures in this time."""

LIMIT = 240.0
"""Seconds after which something is taken for hanging."""

SSH = """#!{python}
import os, subprocess, sys, threading
host, command = sys.argv[-2:]
if os.path.exists(os.path.join({folder!r}, host + ".away")):
    print("ssh: connect to host", host, "port 22: Connection timed out", file=sys.stderr)
    sys.exit(255)
environment = dict(os.environ, YOLOPACE_CACHE=os.environ["YOLOPACE_CACHE"] + "-" + host)
there = subprocess.Popen(
    ["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, start_new_session=True
)
def up():
    while data := os.read(0, 65536):
        there.stdin.write(data)
        there.stdin.flush()
    there.stdin.close()
threading.Thread(target=up, daemon=True).start()
while data := os.read(there.stdout.fileno(), 65536):
    os.write(1, data)
sys.exit(there.wait())
"""
"""Stands for ssh: carries bytes to a process of this machine with a separate cache, until it is killed."""


class Trial:
    """One fleet: its command, its processes and its records."""

    def __init__(self, number: int, folder: Path, over_ssh: bool = False) -> None:
        self.run, self.folder, self.over_ssh = f"trial{number}", folder, over_ssh
        self.results = folder / f"results{number}"
        self.log = folder / f"measured{number}.txt"
        self.log.touch()
        self.extension = folder / f"counted{number}.py"
        text = Path(waiting_workload.__file__).read_text()
        begin, end = "    session.set_threads()\n", "            session.report()\n"
        assert begin in text and end in text
        text = text.replace(begin, f"{begin}    _note('begin', session.case)\n")
        text = text.replace(end, f"{end}            _note('end', session.case)\n")
        self.extension.write_text(f"{text}\n\n{NOTE.format(log=str(self.log))}")
        self.environment = {**os.environ, VARIABLE: f"{os.getpid()}-{number}"}
        self.environment["YOLOPACE_CACHE"] = str(folder / "cache")
        (folder / "tmp").mkdir(exist_ok=True)  # a full disk of results fills this folder
        self.environment["TMPDIR"] = str(folder / "tmp")
        self.environment["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"
        self.command: psutil.Popen | None = None
        self.output = folder / f"output{number}.txt"
        self.codes: list[int] = []
        self.hit = True

    def begin(self, *options: str) -> None:
        """Start the command: a new fleet, or with ``--resume`` the same one."""
        python = sys.executable
        machines = ("--on", f"a=ssh://a/{python},b=ssh://b/{python}") if self.over_ssh else ("--local", str(MACHINES))
        given = options or (*machines, "--run", self.run, *OPTIONS, *SIZES)
        places = ("--results", str(self.results), "--extension", str(self.extension))
        with open(self.output, "ab") as output:
            self.command = psutil.Popen(
                [python, "-m", "bench", "fleet", *given, *places],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self) -> int:
        """Wait for the end of the command; return its exit status."""
        assert self.command is not None
        self.codes.append(self.command.wait(LIMIT))
        return self.codes[-1]

    def processes(self) -> list[psutil.Process]:
        """Everything that this trial started and that still runs."""
        running = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                own = process.environ().get(VARIABLE) == self.environment[VARIABLE]
                if own and process.status() != psutil.STATUS_ZOMBIE:
                    running.append(process)
        return running

    def all_of(self, kind: str) -> list[psutil.Process]:
        """Agents, members, fork servers or connections (ssh) that run now."""
        marks = {"agent": "sys.stdin.readline()", "member": "fleet_member", "fork server": "fork-server", "ssh": "/ssh"}
        chosen = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                line = process.cmdline()
                if any(part.endswith(marks[kind]) if kind == "ssh" else marks[kind] in part for part in line[:4]):
                    chosen.append(process)
        return [process for process in chosen if kind != "agent" or "sh" not in process.name()]

    def kill(self, kind: str, count: int = 1) -> None:
        """Kill so many processes of a kind, as soon as there are that many."""
        self.wait(lambda: len(self.all_of(kind)) >= count or self.has_ended())
        for process in sorted(self.all_of(kind), key=lambda process: process.pid)[:count]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def has_ended(self) -> bool:
        """Whether the command has ended."""
        assert self.command is not None
        return self.command.poll() is not None

    def wait(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.run}: {self.output.read_text()[-2000:]}")
            time.sleep(0.02)

    def member(self, machine: str) -> psutil.Process | None:
        """The member that holds the lock of a machine; None where it has ended."""
        with contextlib.suppress(psutil.Error, OSError, ValueError):
            holder = json.loads((self.folder / f"cache/fleet/locks/{machine}.json").read_text())
            process = psutil.Process(holder["pid"])
            return process if abs(process.create_time() - holder["began"]) < 1 else None
        return None

    def measuring(self, machine: str) -> str:
        """The case that a machine measures now; empty for none."""
        for line in self.log.read_text().splitlines():
            with contextlib.suppress(psutil.Error, OSError, ValueError):
                what, case, number = line.split()
                if what == "begin" and self.member(machine) in psutil.Process(int(number)).parents():
                    return case
        return ""

    def contents(self) -> dict[str, bytes]:
        """Records so far by machine and case, as they were written; interrupted ones are left out."""
        contents = {}
        for path in (self.results / self.run).glob("*/train-*.json"):
            with contextlib.suppress(OSError, ValueError):
                content = path.read_bytes()
                if json.loads(content)["outcome"]["status"] != "interrupted":
                    contents[f"{path.parent.name}/{path.stem}"] = content
        return contents

    def noted(self, what: str) -> int:
        """How often a measurement began or ended."""
        return sum(line.startswith(what) for line in self.log.read_text().splitlines())


NOTE = """def _note(what, case):
    import os

    descriptor = os.open({log!r}, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, f"{{what}} {{case['batch']}}x{{case['imgsz']}} {{os.getpid()}}\\n".encode())
    os.close(descriptor)
"""
"""A function for the workload: one line in a file where a measurement begins and ends."""


def some_time(trial: Trial, moment: float) -> None:
    """Wait for a random moment, or the end of the command."""
    deadline = time.monotonic() + moment
    trial.wait(lambda: time.monotonic() > deadline or trial.has_ended())
    trial.hit = not trial.has_ended()


def while_measuring(trial: Trial) -> None:
    """Wait until a measurement runs and a record is here."""
    trial.wait(lambda: trial.has_ended() or (trial.contents() and trial.noted("begin") > trial.noted("end")))


def killed(kind: str, count: int = 1) -> Callable[[Trial, float], None]:
    """A fault: processes of a kind are killed at a random moment."""

    def happen(trial: Trial, moment: float) -> None:
        some_time(trial, moment)
        trial.kill(kind, count)

    return happen


def killed_twice(trial: Trial, moment: float) -> None:
    """The agent of a machine is killed twice while the same case runs."""
    trial.wait(lambda: trial.measuring("local1"))
    case, first = trial.measuring("local1"), trial.member("local1")
    assert first is not None
    first.parent().kill()
    trial.wait(lambda: trial.member("local1") not in (None, first) and trial.measuring("local1") == case)
    second = trial.member("local1")
    assert second is not None
    second.parent().kill()


def coordinator_killed(trial: Trial, moment: float) -> None:
    """The command is killed."""
    some_time(trial, moment)
    assert trial.command is not None
    trial.command.kill()


def interrupted(times: int) -> Callable[[Trial, float], None]:
    """Ctrl-C while a case runs, once or twice."""

    def happen(trial: Trial, moment: float) -> None:
        while_measuring(trial)
        assert trial.command is not None
        for _ in range(times):
            trial.command.send_signal(signal.SIGINT)
            time.sleep(0.5)

    return happen


def left_and_returned(trial: Trial, moment: float) -> None:
    """The connection to a machine breaks, and it is away for some seconds."""
    some_time(trial, moment)
    away = trial.folder / "a.away"
    away.touch()
    trial.kill("ssh", MACHINES)
    time.sleep(4)
    away.unlink()


def broken_off(trial: Trial, moment: float) -> None:
    """All connections break, and the machines can be reached at once."""
    some_time(trial, moment)
    trial.kill("ssh", MACHINES)


def stopped_for_a_while(trial: Trial, moment: float) -> None:
    """A member does nothing for some seconds, as on a machine that sleeps."""
    some_time(trial, moment)
    trial.wait(lambda: trial.all_of("member") or trial.has_ended())
    for process in trial.all_of("member")[:1]:
        process.suspend()
        time.sleep(5)
        process.resume()


def disk_full(room_returns: bool) -> Callable[[Trial, float], None]:
    """The disk of the results is full after the first records; there is room later, or never."""

    def happen(trial: Trial, moment: float) -> None:
        trial.wait(lambda: "No space left" in trial.output.read_text() or trial.has_ended())
        assert "No space left" in trial.output.read_text(), trial.output.read_text()
        if not room_returns:
            trial.end()
        (trial.results / "filler").unlink()

    return happen


@contextlib.contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """A file system of 512 KiB of which a few are left."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)], check=True)
    try:
        (place / "filler").write_bytes(bytes(476 * 1024))
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


FAULTS: list[tuple[str, Callable[[Trial, float], None], dict[str, Any]]] = [
    *[("an agent is killed", killed("agent"), {})] * 4,
    ("all agents are killed", killed("agent", MACHINES), {}),
    ("an agent is killed twice during a case", killed_twice, {"failed": 1}),
    *[("a member is killed", killed("member"), {})] * 3,
    ("all members are killed", killed("member", MACHINES), {}),
    ("a fork server is killed", killed("fork server"), {"failed": 1}),
    *[("the coordinator is killed", coordinator_killed, {})] * 4,
    ("a machine sleeps for 5 s", stopped_for_a_while, {}),
    *[("a machine leaves and returns", left_and_returned, {"over_ssh": True})] * 3,
    *[("all connections break", broken_off, {"over_ssh": True})] * 2,
    ("the disk is full, and has room later", disk_full(True), {"small": True}),
    ("the disk is full until the end", disk_full(False), {"small": True}),
    ("Ctrl-C", interrupted(1), {}),
    ("Ctrl-C", interrupted(1), {"over_ssh": True}),
    ("Ctrl-C twice", interrupted(2), {}),
    ("Ctrl-C twice", interrupted(2), {"over_ssh": True}),
]
"""What happens, how, and how the trial is set up; ``failed`` is how many cases may fail by the fault."""


def play(number: int, folder: Path) -> dict[str, Any]:
    """Play a fault; return what was counted."""
    name, fault, setup = FAULTS[number]
    moment = random.Random(SEED + number).uniform(FIRST_SECONDS, LAST_SECONDS)
    trial = Trial(number, folder, setup.get("over_ssh", False))
    with small_disk(trial.results) if setup.get("small") else contextlib.nullcontext():
        trial.begin()
        fault(trial, moment)
        if len(trial.codes) < 1:
            trial.end()
        left = wait_until_none(trial)
        before = trial.contents()
        while (len(before) < CASES * MACHINES or trial.codes[-1] not in (0, 1)) and len(trial.codes) < 4:
            trial.begin("--resume", trial.run)
            trial.end()
            left += wait_until_none(trial)
            now = trial.contents()
            replaced = [key for key in before if now.get(key) != before[key]]
            assert not replaced, (trial.run, replaced)
            if len(now) == len(before) and trial.codes[-1] == trial.codes[-2]:
                break
            before = now
        contents = trial.contents()
        statuses = Counter(json.loads(content)["outcome"]["status"] for content in contents.values())
    return {
        "fault": name,
        "moment": f"{moment:.1f} s" if trial.hit else "the end",
        "random": fault is not killed_twice and not setup.get("small") and not name.startswith("Ctrl-C"),
        "codes": trial.codes,
        "records": len(contents),
        "lost": CASES * MACHINES - len(contents),
        "failed": statuses["failed"],
        "again": max(trial.noted("begin") - CASES * MACHINES, 0),
        "twice": max(trial.noted("end") - CASES * MACHINES, 0),
        "left": left,
        "allowed": setup.get("failed", 0),
    }


def wait_until_none(trial: Trial, seconds: float = 30.0) -> int:
    """Return how many processes are left some time after the command has ended, and end them."""
    deadline = time.monotonic() + seconds
    while (processes := trial.processes()) and time.monotonic() < deadline:
        time.sleep(0.2)
    for process in processes:
        print(f"{trial.run}: left: {process.pid} {' '.join(process.cmdline())[:120]}", file=sys.stderr)
        process.kill()
    return len(processes)


HEADER = "| fault | after | exit statuses | records | lost | failed | begun again | ended twice | processes left |"


def main() -> None:
    """Play the faults that are named by number, or all."""
    numbers = sorted({int(text) for text in sys.argv[1:]}) or range(len(FAULTS))
    print(f"{HEADER}\n|{'---|' * 9}")
    with tempfile.TemporaryDirectory(prefix="yolopace-faults-") as name:
        folder = Path(name)
        (folder / "bin").mkdir()
        (folder / "bin/ssh").write_text(SSH.format(python=sys.executable, folder=str(folder)))
        (folder / "bin/ssh").chmod(0o755)
        bad = 0
        for number in numbers:
            row = play(number, folder)
            codes = ", ".join(map(str, row["codes"]))
            moment = row["moment"] if row["random"] else "the first record"
            counts = (row[key] for key in ("records", "lost", "failed", "again", "twice", "left"))
            print(f"| {row['fault']} | {moment} | {codes} | {' | '.join(map(str, counts))} |", flush=True)
            if row["lost"] or row["left"] or row["failed"] > row["allowed"]:
                bad += 1
                print((folder / f"output{number}.txt").read_text()[-3000:], file=sys.stderr)
    sys.exit(bool(bad))


if __name__ == "__main__":
    main()
