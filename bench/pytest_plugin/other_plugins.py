"""Other plugins of pytest: which are needed, whose options clash, and which spoil a measurement."""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from bench.errors import UsageError

PREFIX = "yolopace_"
"""Prefix of the options in pytest's namespace, so that options of other plugins cannot take their place."""

BENCHMARK = ("benchmark", "pytest_benchmark.plugin")
"""Names of pytest-benchmark: as an installed plugin, and as ``-p`` loads it."""

SIDE_BY_SIDE = {
    "numprocesses": "-n of pytest-xdist",
    "tx": "--tx of pytest-xdist",
    "workers": "--workers of pytest-parallel",
    "tests_per_worker": "--tests-per-worker of pytest-parallel",
    "forked": "--forked of pytest-forked",
}
"""Options, by their names in pytest's namespace, that start tests in other processes or threads."""


def check_needed(manager: pytest.PytestPluginManager) -> None:
    """Raise :class:`UsageError` where a plugin is missing that measuring or showing results needs."""
    if manager.is_blocked("terminal"):
        raise UsageError("'-p no:terminal' hides the report of the run: drop that option.")
    if any(manager.has_plugin(name) for name in BENCHMARK):
        return
    if any(manager.is_blocked(name) for name in BENCHMARK):
        raise UsageError("'-p no:benchmark' leaves out pytest-benchmark, which is needed: drop that option.")
    if importlib.util.find_spec("pytest_benchmark") is None:
        raise UsageError("pytest-benchmark is not installed: python -m pip install pytest-benchmark")
    raise UsageError(
        "pytest loads no plugins (PYTEST_DISABLE_PLUGIN_AUTOLOAD or --disable-plugin-autoload), and "
        "pytest-benchmark is needed: add -p pytest_benchmark.plugin, or drop that setting."
    )


def check_alone(config: pytest.Config) -> None:
    """Raise :class:`UsageError` where cases would run side by side, or where this process would not see them."""
    for name, option in SIDE_BY_SIDE.items():
        if config.getoption(name, None) not in (None, 0, "0", "1", False, []):
            raise UsageError(f"cases that run side by side ({option}) would slow each other: leave that out.")


def lift_timeouts(config: pytest.Config, items: list[pytest.Item], note: Callable[[str], None]) -> None:
    """Keep pytest-timeout from ending a case, which would lose its record: cases have a limit of phases."""
    if not config.pluginmanager.has_plugin("timeout") and not config.pluginmanager.has_plugin("pytest_timeout"):
        return
    for item in items:
        item.add_marker(pytest.mark.timeout(0))
    if config.getoption("timeout", None):
        note("--timeout of pytest-timeout does not end cases: use --phase-timeout or --time-budget.")


def arguments(manager: pytest.PytestPluginManager) -> list[str]:
    """Return the arguments of pytest before it has parsed them: of the variable, the ini file and the command line."""
    config = manager.get_plugin("pytestconfig")
    assert isinstance(config, pytest.Config)
    from_variable = shlex.split(os.environ.get("PYTEST_ADDOPTS", ""))
    return [*from_variable, *config.getini("addopts"), *map(str, config.invocation_params.args)]


class Options:
    """Adds the options of yolopace; one that another plugin has too ends pytest with one sentence.

    Args:
        parser: of pytest.
        manager: knows the other plugins.
        refuse: ends pytest with a sentence.
    """

    def __init__(
        self, parser: pytest.Parser, manager: pytest.PytestPluginManager, refuse: Callable[[UsageError], None]
    ) -> None:
        self._parser = parser
        self._manager = manager
        self._refuse = refuse
        self._names: set[str] = set()
        # Plugins and conftest files that are loaded after ours meet our options, in a hook of their own.
        undo = manager.add_hookcall_monitoring(lambda *_: None, self._after)
        manager.register(_Until(undo), "yolopace-options")

    def add(self, name: str, group: str, alias_of: str = "", **attributes: Any) -> None:
        """Add an option, such as ``--device``.

        Args:
            name: of the option.
            group: title of the group that it is listed in.
            alias_of: another option, whose value it sets.
            attributes: those of ``pytest.Parser.addoption``.
        """
        self._names.add(name)
        key = group.lower().replace(" ", "-")
        shown = self._parser.getgroup(f"yolopace-{key}", f"yolopace: {group[0].lower()}{group[1:]}")
        try:
            shown.addoption(name, dest=PREFIX + (alias_of or name).lstrip("-").replace("-", "_"), **attributes)
        except (ValueError, argparse.ArgumentError) as error:  # which of them depends on the version of pytest
            self._clash(name, self._owner(name), error)

    def _owner(self, name: str) -> str:
        """Return the plugin that has an option: each plugin is asked again for its options."""
        for plugin_name, plugin in self._manager.list_name_plugin():
            add = getattr(plugin, "pytest_addoption", None)
            if add is not None and not plugin_name.startswith("yolopace") and name in _added(add, self._manager):
                return plugin_name
        return ""

    def _after(self, outcome: Any, hook: str, implementations: Any, arguments: Any) -> None:
        error = outcome.exception
        if hook != "pytest_addoption" or error is None or isinstance(error, SystemExit):
            return
        for name in re.findall(r"--[\w-]+", str(error)):
            if name in self._names:
                self._clash(name, str(implementations[-1].plugin_name), error)

    def _clash(self, name: str, owner: str, error: BaseException) -> None:
        if owner.endswith(".py"):
            who, remedy = f"of {owner}", "name bench/ alone, so that it is not loaded"
        elif owner:
            who, remedy = f"of the plugin {owner}", f"leave that plugin out, with -p no:{owner}"
        else:
            who, remedy = f"of another plugin ({error})", "leave that plugin out, with -p no:NAME"
        self._refuse(UsageError(f"{name} is an option of yolopace and {who}: {remedy}."))


class _Until:
    """Stops watching hooks once all plugins are there."""

    def __init__(self, undo: Callable[[], None]) -> None:
        self._undo = undo

    def pytest_configure(self) -> None:
        self._undo()


class _Recorder:
    """Replacement for a parser and its groups that keeps the names of the options that are added."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def addoption(self, *names: str, **attributes: Any) -> None:
        self.names.update(names)

    _addoption = addoption

    def getgroup(self, *names: str, **attributes: Any) -> _Recorder:
        return self

    def addini(self, *names: str, **attributes: Any) -> None:
        pass


def _added(add: Callable[..., None], manager: pytest.PytestPluginManager) -> set[str]:
    """Return the options that a plugin's ``pytest_addoption`` adds before it fails, if it does."""
    recorder = _Recorder()
    try:
        known = {"parser": recorder, "pluginmanager": manager}
        code = add.__code__
        add(**{name: known[name] for name in code.co_varnames[: code.co_argcount] if name in known})
    except Exception:  # it is another's code, and was not made to be asked twice
        pass
    return recorder.names
