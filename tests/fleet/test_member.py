"""The member: plans and measures on its machine, keeps records until they are collected, and goes on."""

import pytest

from bench import extensions
from bench.cli import fleet_member
from bench.errors import UsageError
from bench.fleet import messages
from bench.records import store
from bench.records.outcome import Outcome, Status
from tests.builders import make_ceiling

OPTIONS = {"profile": "smoke", "device": "cpu", "amp": "off", "mode": "train", "batch": "2,4", "imgsz": "64"}


class Coordinator:
    """Commands for a member, each once its answer to the one before was sent."""

    def __init__(self, *commands):
        self.commands = list(commands)
        self.events = []

    def next(self):
        return self.commands.pop(0)

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture
def member(launcher, monkeypatch):
    """Serve some commands with fake workers; return what was sent."""
    monkeypatch.setattr("bench.pytest_plugin.request.inspect", lambda python, models=None: launcher.interpreter)
    monkeypatch.setattr("bench.pytest_plugin.session.open_launcher", lambda *_: launcher)

    def serve(*commands, model="yolov8n", records=(), files=(), **options):
        given = {**OPTIONS, "model": model, **options}
        start = messages.Start(run="r-a", lock="test", options=given, records=list(records), extensions=list(files))
        coordinator = Coordinator(start, *commands)
        fleet_member.serve(coordinator, coordinator.events.append)
        return coordinator

    return serve


def name(batch):
    return f"train-yolov8n-cpu-fp32-b{batch}-i64"


A, B = name(2), name(4)


def test_a_member_measures_what_is_asked_for_and_forgets_it_when_all_is_collected(member):
    coordinator = member(messages.Measure(B), messages.Measure(A), messages.Finish(True))
    [planned] = coordinator.of(messages.Planned)
    assert (planned.names, planned.finished) == ([A, B], [])
    records = coordinator.of(messages.Recorded)
    assert [record.name for record in records] == [B, A]
    for record in records:
        item = store.decode_file(record.content.encode())
        assert (item.run, item.outcome.status.value, item.file_name) == ("r-a", "measured", f"{record.name}.json")
        assert store.encoded(item).decode() == record.content
    assert isinstance(coordinator.events[-1], messages.Finished)
    assert list(fleet_member.runs_folder().iterdir()) == []


def test_what_was_not_collected_is_sent_again_and_not_measured_again(member):
    first = member(messages.Measure(A), messages.Finish(False))
    [kept] = first.of(messages.Recorded)
    again = member(messages.Measure(B), messages.Finish(False))
    assert again.events[0] == kept
    assert again.of(messages.Planned)[0].finished == [A]
    contents = [record.content for record in again.of(messages.Recorded)]
    last = member(messages.Finish(True), records=contents)  # the coordinator has both
    assert last.of(messages.Recorded) == []
    assert sorted(last.of(messages.Planned)[0].finished) == sorted([A, B])


def test_a_member_without_its_folder_goes_on_with_the_coordinators_records(member):
    [record] = member(messages.Measure(A), messages.Finish(True)).of(messages.Recorded)
    assert list(fleet_member.runs_folder().iterdir()) == []
    again = member(messages.Finish(False), records=[record.content])
    assert again.of(messages.Planned)[0].finished == [A]


def test_a_run_that_was_killed_before_its_first_record_begins_again(member):
    member(messages.Finish(False))
    assert member(messages.Measure(A), messages.Finish(True)).of(messages.Planned)[0].finished == []


def test_a_case_that_is_given_up_is_failed_and_measured_when_the_run_goes_on(member):
    [failed] = member(messages.GiveUp(A, "Its agent was lost."), messages.Finish(False)).of(messages.Recorded)
    item = store.decode_file(failed.content.encode())
    assert (item.outcome.status.value, item.outcome.reason) == ("failed", "Its agent was lost.")
    again = member(messages.Measure(A), messages.Finish(True), records=[failed.content])
    assert again.of(messages.Planned)[0].finished == []
    assert store.decode_file(again.of(messages.Recorded)[0].content.encode()).outcome.status.value == "measured"


def test_other_options_than_those_of_the_start_are_refused(member):
    member(messages.Measure(A), messages.Finish(False))
    with pytest.raises(UsageError, match="run r-a was started with --batch 2,4"):
        member(messages.Finish(False), batch="8")


def test_a_machine_without_the_devices_says_what_it_has(member):
    with pytest.raises(UsageError, match=r"it has no device of the plan \(0\): it has .*cpu"):
        member(messages.Finish(False), device="0")


def test_a_ceiling_that_was_not_collected_is_sent_again_and_an_interrupted_one_is_not(member):
    final = make_ceiling(run="r-a", imgsz=64)
    kept = store.Store(fleet_member.runs_folder(), "r-a")
    kept.save(final)
    kept.save(make_ceiling(run="r-a", imgsz=32, outcome=Outcome(Status.INTERRUPTED, "Stopped while searching.")))
    ceilings = {"mode": "ceiling", "batch": None, "imgsz": "32,64", "memory_limit": "2048MiB"}
    coordinator = member(messages.Finish(False), **ceilings)
    assert [(item.name, item.content) for item in coordinator.of(messages.Recorded)] == [
        (final.case.search_id, store.encoded(final).decode())
    ]
    [planned] = coordinator.of(messages.Planned)
    assert planned.finished == [final.case.search_id]
    assert [name for name in planned.names if name not in planned.finished] == ["yolov8n-cpu-fp32-i32"]
    again = member(messages.Finish(True), **ceilings, records=[coordinator.of(messages.Recorded)[0].content])
    assert again.of(messages.Recorded) == []
    assert list(fleet_member.runs_folder().iterdir()) == []


@pytest.mark.parametrize(
    ("keyword", "names"), [("b2", [A]), ("not b2", [B]), ("TRAIN and (b2 or b4)", [A, B]), ("test_train", [A, B])]
)
def test_a_keyword_chooses_cases_as_pytest_does(member, keyword, names):
    [planned] = member(messages.Finish(False), k=keyword).of(messages.Planned)
    assert planned.names == names


def test_a_keyword_without_a_case_is_refused(member):
    with pytest.raises(UsageError, match=r"no case matches -k 'b3': use a part of an id such as train-yolov8n"):
        member(messages.Finish(False), k="b3")


def test_a_run_that_goes_on_keeps_its_keyword(member):
    member(messages.Measure(A), messages.Finish(False), k="b2")
    assert member(messages.Finish(True), k="b2").of(messages.Planned)[0].names == [A]
    with pytest.raises(UsageError, match="was started with"):
        member(messages.Measure(A), messages.Finish(False), k="b2")
        member(messages.Finish(False), k="b4")


def test_further_processes_are_named_until_the_target_is_reached(member):
    """Five measured processes of a fake worker agree exactly; one that was given up is made up for."""
    measured = [messages.Measure(f"{A}{end}") for end in ("", "--p2", "--p3", "--p4")]
    options = {"batch": "2", "target_ci": "0.1"}
    ending = (messages.Refine(), messages.Measure(f"{A}--p6"), messages.Refine(), messages.Finish(False))
    first = member(
        *measured, messages.GiveUp(f"{A}--p5", "Lost."), messages.Refine(), messages.Finish(False), **options
    )
    assert first.of(messages.Planned)[0].names == [A, *(f"{A}--p{number}" for number in range(2, 6))]
    [nothing] = first.of(messages.Added)  # the next process would most likely fail too
    assert nothing.name == "" and "measured in fewer than 5 processes" in nothing.note
    assert member(messages.Finish(True), **options).of(messages.Planned)[0].added == []
    lost = (messages.GiveUp(f"{A}--p2", "Lost."), *(messages.Measure(f"{A}--p{number}") for number in (3, 4, 5)))
    other = member(messages.Measure(A), *lost, *ending, **options)
    named, last = other.of(messages.Added)
    assert (named.name, last) == (f"{A}--p6", messages.Added("", "target-ci: 1 of 1 cases are within ±0.1 %"))
    assert member(messages.Finish(True), **options).of(messages.Planned)[0].added == [f"{A}--p6"]


EXTENSION = b"def register():\n    from bench import worker\n"


@pytest.fixture
def no_extensions(monkeypatch):
    monkeypatch.setattr(extensions, "_loaded", {})
    monkeypatch.setenv(extensions.VARIABLE, "/not/of/this/run.py")


def test_extensions_that_were_sent_are_loaded_and_recorded(member, no_extensions):
    file = messages.ExtensionFile("toy", extensions.digest_of(EXTENSION), EXTENSION)
    [record] = member(messages.Measure(A), messages.Finish(True), files=[file]).of(messages.Recorded)
    item = store.decode_file(record.content.encode())
    assert item.extra["extensions"] == {"toy": extensions.digest_of(EXTENSION)}
    [path] = extensions.loaded_paths()
    assert open(path, "rb").read() == EXTENSION


@pytest.mark.parametrize(("name", "digest"), [("toy", "0" * 12), ("../toy", extensions.digest_of(EXTENSION))])
def test_an_extension_that_arrives_damaged_is_refused(member, no_extensions, name, digest):
    with pytest.raises(UsageError, match="arrived damaged"):
        member(messages.Finish(True), files=[messages.ExtensionFile(name, digest, EXTENSION)])
    assert extensions.loaded_paths() == []
