"""``pytest bench/ --mode ceiling``: opt-in, with or without cases."""

import json

import pytest


def test_without_being_asked_for_there_is_no_search(bench):
    code, out, _ = bench("--plan", "--profile", "smoke", "--device", "cpu")
    assert code == 0
    assert "ceiling" not in out


def test_the_plan_has_ceilings_next_to_cases(bench):
    asked = ("--mode", "train,ceiling", "--profile", "smoke", "--device", "cpu", "--imgsz", "64,96", "--amp", "off")
    code, out, _ = bench("--plan", "-v", *asked)
    assert code == 0
    assert "train-yolov8n-cpu-fp32-b16-i64" in out
    assert "predict-" not in out
    assert [line for line in out.splitlines() if line.startswith("ceiling")] == [
        "ceiling yolov8n-cpu-fp32-i64: a search of some batches, without an estimate",
        "ceiling yolov8n-cpu-fp32-i96: a search of some batches, without an estimate",
    ]


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (("--multiple-of", "0"), "multiple-of '0' is not allowed"),
        (("--multiple-of", "x"), "multiple-of 'x' is not allowed"),
        (("--memory-limit", "4"), "memory-limit '4' has no unit"),
    ],
)
def test_bad_input_starts_nothing(bench, tmp_path, option, sentence):
    code, out, err = bench("--mode", "ceiling", "--device", "cpu", *option)
    assert code == 2
    assert sentence in out + err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("option", [("--memory-limit", "4GiB"), ("--multiple-of", "8")])
def test_what_is_for_ceilings_alone(bench, tmp_path, option):
    code, out, err = bench("--mode", "train", "--device", "cpu", *option)
    assert code == 2
    assert f"{option[0]} is for ceilings: add --mode ceiling, or leave it out." in out + err
    assert not (tmp_path / "results").exists()


def test_a_search_by_pytest(bench, command, tmp_path):
    asked = ("--mode", "ceiling", "--device", "cpu", "--model", "yolov8n", "--imgsz", "64")
    asked += ("--memory-limit", "900MiB", "--multiple-of", "16")
    code, out, err = bench(*asked, "--benchmark-json", tmp_path / "b.json")
    assert code == 0, out + err
    assert "1 of 1 ceilings found" in out
    assert "cases measured" not in out
    [row] = json.loads((tmp_path / "b.json").read_text())["benchmarks"]
    assert row["extra_info"]["largest_batch"] % 16 == 0
    assert row["extra_info"]["largest_batch"] > 0
    assert row["extra_info"]["stop_reason"] == "out of memory"
    code, out, _ = command("-m", "bench", "table", tmp_path / "results", "--format", "json")
    [ceiling] = json.loads(out)
    assert (ceiling["mode"], ceiling["batch"]) == ("ceiling", row["extra_info"]["largest_batch"])
