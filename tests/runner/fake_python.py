"""Stands for a Python that is measured: takes the arguments of one, and plays a worker named by the case's model.

It reads its job and reports events by the protocol of real workers.
"""

import os
import signal
import sys
import time
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.worker import message_json
from bench.worker.channel import Channel
from bench.worker.protocol import (
    BlockEnded,
    DataJob,
    DataProvided,
    JobEnded,
    Measured,
    PhaseBegan,
    RestMeasured,
    SettingsRead,
)

STEP = 0.25 * float(os.environ.get("FAKE_FACTOR", "1"))  # so that one environment is slower than another
WOBBLE = {"wobbles": 0.02, "swings": 0.5}  # by how much every process is slower than STEP, then faster, and so on


def send(event):
    Channel(int(sys.argv[3])).send(event)


def times_before(case):
    """How often this case was played before, in this cache."""
    folder = os.path.join(os.environ["YOLOPACE_CACHE"], "played")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "-".join(map(str, case.values()))), "a+") as file:
        file.seek(0)
        count = len(file.read())
        file.write("x")
    return count


BATTERY = {"wall_seconds": 2.0, "cpu_seconds": 2.0, "involuntary_switches": 0, "processors": 2, "on_battery": True}
BATTERY["interference"] = ["the machine ran on its battery"]


CALM = {"wall_seconds": 2.0, "cpu_seconds": 2.0, "involuntary_switches": 0, "processors": 2, "interference": []}
NO_PARTS = {"method": "clock", "seconds": {}, "optimizer": None}
REPORTED = {"phases": NO_PARTS, "window": CALM, "epoch_overhead": {"epoch_gap_seconds": 0.125}}
TURNS = 4


def reading(case, step):
    steps = {"warmup": 2, "seconds": [1.0, 1.0] + [step] * 8, "data_wait": [0.0] * 10, "images": case["batch"]}
    return {**steps, "optimizer": [], "accumulation_steps": 1, "epoch_gaps": []}


def given_up(case, step):
    return {**CALM, "interference": ["background load"], "steps": reading(case, step)}


def measured(case, step=STEP, **more):
    send(PhaseBegan("warmup"))
    send(SettingsRead({**case, "threads": 3}))
    send(PhaseBegan("window", steps=18, accumulation_steps=6, planned=24))
    if job.block:
        take_turns(case, step)
    send(Measured(steps=reading(case, step), extra={"pid": os.getpid()}, **{**REPORTED, **more}))
    rest(case["model"])
    send(JobEnded("measured"))


def take_turns(case, step):
    """Sleep until the runner lets it go on, two bytes per turn; the window ends within the last of them."""
    for turn in range(TURNS):
        if not os.read(int(sys.argv[4]), 2):
            os._exit(1)
        part = case["model"]
        if part.startswith("dies-in-turns") and turn == 2 and (part.endswith("always") or not times_before(case)):
            os.kill(os.getpid(), signal.SIGKILL)
        if part == "has-no-room-in-turns":
            send(JobEnded("out_of_memory", "There is no memory."))
            os._exit(0)
        if turn < TURNS - 1:
            send(BlockEnded(2 * step, 2))


def rest(part):
    """Report the time of an epoch outside its steps, after them."""
    if not part.endswith("-in-rest"):
        return
    send(PhaseBegan("rest"))
    if part == "hangs-in-rest":
        time.sleep(60)
    if part == "dies-in-rest":
        os.kill(os.getpid(), signal.SIGKILL)
    if part == "fails-in-rest":
        send(RestMeasured(failed="OSError: no space left."))
    if part == "validates-in-rest":
        send(RestMeasured({"validation": 1.5, "validation_images": 32, "checkpoint": 0.25}))


def play(case):
    part = case["model"]
    if part == "hangs-in-setup":
        time.sleep(60)
    send(PhaseBegan("warmup"))
    if part == "hangs":
        time.sleep(60)
    if part == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if part == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if part == "exits":
        print("last words of the worker")
        sys.stdout.flush()
        os._exit(3)
    if part == "chatty":
        sys.stdout.write("a line\n" * 1_000_000)
        sys.stdout.flush()
    if part == "endless":
        while True:
            print("x" * 10_000)
    if part == "leaves-a-child":
        if os.fork() == 0:
            time.sleep(60)
            os._exit(0)
        os.kill(os.getpid(), signal.SIGKILL)
    if part == "refuses-amp" and case["amp"] == "on":
        send(JobEnded("substituted", "No amp.", ["device", "amp"]))
        return
    if part == "has-no-device":
        send(JobEnded("unsupported", "No card.", ["device"]))
        return
    if part == "hostile":
        print("\x1b[31mred\x1b[0m \x00 progress\rdone\x07", flush=True)
        hostile = "\x1b[34mtrain: \x1b[0mno\x00 \udcff \x9b1m labels\r\n\x7f"
        send(SettingsRead({**case, hostile: hostile}))
        send(JobEnded("failed", hostile))
        return
    if part == "broken":
        send(JobEnded("failed", "ValueError: no."))
        return
    if part == "breaks-later" and times_before(case):
        send(JobEnded("failed", "ValueError: not again."))
        return
    if part == "interfered":
        measured(case, discarded=[given_up(case, 2 * STEP), given_up(case, 4 * STEP)])
        return
    if part == "on-battery":
        measured(case, window=BATTERY)
        return
    if part == "interfered-once":
        interfered = {"window": {**CALM, "interference": ["background load"]}, "worth_retrying": True}
        measured(case, **({} if times_before(case) else interfered))
        return
    if part == "always-interfered":
        measured(case, window={**CALM, "interference": ["background load"]}, worth_retrying=True)
        return
    if part == "runs-on-base-alone" and STEP > 0.25:
        send(JobEnded("substituted", "No such thing."))
        return
    if part in WOBBLE:
        measured(case, STEP * (1 + WOBBLE[part] * (-1) ** times_before(case)))
        return
    measured(case)


job = message_json.assignment_from_json(sys.stdin.readline()).job
send(PhaseBegan("setup"))
if isinstance(job, DataJob):
    fingerprint = "f" * 12 if job.made else f"{zlib.crc32(open(job.name, 'rb').read()):012x}"
    send(DataProvided("data.yaml" if job.made else job.name, fingerprint, job.images or 8))
    send(JobEnded("measured"))
else:
    play(job.case)
