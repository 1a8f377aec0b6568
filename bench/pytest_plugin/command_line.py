"""Options of a run, as pytest lists and reads them."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

import pytest

from bench import extensions
from bench.cases.axes import axes
from bench.cases.plan import profiles
from bench.errors import BenchError, UsageError
from bench.pytest_plugin import other_plugins
from bench.pytest_plugin.terminal import uncaptured_output

RENAMED = {"--precision": "--target-ci", "--phase-limit": "--phase-timeout", "--granularity": "--multiple-of"}
"""New names of renamed options; the old names work until the next release."""


def add_options(parser: pytest.Parser, manager: pytest.PytestPluginManager) -> None:
    """Add all options of a run, after the extensions that may add axes; end pytest where one cannot be added."""

    def refuse(error: BenchError) -> NoReturn:
        _print_error(manager, f"yolopace: {error}")
        raise SystemExit(int(error.code))  # pytest.exit would be a traceback this early

    try:
        other_plugins.check_needed(manager)
        arguments = other_plugins.arguments(manager)
        extensions.load(extensions.named_in(arguments))
    except UsageError as error:
        refuse(error)
    _add_all(other_plugins.Options(parser, manager, refuse))
    for old, new in RENAMED.items():
        if any(argument == old or argument.startswith(f"{old}=") for argument in arguments):
            _print_error(manager, f"yolopace: {old} is now {new}: the old name works until the next release.")


def _print_error(manager: pytest.PytestPluginManager, text: str) -> None:
    with uncaptured_output(manager):
        print(text, file=sys.stderr)


def _add_all(options: other_plugins.Options) -> None:
    add = options.add
    names = ", ".join(f"{name} ({profile.about})" for name, profile in profiles().items())
    add("--profile", default=None, metavar="NAME", help=f"{names}; default quick")
    for axis in axes().values():
        if axis.option:
            about = f"instead of the profile's: {axis.help}" if axis.fixed else axis.help
            add(f"--{axis.name.replace('_', '-')}", metavar="VALUES", help=about)
    add("--axis", action="append", default=[], metavar="NAME=VALUES", help="a further axis; again for another")
    add("--per-device", action="store_true", help="batches are per device, where a case has several")
    add("--memory-limit", default="", metavar="SIZE", help="with --mode ceiling: the memory that a process may use")
    add("--multiple-of", default="", metavar="N", help="with --mode ceiling: try only multiples of this batch")
    add("--data", default="", metavar="YAML", help="an Ultralytics data yaml; default: a generated data set")
    add("--threads", default="", metavar="N", help="CPU threads; default: Ultralytics' own choice")
    add("--with-val", action="store_true", help="time validation and saving a checkpoint too")
    add("--energy", action="store_true", help="measure energy too, over windows of 10 s and more")
    add("--compare-losses", action="store_true", help="compare the first losses with the CPU's on cuda too")
    add("--python", default="", metavar="PATH", help="the interpreter to measure; default: this one")
    add("--results", default="results", metavar="DIR", help="folder of the records; default results")
    add("--reports", default="reports", metavar="DIR", help="folder of the report; default reports")
    add("--epoch-images", default="0", metavar="N", help="images per epoch in the report; default COCO's")
    add("--epochs", default="0", metavar="N", help="epochs of your training, for its time in the report")
    add("--processes", default="", metavar="N", help="measure each case in N fresh processes; default 1")
    add("--target-ci", default="", metavar="PERCENT", help="add processes until every interval is as narrow as this")
    add("--time-budget", default="", metavar="TIME", help="start no case that would end later, such as 10m")
    add("--phase-timeout", default="10m", metavar="TIME", help="end a case whose warm-up or window takes longer")
    add(extensions.OPTION, action="append", metavar="FILE", help=extensions.HELP)
    add("--run", default="", metavar="NAME", help="name of the run's folder; default: time and machine")
    add(
        "--resume",
        default="",
        metavar="RUN",
        help="continue a run by its name, or the last one, with the options that it was started with",
    )
    add("--plan", action="store_true", help="list the cases with time estimates and start nothing")
    add("--precision", default="", alias_of="--target-ci", help=argparse.SUPPRESS)
    add("--phase-limit", default="10m", alias_of="--phase-timeout", help=argparse.SUPPRESS)
    add("--granularity", default="", alias_of="--multiple-of", help=argparse.SUPPRESS)
