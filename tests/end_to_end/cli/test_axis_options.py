"""Options of the axes: the same for every command that chooses cases, generated from the registry."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from bench.cases.axes import fixed_axes, further_axes
from bench.cli.app import build
from bench.cli.axis_options import axis_options
from bench.errors import UsageError

FIXED = set(fixed_axes())
WITHOUT = {"ceiling": {"mode", "batch"}, "node": {"mode"}}
OPTIONS = {name for name, axis in further_axes().items() if axis.option}


@pytest.mark.parametrize("command", ["plan", "regress", "sweep", "bisect", "ceiling", "node", "compat"])
def test_every_command_that_chooses_cases_has_an_option_for_each_axis(command: str) -> None:
    group: Any = typer.main.get_command(build([command]))
    options = {parameter.name: parameter for parameter in group.commands[command].params}
    assert set(options) & FIXED == FIXED - WITHOUT.get(command, set())
    assert set(options) >= {*OPTIONS, "axis"}
    assert options["channels_last"].opts == ["--channels-last"]
    assert "axes" not in options


def call(*arguments: str) -> dict[str, Any]:
    """The values that a command hears of, and its other parameters."""
    heard: dict[str, Any] = {}
    own = typer.Typer()

    @own.command()
    @axis_options(without=["mode"], defaults={"amp": "off"})
    def command(name: str, *, axes: dict[str, list[Any]], times: int = 1) -> None:
        heard.update(axes=axes, name=name, times=times)

    own([*arguments], standalone_mode=False)
    return heard


def test_a_command_hears_of_values_by_axis() -> None:
    assert call("x") == {"axes": {"amp": ["off"]}, "name": "x", "times": 1}
    heard = call("x", "--times", "2", "--batch", "8,4", "--axis", "threads=1,2", "--axis", "workers=0")
    assert heard["axes"] == {"amp": ["off"], "batch": [8, 4], "workers": [0], "threads": [1, 2]}
    assert heard["times"] == 2


def test_what_is_no_value_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="workers 'x' is not allowed"):
        call("x", "--workers", "x")
