"""The commands that measure recorded cases, ceilings and comparisons again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

import msgspec

from bench.cases import Case
from bench.cases.axes import value_text
from bench.cases.case import FIXED
from bench.cases.device_kinds import machines
from bench.cases.plan import ProfileTiming, profiles
from bench.formatting import format_exact_bytes
from bench.records.ceiling import Ceiling
from bench.records.comparison import Comparison
from bench.records.record import Record
from bench.report import labels
from bench.text import clean, is_shown
from bench.worker.workloads.base import is_made

LONGEST_COMMAND = 20_000
"""Maximum length of a command in characters; a command may name many cases."""


class Purpose(msgspec.Struct, frozen=True):
    """Shell commands for one purpose, which is their label."""

    label: str
    commands: list[str]

    @property
    def text(self) -> str:
        """The commands, one per line."""
        return "\n".join(self.commands)


def by_purpose(
    records: Sequence[Record],
    processes: Mapping[str, int],
    ceilings: Sequence[Ceiling],
    comparisons: Sequence[Comparison],
) -> list[Purpose]:
    """Return the commands that measure results of a machine again, by purpose; see :func:`commands`."""
    every = [
        Purpose("Speed and memory", commands(records, processes)),
        Purpose("Largest batch", ceiling_commands(ceilings)),
        Purpose("Upgrade", regress_commands(comparisons)),
    ]
    return [purpose for purpose in every if purpose.commands]


def commands(records: Sequence[Record], processes: Mapping[str, int] | None = None) -> list[str]:
    """Return the commands that measure the cases of some records again: one for all with the same options.

    Args:
        records: one per case.
        processes: number of processes behind the figure of a case, by the id of its record; 1 by default.
    """
    groups: dict[tuple[str, ...], list[Record]] = {}
    for device in labels.order("device", (record.case.device for record in records)):
        for record in records:
            if record.case.device == device:
                key = (
                    device,
                    _profile([record]),
                    str(record.recipe.energy),
                    _variables(record),
                    _further(record.case),
                    *_options(record),
                )
                groups.setdefault(key, []).append(record)
    lines: list[str] = []
    for members in groups.values():
        if machines(members[0].case.device) > 1:
            lines += map(_node_command, members)
            continue
        parts = ["pytest", "bench/", "--benchmark-only"]
        profile = _profile(members)
        if profile:
            parts += ["--profile", profile]
        parts += _axes([record.case for record in members])
        parts += _options(members[0])
        parts += ["--with-val"] * any(record.recipe.with_val for record in members)
        parts += ["--compare-losses"] * any(record.recipe.compare_losses for record in members)
        parts += ["--energy"] * members[0].recipe.energy
        repeats = max((processes or {}).get(record.id, 1) for record in members)
        parts += ["--processes", str(repeats)] if repeats > 1 else []
        lines.append(_command(parts, _variables(members[0])))
    return lines


HIDDEN = "(not recorded)"
"""Placeholder in a record for a value that may be a secret (``bench/worker/interpreter/variables.py``)."""


def _variables(record: Record) -> str:
    """Variables of the environment that change speed, as a shell sets them for one command."""
    known = (record.conditions.variables or {}).items()
    return " ".join(f"{name}={shlex.quote(value)}" for name, value in known if value != HIDDEN)


def _node_command(record: Record) -> str:
    """Return the command that starts a case on the first of its machines; ``--node-rank`` differs on the others."""
    parts = ["python", "-m", "bench", "node", "--node-rank", "0", "--rdzv-endpoint", "HOST:29500"]
    parts += ["--profile", profile] if (profile := _profile([record])) else []
    return _command([*parts, *_axes([record.case], without=("mode",)), *_options(record)])


def _axes(cases: Sequence[Case], without: Sequence[str] = ()) -> list[str]:
    """Options that name every value of the axes of some cases, files by their whole path."""
    parts: list[str] = []
    for axis in cases[0].values:
        values = ",".join(dict.fromkeys(value_text(axis, case.value(axis)) for case in cases))
        if axis not in without:
            parts += [f"--{axis}", values] if axis in FIXED else ["--axis", f"{axis}={values}"]
    return parts


def _further(case: Case) -> str:
    """Names of the further axes of a case."""
    return " ".join(name for name, _ in case.further)


def _options(record: Record) -> tuple[str, ...]:
    """Options of a record that apply to a whole command: data, threads, and the measured interpreter."""
    recipe, python = record.recipe, record.extra.get("python")
    return (
        *(("--data", recipe.data) if not is_made(recipe.data) else ()),
        *(("--threads", str(recipe.threads)) if recipe.threads else ()),
        *(("--python", python) if isinstance(python, str) else ()),
    )


def _command(parts: Sequence[str], variables: str = "") -> str:
    """Return a shell command on one line, whatever was recorded: a line break could end the block around it.

    Spaces of all kinds stay, since a file name may contain them.
    """
    text = f"{variables} {shlex.join(parts)}".strip()
    short = text if len(text) <= LONGEST_COMMAND else f"{text[: LONGEST_COMMAND - 1]}…"
    return "".join(sign if is_shown(sign) else " " for sign in clean(short))


def ceiling_commands(ceilings: Sequence[Ceiling]) -> list[str]:
    """Return the commands that search for some ceilings again, one per limit and granularity."""
    groups: dict[tuple[int | None, int, int, str], list[Ceiling]] = {}
    for ceiling in ceilings:
        groups.setdefault(
            (ceiling.asked_bytes, ceiling.granularity, ceiling.recipe.threads, _further(ceiling.case)), []
        ).append(ceiling)
    lines = []
    for (limit, granularity, threads, _), members in groups.items():
        parts = ["python", "-m", "bench", "ceiling"]
        parts += _axes([ceiling.case for ceiling in members], without=("mode", "batch"))
        parts += ["--memory-limit", format_exact_bytes(limit)] if limit else []
        parts += ["--multiple-of", str(granularity)] if granularity > 1 else []
        parts += ["--threads", str(threads)] if threads else []
        lines.append(_command(parts))
    return lines


def regress_commands(comparisons: Sequence[Comparison]) -> list[str]:
    """The commands that compare the same environments again."""
    lines = []
    for comparison in comparisons:
        sides = (comparison.base, comparison.head)
        asked = [re.sub("^python:.*", "python:PATH", side.asked) for side in sides]  # a record keeps no path
        parts = ["python", "-m", "bench", "regress", "--base", asked[0], "--head", asked[1]]
        files = any("/" in compared.case.model for compared in comparison.cases)
        if files:  # an id does not name the path of a file
            parts += _axes([compared.case for compared in comparison.cases])
        else:
            parts += [part for compared in comparison.cases for part in ("--case", compared.case.id)]
        own = dict.fromkeys(compared.recipe.data for compared in comparison.cases if not is_made(compared.recipe.data))
        parts += ["--data", *own] if len(own) == 1 else []
        threads = {compared.recipe.threads for compared in comparison.cases}
        parts += ["--threads", str(*threads)] if len(threads) == 1 and threads != {0} else []
        lines.append(_command(parts))
    return lines


def _profile(records: Sequence[Record]) -> str:
    """Return the name of the profile whose timing all recipes have, or an empty string."""
    for name, profile in profiles().items():
        if all(_timed(record, profile.recipe) for record in records):
            return name
    return ""


def _timed(record: Record, timing: ProfileTiming) -> bool:
    recipe, kind = record.recipe, record.case.device_kind
    least = [axis.least(value).get("window_steps", 0) for axis, value in record.case.asked]
    return (recipe.warmup_seconds, recipe.window_steps, recipe.window_seconds) == (
        timing.warmup(kind),
        max(timing.window_steps, *least, 0),
        timing.least_seconds(kind, recipe.energy),
    )
