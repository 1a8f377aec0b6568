"""Keys of the state of a run in pytest's configuration."""

from __future__ import annotations

import pytest

from bench.pytest_plugin.activity import Activity
from bench.pytest_plugin.case_lines import CaseLines
from bench.pytest_plugin.output_streams import Streams
from bench.pytest_plugin.screen import Screen
from bench.pytest_plugin.session import BenchSession

BENCH = pytest.StashKey[BenchSession]()
SCREEN = pytest.StashKey[Screen]()
ACTIVITY = pytest.StashKey[Activity]()
LINES = pytest.StashKey[CaseLines]()
STREAMS = pytest.StashKey[Streams]()
SESSION = pytest.StashKey[pytest.Session]()
