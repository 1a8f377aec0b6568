"""What Linux tells, from a ``/proc`` in a folder; see test_meter.py for the real one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.worker.monitors import procfs
from bench.worker.monitors.procfs import Process, Ticks, Used
from tests.worker.fake_proc import KERNEL_THREAD, OWN, TICK, FakeProc

OTHER = OWN + 1


@pytest.fixture
def linux(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


# Threads


def test_waits_are_the_second_field_of_every_thread(linux: FakeProc) -> None:
    linux.thread(10, waited=0.25)
    linux.thread(11, waited=1.5)
    assert procfs.waits(str(linux.root)) == {"10": 250_000_000, "11": 1_500_000_000}


@pytest.mark.parametrize("text", ["", "12\n", "1 two 3\n", "\n\n"])
def test_a_thread_that_cannot_be_read_is_left_out(linux: FakeProc, text: str) -> None:
    linux.file("proc/self/task/10/schedstat", text)
    assert procfs.waits(str(linux.root)) is None
    linux.thread(11, waited=0.5)
    (linux.root / "self/task/12").mkdir()  # it ended
    assert procfs.waits(str(linux.root)) == {"11": 500_000_000}


def test_no_waits_where_there_are_none(tmp_path: Path) -> None:
    assert procfs.waits(str(tmp_path)) is None


# The machine


def test_ticks_count_guests_once_and_waiting_for_disks_as_idle(linux: FakeProc) -> None:
    linux.machine(user=30, idle=60, steal=2, guest=10, iowait=5, irq=1)
    assert procfs.ticks(str(linux.root)) == Ticks(busy=31 * TICK, steal=2 * TICK, total=98 * TICK)


@pytest.mark.parametrize("text", ["", "cpu 1 2 3\n", "cpu a b c d e f g h i j\n", "intr 1 2 3 4 5 6 7 8 9\n"])
def test_ticks_that_cannot_be_read(linux: FakeProc, text: str) -> None:
    assert procfs.ticks(str(linux.root)) is None
    linux.file("proc/stat", text)
    assert procfs.ticks(str(linux.root)) is None


# Processes


@pytest.mark.parametrize("name", [b"python", b"a (b) c", b") S 1 2 3 (", b"(sd-pam)", b"two\nlines", b"\xff\xfe", b""])
def test_the_name_of_a_process_may_hold_anything(linux: FakeProc, name: bytes) -> None:
    linux.process(7, used=2, group=5, parent=3, reaped=1, name=name, start=44)
    processes = procfs.processes(str(linux.root))
    assert processes == {(7, 44): Process(parent=3, group=5, kernel=False, used=2 * TICK, reaped=TICK)}


def test_processes_that_cannot_be_read_are_left_out(linux: FakeProc) -> None:
    linux.process(7, used=2, start=44)
    linux.process(8, used=1, flags=KERNEL_THREAD)
    linux.file("proc/9/stat", "9 (cut off) S 1 2")
    linux.file("proc/10/stat", "10 (odd) " + "x " * 40)
    linux.file("proc/11/status", "ended between two looks")
    linux.file("proc/sys/kernel/hostname", "a folder that is no process")
    processes = procfs.processes(str(linux.root))
    assert {number for number, _ in processes} == {7, 8}
    assert [process.kernel for process in processes.values()].count(True) == 1


def test_no_processes_where_there_is_no_proc(tmp_path: Path) -> None:
    assert procfs.processes(str(tmp_path / "none")) == {}


def moments(linux: FakeProc, change: object) -> tuple[procfs.Processes, procfs.Processes]:
    before = procfs.processes(str(linux.root))
    assert callable(change)
    change()
    return before, procfs.processes(str(linux.root))


def test_a_group_is_counted_apart_from_all_others(linux: FakeProc) -> None:
    def change() -> None:
        linux.process(10, used=7, group=OWN)
        linux.process(11, used=4, group=OWN)  # a data loader that began
        linux.process(20, used=100.5, group=OTHER)
        linux.process(2, used=51, flags=KERNEL_THREAD, group=0)

    linux.process(10, used=5, group=OWN)
    linux.process(20, used=100, group=OTHER)
    linux.process(21, used=33, group=OTHER)
    linux.process(2, used=50, flags=KERNEL_THREAD, group=0)
    used = procfs.used(*moments(linux, change), {OWN})
    assert used == Used(own=6 * TICK, kernel=TICK, others=TICK // 2)


def test_a_process_that_ended_hands_on_only_what_it_used_in_between(linux: FakeProc) -> None:
    """A compiler that ran for 2 s more and ended, and a loader that began and ended in between."""

    def change() -> None:
        linux.gone(30)
        linux.process(20, used=1, group=OTHER, reaped=902)
        linux.process(10, used=5, group=OWN, reaped=3)

    linux.process(10, used=5, group=OWN)
    linux.process(20, used=1, group=OTHER)
    linux.process(30, used=900, group=OTHER, parent=20)
    assert procfs.used(*moments(linux, change), {OWN}) == Used(own=3 * TICK, kernel=0, others=2 * TICK)


def test_a_whole_family_that_ended_is_handed_on_to_who_is_left(linux: FakeProc) -> None:
    def change() -> None:
        for number in (30, 31, 32):
            linux.gone(number)
        linux.process(20, used=1, reaped=61)

    linux.process(20, used=1)
    linux.process(30, used=10, parent=20)
    linux.process(31, used=20, parent=30)
    linux.process(32, used=30, parent=31)
    assert procfs.used(*moments(linux, change), {OWN}).others == TICK


def test_a_process_that_was_not_reaped_subtracts_nothing(linux: FakeProc) -> None:
    def change() -> None:
        linux.gone(30)
        linux.process(20, used=3)

    linux.process(20, used=1)
    linux.process(30, used=900, parent=20)
    assert procfs.used(*moments(linux, change), {OWN}).others == 2 * TICK


def test_a_reused_process_id_is_another_process(linux: FakeProc) -> None:
    def change() -> None:
        linux.process(30, used=2, start=999)
        linux.process(20, used=1, reaped=50)

    linux.process(20, used=1)
    linux.process(30, used=50, parent=20, start=100)
    assert procfs.used(*moments(linux, change), {OWN}).others == 2 * TICK


def test_parents_that_run_in_a_circle_end(linux: FakeProc) -> None:
    def change() -> None:
        linux.gone(30)
        linux.gone(31)

    linux.process(20, used=1)
    linux.process(30, used=1, parent=31)
    linux.process(31, used=1, parent=30)
    assert procfs.used(*moments(linux, change), {OWN}) == Used(0, 0, 0)


# Others: exact times within what the sampled time of the machine allows


def interval(busy: float, total: float) -> Ticks:
    return Ticks(busy=round(busy * TICK), steal=0, total=round(total * TICK))


def test_others_are_what_their_processes_used() -> None:
    assert procfs.others(interval(4.0, 6.0), own=3.0 * TICK, kernel=0, visible=1.1 * TICK) == pytest.approx(1.1 * TICK)


def test_samples_that_miss_a_little_do_not_make_others() -> None:
    assert procfs.others(interval(3.1, 6.0), own=3.0 * TICK, kernel=0, visible=0) == 0


def test_others_that_are_out_of_sight_are_seen_by_the_machines_time() -> None:
    ticks = procfs.others(interval(6.0, 6.0), own=3.0 * TICK, kernel=0, visible=0)
    assert ticks == pytest.approx(3.0 * TICK, abs=2)
    assert procfs.others(interval(6.0, 6.0), own=3.0 * TICK, kernel=3.0 * TICK, visible=0) == 0


def test_others_cannot_have_used_more_than_the_machine_did() -> None:
    ticks = procfs.others(interval(3.0, 3.0), own=3.0 * TICK, kernel=0, visible=3600 * TICK)
    assert ticks == pytest.approx(0, abs=2)


def test_time_that_was_stolen_may_stand_among_that_of_processes() -> None:
    machine = Ticks(busy=5 * TICK, steal=TICK, total=6 * TICK)
    assert procfs.others(machine, own=3.0 * TICK, kernel=0, visible=3.0 * TICK) == pytest.approx(3.0 * TICK)


def test_others_are_never_negative() -> None:
    assert procfs.others(interval(1.0, 6.0), own=3.0 * TICK, kernel=0, visible=0) == 0
    assert procfs.others(Ticks(0, 0, 0), own=0, kernel=0, visible=0) == 0


# Pressure


def test_pressure_is_the_total_of_some(linux: FakeProc) -> None:
    linux.pressure("cpu", 12.5)
    linux.pressure("memory", 0)
    assert procfs.pressure(str(linux.root)) == {"cpu": 12_500_000, "memory": 0}


@pytest.mark.parametrize("text", ["", "\n", "some\n", "some total=\n", "some total=x\n", "full avg10=0.00 total=5\n"])
def test_pressure_that_cannot_be_read_is_left_out(linux: FakeProc, text: str) -> None:
    linux.file("proc/pressure/io", text)
    assert procfs.pressure(str(linux.root)) == {}


# Clock


def test_the_clock_is_the_mean_of_the_processors_that_may_be_used(linux: FakeProc) -> None:
    for processor, kilohertz in enumerate((3_000_000, 3_500_000, 800_000)):
        linux.frequency(processor, kilohertz)
    linux.cpuinfo({0: "1.0", 1: "1.0"}, flags="aperfmperf")
    assert procfs.clock(str(linux.root), str(linux.system), {0, 1}) == 3250.0


def test_cpuinfo_tells_the_clock_where_cycles_are_counted(linux: FakeProc) -> None:
    linux.cpuinfo({0: "2400.500", 1: "2600.500", 2: "800.000", 3: "odd"}, flags="aperfmperf")
    assert procfs.clock(str(linux.root), str(linux.system), {0, 1, 3}) == 2500.5


def test_a_constant_of_a_virtual_machine_is_no_clock(linux: FakeProc) -> None:
    linux.cpuinfo({0: "2445.402", 1: "2445.402"}, flags="hypervisor")
    assert procfs.clock(str(linux.root), str(linux.system), {0, 1}) is None


def test_no_clock_where_nothing_tells(linux: FakeProc) -> None:
    linux.file("sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "<unknown>\n")
    assert procfs.clock(str(linux.root), str(linux.system), {0}) is None


# Battery

MAINS, UNPLUGGED = {"type": "Mains", "online": "1"}, {"type": "Mains", "online": "0"}
FULL, DRAINING = {"type": "Battery", "status": "Full"}, {"type": "Battery", "status": "Discharging"}
MOUSE = {"type": "Battery", "status": "Discharging", "scope": "Device"}


@pytest.mark.parametrize(
    ("supplies", "expected"),
    [
        ([], None),
        ([MAINS], False),
        ([UNPLUGGED], False),  # a machine without a battery runs on something
        ([MAINS, FULL], False),
        ([MAINS, DRAINING], False),  # a charger that is too weak
        ([UNPLUGGED, DRAINING], True),
        ([UNPLUGGED, {"type": "Battery", "status": "Unknown"}], True),
        ([UNPLUGGED, {"type": "USB", "online": "1"}, DRAINING], False),
        ([DRAINING], True),
        ([FULL], False),
        ([{"type": "Battery", "status": "Unknown"}], None),
        ([{"type": "Battery"}], None),
        ([{"type": "Mains"}], None),
        ([MOUSE], None),
        ([MAINS, MOUSE], False),
    ],
)
def test_battery(linux: FakeProc, supplies: list[dict[str, str]], expected: bool | None) -> None:
    for number, facts in enumerate(supplies):
        linux.supply(f"supply{number}", **facts)
    assert procfs.on_battery(str(linux.system)) is expected
