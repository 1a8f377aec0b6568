"""The file that a measured interpreter is started with.

``PYTHON entry.py facts``       prints what this environment is, as one JSON object, importing nothing heavy.
``PYTHON entry.py doctor``      the same with what its torch says of every backend.
``PYTHON entry.py parent FD``   preloads torch and ultralytics, then forks one worker a request (Linux).
``PYTHON entry.py case FD FD``  runs the one job that stands on standard input (everywhere else).
``PYTHON entry.py launch ...``  starts several ranks by torch.distributed.run, whose options follow.
``PYTHON entry.py rank``        is one of them.
``PYTHON entry.py alike ...``   does what follows with its memory laid out as in the last process that did the same.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

PACKAGE = "yolopace_worker"


def load_package() -> None:
    """Make this folder importable under a name of its own.

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
    """Do what the first argument says; the exit status of the process."""
    load_package()
    if arguments[0] == "facts":
        info = importlib.import_module(f"{PACKAGE}.interpreter.info")
        print(json.dumps(info.facts()))
        return 0
    if arguments[0] == "doctor":
        print(json.dumps(importlib.import_module(f"{PACKAGE}.interpreter.doctor").facts()))
        return 0
    if arguments[0] == "parent":
        importlib.import_module(f"{PACKAGE}.fork_server").serve(int(arguments[1]))
        return 0
    if arguments[0] == "case":
        importlib.import_module(f"{PACKAGE}.tasks").run_spawned(int(arguments[1]), int(arguments[2]))
        return 0
    if arguments[0] == "launch":
        return int(importlib.import_module(f"{PACKAGE}.distributed.ranks").launch(arguments[1:]))
    if arguments[0] == "alike":
        importlib.import_module(f"{PACKAGE}.interpreter.memory_layout").run_again([sys.argv[0], *arguments[1:]])
    if arguments[0] == "rank":
        importlib.import_module(f"{PACKAGE}.distributed.ranks").run()
        return 0
    return 2


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):  # libraries print more than the user's locale may have characters for
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    raise SystemExit(main(sys.argv[1:]))
