"""Entry point of a measured interpreter.

``PYTHON entry.py facts FILE...``      prints facts about this environment as one JSON object, importing nothing heavy.
``PYTHON entry.py doctor FILE...``     prints the same and what its torch reports about every backend.
``PYTHON entry.py fork-server FD``     preloads libraries, then forks one worker per request (Linux).
``PYTHON entry.py job FD FD``          runs the one job on standard input (everywhere else).
``PYTHON entry.py launch ...``         starts several ranks by torch.distributed.run, whose options follow.
``PYTHON entry.py rank``               runs one of these ranks.
``PYTHON entry.py --fixed-layout ...`` runs the command that follows with the same memory layout in every process.

FILE is an extension that adds workloads and device kinds.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

PACKAGE = "yolopace_worker"


def load_package() -> None:
    """Make this folder importable under a separate package name.

    Neither ``bench`` nor the folder it was installed into may come onto ``sys.path``: another environment's torch
    could then be imported in place of the one that is to be measured.
    """
    here = Path(__file__).resolve().parent
    sys.path[:] = [entry for entry in sys.path if not entry or Path(entry).resolve() != here]
    spec = importlib.util.spec_from_file_location(PACKAGE, here / "__init__.py", submodule_search_locations=[str(here)])
    assert spec is not None and spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = package
    spec.loader.exec_module(package)


def main(arguments: list[str]) -> int:
    """Run the command in the first argument; return the exit status of the process."""
    load_package()
    word, *rest = arguments
    if word in ("facts", "doctor"):
        importlib.import_module(f"{PACKAGE}.extensions").load(rest)
        module = {"facts": "info", "doctor": "doctor"}[word]
        print(json.dumps(importlib.import_module(f"{PACKAGE}.interpreter.{module}").facts()))
        return 0
    if word == "fork-server":
        importlib.import_module(f"{PACKAGE}.fork_server").serve(int(rest[0]))
        return 0
    if word == "job":
        importlib.import_module(f"{PACKAGE}.tasks").run_spawned(int(rest[0]), int(rest[1]))
        return 0
    if word == "launch":
        return int(importlib.import_module(f"{PACKAGE}.distributed.ranks").launch(rest))
    if word == "--fixed-layout":
        importlib.import_module(f"{PACKAGE}.interpreter.memory_layout").run_again([sys.argv[0], *rest])
    if word == "rank":
        importlib.import_module(f"{PACKAGE}.distributed.ranks").run()
        return 0
    return 2


if __name__ == "__mp_main__":  # a data loader process that was spawned, as on macOS, unpickles objects of the package
    load_package()
if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # libraries print more than the user's locale may have characters for
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    raise SystemExit(main(sys.argv[1:]))
