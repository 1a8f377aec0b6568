"""Stands for a Python that is measured: takes the arguments of one, and plays a worker named by the case's model.

Talks to the runner the way a real worker does: the job on standard input, events as JSON lines on a descriptor.
"""

import json
import os
import signal
import sys
import time

STEP = 0.25


def send(event, **fields):
    line = json.dumps({"event": event, "at": time.monotonic(), **fields}) + "\n"
    os.write(int(sys.argv[3]), line.encode())


def measured(case):
    send("phase", name="warmup")
    send("effective", settings={**case, "threads": 3})
    send("phase", name="window")
    steps = {"warmup": 2, "seconds": [1.0, 1.0] + [STEP] * 8, "data_wait": [0.0] * 10, "images": case["batch"]}
    send("measured", steps={**steps, "optimizer": [], "cycle": 1, "interludes": []}, extra={"pid": os.getpid()})
    send("ended", status="measured", reason="", axes=[])


def play(case):
    part = case["model"]
    if part == "hangs-in-setup":
        time.sleep(60)
    send("phase", name="warmup")
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
        send("ended", status="substituted", reason="No amp.", axes=["device", "amp"])
        return
    if part == "broken":
        send("ended", status="failed", reason="ValueError: no.", axes=[])
        return
    measured(case)


job = json.loads(sys.stdin.readline())
send("phase", name="setup")
if job["kind"] == "data":
    send("data", yaml="data.yaml", fingerprint="f" * 12, images=job["data"]["images"])
    send("ended", status="measured", reason="", axes=[])
else:
    play(job["case"])
