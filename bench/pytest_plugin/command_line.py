"""Options of a run, as pytest lists and reads them."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

import msgspec
import pytest

from bench import extensions
from bench.cases.axes import Axis, axes
from bench.cases.plan import profiles
from bench.errors import BenchError, UsageError
from bench.pytest_plugin import other_plugins
from bench.pytest_plugin.terminal import say_error

RENAMED = {"--precision": "--target-ci", "--phase-limit": "--phase-timeout", "--granularity": "--multiple-of"}
"""New names of renamed options; the old names work until the next release."""


def add_options(parser: pytest.Parser, manager: pytest.PytestPluginManager) -> None:
    """Add all options of a run, after the extensions that may add axes; end pytest where one cannot be added."""

    def refuse(error: BenchError) -> NoReturn:
        say_error(manager, f"yolopace: {error}")
        raise SystemExit(int(error.code))  # pytest.exit would be a traceback this early

    try:
        other_plugins.check_needed(manager)
        arguments = other_plugins.arguments(manager)
        extensions.load(extensions.named_in(arguments))
    except UsageError as error:
        refuse(error)
    options = other_plugins.Options(parser, manager, refuse)
    for option in run_options():
        options.add(option.name, option.group or WHAT, option.alias_of, **option.attributes)
    for old, new in RENAMED.items():
        if any(argument == old or argument.startswith(f"{old}=") for argument in arguments):
            say_error(manager, f"yolopace: {old} is now {new}: the old name works until the next release.")


WHAT, PRECISION, OUTPUT, ADVANCED = "What to measure", "How precisely", "Output", "Advanced"
"""Titles of the groups of options."""


class RunOption(msgspec.Struct, frozen=True):
    """An option of a run.

    Attributes:
        name: such as ``--device``.
        group: title of its group; empty for an old name, which is not listed.
        help: what it does.
        metavar: what stands for its value; empty for a flag.
        default: its value where it is not given.
        repeated: whether it may be given several times.
        alias_of: the option whose value an old name sets.
    """

    name: str
    group: str
    help: str
    metavar: str = ""
    default: str | None = ""
    repeated: bool = False
    alias_of: str = ""

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes for ``pytest.Parser.addoption``."""
        given: dict[str, Any] = {"help": self.help if self.group else argparse.SUPPRESS}
        if not self.metavar:
            return {**given, "action": "store_true"}
        if self.repeated:
            return {**given, "metavar": self.metavar, "action": "append", "default": []}
        return {**given, "metavar": self.metavar, "default": self.default}


def run_options() -> list[RunOption]:
    """Return all options of a run in the order of the help; extensions may add some."""
    names = ", ".join(f"{name} ({profile.about})" for name, profile in profiles().items())
    option = RunOption
    of_axes = [axis for axis in axes().values() if axis.option]
    return [
        option("--profile", WHAT, f"set of cases and timings: {names}; default quick", "NAME", None),
        *(_axis_option(axis, WHAT, "instead of the profile's: ") for axis in of_axes if axis.fixed),
        option("--data", WHAT, "an Ultralytics data yaml; default: a generated dataset", "YAML"),
        option("--with-val", WHAT, "time validation and saving a checkpoint too"),
        option("--energy", WHAT, "measure energy too, over windows of 10 s and more"),
        option("--plan", WHAT, "list the cases with time estimates and start nothing"),
        option("--processes", PRECISION, "measure each case in N fresh processes; default 1", "N"),
        option("--target-ci", PRECISION, "add processes until every interval is as narrow as this", "PERCENT"),
        option("--time-budget", PRECISION, "stop before this time is used up, such as 10m", "TIME"),
        option("--results", OUTPUT, "folder of the records; default results", "DIR", "results"),
        option("--reports", OUTPUT, "folder of the report; default reports", "DIR", "reports"),
        option("--epoch-images", OUTPUT, "images per epoch in the report; default COCO's", "N", "0"),
        option("--epochs", OUTPUT, "epochs of your training, for its time in the report", "N", "0"),
        option("--run", OUTPUT, "name of the run's folder; default: time and machine", "NAME"),
        option("--resume", OUTPUT, "continue a run by its name, or the last one, with its options", "RUN"),
        *(_axis_option(axis, ADVANCED) for axis in of_axes if not axis.fixed),
        option("--axis", ADVANCED, "a further axis; again for another", "NAME=VALUES", repeated=True),
        option("--per-device", ADVANCED, "batches are per device; default: the global batch"),
        option("--memory-limit", ADVANCED, "with --mode ceiling: the memory that a process may use", "SIZE"),
        option("--multiple-of", ADVANCED, "with --mode ceiling: try only multiples of this batch", "N"),
        option("--threads", ADVANCED, "CPU threads; default: the workload's own choice", "N"),
        option("--compare-losses", ADVANCED, "compare the first losses with the CPU's on cuda too"),
        option("--python", ADVANCED, "the interpreter to measure; default: this one", "PATH"),
        option("--phase-timeout", ADVANCED, "end a case whose warm-up or window takes longer; default 10m", "TIME"),
        option(extensions.OPTION, ADVANCED, extensions.HELP, "FILE", repeated=True),
        option("--precision", "", "", "PERCENT", alias_of="--target-ci"),
        option("--phase-limit", "", "", "TIME", alias_of="--phase-timeout"),
        option("--granularity", "", "", "N", alias_of="--multiple-of"),
    ]


def _axis_option(axis: Axis, group: str, about: str = "") -> RunOption:
    return RunOption(f"--{axis.name.replace('_', '-')}", group, f"{about}{axis.help}", "VALUES", None)
