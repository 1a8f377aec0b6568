"""What is listed and collected without starting anything."""

import json

import pytest


def test_the_plan_sums_up_what_can_run_and_starts_nothing(bench, tmp_path):
    code, out, _ = bench("--plan", "--profile", "smoke", "--device", "cpu")
    assert code == 0
    assert [line.split()[:4] for line in out.splitlines() if line.startswith("cpu")] == [
        ["cpu", "training", "1", "case"],
        ["cpu", "prediction", "1", "case"],
    ]
    assert "AMP: not available on cpu (Ultralytics turns it off)" in out
    assert "2 cases, about" in out
    assert not (tmp_path / "results").exists()


def test_a_precision_that_is_named_is_in_the_plan(bench):
    _, out, _ = bench("--plan", "-v", "--profile", "smoke", "--device", "cpu", "--amp", "off,on")
    assert listed(out) == [
        "train-yolov8n-cpu-fp32-b16-i64",
        "predict-yolov8n-cpu-fp32-b16-i64",
        "train-yolov8n-cpu-amp-b16-i64",
        "predict-yolov8n-cpu-amp-b16-i64",
    ]
    assert "not available" not in out
    assert "4 cases, about" in out


def test_the_command_lists_the_same_plan(command, tmp_path):
    arguments = ("plan", "--profile", "smoke", "--device", "cpu", "--results", tmp_path)
    code, out, _ = command("-m", "bench", *arguments, "-v")
    assert code == 0
    assert listed(out) == ["train-yolov8n-cpu-fp32-b16-i64", "predict-yolov8n-cpu-fp32-b16-i64"]
    _, short, _ = command("-m", "bench", *arguments)
    assert listed(short) == []
    assert "AMP: not available on cpu (Ultralytics turns it off)" in short


def listed(out):
    """Ids of the cases of a plan, in order."""
    return [line.split()[1] for line in out.splitlines() if line.strip()[:1].isdigit() and "-cpu-" in line]


def test_overrides_take_the_place_of_one_axis(bench):
    _, out, _ = bench("--plan", "-v", "--device", "cpu", "--batch", "2,8", "--mode", "train", "--amp", "off")
    assert sorted(listed(out)) == sorted(
        f"train-{model}-cpu-fp32-b{batch}-i320" for model in ("yolov8n", "yolo11n", "yolo26n") for batch in (2, 8)
    )


def test_selecting_with_k_shrinks_the_plan(bench):
    _, out, _ = bench("--plan", "--device", "cpu", "-k", "predict and fp32")
    assert "6 cases, about" in out


@pytest.mark.parametrize("further", [[], ["--plan"], ["--target-ci", "2%"]])
def test_a_keyword_that_selects_nothing_is_one_sentence(bench, tmp_path, further):
    code, out, err = bench(*AXES, *further, "-k", "nothing-of-this-name")
    assert code == 2
    assert "yolopace: no case matches -k 'nothing-of-this-name': use a part of an id such as train-yolov8n" in out + err
    assert not (tmp_path / "results").exists()


def test_ten_thousand_cases_are_collected_without_torch(command, tmp_path):
    probe = tmp_path / "probe.py"
    probe.write_text(
        "import json, sys\n"
        "def pytest_collection_finish(session):\n"
        "    heavy = [name for name in ('torch', 'ultralytics', 'pandas', 'matplotlib') if name in sys.modules]\n"
        "    print(json.dumps({'items': len(session.items), 'heavy': heavy}))\n"
    )
    batches, sizes = ",".join(map(str, range(1, 101))), ",".join(str(32 * n) for n in range(1, 51))
    axes = ["--device", "cpu", "--amp", "off", "--model", "yolov8n", "--batch", batches, "--imgsz", sizes]
    code, out, err = command(
        "-m",
        "pytest",
        "bench/",
        "--collect-only",
        "-qq",
        "-s",
        "-p",
        "probe",
        "-p",
        "no:cacheprovider",
        *axes,
        PYTHONPATH=str(tmp_path),
    )
    assert code == 0, err
    [collection] = [json.loads(line) for line in out.splitlines() if line.startswith('{"items"')]
    assert collection == {"items": 10_000, "heavy": []}


AXES = ("--profile", "smoke", "--device", "cpu", "--amp", "off")


def collected(bench, *arguments):
    _, out, _ = bench("--collect-only", "-q", *AXES, *arguments)
    return [line.rpartition("::")[2] for line in out.splitlines() if "::" in line]


def test_a_plan_of_several_processes_has_a_line_a_case(bench):
    _, out, _ = bench("--plan", "-v", *AXES, "--processes", "3")
    lines = [line for line in out.splitlines() if "yolov8n-" in line]
    assert len(lines) == 2 and all(line.endswith(", 3 processes") for line in lines)
    assert "2 cases in 6 processes, about" in out


def test_every_process_is_an_item_and_the_first_keeps_its_id(bench):
    ids = collected(bench, "--processes", "3", "--run", "mine")
    assert ids[:2] == ["test_train[train-yolov8n-cpu-fp32-b16-i64]", "test_predict[predict-yolov8n-cpu-fp32-b16-i64]"]
    assert sorted(ids[2:4]) == [
        "test_predict[predict-yolov8n-cpu-fp32-b16-i64--p2]",
        "test_train[train-yolov8n-cpu-fp32-b16-i64--p2]",
    ]
    assert {name[-4:] for name in ids[4:]} == {"-p3]"}


def test_selecting_by_process(bench):
    assert {name[-4:] for name in collected(bench, "--processes", "3", "-k", "p2")} == {"-p2]"}
    assert len(collected(bench, "--processes", "3", "-k", "not -p2 and not -p3")) == 2
    assert len(collected(bench, "--processes", "3", "-k", "train")) == 3


def test_the_target_comes_last_whatever_is_selected_and_only_where_it_was_asked_for(bench):
    assert collected(bench, "--target-ci", "2%", "-k", "train and p2 and not predict") == [
        "test_train[train-yolov8n-cpu-fp32-b16-i64--p2]",
        "test_target_ci",
    ]
    assert "test_target_ci" not in collected(bench)


def test_old_names_of_options_work_with_a_remark(bench):
    code, out, err = bench("--plan", *AXES, "--precision", "2%", "--phase-limit=5m")
    assert code == 0
    assert "2 cases in 10 processes" in out
    assert [line for line in err.splitlines() if line.startswith("yolopace: ")] == [
        "yolopace: --precision is now --target-ci: the old name works until the next release.",
        "yolopace: --phase-limit is now --phase-timeout: the old name works until the next release.",
    ]
    assert "--precision" not in bench("--help")[1]
