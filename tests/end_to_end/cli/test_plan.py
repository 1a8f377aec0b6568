"""What is listed and collected without starting anything."""

import json


def test_the_plan_lists_cases_and_starts_nothing(bench, tmp_path):
    code, out, _ = bench("--plan", "--profile", "smoke", "--device", "cpu")
    lines = [line.split() for line in out.splitlines() if "yolov8n" in line]
    assert code == 0
    assert [line[1] for line in lines] == [
        "train-yolov8n-cpu-fp32-b16-i64",
        "predict-yolov8n-cpu-fp32-b16-i64",
        "train-yolov8n-cpu-amp-b16-i64",
        "predict-yolov8n-cpu-amp-b16-i64",
    ]
    assert "4 cases, about" in out
    assert not (tmp_path / "results").exists()


def test_the_command_lists_the_same_plan(command, tmp_path):
    code, out, _ = command("-m", "bench", "plan", "--profile", "smoke", "--device", "cpu", "--results", tmp_path)
    assert code == 0
    assert "train-yolov8n-cpu-fp32-b16-i64" in out


def test_overrides_take_the_place_of_one_axis(bench):
    _, out, _ = bench("--plan", "--device", "cpu", "--batch", "2,8", "--mode", "train", "--amp", "off")
    cases = [line.split()[1] for line in out.splitlines() if line.strip()[:1].isdigit() and "-cpu-" in line]
    assert sorted(cases) == sorted(
        f"train-{model}-cpu-fp32-b{batch}-i160" for model in ("yolov8n", "yolo11n", "yolo26n") for batch in (2, 8)
    )


def test_selecting_with_k_shrinks_the_plan(bench):
    _, out, _ = bench("--plan", "--device", "cpu", "-k", "predict and fp32")
    assert "9 cases, about" in out


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
    _, out, _ = bench("--plan", *AXES, "--processes", "3")
    lines = [line for line in out.splitlines() if "yolov8n" in line]
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
    assert collected(bench, "--target-ci", "2%", "-k", "nothing-of-this-name") == []


def test_old_names_of_options_work_with_a_remark(bench):
    code, out, err = bench("--plan", *AXES, "--precision", "2%", "--phase-limit=5m")
    assert code == 0
    assert "2 cases in 10 processes" in out
    assert [line for line in err.splitlines() if line.startswith("yolopace: ")] == [
        "yolopace: --precision is now --target-ci: the old name works until the next release.",
        "yolopace: --phase-limit is now --phase-timeout: the old name works until the next release.",
    ]
    assert "--precision" not in bench("--help")[1]
