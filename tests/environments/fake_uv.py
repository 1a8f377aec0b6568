"""Stands for uv: the four calls that environments are built with, against the small package index that is next to it.

Options that uv does not have end it with status 2, as they do uv. Every call is noted in ``calls.jsonl``.
"""

import argparse
import json
import re
import sys
import zipfile
from pathlib import Path
from urllib.parse import unquote, urlparse

HERE = Path(__file__).resolve().parent
INDEX = json.loads((HERE / "index.json").read_text())
"""By distribution: its versions, oldest first, and what it needs."""

OPTIONS = {
    "pip compile": (
        "--python=",
        "--no-header",
        "--no-annotate",
        "--resolution=",
        "--prerelease=",
        "--no-deps",
        "--override=",
        "--exclude-newer=",
        "source",
    ),
    "venv": ("--python=", "--relocatable", "--no-project", "source"),
    "pip install": ("--python=", "--no-deps", "--requirements="),
    "build": ("--wheel", "--python=", "--out-dir=", "source"),
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

BUILD_FAILS = """\
Building wheel...
Traceback (most recent call last):
  File "<string>", line 1, in <module>
ModuleNotFoundError: No module named 'nonexistent'
error: Failed to build `{0}`
  cause: The build backend returned an error
  cause: Call to `setuptools.build_meta.get_requires_for_build_wheel` failed (exit status: 1)

hint: Build failures usually indicate a problem with the package or the build environment
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


def numbers(version):
    """What versions are ordered by: 8.4 is 8.4.0."""
    return tuple(map(int, re.sub(r"(\.0)+$", "", version).split(".")))


def allowed(name, clauses):
    """Versions of a distribution that satisfy ``==2.6.0``, ``>=2.6,<3``."""
    versions = INDEX[name]["versions"] if name in INDEX else []
    tests = {"==": tuple.__eq__, ">=": tuple.__ge__, "<=": tuple.__le__, "<": tuple.__lt__}
    for operator, wanted in re.findall(r"(==|>=|<=|<)([0-9.]+)", clauses):
        versions = [version for version in versions if tests[operator](numbers(version), numbers(wanted))]
    return versions


def on_disk(requirement):
    """The wheel of ``name @ file:///folder/name-1.0-py3-none-any.whl``: its path, or None."""
    _, _, address = requirement.partition(" @ ")
    return Path(unquote(urlparse(address).path)) if address.startswith("file://") else None


def compiled(options):
    left = [line for line in sys.stdin.read().splitlines() if line.strip()]
    dropped = Path(options.override).read_text().split(" ;")[0] if options.override else None
    chosen = {}
    if (HERE / "no-network").exists():
        fail(NO_NETWORK)
    for direct in left:  # what was asked for is chosen first
        name = re.match(r"[A-Za-z-]+", direct)[0].lower()
        if wheel := on_disk(direct):
            assert zipfile.is_zipfile(wheel)
            chosen[name] = direct
            continue
        versions = allowed(name, direct[len(name) :])
        if not versions:
            fail(NO_SOLUTION.format(direct))
        chosen[name] = f"{name}=={versions[0 if options.resolution == 'lowest-direct' else -1]}"
    names = list(chosen)
    while names and not options.no_deps:
        for needed in INDEX.get(names.pop(), {"needs": []})["needs"]:
            if needed not in chosen and needed != dropped:
                chosen[needed] = needed if " @ " in needed else f"{needed}=={INDEX[needed]['versions'][-1]}"
                names.append(needed)
    print("\n".join(line for _, line in sorted(chosen.items())))


def venv(options):
    assert options.python == sys.executable
    python = Path(options.source) / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text((HERE / "python.sh").read_text().replace("SYSTEM", sys.executable))
    python.chmod(0o755)


def install(options):
    assert options.no_deps and options.requirements == "-"
    environment = Path(options.python).parents[1]
    packages = {}
    for line in sys.stdin.read().splitlines():
        if wheel := on_disk(line):
            packages[line.split(" @ ")[0]] = wheel.name.split("-")[1]
        else:
            name, version = line.split("==")
            assert version in INDEX[name]["versions"]
            packages[name] = version
    # The first package is there before the disk is full, as it is with uv.
    (environment / "facts.json").write_text(json.dumps(facts(packages)))
    if (HERE / "disk-full").exists():
        fail(DISK_FULL, 2)


def facts(packages):
    ultralytics = packages.get("ultralytics") or packages.get("ultralytics-opencv-headless")
    versions = {**packages, "ultralytics": ultralytics}
    return {"python": "3.11.7", "packages": versions, "models": [], "datasets": [], "unusable": ""}


def build(options):
    """A wheel with the files of the project in it; name and version are the first that are seen in them."""
    assert options.wheel and options.python == sys.executable
    source, place = Path(options.source), Path(options.out_dir)
    files = sorted(path for path in source.rglob("*") if path.is_file())
    metadata = "".join(path.read_text() for path in files if path.name in ("pyproject.toml", "setup.py"))
    if "broken" in metadata:
        fail(BUILD_FAILS.format(source), 2)
    name, version = (re.search(rf'{key} ?= ?"([^"]+)"', metadata)[1] for key in ("name", "version"))
    place.mkdir()
    with zipfile.ZipFile(place / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path in files:
            wheel.write(path, path.relative_to(source))
    (source / "build").mkdir()


def main(arguments):
    arguments = [argument for argument in arguments if argument != "--quiet"]
    command = next(name for name in OPTIONS if arguments[: len(name.split())] == name.split())
    with (HERE / "calls.jsonl").open("a") as file:
        file.write(json.dumps([command, *arguments[len(command.split()) :]]) + "\n")
    {"pip compile": compiled, "venv": venv, "pip install": install, "build": build}[command](
        parsed(command, arguments[len(command.split()) :])
    )


main(sys.argv[1:])
