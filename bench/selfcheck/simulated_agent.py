"""Simulated machines of a fleet, sent by execnet: an agent that answers each case with a canned record.

Its records are no measurements: the coordinator is what is measured with them.
"""

from __future__ import annotations

import json
from typing import Any

PLACE, RUN = 999_983, "run-of-the-template"
"""The batch and the run in the template, which stand for those of a machine's records."""


def main(channel: Any) -> None:
    """Answer until the coordinator has gone."""
    run, planned, names, template = channel.receive()
    batches = {name: number for number, name in enumerate(names, 1)}
    try:
        for kind, content in iter(channel.receive, None):
            if kind != "line":
                break
            command = json.loads(content)
            if command["type"] == "start":
                channel.send(("line", planned))
            elif command["type"] == "measure":
                record = template.replace(RUN, run).replace(str(PLACE), str(batches[command["name"]]))
                event = {"type": "recorded", "name": command["name"], "content": record}
                channel.send(("line", json.dumps(event).encode()))
            else:
                channel.send(("line", b'{"type": "finished"}'))
    except EOFError:
        pass


if __name__ == "__channelexec__":
    main(channel)  # type: ignore[name-defined]  # noqa: F821 - execnet defines it
