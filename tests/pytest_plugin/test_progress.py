from __future__ import annotations

import pytest

from bench.cases.availability import divide
from bench.cases.model_labels import show_together
from bench.cases.plan import PlannedRun, expand_grid, profile, repeat
from bench.pytest_plugin.progress import line, plan_lines, rate, so_far
from bench.records.record import Durations, Record
from bench.runner.estimate import Estimator
from tests.builders import make_case, make_recipe, make_record, make_steps


def test_a_plan_says_which_file_a_model_is():
    first, other = planned(model="/a/run1/best.pt"), planned(model="/a/run2/best.pt")
    lines = plan_lines([first, other, planned()], Estimator())
    assert lines[-2:] == [
        f"{first.case.model_name} is /a/run1/best.pt",
        f"{other.case.model_name} is /a/run2/best.pt",
    ]
    show_together([first.case.model, other.case.model])
    assert plan_lines([first, other], Estimator())[-1] == (
        f"run2/best.pt is /a/run2/best.pt ({other.case.model_name} in records)"
    )


def test_a_plan_has_the_sizes_of_each_workload_in_its_unit():
    cases = [planned(imgsz=640), planned(imgsz=320), planned(model="bert-tiny", imgsz=128)]
    assert plan_lines(cases, Estimator())[1].endswith("; 640, 320 px, 128 tokens")


def test_the_rate_is_that_of_the_window() -> None:
    assert rate(make_record(steps=make_steps([0.25, 0.75], warmup=[9.0], images=16))) == 32.0
    assert rate(make_record(steps=make_steps([0.5, 0.5], warmup=[9.0], images=[1, 16, 8]))) == 24.0


def test_what_was_not_measured_has_none() -> None:
    assert rate(make_record(status="failed")) is None
    assert rate(make_record(status="invalid", steps=make_steps())) is None


def test_a_measured_case() -> None:
    record = make_record(steps=make_steps([0.5, 0.5]), durations=Durations(total=12.4))
    assert line(record, 3, 16, left=200) == (
        "[ 3/16] train-yolov8n-cpu-fp32-b16-i160      32.0 images/s  in 12 s  [3 min left]"
    )


def test_a_case_that_was_there_before() -> None:
    shown = line(make_record(), 1, 2, left=0, reused=True)
    assert shown.endswith("in 10 s (from before)")


@pytest.mark.parametrize("status", ["out_of_memory", "timed_out", "failed"])
def test_any_other_case_says_why(status: str) -> None:
    record = make_record(status=status, reason="Because.")
    words = status.replace("_", " ")
    assert line(record, 1, 1, left=0) == f"[1/1] train-yolov8n-cpu-fp32-b16-i160  {words}: Because."


@pytest.mark.parametrize(("number", "left", "shown"), [(1, 60.0, True), (1, 0.9, False), (2, 60.0, False)])
def test_what_is_left_shows_while_there_is_any(number: int, left: float, shown: bool) -> None:
    assert line(make_record(), number, 2, left=left).endswith("left]") is shown


def test_lines_of_a_run_stand_below_each_other() -> None:
    lines = [line(make_record(), number, 100, left=0) for number in (1, 10, 100)]
    assert [text[:9] for text in lines] == ["[  1/100]", "[ 10/100]", "[100/100]"]


def test_speeds_stand_below_each_other() -> None:
    short, long = make_record(batch=4), make_record(batch=16)
    width = len(long.case.id)
    first, second = (line(record, 1, 1, left=0, width=width) for record in (short, long))
    assert first.index("images/s") == second.index("images/s")


def test_a_case_that_settles_others_says_how_many() -> None:
    record = make_record(status="substituted", reason="No amp.")
    assert line(record, 1, 9, left=0, implied_count=8).endswith(
        "substituted: No amp. (8 more cases are skipped for that.)"
    )
    assert line(record, 1, 9, left=0, implied_count=1).endswith("(1 more case is skipped for that.)")


def test_a_fast_case_shows_no_exponent() -> None:
    record = make_record(steps=make_steps([0.0125] * 4, images=16))
    assert rate(record) == pytest.approx(1280)
    assert "e+" not in line(record, 1, 1, left=0)


def planned(**changes: object) -> PlannedRun:
    case = make_case(**changes)
    return PlannedRun(case, make_recipe(case.mode))


def test_a_plan_without_cases() -> None:
    assert plan_lines([], Estimator()) == ["no cases"]


def test_a_plan_tells_what_is_known_from_what_is_estimated() -> None:
    known, new = planned(batch=16), planned(batch=4)
    estimator = Estimator([make_record(batch=16, durations=Durations(total=41.0))])
    *_, first, second, _, total = plan_lines([known, new], estimator, verbose=True)
    assert first.split() == ["1", known.case.id, "41", "s", "earlier", "run"]
    assert second.split()[:2] == ["2", new.case.id]
    assert second.endswith("estimate")
    assert total.startswith("2 cases, about ")
    assert total.endswith("(1 estimated from earlier runs)")


def test_the_sum_of_a_plan() -> None:
    records = [make_record(batch=batch, durations=Durations(total=100.0)) for batch in (1, 2, 4)]
    lines = plan_lines([planned(batch=batch) for batch in (1, 2, 4)], Estimator(records))
    assert lines[-1] == "3 cases, about 5 min (3 estimated from earlier runs)"


def test_another_recipe_is_another_case() -> None:
    estimator = Estimator([make_record(recipe=make_recipe(window_steps=99))])
    assert plan_lines([planned()], estimator)[-1].endswith("(a first estimate)")


def test_columns_of_a_plan_line_up() -> None:
    plans = [planned(batch=4), planned(batch=16, imgsz=1280)]
    lines = [text for text in plan_lines(plans, Estimator(), verbose=True) if text.endswith("  estimate")]
    assert len(lines) == 2
    assert len({text.index("estimate") for text in lines}) == 1


def test_the_summary_of_a_plan_is_by_device_and_mode_and_fits_80_columns() -> None:
    plans, _ = divide(expand_grid(profile("full"), ["mps", "cpu"], {"workers": [0, 2], "mode": ["train"]}))
    unavailable = ["AMP: not available for training on mps (" + "a long reason " * 6 + ")"]
    lines = plan_lines(plans, Estimator(), unavailable)
    assert [text.split("  ")[0] for text in lines if text.startswith(("mps", "cpu"))] == ["mps", "cpu"]
    assert "160 cases" in lines[0] and "training" in lines[0]
    assert " ".join(text.strip() for text in lines[1:3]) == (
        "yolov8n, yolo11n, yolo26n, yolov8s; amp off, bf16; batch 16, 4, 32, 8, 64; 640, 320 px; workers 0, 2"
    )
    assert "184 cases, about" in lines[-1]
    assert any(text.startswith("AMP: not available") for text in lines)
    assert max(map(len, lines)) <= 80


def test_the_sum_of_a_plan_has_the_questions_about_precisions_too() -> None:
    plans, questions = divide(expand_grid(profile("smoke"), ["cpu"], {}))
    durations = Durations(total=600.0)
    answers = [make_record(case=plan.case, recipe=plan.recipe, durations=durations) for plan in questions]
    *same, total = plan_lines(plans, Estimator(answers), questions=questions)
    *usual, _ = plan_lines(plans, Estimator(answers))
    assert same == usual
    assert f"about {10 * len(questions)} min" in total


# Several processes of a case


def in_process(number: int, seconds: float = 0.5) -> Record:
    return make_record(process=number, steps=make_steps([seconds] * 4), durations=Durations(total=12.4))


def test_a_later_process_says_which_it_is_and_what_all_say_together() -> None:
    records = [in_process(1), in_process(2, 0.51), in_process(3, 0.49)]
    assert "process" not in line(records[0], 1, 9, left=0, processes=3)
    together = so_far(records)
    assert together == "32.0 ± 5.1 % of 3"
    assert line(records[2], 7, 9, left=0, processes=3, running_mean=together) == (
        "[7/9] train-yolov8n-cpu-fp32-b16-i160      32.7 images/s  in 12 s  process 3 of 3: 32.0 ± 5.1 % of 3"
    )


def test_one_process_says_nothing_together() -> None:
    assert so_far([]) == so_far([in_process(1)]) == ""


def test_a_process_beyond_the_plan() -> None:
    shown = line(in_process(6), 12, 10, left=0, processes=5, running_mean="32.0 ± 2.1 % of 6")
    assert shown.startswith("[+2] train-yolov8n-cpu-fp32-b16-i160 ")
    assert shown.endswith("  process 6: 32.0 ± 2.1 % of 6")


def test_a_repeat_that_failed_says_which_it_was() -> None:
    failed = make_record(process=2, status="failed", reason="No.")
    assert line(failed, 1, 9, left=0, processes=3).endswith("failed: No.  process 2 of 3")


def test_a_plan_has_a_line_a_case_and_counts_its_processes() -> None:
    plans = [planned(batch=16), planned(batch=4)]
    estimator = Estimator([make_record(batch=batch, durations=Durations(total=100.0)) for batch in (16, 4)])
    *_, first, second, _, total = plan_lines(repeat(plans, 3, "a"), estimator, verbose=True)
    assert first.split() == ["1", plans[0].case.id, "5", "min", "earlier", "run,", "3", "processes"]
    assert second.split()[1] == plans[1].case.id
    assert total == "2 cases in 6 processes, about 10 min (2 estimated from earlier runs)"
