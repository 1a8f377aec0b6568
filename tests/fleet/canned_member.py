"""Stands for ``bench.cli.fleet_member`` in a package that tests send: canned records, and faults by name of a case.

Its options have the folder of what it keeps, the plan, the records by name, and the faults.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def main():
    say = os.fdopen(os.dup(1), "w")

    def send(**event):
        say.write(json.dumps(event) + "\n")
        say.flush()

    start = json.loads(sys.stdin.readline())
    options = start["options"]
    disk = Path(options["disk"])
    disk.mkdir(exist_ok=True)
    (disk / f"pid-{os.getpid()}").touch()
    kept = {path.stem: path.read_text() for path in disk.glob("*.json")}
    for name, content in kept.items():
        if content not in start.get("records", []):
            send(type="recorded", name=name, content=content)
    send(type="planned", **{**options["planned"], "finished": list(kept)})
    for line in sys.stdin:
        command = json.loads(line)
        if command["type"] == "finish":
            send(type="finished")
            return
        name = command["name"]
        if command["type"] == "give_up":
            send(type="recorded", name=name, content=options["failed"][name])
            continue
        fault = options["faults"].get(name)
        with open(disk / f"{name}.started", "a+") as file:
            file.write(".")
            file.seek(0)
            starts = len(file.read())
        if fault and starts <= fault[1]:
            if fault[0] == "member":
                print("a last line", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            if fault[0] == "agent":
                os.kill(os.getppid(), signal.SIGKILL)
            if fault[0] == "hang":
                sys.stdin.read() if os.environ.get("POLITE") else time.sleep(600)
        content = options["records"][name]
        (disk / f"{name}.json").write_text(content)
        send(type="recorded", name=name, content=content)
