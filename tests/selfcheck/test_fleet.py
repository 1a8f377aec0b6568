"""The check of a fleet's coordinator, with few simulated machines."""

import pytest

from bench.records import store
from bench.selfcheck import fleet


def test_the_coordinator_is_measured_with_simulated_machines(monkeypatch):
    pytest.importorskip("execnet")
    monkeypatch.setattr(fleet, "GATEWAYS", 1)
    rate, cpu, memory = fleet.checks(3, 4)
    assert "3 simulated machines with 4 canned records" in rate.how
    assert float(rate.figure) > 0
    assert float(cpu.figure.split()[0]) > 0
    assert float(memory.figure.split()[0]) > 1


def test_the_template_is_a_record_of_a_member():
    record = store.decode_file(fleet.template("r-m1", 7).encode())
    assert (record.run, record.case.batch) == ("r-m1", 7)
    assert fleet.template().replace(fleet.RUN, "r-m1").replace(str(fleet.PLACE), "7") == fleet.template("r-m1", 7)
