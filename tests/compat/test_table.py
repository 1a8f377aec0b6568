"""Records of several environments become one table; keys are compared, not listed."""

import msgspec

from bench.compat.table import EnvironmentRun, compatibility, keys
from bench.report.comparisons.compat import to_md
from tests.builders import make_case, make_environment, make_record

CASES = {
    "train fp32": make_case(),
    "predict fp32": make_case(mode="predict"),
    "train amp": make_case(amp="on"),
}
NO_AMP = {"status": "substituted", "reason": "No amp here."}


def tried(ultralytics="8.4.0", torch="2.15.0", failure="", **changes):
    """An environment in which fp32 was measured and amp substituted; changes by heading, with _ for the blank."""
    environment = make_environment(torch, ultralytics)
    records = []
    for heading, case in CASES.items():
        fields = changes.get(heading.replace(" ", "_"), NO_AMP if case.amp == "on" else {})
        if fields is not None:
            records.append(make_record(case=case, environment=environment, **fields))
    return EnvironmentRun(f"{ultralytics} with torch {torch}", records, failure)


def effective(case, **changes):
    """Effective settings with some more, or less where None is given."""
    settings = {**make_record(case=case).effective, **changes}
    return {"effective": {key: value for key, value in settings.items() if value is not None}}


def test_a_row_an_environment_and_a_column_a_case():
    table = compatibility([tried("8.3.230"), tried("8.4.0", "2.6.0")])
    assert table.columns == ["Ultralytics", "torch", "Python", "train fp32", "predict fp32", "train amp", "result"]
    assert table.rows == [
        ["8.3.230", "2.15.0", "3.12.4", "measured", "measured", "substituted [1]", "fine"],
        ["8.4.0", "2.6.0", "3.12.4", "measured", "measured", "substituted [1]", "fine"],
    ]
    assert table.reasons == ["No amp here."]
    assert table.shared == "yolov8n, cpu, batch 16, 160 px"
    assert (table.fine, table.measured, table.differences) == (True, 4, [])


def test_the_axes_that_differ_are_in_the_headings():
    records = [make_record(case=make_case(device=device)) for device in ("0", "cpu")]
    assert compatibility([EnvironmentRun("a", records)]).columns[3:5] == ["train 0", "train cpu"]


def test_an_environment_that_failed_is_a_row_by_its_name():
    table = compatibility([EnvironmentRun("ultralytics==9", [], "It cannot be built."), tried()])
    assert table.rows[0] == ["ultralytics==9", "", "", "", "", "", "failed [1]"]
    assert table.reasons[0] == "It cannot be built."
    assert table.rows[1][-1] == "fine"
    assert not table.fine


def test_one_that_broke_on_the_way_shows_what_it_reached():
    table = compatibility([tried(), tried("8.4.1", failure="torch is broken.", predict_fp32=None, train_amp=None)])
    assert table.rows[1] == ["8.4.1", "2.15.0", "3.12.4", "measured", "", "", "failed [2]"]
    assert not table.fine


def test_a_case_that_failed_breaks_its_environment_only():
    table = compatibility([tried(), tried("8.4.1", train_fp32={"status": "failed", "reason": "ValueError: no."})])
    assert [row[-1] for row in table.rows] == ["fine", "broken"]
    assert table.rows[1][3] == "failed [2]"
    assert not table.fine


def test_fp32_has_to_be_measured_in_both_modes():
    unsupported = {"status": "unsupported", "reason": "No such model."}
    table = compatibility([tried(predict_fp32=unsupported), tried("8.4.1")])
    assert [row[-1] for row in table.rows] == ["incomplete", "fine"]


def test_a_device_that_one_environment_measured_has_to_be_measured_by_all():
    mps = make_case(device="mps")
    unsupported = make_record(case=mps, status="unsupported", reason="No mps here.")
    first, second = tried("8.4.0"), tried("8.4.1")
    neither = [msgspec.structs.replace(each, records=[*each.records, unsupported]) for each in (first, second)]
    assert [row[-1] for row in compatibility(neither).rows] == ["fine", "fine"]
    measured = msgspec.structs.replace(first, records=[*first.records, make_record(case=mps)])
    table = compatibility([measured, neither[1]])
    assert [row[-1] for row in table.rows] == ["fine", "incomplete"]
    assert not table.fine


def test_nothing_at_all():
    table = compatibility([])
    assert (table.rows, table.fine, table.measured) == ([], False, 0)
    table = compatibility([EnvironmentRun("a", [], "No."), EnvironmentRun("b", [], "No.")])
    assert table.rows == [["a", "", "", "failed [1]"], ["b", "", "", "failed [1]"]]
    assert (table.fine, table.measured) == (False, 0)


def test_keys_are_those_of_the_record_and_one_level_deeper():
    record = make_record(effective={"batch": 4, "variables": {"OMP_NUM_THREADS": "1"}}, extra={})
    record_keys = keys(record)
    assert {
        "effective.batch",
        "effective.variables",
        "memory.process",
        "steps.seconds",
        "worker_output",
        "schema",
    } <= record_keys
    assert not any(key.startswith(("effective.variables.", "environment", "extra")) for key in record_keys)
    parts = {key.split(".")[0] for key in keys(make_record(extra={"a": 1}, phases=make_record(mode="predict").phases))}
    assert parts == set(type(record).__struct_fields__) - {"environment", "calibration"}


def test_what_is_installed_may_have_other_names():
    other = msgspec.structs.replace(make_environment(), packages={"torch": "2.6.0", "nvidia-cudnn-cu12": "9"})
    assert keys(make_record(environment=other)) == keys(make_record())


def test_a_key_that_one_environment_alone_has_is_named():
    train = CASES["train fp32"]
    odd = tried("8.3.230", train_fp32=effective(train, foo=1, bar=2))
    table = compatibility([odd, tried("8.4.0"), tried("8.4.190")])
    assert table.differences == ["train fp32: only in 8.3.230 with torch 2.15.0: effective.bar, effective.foo"]
    assert [row[-1] for row in table.rows] == ["keys differ", "fine", "fine"]
    assert list(table.keys) == ["predict fp32"]
    assert not table.fine


def test_a_key_that_one_environment_lacks_is_named():
    lacking = tried("8.4.0", train_fp32=effective(CASES["train fp32"], mosaic=None))
    table = compatibility([tried("8.3.230"), lacking, tried("8.4.190")])
    assert table.differences == ["train fp32: missing in 8.4.0 with torch 2.15.0: effective.mosaic"]
    assert [row[-1] for row in table.rows] == ["fine", "keys differ", "fine"]


def test_a_part_without_content_lacks_its_keys():
    table = compatibility([tried("8.3.230"), tried("8.4.0", train_fp32={"window": None}), tried("8.4.190")])
    assert len(table.differences) == 2
    assert "only in 8.4.0 with torch 2.15.0: window" in table.differences[1] + table.differences[0]
    assert "window.wall_seconds" in "".join(table.differences)


def test_of_two_neither_is_the_odd_one():
    table = compatibility([tried("8.3.230"), tried("8.4.0", train_fp32=effective(CASES["train fp32"], foo=1))])
    assert [row[-1] for row in table.rows] == ["keys differ", "keys differ"]


def test_the_same_difference_in_two_cases_is_said_once():
    changes = {f"{mode}_fp32": effective(CASES[f"{mode} fp32"], foo=1) for mode in ("train", "predict")}
    table = compatibility([tried("8.3.230", **changes), tried("8.4.0"), tried("8.4.190")])
    assert table.differences == ["train fp32, predict fp32: only in 8.3.230 with torch 2.15.0: effective.foo"]


def test_only_measured_records_are_compared():
    measured = tried("8.4.0", train_amp=effective(CASES["train amp"], foo=1))
    table = compatibility([tried("8.3.230"), measured])
    assert table.differences == []
    assert table.fine


def test_a_single_environment_has_nothing_to_agree_with():
    table = compatibility([tried()])
    assert (table.keys, table.fine) == ({}, True)
    assert "keys" not in to_md(table)


def test_as_markdown():
    count = len(keys(make_record()))
    text = to_md(compatibility([tried("8.3.230"), tried("8.4.0"), EnvironmentRun("a|b", [], "It <broke>.")]))
    lines = text.splitlines()
    assert lines[0] == "All cases: yolov8n, cpu, batch 16, 160 px."
    assert lines[2].startswith("| Ultralytics")
    assert "a\\|b" in text
    assert "- [2] It &lt;broke&gt;." in lines
    assert f"the same keys wherever it was measured: {count} for train fp32, " in text
    odd = tried("8.3.230", train_fp32=effective(CASES["train fp32"], foo=1))
    assert "- train fp32: only in 8.3.230 with torch 2.15.0: effective.foo" in to_md(
        compatibility([odd, tried(), tried("8.5")])
    )
