from __future__ import annotations

import errno
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bench.errors import UsageError
from bench.records.record import SCHEMA, Record
from bench.records.requested_options import RequestedOptions
from bench.records.store import (
    Store,
    check_new_run,
    encoded,
    files,
    new_run_name,
    read,
    read_ceilings,
    read_comparisons,
    read_options,
    resolve_run,
    runs,
    write_whole,
)
from tests.builders import make_ceiling, make_compared, make_comparison, make_machine, make_record

RUN = "20261122-184512-3f9ac2"


@contextmanager
def failing(name: str, error: BaseException) -> Iterator[None]:
    """``os.<name>`` raises while this lasts."""

    def fail(*args: object, **kwargs: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, name, fail)
        yield


def full_disk(name: str = "replace") -> object:
    return failing(name, OSError(errno.ENOSPC, "No space left on device"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results", RUN)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def save(folder: Path, *records: Record) -> None:
    for record in records:
        assert Store(folder, record.run).save(record) == ""


# Writing


def test_a_record_is_a_readable_file_of_its_own(store: Store) -> None:
    record = make_record()
    assert store.save(record) == ""
    assert names(store.folder) == [f"{record.case.id}.json"]
    content = store.path(record).read_bytes()
    assert msgspec.json.decode(content, type=Record) == record
    assert content.startswith(b'{\n "schema": %d,\n' % SCHEMA)
    assert stat.S_IMODE(store.path(record).stat().st_mode) == 0o644


def test_each_process_of_a_case_has_a_file_of_its_own(store: Store) -> None:
    first, second = make_record(), make_record(process=2)
    assert (store.save(first), store.save(second)) == ("", "")
    assert names(store.folder) == [f"{first.case.id}--p2.json", f"{first.case.id}.json"]
    assert {record.id for record in read([store.folder])[0]} == {first.id, second.id}


def test_a_record_replaces_the_one_of_the_same_case(store: Store) -> None:
    store.save(make_record(status="failed"))
    store.save(make_record())
    assert [record.outcome.status.value for record in read([store.folder])[0]] == ["measured"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(
    call: str, error: BaseException, tmp_path: Path
) -> None:
    path = tmp_path / "record.json"
    write_whole(path, b"old")
    with failing(call, error), pytest.raises(type(error)):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["record.json"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EPERM, errno.EACCES])
@pytest.mark.parametrize("call", ["fsync", "chmod"])
def test_a_file_system_that_refuses_modes_or_fsync_holds_records_all_the_same(
    call: str, code: int, store: Store
) -> None:
    record = make_record()
    with failing(call, OSError(code, os.strerror(code))):
        assert store.save(record) == ""
    assert read([store.folder])[0] == [record]
    assert names(store.folder) == [f"{record.case.id}.json"]


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_may_have_lost_a_record_is_reported(code: int, store: Store) -> None:
    with failing("fsync", OSError(code, os.strerror(code))):
        assert os.strerror(code) in store.save(make_record())
    assert len(store.unsaved) == 1


def test_the_content_is_on_the_disk_before_it_takes_the_old_ones_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *args, name=name, real=real: (calls.append(name), real(*args))[1])
    write_whole(tmp_path / "record.json", b"new")
    assert calls[:2] == ["fsync", "replace"]


def test_what_cannot_be_written_is_kept_and_said(store: Store) -> None:
    first, second = make_record(batch=4), make_record(batch=8)
    with full_disk():
        message = store.save(first)
        assert message.startswith(f"1 file could not be written to {store.folder}: No space left on device.")
        assert store.save(second).startswith("2 files")
    assert store.unsaved == [first, second]
    assert names(store.folder) == []


def test_the_next_save_writes_what_was_kept(store: Store) -> None:
    with full_disk():
        store.save(make_record(batch=4))
    assert store.save(make_record(batch=8)) == ""
    assert store.unsaved == []
    assert len(names(store.folder)) == 2


def test_flush_writes_what_was_kept(store: Store) -> None:
    with full_disk("fsync"):
        store.save(make_record())
        assert store.flush().startswith("1 file could")
    assert store.flush() == ""
    assert store.unsaved == []
    assert len(names(store.folder)) == 1


def test_of_two_unsaved_records_of_a_case_the_newer_is_kept(store: Store) -> None:
    with full_disk():
        store.save(make_record(status="failed"))
        store.save(make_record())
    assert store.unsaved == [make_record()]


def test_a_record_is_not_lost_when_the_user_interrupts_its_writing(store: Store) -> None:
    with failing("fsync", KeyboardInterrupt()), pytest.raises(KeyboardInterrupt):
        store.save(make_record())
    assert store.flush() == ""
    assert read([store.folder])[0] == [make_record()]


def test_a_file_where_the_results_should_be(tmp_path: Path) -> None:
    (tmp_path / "results").touch()
    with pytest.raises(UsageError, match=r"^results cannot be written to .*results.*: .+\.$"):
        Store(tmp_path / "results", RUN)


def test_a_file_where_the_run_should_be(tmp_path: Path) -> None:
    (tmp_path / RUN).touch()
    with pytest.raises(UsageError, match=rf"^results cannot be written to .*{RUN}: .+\.$"):
        Store(tmp_path, RUN)


def test_a_full_disk_is_noticed_before_anything_is_measured(tmp_path: Path) -> None:
    with full_disk("open"), pytest.raises(UsageError, match="No space left on device"):
        Store(tmp_path, RUN)


def test_what_is_finished_need_not_be_measured_again(store: Store) -> None:
    statuses = ["measured", "substituted", "out_of_memory", "unsupported", "invalid", "failed", "timed_out"]
    for batch, status in enumerate([*statuses, "interrupted"], 1):
        store.save(make_record(batch=batch, status=status))
    assert sorted(record.case.batch for record in store.finished()) == [1, 2, 3, 4]


# Runs


def test_names_of_new_runs_sort_by_time() -> None:
    name = new_run_name("3f9ac2d41b07", datetime(2026, 11, 22, 18, 45, 12, tzinfo=UTC))
    assert name == RUN
    assert name < new_run_name("000000000000", datetime(2026, 11, 22, 18, 45, 13, tzinfo=UTC))


def test_runs_are_folders_with_records_oldest_first(tmp_path: Path) -> None:
    save(tmp_path, make_record(run="b"), make_record(run="a"))
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.json").touch()
    assert runs(tmp_path) == ["a", "b"]
    assert runs(tmp_path / "missing") == []


def test_a_run_by_its_name_and_the_last(tmp_path: Path) -> None:
    save(tmp_path, make_record(run="20260101-000000-aaaaaa"), make_record(run="20260102-000000-aaaaaa"))
    assert resolve_run(tmp_path, "20260101-000000-aaaaaa") == "20260101-000000-aaaaaa"
    assert resolve_run(tmp_path, "last") == "20260102-000000-aaaaaa"


def test_an_unknown_run_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    save(tmp_path, *(make_record(run=f"r{number}") for number in range(7)))
    with pytest.raises(UsageError) as refused:
        resolve_run(tmp_path, "r9")
    assert str(refused.value) == f"run 'r9' is not in {tmp_path}: there are r2, r3, r4, r5, r6."


@pytest.mark.parametrize("name", ["last", "r1"])
def test_no_run_at_all(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="it has no runs"):
        resolve_run(tmp_path / "results", name)


@pytest.mark.parametrize("name", ["../elsewhere", "..", ".", "", "/elsewhere", "r1/../r1", "r1/"])
def test_a_name_that_leaves_the_folder_is_refused(name: str, tmp_path: Path) -> None:
    save(tmp_path / "results", make_record(run="r1"))
    save(tmp_path, make_record(run="elsewhere"))
    with pytest.raises(UsageError):
        resolve_run(tmp_path / "results", name)


# Reading


def test_files_of_a_run_of_all_runs_and_a_file(tmp_path: Path) -> None:
    save(tmp_path, make_record(run="r1", batch=8), make_record(run="r1", batch=4), make_record(run="r2", batch=4))
    small, large = (tmp_path / "r1" / f"train-yolov8n-cpu-fp32-b{batch}-i160.json" for batch in (4, 8))
    other = tmp_path / "r2" / small.name
    assert files([tmp_path / "r1"]) == [small, large]
    assert files([tmp_path]) == [small, large, other]
    assert files([large]) == [large]
    assert files([large, tmp_path / "r1", tmp_path]) == [large, small, other]
    assert files([]) == []


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=rf"^{tmp_path}/none: there is no such file or folder\.$"):
        files([tmp_path / "none"])


def test_a_stray_file_does_not_hide_runs_in_the_same_folder(tmp_path: Path) -> None:
    save(tmp_path, make_record())
    (tmp_path / "out.json").write_text("{}")
    assert [record.run for record in read([tmp_path])[0]] == [RUN]


def test_records_come_in_the_order_in_which_they_were_measured(tmp_path: Path) -> None:
    early, late = "2026-11-22T18:00:00+00:00", "2026-11-22T19:00:00+00:00"
    save(tmp_path, make_record(run="r2", batch=1, started=early))
    save(tmp_path, make_record(run="r1", batch=2, started=late), make_record(run="r1", batch=4, started=early))
    assert [record.case.batch for record in read([tmp_path])[0]] == [4, 2, 1]


def spoilt(**parts: object) -> bytes:
    """A record with other parts in it."""
    return msgspec.json.encode({**msgspec.to_builtins(make_record()), **parts})


WITHOUT_SCHEMA = encoded(make_record()).replace(f'"schema": {SCHEMA},'.encode(), b"", 1)

JUNK = {
    "whole-but-no-schema": (WITHOUT_SCHEMA, "no schema number"),
    "empty": (b"", "truncated"),
    "half": (b'{"schema": 1, "run": "r', "truncated"),
    "no-text": (b"\xff\xfe\x00", "malformed"),
    "list": (b"[1, 2]", "it is no record"),
    "no-schema": (b'{"run": "r1"}', "no schema number"),
    "newer": (b'{"schema": 1000}', "a newer yolopace wrote it (schema 1000, this one knows"),
    "fields-missing": (b'{"schema": 1}', "missing required field"),
    "schema-twice": (
        encoded(make_record()).replace(b'"schema": %d,' % SCHEMA, b'"schema": %d, "schema": 1,' % SCHEMA, 1),
        "two schema numbers",
    ),
    "old-and-spoilt": (spoilt(schema=1, phases=None), "its fields are not those of its schema number"),
    "old-with-words-for-seconds": (spoilt(schema=1, phases={"a": {"seconds": ["x"]}}), "not those of its schema"),
    "part-null": (spoilt(machine=None), "at `$.machine`"),
    "part-empty": (spoilt(environment={}), "missing required field `python` - at `$.environment`"),
    "within-a-part": (
        spoilt(recipe={**msgspec.to_builtins(make_record().recipe), "overrides": 7}),
        "at `$.recipe.overrides`",
    ),
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_is_a_complaint_and_the_rest_is_read(name: str, tmp_path: Path) -> None:
    content, why = JUNK[name]
    save(tmp_path, make_record())
    (tmp_path / RUN / f"{name}.json").write_bytes(content)
    records, complaints = read([tmp_path])
    assert records == [make_record()]
    assert len(complaints) == 1
    assert complaints[0].startswith(f"{tmp_path}/{RUN}/{name}.json is left out: ")
    assert why in complaints[0]


def test_records_share_the_parts_that_they_have_alike(tmp_path: Path) -> None:
    save(tmp_path, make_record(batch=2), make_record(batch=4))
    (first, other), _ = read([tmp_path])
    assert first.case != other.case
    assert first.machine is other.machine and first.environment is other.environment and first.recipe is other.recipe


def test_a_record_that_contradicts_itself_is_a_complaint(tmp_path: Path) -> None:
    raw = msgspec.to_builtins(make_record())
    raw["steps"]["warmup"] = 99
    (tmp_path / "a.json").write_bytes(msgspec.json.encode(raw))
    records, complaints = read([tmp_path])
    assert records == []
    assert "out of range" in complaints[0]


def test_a_folder_that_cannot_be_looked_into_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path, make_record())

    def refused(folder: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refused)
    assert read([tmp_path]) == ([], [])


def test_a_folder_that_is_called_like_a_record_is_a_complaint(tmp_path: Path) -> None:
    save(tmp_path, make_record())
    (tmp_path / RUN / "folder.json").mkdir()
    records, complaints = read([tmp_path])
    assert (len(records), len(complaints)) == (1, 1)


def test_json_nested_without_end_is_a_complaint(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    assert len(read([tmp_path])[1]) == 1


def test_a_name_for_a_new_run(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    assert check_new_run(tmp_path, "") == ""
    assert check_new_run(tmp_path, "new-run_1.0") == "new-run_1.0"
    for name in ("../new", ".hidden", "a b", "there"):
        with pytest.raises(UsageError):
            check_new_run(tmp_path, name)


def test_a_file_has_a_line_a_list_of_numbers(tmp_path: Path) -> None:
    record = make_record()
    save(tmp_path, record)
    [file] = files([tmp_path])
    [line] = [line for line in file.read_text().splitlines() if '"seconds"' in line]
    assert line.count(",") >= len(record.steps.seconds) - 1
    assert read([file])[0] == [record]


def test_what_has_no_room_at_the_end_is_rescued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    store = Store(tmp_path / "results", RUN)
    record = make_record()

    def full(path: Path, content: bytes) -> None:
        if path.parent == store.folder:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_whole(path, content)

    monkeypatch.setattr("bench.records.store.writing.write_whole", full)
    assert "No space left on device" in store.save(record)
    assert "1 file had no room in" in store.rescue()
    assert read([elsewhere])[0] == [record]


def test_nothing_is_rescued_where_there_is_room(tmp_path: Path) -> None:
    store = Store(tmp_path, RUN)
    store.unsaved.append(make_record())
    assert store.rescue() == ""
    assert len(files([tmp_path])) == 1


def test_two_runs_of_one_name_have_two_folders(tmp_path: Path) -> None:
    names = [Store(tmp_path, RUN, new=True).run for _ in range(3)]
    assert names == [RUN, f"{RUN}-2", f"{RUN}-3"]
    assert Store(tmp_path, RUN).run == RUN


def test_the_last_run_is_the_newest_of_the_machine_whatever_it_is_called(tmp_path: Path) -> None:
    here, there = make_machine(), make_machine(fingerprint="a1b2c3d4e5f6")
    for name, day, machine in (("zebra", 1, here), ("apple", 3, here), ("mango", 2, here), ("other", 4, there)):
        started = f"2026-11-0{day}T00:00:00+00:00"
        Store(tmp_path, name).save(make_record(run=name, started=started, machine=machine))
    assert runs(tmp_path) == ["zebra", "mango", "apple", "other"]
    assert resolve_run(tmp_path, "last", here) == "apple"
    assert resolve_run(tmp_path, "other", here) == "other"


def test_the_last_run_is_never_that_of_a_twin(tmp_path: Path) -> None:
    here, twin = make_machine(id="aaaaaaaaaaaa"), make_machine(id="bbbbbbbbbbbb")
    for name, machine in (("old", make_machine()), ("own", here), ("twin", twin)):
        Store(tmp_path, name).save(make_record(run=name, machine=machine))
    assert runs(tmp_path, here) == ["old", "own"]
    assert resolve_run(tmp_path, "last", here) == "own"


def test_a_record_that_is_written_has_no_control_characters_whatever_was_read(tmp_path: Path) -> None:
    hostile = "\x1b[34ma\x1b[0m\x00\x07\r\n\x7f\x9b1mb\x85"
    record = make_record(status="failed", reason=hostile, extra={hostile: [hostile]}, worker_output=hostile * 10)
    content = json.loads(msgspec.json.encode(record))
    (tmp_path / "r.json").write_text(json.dumps(content), encoding="utf-8")
    [stored_record], _ = read([tmp_path])
    assert stored_record.outcome.reason == hostile
    written = encoded(stored_record).decode()
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]|\\u00|\\[bfr]|\[34m", written)
    again = msgspec.json.decode(written, type=type(record))
    assert (again.outcome.reason, again.extra) == ("a\nb\n", {"a\nb\n": ["a\nb\n"]})


def test_a_folder_in_which_nothing_was_written_goes_with_the_one_that_was_made_for_it(tmp_path):
    store = Store(tmp_path / "results", "r1", new=True)
    assert store.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_was_there_before_stays(tmp_path):
    (tmp_path / "results" / "r0").mkdir(parents=True)
    assert Store(tmp_path / "results", "r1", new=True).discard()
    assert [folder.name for folder in (tmp_path / "results").iterdir()] == ["r0"]
    store = Store(tmp_path / "results", "r0")
    (store.folder / "mine").write_text("")
    assert not store.discard()
    assert (store.folder / "mine").exists()


def test_names_that_are_no_text_are_written_out(store: Store) -> None:
    record = make_record(worker_output="cannot read caf\udce9.jpg", effective={"caf\udce9": ["\udcff", 1]})
    assert store.save(record) == ""
    [saved], _ = read([store.folder])
    assert saved.worker_output == "cannot read caf\\xe9.jpg"
    assert saved.effective == {"caf\\xe9": ["\\xff", 1]}


# Other kinds of files


def test_all_kinds_of_a_run_are_written_by_one_store_and_read_by_their_kind(store: Store) -> None:
    ceiling, comparison = make_ceiling(24, run=RUN), make_comparison([make_compared([0.1])], run=RUN)
    assert [store.save(item) for item in (make_record(), ceiling, comparison)] == [""] * 3
    assert names(store.folder) == sorted(item.file_name for item in (make_record(), ceiling, comparison))
    assert (ceiling.file_name, comparison.file_name) == (f"{ceiling.name}.json", "comparison.json")
    assert read([store.folder]) == ([make_record()], [])
    assert read_ceilings([store.folder.parent]) == ([ceiling], [])
    assert read_comparisons([store.folder]) == ([comparison], [])


def test_what_cannot_be_written_of_any_kind_is_kept_and_rescued(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceiling = make_ceiling(24, run=RUN)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with full_disk():
        store.save(make_record())
        assert store.save(ceiling).startswith("2 files could not be written to")
    assert store.unsaved_records == [make_record()]
    store.folder.rmdir()
    assert store.rescue().startswith(f"2 files had no room in {store.folder} and are in {tmp_path}/yolopace-{RUN}-")
    [place] = tmp_path.glob("yolopace-*")
    assert (read([place])[0], read_ceilings([place])[0]) == ([make_record()], [ceiling])


def test_what_can_be_written_nowhere_is_lost_and_said(store: Store) -> None:
    with full_disk():
        store.save(make_record())
        assert store.rescue() == (
            f"1 file is lost: there is no room in {store.folder} nor elsewhere (No space left on device)."
        )


def test_a_store_at_a_folder_makes_nothing_before_something_is_saved(tmp_path: Path) -> None:
    store = Store.at(tmp_path / "r1")
    assert store.run == "r1" and names(tmp_path) == []
    assert "No such file or directory" in store.save(make_record())


def test_removing_the_only_file_removes_the_folder(tmp_path: Path) -> None:
    comparison = make_comparison()
    store = Store(tmp_path, RUN)
    store.save(comparison)
    store.save(make_record())
    assert not store.remove(comparison)
    assert names(store.folder) == [f"{make_record().case.id}.json"]
    assert store.remove(make_record())
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["ceiling", "comparison"])
def test_a_newer_file_of_any_kind_is_refused_by_name_and_skipped(kind: str, tmp_path: Path) -> None:
    readers = {"ceiling": read_ceilings, "comparison": read_comparisons}
    items = {"ceiling": make_ceiling(24), "comparison": make_comparison()}
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    Store.at(tmp_path / "a").save(items[kind])
    newer = tmp_path / "b" / items[kind].file_name
    newer.write_text('{"schema": 1000}')
    records, [complaint] = readers[kind]([tmp_path])
    assert len(records) == 1
    assert complaint.startswith(f"{newer} is left out: a newer yolopace wrote it (schema 1000, this one knows ")


# The options of a run


def test_options_are_kept_with_a_run_and_are_no_record(store: Store) -> None:
    options = RequestedOptions(axes={"batch": ["4", "8"]}, options={"profile": "smoke", "energy": False})
    assert read_options(store.folder) is None
    store.save(options)
    store.save(make_record())
    assert read_options(store.folder) == options
    assert read([store.folder]) == ([make_record()], [])
    assert not store.discard()


def test_options_alone_are_discarded_with_the_folder(tmp_path: Path) -> None:
    store = Store(tmp_path / "results", "r1", new=True)
    store.save(RequestedOptions(axes={}, options={}))
    assert runs(tmp_path / "results") == []
    assert store.discard()
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", ".options.json cannot be read: "),
        ('{"schema": 9, "axes": {}, "options": {}}', "written by a newer yolopace"),
    ],
)
def test_options_that_cannot_be_read(store: Store, content: str, sentence: str) -> None:
    (store.folder / ".options.json").write_text(content)
    with pytest.raises(UsageError, match=sentence):
        read_options(store.folder)


@pytest.mark.parametrize("lasting", [True, False])
def test_only_a_lasting_file_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasting: bool) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    write_whole(tmp_path / "plot.svg", b"<svg/>", lasting)
    assert (tmp_path / "plot.svg").read_bytes() == b"<svg/>"
    assert bool(synced) is lasting
