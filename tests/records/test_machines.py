from __future__ import annotations

from bench.records.machines import ids_by_fingerprint, with_ids
from tests.builders import make_ceiling, make_machine, make_record

FIRST, SECOND = make_machine(id="aaaaaaaaaaaa"), make_machine(id="bbbbbbbbbbbb")
OTHER = make_machine(fingerprint="000000000000")


def test_old_records_belong_to_the_one_machine_that_has_their_fingerprint() -> None:
    records = [make_record(machine=machine) for machine in (make_machine(), FIRST, OTHER)]
    assert [record.machine.id for record in with_ids(records)] == [FIRST.id, FIRST.id, ""]
    assert records[0].machine.id == "", "what was read stays as it is"


def test_old_records_belong_to_neither_of_two_twins() -> None:
    records = [make_record(machine=machine) for machine in (make_machine(), FIRST, SECOND)]
    assert [record.machine.id for record in with_ids(records)] == ["", FIRST.id, SECOND.id]


def test_ids_may_come_from_results_of_another_kind() -> None:
    known = ids_by_fingerprint([FIRST, OTHER])
    assert known == {FIRST.fingerprint: FIRST.id}
    assert with_ids([make_ceiling()], known)[0].machine == FIRST
    assert with_ids([make_ceiling()])[0].machine == make_machine()
