from __future__ import annotations

import re
import shlex

import msgspec
import pytest

from bench.analysis.intervals import DRIFTING, WIDENED, WITHIN
from bench.analysis.metrics import RATE, SECONDS
from bench.cases.plan import profile
from bench.machine.description import Conditions, Limits
from bench.pytest_plugin.case_lines import plus_minus
from bench.records.record import Record
from bench.report import commands, conditions, labels
from bench.report.headline import names
from bench.report.sections import provenance, recipes
from bench.report.sections.settings import settings
from tests.builders import (
    make_case,
    make_ceiling,
    make_compared,
    make_comparison,
    make_effective,
    make_recipe,
    make_record,
)
from tests.report.conftest import other_run, timed


def test_an_interval_is_short_where_it_is_symmetric() -> None:
    assert labels.spread(SECONDS, 100.0, 95.0, 105.0) == "± 5.0 %"
    assert labels.spread(SECONDS, 100.0, 10.0, 250.0) == "10.0 s to 4 min 10 s"
    assert labels.spread(SECONDS, 100.0, float("nan"), None) == ""


def test_ends_that_look_alike_are_distinguished() -> None:
    assert labels.ends(RATE, 22.9, 23.3) == "22.9 to 23.3"
    assert labels.ends(RATE, 23.101, 23.119) == "± 0.04 %"


def test_a_rate_and_its_time_have_the_same_half_width() -> None:
    rate, low, high = 15.7, 15.7 / 1.0485, 15.7 / 0.9515
    row = {"images_per_second": rate, "images_per_second_low": low, "images_per_second_high": high}
    assert names.precision(row) == labels.spread(SECONDS, 1 / rate, 1 / high, 1 / low) == "± 4.8 %"
    assert plus_minus(row) == " ± 4.8 %"


def test_several_kinds_of_interval_say_which_stands_where() -> None:
    assert labels.intervals(["between"]) == "95 % interval between processes"
    assert labels.intervals([WIDENED]) == "95 % interval within one process, widened by calibration"
    assert labels.intervals([WIDENED, WITHIN]) == "95 % interval within one process, widened where a calibration fits"
    assert labels.intervals([DRIFTING, WITHIN]) == "95 % interval within one process, widened for drift on a CPU"
    assert labels.intervals(["between", WITHIN]) == (
        "95 % interval, between processes where there were several, else within one process"
    )
    assert labels.intervals([]) == "95 % interval"


def test_conditions_are_ranges_and_what_is_unknown_is_left_out() -> None:
    states = [Conditions(load=0.1, on_battery=True), Conditions(load=1.25, on_battery=True)]
    assert conditions.format_conditions(states) == "load average 0.10 to 1.25, on battery"
    assert conditions.format_conditions([Conditions()]) == ""
    assert "in others" in conditions.format_conditions([Conditions(on_battery=True), Conditions(on_battery=False)])


def test_the_command_names_every_value_of_each_device(records: list[Record]) -> None:
    first, second = commands.commands([*records, *other_run()])
    values = "--mode train,predict --model yolov8n,yolo11n --device cpu --amp off,on --batch 4,16,64 --imgsz 160"
    assert first.startswith("pytest bench/ --benchmark-only") and second.startswith("pytest bench/ --benchmark-only")
    assert "--device 0 " in first and first.endswith("--imgsz 640")
    assert second.endswith(values)


def test_the_command_names_the_profile_whose_timing_it_was() -> None:
    timing = profile("full").recipe
    recipe = make_recipe(
        warmup_seconds=timing.warmup("cpu"),
        window_steps=timing.window_steps,
        window_seconds=timing.least_seconds("cpu", False),
    )
    assert "--profile full" in commands.commands([make_record(recipe=recipe)])[0]
    odd = msgspec.structs.replace(recipe, window_steps=99)
    assert "--profile" not in commands.commands([make_record(recipe=odd)])[0]


def test_the_command_names_what_else_was_timed_or_compared_and_how_often() -> None:
    plain = make_record()
    timed_too = make_record(batch=4, recipe=make_recipe(with_val=True))
    compared = make_record(device="0", recipe=make_recipe(compare_losses=True))
    gpu, cpu = commands.commands([plain, timed_too, compared], {timed_too.id: 5, plain.id: 1})
    assert cpu.endswith(" --with-val --processes 5") and "--compare-losses" not in cpu
    assert gpu.endswith(" --compare-losses")
    assert "--processes" not in commands.commands([plain])[0]
    quick = profile("quick").recipe
    counted = make_recipe(
        warmup_seconds=quick.warmup_seconds["cpu"], window_steps=quick.window_steps, window_seconds=10.0, energy=True
    )
    [counting] = commands.commands([make_record(recipe=counted)])
    assert "--profile quick" in counting and counting.endswith(" --energy")
    assert "weighted" in recipes.rule(make_recipe(), "train") and "weighted" not in recipes.rule(counted, "train")


def test_the_command_names_files_by_their_whole_path_fit_for_a_shell() -> None:
    models = ["/runs/run 1/best.pt", "/runs/run2/best.pt", "/runs/a,b/best.pt"]
    recipe = make_recipe(data="/sets/my set/data.yaml", threads=3)
    [command] = commands.commands([make_record(model=model, recipe=recipe) for model in models])
    parts = shlex.split(command)
    assert parts[parts.index("--model") + 1] == ",".join(models)
    assert parts[parts.index("--data") + 1] == "/sets/my set/data.yaml"
    assert parts[parts.index("--threads") + 1] == "3"


def test_cases_of_other_data_threads_or_interpreters_have_commands_of_their_own() -> None:
    records = [
        make_record(),
        make_record(batch=4, recipe=make_recipe(data="/a/data.yaml")),
        make_record(batch=8, recipe=make_recipe(data="/b/data.yaml", threads=2)),
        msgspec.structs.replace(make_record(batch=32), extra={"python": "/venv/bin/python"}),
    ]
    lines = commands.commands(records)
    assert [re.findall(r"--batch (\d+)", line) for line in lines] == [["16"], ["4"], ["8"], ["32"]]
    assert "--data /a/data.yaml" in lines[1] and "--data /b/data.yaml --threads 2" in lines[2]
    assert lines[3].endswith("--python /venv/bin/python") and "--python" not in "".join(lines[:3])


def test_a_case_of_two_machines_is_started_on_each() -> None:
    [command] = commands.commands([make_record(device="2x0+1", batch=64)])
    assert command.startswith("python -m bench node --node-rank 0 --rdzv-endpoint HOST:29500 ")
    assert command.endswith("--model yolov8n --device 2x0+1 --amp off --batch 64 --imgsz 160")


def test_a_live_comparison_of_a_model_file_is_named_by_options() -> None:
    compared = make_compared([0.05] * 4, [0.05] * 4, model="/a/best.pt")
    [command] = commands.regress_commands([make_comparison([compared])])
    assert "--model /a/best.pt --device" in command and "--case" not in command


def test_a_live_comparison_of_interpreters_leaves_their_paths_to_the_reader() -> None:
    side = msgspec.structs.replace(make_comparison().base, asked="python:3.11.7")
    [command] = commands.regress_commands([make_comparison([make_compared([0.05] * 4, [0.05] * 4)], base=side)])
    assert "--base python:PATH --head torch==2.15.0" in command


def test_an_empty_setting_is_shown() -> None:
    assert labels.setting("") == "''"


def test_a_live_comparison_names_its_data_set() -> None:
    made = make_compared([0.05] * 4, [0.05] * 4)
    own = msgspec.structs.replace(made, recipe=make_recipe(data="/a/my data.yaml"))
    assert "--data '/a/my data.yaml'" in commands.regress_commands([make_comparison([own])])[0]
    assert "--data" not in commands.regress_commands([make_comparison([made])])[0]


def test_a_command_keeps_the_spaces_of_a_path() -> None:
    [command] = commands.commands([make_record(recipe=make_recipe(data="/a/Shot 9\u202fPM.yaml"))])
    assert "'/a/Shot 9\u202fPM.yaml'" in command


def test_settings_that_differ_say_where() -> None:
    effective = make_effective(make_case())
    records = [
        make_record(batch=b, effective={**effective, "batch": b, "accumulate": a}) for b, a in ((4, 16), (16, 4))
    ]
    [training] = settings(records)
    settings_by_key = {setting.key: setting for setting in training.shown}
    assert settings_by_key["accumulate"].values == ["16 (batch 4)", "4 (batch 16)"]
    assert (settings_by_key["optimizer"].asked, settings_by_key["optimizer"].values) == ("SGD", ["SGD"])
    assert settings_by_key["threads"].asked == "not set"
    assert training.kept == "Device, amp, batch and image size ran as requested in 2 measured cases."


def test_an_axis_that_did_not_run_as_asked_is_said_aloud() -> None:
    [training] = settings([make_record(effective={**make_effective(make_case()), "imgsz": 192})])
    assert training.kept == "Differs from the request: train-yolov8n-cpu-fp32-b16-i160 (imgsz 192)."


def test_a_recipe_says_window_data_and_pins(records: list[Record]) -> None:
    [how] = recipes.recipes(records[:2])
    assert "12 steps and 2 s, in whole multiples of the accumulation steps" in how.rule
    assert how.data == "coco-like 9b1f4e0c7a23 (1,024 images)"
    assert ("optimizer", "SGD") in [(key, value) for key, value, _ in how.overrides]
    assert all(why for _, _, why in how.overrides)


@pytest.mark.parametrize(
    ("device", "shown"),
    [
        ("cpu", "cpu"),
        ("mps", "mps"),
        ("0", "cuda:0"),
        ("0+1", "cuda:0+1"),
        ("2x0+1", "2xcuda:0+1"),
        ("2x0", "2xcuda:0"),
        ("2xcpu", "2xcpu"),
        ("cpu+cpu", "cpu+cpu"),
        ("xx0", "xx0"),
        ("", ""),
    ],
)
def test_cards_are_shown_as_such_on_several_machines_too(device: str, shown: str) -> None:
    assert labels.device(device) == shown


def test_limits_and_variables_follow_the_machine() -> None:
    free = timed(20.0, 4, conditions=Conditions(load=0.5, limits=Limits(), variables={}))
    held = Conditions(load=0.5, limits=Limits(cpu_quota=0.2, processors=[0, 1]), variables={"OMP_NUM_THREADS": "4"})
    bound = timed(20.0, 8, conditions=held)
    assert dict(provenance.machine_facts([bound]))["Conditions"] == (
        "load average 0.50, CPU quota 0.2 processors, processors allowed 2 (numbers 0-1)"
    )
    assert dict(provenance.machine_facts([bound]))["Variables"] == "OMP_NUM_THREADS=4"
    both = dict(provenance.machine_facts([free, bound]))
    count = "in 1 of 2 cases"
    assert both["Conditions"] == (
        f"load average 0.50, CPU quota 0.2 processors {count}, processors allowed 2 (numbers 0-1) {count}"
    )
    assert both["Variables"] == "OMP_NUM_THREADS=4 in 1 of 2 cases"
    ceiling = make_ceiling(conditions=held)
    facts = dict(provenance.machine_facts([free, bound, ceiling]))
    assert facts["Variables"] == "OMP_NUM_THREADS=4 in 1 of 2 cases", "a ceiling is not counted among the cases"
    assert dict(provenance.machine_facts([ceiling]))["Variables"] == "OMP_NUM_THREADS=4"
    assert "Variables" not in dict(provenance.machine_facts([free]))
