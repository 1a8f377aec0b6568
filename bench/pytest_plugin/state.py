"""Keys of the state of a run in pytest's configuration."""

from __future__ import annotations

import pytest

from bench.pytest_plugin.output_streams import Streams
from bench.pytest_plugin.session import BenchSession

BENCH = pytest.StashKey[BenchSession]()
STREAMS = pytest.StashKey[Streams]()
SESSION = pytest.StashKey[pytest.Session]()
