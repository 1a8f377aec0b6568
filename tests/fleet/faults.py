"""Faults of a real fleet at random moments: ``python -m tests.fleet.faults``, minutes; the tests do not run it.

Each row is a fleet of two agents on this machine with real workers, one fault, and ``--resume`` where it ended early.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import psutil

from bench.records import store
from tests.fleet.canned import wait_for

ROOT = Path(__file__).resolve().parents[2]
CASES, AGENTS = 3, 2
OPTIONS = ["--profile", "smoke", "--model", "yolov8n", "--device", "cpu", "--amp", "off", "--mode", "train"]
OPTIONS += ["--batch", "2,4,8", "--imgsz", "32"]
MEMBER = "bench.cli.fleet_member"


class Fleet:
    """One run in folders of its own, which its processes have in their environment."""

    def __init__(self, folder: Path):
        self.folder, self.results = folder, folder / "results"
        self.cache = str(folder / "cache")
        self.process = None

    def start(self, *options):
        """Start the coordinator in a session of its own, so that a signal reaches it alone."""
        command = [sys.executable, "-m", "bench", "fleet", *options, "--results", str(self.results)]
        environment = {**os.environ, "YOLOPACE_CACHE": self.cache}
        with (self.folder / "log").open("ab") as log:
            self.process = psutil.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def records(self):
        """Contents of the stored records by machine and case."""
        files = self.results.glob("r/local*/train-*.json")
        return {(path.parent.name, path.stem): path.read_bytes() for path in files}

    def members(self):
        """Processes of members that run."""
        running = []
        for process in self.left():
            try:
                if any(MEMBER in part for part in process.cmdline()):
                    running.append(process)
            except psutil.Error:
                continue
        return sorted(running, key=lambda process: process.pid)

    def left(self):
        """All processes of this run, whoever started them: those with its cache in their environment."""
        ours = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("YOLOPACE_CACHE") == self.cache and process.status() != psutil.STATUS_ZOMBIE:
                    ours.append(process)
            except (psutil.Error, OSError):
                continue
        return ours


def kill_member(fleet):
    """kill -9 of a member, the process that plans and measures."""
    fleet.members()[0].kill()


def kill_agent(fleet):
    """kill -9 of an agent: its machine leaves and returns."""
    fleet.members()[0].parent().kill()


def kill_agents(fleet):
    """kill -9 of all agents at once."""
    for member in fleet.members():
        member.parent().kill()


def kill_coordinator(fleet):
    """kill -9 of the coordinator."""
    fleet.process.kill()


def interrupt(fleet):
    """Ctrl-C once."""
    fleet.process.send_signal(signal.SIGINT)


def interrupt_twice(fleet):
    """Ctrl-C twice."""
    fleet.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    fleet.process.send_signal(signal.SIGINT)


def full_disk(fleet):
    """No file of the coordinator's may grow beyond 100 bytes, to its end."""
    _, hard = fleet.process.rlimit(psutil.RLIMIT_FSIZE)
    fleet.process.rlimit(psutil.RLIMIT_FSIZE, (100, hard))


FAULTS = (kill_member, kill_agent, kill_agents, kill_coordinator, interrupt, interrupt_twice, full_disk)


def play(fault, seed):
    """Play a fault at a random moment; return the row of the table."""
    chance = random.Random(f"{fault.__name__} {seed}")
    with tempfile.TemporaryDirectory(prefix="yolopace-faults-") as place:
        fleet = Fleet(Path(place))
        begin = ("--local", str(AGENTS), "--run", "r", *OPTIONS)
        fleet.start(*begin)
        enough = chance.randint(0, CASES)
        wait_for(lambda: fleet.process.poll() is not None or (fleet.members() and len(fleet.records()) >= enough), 300)
        time.sleep(chance.random())
        before = fleet.records()
        try:
            fault(fleet)
            hit = fleet.process.poll() is None or fault is kill_coordinator
        except (psutil.Error, IndexError):
            hit = False
        code = fleet.process.wait(300)
        resumed = 0
        while len(fleet.records()) < AGENTS * CASES and resumed < 2:
            resumed += 1
            started = (fleet.results / "r/.fleet.json").exists()  # a run that had no plan yet may have left nothing
            fleet.start(*(("--resume", "r") if started else begin))
            fleet.process.wait(300)
        after = fleet.records()
        measured = [r for r in store.read([fleet.results])[0] if r.outcome.status.value == "measured"]
        twice = len(measured) - len({(r.run, r.name) for r in measured})
        again = sum(after.get(key) != content for key, content in before.items())
        deadline = time.monotonic() + 30
        while fleet.left() and time.monotonic() < deadline:
            time.sleep(0.2)
        remaining = fleet.left()
        for process in remaining:
            process.kill()
        log = (fleet.folder / "log").read_text(errors="replace")
    lost = AGENTS * CASES - len({(r.run, r.name) for r in measured})
    row = [fault.__name__.replace("_", " "), len(before), "yes" if hit else "no", code, resumed]
    return [*row, lost, twice + again, len(remaining)], log


def main():
    """Print the table; exit with 1 where anything was lost, counted twice or left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="", help="faults, such as full_disk,interrupt; default: all")
    given = parser.parse_args()
    chosen = [fault for fault in FAULTS if not given.only or fault.__name__ in given.only.split(",")]
    plays = [(fault, seed) for seed in range(given.rounds) for fault in chosen]
    print("| fault | records before | happened | exit code | resumed | lost | twice | processes left |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    wrong = []
    with ThreadPoolExecutor(given.jobs) as pool:
        for ended in as_completed([pool.submit(play, *both) for both in plays]):
            row, log = ended.result()
            print(f"| {' | '.join(map(str, row))} |", flush=True)
            if any(row[-3:]):
                wrong.append(row)
                print(log[-2000:], file=sys.stderr, flush=True)
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
