"""Old files of every kind are read as if they were new; newer ones are refused; no file is changed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.records import calibration, ceiling, comparison, migrations, store, tune
from bench.records import record as records
from bench.records.migrations import KINDS, NEWEST, STEPS, Unreadable, migrate
from tests.builders import make_machine

OLD = Path(__file__).parent / "old"


@pytest.mark.parametrize("kind", KINDS)
def test_the_newest_schema_stays_as_it_is(kind: str) -> None:
    raw = {"schema": NEWEST[kind], "run": "r"}
    assert migrate(kind, raw) == raw


@pytest.mark.parametrize("kind", KINDS)
def test_a_newer_file_is_refused_with_what_to_do(kind: str) -> None:
    with pytest.raises(Unreadable) as refused:
        migrate(kind, {"schema": NEWEST[kind] + 1})
    expected = f"a newer yolopace wrote it (schema {NEWEST[kind] + 1}, this one knows {NEWEST[kind]}): upgrade yolopace"
    assert str(refused.value) == expected


def test_an_old_file_is_migrated_one_schema_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    def rename(raw: dict[str, Any]) -> dict[str, Any]:
        return {"schema": raw["schema"], "name": raw["title"]}

    def split(raw: dict[str, Any]) -> dict[str, Any]:
        return {**raw, "words": raw["name"].split()}

    monkeypatch.setitem(NEWEST, "record", 3)
    monkeypatch.setitem(STEPS, "record", (rename, split))
    old = {"schema": 1, "title": "a b"}
    assert migrate("record", old) == {"schema": 3, "name": "a b", "words": ["a", "b"]}
    assert migrate("record", {"schema": 2, "name": "c"}) == {"schema": 3, "name": "c", "words": ["c"]}
    assert old == {"schema": 1, "title": "a b"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_step_has_a_line_of_history_that_names_its_kind_and_number(kind: str) -> None:
    for number, step in enumerate(STEPS[kind], 2):
        assert (step.__doc__ or "").startswith(f"{kind.capitalize()} {number}: ")
    assert NEWEST[kind] == len(STEPS[kind]) + 1


def test_new_files_are_of_the_newest_schema() -> None:
    modules = {
        "record": records,
        "ceiling": ceiling,
        "comparison": comparison,
        "calibration": calibration,
        "tune": tune,
    }
    assert {kind: module.SCHEMA for kind, module in modules.items()} == NEWEST


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("junk", [None, 7, "text", [], [{"schema": 1}], {}, {"schema": "1"}, {"schema": True}])
def test_junk_is_refused(junk: object, kind: str) -> None:
    with pytest.raises(Unreadable, match=f"it is no {kind}: it has no schema number"):
        migrate(kind, junk)


@pytest.mark.parametrize("number", [0, -1])
def test_a_schema_that_never_was_is_refused(number: int) -> None:
    with pytest.raises(Unreadable):
        migrate("record", {"schema": number})


def test_every_schema_that_ever_was_has_a_file_of_its_time() -> None:
    there = {path.stem for path in OLD.glob("*.json")}
    assert there >= {f"{kind}-{number}" for kind in KINDS for number in range(1, NEWEST[kind])}
    for path in OLD.glob("*.json"):
        assert json.loads(path.read_text())["schema"] == int(path.stem.rpartition("-")[2])


# From 1 to 2


def test_phases_of_schema_1_become_their_mean_and_losses_checks() -> None:
    old = {
        "schema": 1,
        "phases": {"forward": {"seconds": [0.1, 0.2, 0.3], "how": "calls"}, "other": {"seconds": [], "how": "none"}},
        "extra": {"loss": {"box_loss": 1.5}, "pid": 7},
    }
    kept = copy.deepcopy(old)
    assert migrations._means_of_phases(old) == {
        "schema": 1,
        "phases": {"forward": {"seconds": [pytest.approx(0.2)], "how": "calls"}},
        "extra": {"pid": 7},
        "checks": {"loss": {"box_loss": 1.5}},
    }
    assert old == kept


# Files of their time


def raw_of(name: str) -> dict[str, Any]:
    return json.loads((OLD / f"{name}.json").read_text(encoding="utf-8"))


def test_an_old_record_of_schema_1_is_read_and_its_file_stays_as_it_is() -> None:
    file = OLD / "record-1.json"
    before, raw = file.read_bytes(), raw_of("record-1")
    [record], complaints = store.read([file])
    assert complaints == []
    assert file.read_bytes() == before
    assert (record.schema, record.process) == (NEWEST["record"], 1)
    assert record.checks["loss"] == raw["extra"]["loss"]
    assert record.steps is not None
    assert record.steps.window == raw["steps"]["seconds"][raw["steps"]["warmup"] :]
    assert not record.steps.modelled
    assert record.steps.images_per_second == pytest.approx(4 * 16 / sum(record.steps.window))


def test_an_old_record_of_schema_2_keeps_every_value_under_its_new_key() -> None:
    raw = raw_of("record-2")
    [record], complaints = store.read([OLD / "record-2.json"])
    assert complaints == []
    assert record.steps is not None and record.window is not None and record.energy is not None
    old = raw["steps"]
    assert record.steps.window == old["seconds"][old["warmup"] :]
    assert (record.steps.accumulation_steps, record.steps.timed_accumulation_steps) == (old["cycle"], 16)
    assert (record.steps.epoch_gaps, record.steps.warmup_discarded) == (old["interludes"], old["dropped"])
    assert record.recipe.overrides == raw["recipe"]["pins"]
    assert record.epoch_overhead.epoch_gap_seconds == raw["apart"]["turn"] == 0.000538
    assert record.epoch_overhead.validation == raw["apart"]["validation"]
    assert record.epoch_overhead.validation_memory["process"].method.startswith("VmHWM, peak resident set")
    assert record.memory["process"].method == raw["memory"]["process"]["how"]
    assert record.phases["forward"].method == raw["phases"]["forward"]["how"]
    assert (record.energy.method, record.energy.scope) == (raw["energy"]["how"], raw["energy"]["of"])
    assert (record.window.other_processes_cpus, record.window.run_delay_share) == (0.49, 0.077)
    assert record.window.interference == raw["window"]["disturbed"]
    assert [window.interference for window in record.discarded] == [window["disturbed"] for window in raw["discarded"]]
    assert (record.durations.total, record.worker_output) == (raw["costs"]["total"], raw["log"])
    keys = ("interop_threads", "opencv_threads", "fill_uninitialized_memory", "optimizer_impl", "spawns_ddp")
    assert [record.effective[key] for key in keys] == [2, 1, False, "loop", True]
    assert not {"threads_between", "threads_cv2", "fills_memory", "optimizer_kernel", "own_ranks"} & set(
        record.effective
    )


def test_an_old_ceiling_keeps_every_value_under_its_new_key() -> None:
    raw = raw_of("ceiling-1")
    migrated = msgspec.convert(migrate("ceiling", raw), ceiling.Ceiling)
    assert (migrated.case.batch, migrated.stop_reason, migrated.max_batch) == (
        raw["case"]["batch"],
        raw["ended_by"],
        raw["most"],
    )
    assert (migrated.limit_method, migrated.limit_requested) == (raw["limit_how"], raw["limit_asked"])
    assert migrated.memory_fit is not None and migrated.memory_fit.slope == raw["line"]["slope"]
    probes = [(probe.stop_reason, probe.peak, probe.baseline_bytes) for probe in migrated.probes]
    assert probes == [(probe["ended_by"], probe["peak"], probe["base"]) for probe in raw["probes"]]
    assert migrated.probes[0].memory["process"].method == raw["probes"][0]["memory"]["process"]["how"]
    predicted = migrate("ceiling", {**raw, "ended_by": "foretold"})
    assert msgspec.convert(predicted, ceiling.Ceiling).next_untried


def test_an_old_comparison_keeps_every_value_under_its_new_key() -> None:
    raw = raw_of("comparison-1")
    migrated = msgspec.convert(migrate("comparison", raw), comparison.Comparison)
    assert migrated.exclude_newer == raw["newer"]
    [case], [old] = migrated.cases, raw["cases"]
    assert (case.sequential_reason, case.error) == (old["alone"], old["trouble"])
    assert case.plan is not None and case.plan.timed_accumulation_steps == old["plan"]["timed_cycle"]
    pairs = [(pair.block_steps, pair.interleaved_within_steps, pair.retries, pair.confirmation) for pair in case.pairs]
    assert pairs == [(pair["turn"], pair["within"], pair["redone"], pair["fresh"]) for pair in old["pairs"]]
    assert [pair.interference for pair in case.pairs] == [pair["disturbed"] for pair in old["pairs"]]
    assert case.pairs[0].base.steps.accumulation_steps == old["pairs"][0]["base"]["steps"]["cycle"]
    assert case.base is not None and "fill_uninitialized_memory" in case.base.effective


def test_old_calibrations_keep_every_value_under_its_new_key(tmp_path: Path) -> None:
    raw = raw_of("calibration-1")
    file = tmp_path / f"{raw['machine']}.json"
    file.write_bytes((OLD / "calibration-1.json").read_bytes())
    migrated, complaint = store.read_calibrations(tmp_path, make_machine(fingerprint=raw["machine"]))
    assert complaint == ""
    spread = [(case_noise.stdev, case_noise.pair_stdev, case_noise.interfered) for case_noise in migrated.calibrations]
    assert spread == [
        (old_noise["sd"], old_noise["pair_sd"], old_noise["disturbed"]) for old_noise in raw["calibrations"]
    ]
    [pairs], [old] = migrated.lockstep, raw["lockstep"]
    assert (pairs.stdev, pairs.order_effect, pairs.order_effect_half_width) == (
        old["sd"],
        old["slot"],
        old["slot_half"],
    )


def test_fields_that_are_not_those_of_a_schema_are_refused() -> None:
    for kind, raw in (("record", {"schema": 2, "steps": 7}), ("comparison", {"schema": 1, "cases": [3]})):
        with pytest.raises(Unreadable, match="its fields are not those of its schema number"):
            migrate(kind, raw)
