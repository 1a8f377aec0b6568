"""Stands for uv: the three calls that environments are built with, against the small package index that is beside it.

Options that uv does not have end it with status 2, as they do uv. Every call is noted in ``calls.jsonl``.
"""

import argparse
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
INDEX = json.loads((HERE / "index.json").read_text())
"""By distribution: its versions, oldest first, and what it needs."""

OPTIONS = {
    "pip compile": (
        "--python=",
        "--no-header",
        "--no-annotate",
        "--resolution=",
        "--no-deps",
        "--override=",
        "--exclude-newer=",
        "source",
    ),
    "venv": ("--python=", "--relocatable", "--no-project", "source"),
    "pip install": ("--python=", "--no-deps", "--requirements="),
}

NO_SOLUTION = """\
error: No solution found when resolving dependencies
  cause: Because there is no version of {0} and you require {0}, we can conclude
         that your requirements are unsatisfiable.

hint: Pre-releases are available for this package: see https://index.example/simple/{0}
"""

NO_NETWORK = """\
error: Failed to fetch: `https://index.example/simple/torch/`
  cause: error sending request for url (https://index.example/simple/torch/)
  cause: client error (Connect)
  cause: dns error
  cause: failed to lookup address information: Name or service not known
"""

DISK_FULL = """\
error: Failed to install: torch-2.6.0
  cause: failed to write `x`: No space left on device (os error 28)
"""


def fail(text, code=1):
    sys.stderr.write(text)
    raise SystemExit(code)


def parsed(command, arguments):
    parser = argparse.ArgumentParser(prog=f"uv {command}", allow_abbrev=False)
    for option in OPTIONS[command]:
        parser.add_argument(
            option.rstrip("="), **({} if option[-1] == "=" or option[0] != "-" else {"action": "store_true"})
        )
    return parser.parse_args(arguments)


def allowed(name, clauses):
    """Versions of a distribution that satisfy ``==2.6.0``, ``>=2.6,<3``."""
    found = INDEX[name]["versions"] if name in INDEX else []
    for operator, wanted in re.findall(r"(==|>=|<)([0-9.]+)", clauses):
        bound = tuple(map(int, wanted.split(".")))
        test = {"==": tuple.__eq__, ">=": tuple.__ge__, "<": tuple.__lt__}[operator]
        found = [version for version in found if test(tuple(map(int, version.split("."))), bound)]
    return found


def compiled(options):
    left = [line for line in sys.stdin.read().splitlines() if line.strip()]
    dropped = Path(options.override).read_text().split(" ;")[0] if options.override else None
    chosen = {}
    if (HERE / "no-network").exists():
        fail(NO_NETWORK)
    for direct in list(left):  # what was asked for is chosen first
        name = re.match(r"[a-z-]+", direct)[0]
        found = allowed(name, direct[len(name) :])
        if not found:
            fail(NO_SOLUTION.format(direct))
        chosen[name] = found[0 if options.resolution == "lowest-direct" else -1]
    names = list(chosen)
    while names and not options.no_deps:
        for needed in INDEX[names.pop()]["needs"]:
            if needed not in chosen and needed != dropped:
                chosen[needed] = INDEX[needed]["versions"][-1]
                names.append(needed)
    print("\n".join(f"{name}=={version}" for name, version in sorted(chosen.items())))


def venv(options):
    assert options.python == sys.executable
    python = Path(options.source) / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text((HERE / "python.sh").read_text().replace("SYSTEM", sys.executable))
    python.chmod(0o755)


def install(options):
    assert options.no_deps and options.requirements == "-"
    environment = Path(options.python).parents[1]
    packages = dict(line.split("==") for line in sys.stdin.read().splitlines())
    # The first package is there before the disk is full, as it is with uv.
    (environment / "facts.json").write_text(json.dumps(facts(packages)))
    if (HERE / "disk-full").exists():
        fail(DISK_FULL, 2)


def facts(packages):
    ultralytics = packages.get("ultralytics") or packages.get("ultralytics-opencv-headless")
    versions = {**packages, "ultralytics": ultralytics}
    return {"python": "3.11.7", "packages": versions, "models": [], "datasets": [], "unusable": ""}


def main(arguments):
    arguments = [argument for argument in arguments if argument != "--quiet"]
    command = next(name for name in OPTIONS if arguments[: len(name.split())] == name.split())
    with (HERE / "calls.jsonl").open("a") as file:
        file.write(json.dumps([command, *arguments[len(command.split()) :]]) + "\n")
    {"pip compile": compiled, "venv": venv, "pip install": install}[command](
        parsed(command, arguments[len(command.split()) :])
    )


main(sys.argv[1:])
