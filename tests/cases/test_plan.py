from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.cases.axes import fixed_axes, parse_values
from bench.cases.device_kinds import kinds
from bench.cases.plan import PlannedRun, Profile, ProfileTiming, expand_grid, profile, profiles, repeat
from bench.errors import UsageError

DEVICES = ["0", "mps", "cpu"]

SMALL = Profile(
    about="two values on every axis",
    recipe=ProfileTiming(
        warmup_seconds={"cpu": 1.0, "mps": 2.0, "cuda": 3.0},
        window_steps=4,
        window_seconds={"cpu": 0.5, "mps": 1.5, "cuda": 2.5},
    ),
    cases={
        "all": {
            "mode": ["train", "predict"],
            "model": ["yolov8n", "yolo11n"],
            "amp": ["off", "on"],
            "batch": [16, 4],
            "imgsz": [640, 320],
        },
        "cpu": {"mode": ["train"], "model": ["yolov8n"], "amp": ["off"], "batch": [4], "imgsz": [160]},
    },
)


def ids(planned: list[PlannedRun]) -> list[str]:
    return [plan.case.id for plan in planned]


def all_values(planned: list[PlannedRun], axis: str) -> list[Any]:
    return list(dict.fromkeys(getattr(plan.case, axis) for plan in planned))


def test_the_profiles_that_the_command_line_promises() -> None:
    assert list(profiles()) == ["smoke", "quick", "full", "regress", "workloads"]


@pytest.mark.parametrize("name", profiles())
def test_every_value_of_a_profile_is_one_that_a_user_could_give(name: str) -> None:
    for axes in (*profile(name).cases.values(), *profile(name).reference.values()):
        assert set(axes) == set(fixed_axes()) - {"device"}
        for axis, values in axes.items():
            assert parse_values(fixed_axes()[axis], ",".join(map(str, values))) == values


@pytest.mark.parametrize("name", profiles())
def test_every_profile_covers_every_kind_of_device(name: str) -> None:
    planned = expand_grid(profile(name), DEVICES, {})
    assert set(all_values(planned, "device")) == set(DEVICES)
    assert all(plan.recipe.warmup_seconds > 0 for plan in planned)
    assert set(all_values(planned, "mode")) == ({"train"} if name == "regress" else {"train", "predict"})


def test_a_profile_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match=r"^profile 'quik' is unknown: use smoke, quick, full, regress, workloads\.$"):
        profile("quik")


def test_a_misspelt_key_of_a_profile_is_an_error() -> None:
    raw = {**msgspec.to_builtins(SMALL), "abuot": "nothing"}
    with pytest.raises(msgspec.ValidationError, match="abuot"):
        msgspec.convert(raw, Profile)


def test_quick_on_the_cpu() -> None:
    planned = expand_grid(profile("quick"), ["cpu"], {})
    assert len(planned) == 24
    assert ids(planned)[:2] == ["train-yolov8n-cpu-fp32-b16-i320", "predict-yolov8n-cpu-fp32-b16-i320"]
    recipe, timing = planned[0].recipe, profile("quick").recipe
    assert recipe.warmup_seconds == timing.warmup("cpu") > 0
    assert (recipe.window_steps, recipe.window_seconds) == (timing.window_steps, timing.least_seconds("cpu", False))
    assert recipe.data_steps == 64


@pytest.mark.parametrize("device", ["0", "mps", "xpu"])
@pytest.mark.parametrize("name", ["quick", "full"])
def test_the_cpu_of_a_machine_with_an_accelerator_measures_reference_cases_of_a_shared_size(
    name: str, device: str
) -> None:
    planned = expand_grid(profile(name), [device, "cpu"], {})
    on_cpu = [plan for plan in planned if plan.case.device == "cpu"]
    on_device = [plan for plan in planned if plan.case.device == device]
    axes = profile(name).reference["cpu"]
    assert len(on_cpu) < len(expand_grid(profile(name), ["cpu"], {})) / 3
    assert {plan.case.mode for plan in on_cpu} == {"train", "predict"}
    assert all_values(on_cpu, "imgsz") == axes["imgsz"]
    beside = {msgspec.structs.replace(plan.case, device="cpu") for plan in on_device}
    assert {plan.case for plan in on_cpu} <= beside, "each has its counterpart on the accelerator"


def test_quick_on_a_machine_with_an_accelerator() -> None:
    planned = expand_grid(profile("quick"), ["mps", "cpu"], {})
    assert [name for name in ids(planned) if "-cpu-" in name] == [
        "train-yolov8n-cpu-fp32-b16-i640",
        "predict-yolov8n-cpu-fp32-b16-i640",
    ]
    assert len(planned) == 2 + 48


def test_values_of_the_user_replace_those_of_reference_cases() -> None:
    planned = expand_grid(profile("quick"), ["0", "cpu"], {"imgsz": [320], "model": ["yolo11n"]})
    assert [name for name in ids(planned) if "-cpu-" in name] == [
        "train-yolo11n-cpu-fp32-b16-i320",
        "predict-yolo11n-cpu-fp32-b16-i320",
    ]


@pytest.mark.parametrize("name", profiles())
def test_each_case_once(name: str) -> None:
    planned = ids(expand_grid(profile(name), DEVICES, {}))
    assert len(planned) == len(set(planned)) > 0


def test_each_case_once_even_where_values_repeat() -> None:
    planned = expand_grid(SMALL, ["cpu", "cpu"], {"batch": [4, 8, 4]})
    assert ids(planned) == ["train-yolov8n-cpu-fp32-b4-i160", "train-yolov8n-cpu-fp32-b8-i160"]


def test_all_points_are_there() -> None:
    assert len(expand_grid(SMALL, ["0"], {})) == 2**5
    assert len(expand_grid(SMALL, ["cpu"], {})) == 1


@pytest.mark.parametrize("name", profiles())
def test_the_first_case_of_every_device_comes_first(name: str) -> None:
    planned = expand_grid(profile(name), DEVICES, {})
    assert [plan.case.device for plan in planned[:3]] == DEVICES
    beside = {plan.case.device_kind for plan in planned}
    for plan in planned[:3]:
        first = {axis: values[0] for axis, values in profile(name).axes(plan.case.device_kind, beside).items()}
        assert {axis: getattr(plan.case, axis) for axis in first} == first


def test_then_the_other_mode_then_the_other_axes_one_by_one() -> None:
    first = expand_grid(SMALL, ["0"], {})[:6]
    assert ids(first) == [
        "train-yolov8n-0-fp32-b16-i640",
        "predict-yolov8n-0-fp32-b16-i640",
        "train-yolov8n-0-fp32-b16-i320",
        "train-yolov8n-0-fp32-b4-i640",
        "train-yolov8n-0-amp-b16-i640",
        "train-yolo11n-0-fp32-b16-i640",
    ]


OVERRIDES = {
    "mode": ["predict"],
    "model": ["yolo26n"],
    "device": ["1", "cpu"],
    "amp": ["bf16"],
    "batch": [2, 1],
    "imgsz": [96],
}


@pytest.mark.parametrize("axis", fixed_axes())
def test_an_override_replaces_its_axis_and_no_other(axis: str) -> None:
    devices = ["1", "cpu"]  # where the override itself would bring the cpu's own list
    plain = expand_grid(SMALL, devices, {})
    changed = expand_grid(SMALL, devices, {axis: OVERRIDES[axis]})
    assert all_values(changed, axis) == OVERRIDES[axis]
    for other in set(fixed_axes()) - {axis}:
        assert set(all_values(changed, other)) == set(all_values(plain, other))


def test_devices_of_the_user_take_the_place_of_the_machines() -> None:
    assert set(all_values(expand_grid(SMALL, ["cpu"], {"device": ["0+1"]}), "device")) == {"0+1"}


def test_the_recipe_is_that_of_the_kind_of_device_and_the_mode() -> None:
    for plan in expand_grid(SMALL, DEVICES, {}, data="/data/coco.yaml", threads=3):
        kind = plan.case.device_kind
        assert plan.recipe.warmup_seconds == {"cpu": 1.0, "mps": 2.0, "cuda": 3.0}[kind]
        assert plan.recipe.window_seconds == {"cpu": 0.5, "mps": 1.5, "cuda": 2.5}[kind]
        assert plan.recipe.data_steps == (kinds()[kind].data_steps if plan.case.mode == "train" else 1)
        assert ("optimizer" in plan.recipe.overrides) == (plan.case.mode == "train")
        assert (plan.recipe.data, plan.recipe.threads) == ("/data/coco.yaml", 3)


# Several processes of each case


def test_the_first_round_is_the_plan_and_every_round_has_every_case_once() -> None:
    plan = expand_grid(SMALL, DEVICES, {})
    runs = repeat(plan, 3, "20261122-184512-3f9ac2")
    assert runs[: len(plan)] == plan
    for number in (2, 3):
        round_runs = runs[(number - 1) * len(plan) : number * len(plan)]
        assert {run.process for run in round_runs} == {number}
        assert sorted(ids(round_runs)) == sorted(ids(plan))
        assert ids(round_runs) != ids(plan)
        assert {run.recipe.fingerprint for run in round_runs} == {run.recipe.fingerprint for run in plan}
    assert ids(runs[len(plan) : 2 * len(plan)]) != ids(runs[2 * len(plan) :])


def test_the_order_of_later_rounds_is_that_of_the_seed() -> None:
    plan = expand_grid(SMALL, DEVICES, {})
    assert repeat(plan, 3, "a") == repeat(plan, 3, "a")
    assert repeat(plan, 2, "a") != repeat(plan, 2, "b")
    assert repeat(plan, 3, "a")[: 2 * len(plan)] == repeat(plan, 2, "a")  # one more round leaves those before it


def test_each_case_comes_early_as_often_as_late() -> None:
    plan = expand_grid(SMALL, ["mps"], {"batch": [4], "imgsz": [64], "model": ["yolov8n"]})
    first = [repeat(plan, 2, str(seed))[len(plan)].case for seed in range(400)]
    assert all(70 <= first.count(run.case) <= 130 for run in plan), "four cases, a hundred times each"


def test_one_process_each_is_the_plan() -> None:
    plan = expand_grid(SMALL, DEVICES, {})
    assert repeat(plan, 1, "a") == plan


@pytest.mark.parametrize("process", [1, 2, 17])
def test_a_process_is_called_as_its_record_is(process: int) -> None:
    from tests.builders import make_record

    record = make_record(process=process)
    assert PlannedRun(record.case, record.recipe, process).name == record.name


# What else is timed or compared


def test_validation_is_timed_in_training_alone_and_only_where_it_was_asked_for() -> None:
    plain, timed = expand_grid(SMALL, DEVICES, {}), expand_grid(SMALL, DEVICES, {}, with_val=True)
    assert not any(plan.recipe.with_val for plan in plain)
    assert {plan.case.mode for plan in timed if plan.recipe.with_val} == {"train"}
    assert {plan.case.mode for plan in timed if not plan.recipe.with_val} == {"predict"}


def test_losses_are_compared_on_cuda_by_choice_and_elsewhere_by_rule() -> None:
    chosen = expand_grid(SMALL, DEVICES, {}, compare_losses=True)
    assert {(p.case.mode, p.case.device) for p in chosen if p.recipe.compare_losses} == {("train", "0")}


def test_batches_of_each_device() -> None:
    values = {"device": ["0", "0+1", "2x0+1"], "batch": [8], "mode": ["train"], "model": ["yolov8n"], "imgsz": [640]}
    planned = expand_grid(SMALL, [], {**values, "amp": ["off"]}, per_device=True)
    assert {plan.case.device: plan.case.batch for plan in planned} == {"0": 8, "0+1": 16, "2x0+1": 32}
    planned = expand_grid(SMALL, [], {**values, "amp": ["off"]})
    assert {plan.case.batch for plan in planned} == {8}


def test_joules_take_longer_windows() -> None:
    plain, counted = (expand_grid(SMALL, ["cpu"], {}, energy=energy)[0].recipe for energy in (False, True))
    assert (plain.window_seconds, plain.energy) == (0.5, False)
    assert (counted.window_seconds, counted.energy) == (10.0, True)
    assert plain.fingerprint != counted.fingerprint


def test_a_reference_model_has_its_own_size_and_the_batch_of_that_size() -> None:
    values = {"mode": ["train"], "amp": ["off"], "model": ["resnet18", "yolov8n"]}
    cases = [plan.case for plan in expand_grid(profile("smoke"), ["cpu"], values)]
    assert [(case.model, case.batch, case.imgsz) for case in cases] == [("resnet18", 128, 32), ("yolov8n", 16, 64)]
    values |= {"imgsz": [224, 32], "model": ["resnet18"]}
    cases = [plan.case for plan in expand_grid(profile("smoke"), ["cpu"], values)]
    assert {(case.batch, case.imgsz) for case in cases} == {(32, 224), (128, 32)}
    values |= {"batch": [4]}
    cases = [plan.case for plan in expand_grid(profile("smoke"), ["cpu"], values)]
    assert {(case.batch, case.imgsz) for case in cases} == {(4, 224), (4, 32)}


def test_validation_is_refused_where_no_workload_has_it() -> None:
    values = {"mode": ["train"], "model": ["lstm256"]}
    with pytest.raises(UsageError, match="with-val: the workload torch times no validation: leave it out"):
        expand_grid(profile("smoke"), ["cpu"], values, with_val=True)
    planned = expand_grid(profile("smoke"), ["cpu"], {**values, "model": ["lstm256", "yolov8n"]}, with_val=True)
    assert {plan.case.model for plan in planned if plan.recipe.with_val} == {"yolov8n"}


# Scenarios


def scenario_cases(**values: list[object]) -> list[PlannedRun]:
    return expand_grid(profile("smoke"), ["cpu"], {"mode": ["predict"], "amp": ["off"], **values})


def test_a_scenario_lengthens_the_window_and_the_data() -> None:
    single, multi = (scenario_cases(scenario=[name])[0].recipe for name in ("single", "multi"))
    assert (single.window_steps, multi.window_steps) == (64, 662)
    assert (single.data_steps, single.most_seconds) == (64, 120)
    [plain] = scenario_cases()
    assert (plain.recipe.window_steps, plain.recipe.data_steps, plain.recipe.most_seconds) == (4, 1, 0)


def test_scenarios_of_one_image_take_batch_1_unless_a_batch_was_named() -> None:
    assert [plan.case.batch for plan in scenario_cases(scenario=["single", "multi"])] == [1, 16]
    assert [plan.case.batch for plan in scenario_cases(scenario=["single"], batch=[4])] == [4]


def test_a_rate_of_arrivals_belongs_to_the_server_alone() -> None:
    cases = [plan.case for plan in scenario_cases(scenario=["single", "server"], arrival_rate=[5, 10])]
    assert sorted(case.further for case in cases) == [
        (("arrival_rate", 5), ("scenario", "server")),
        (("arrival_rate", 10), ("scenario", "server")),
        (("scenario", "single"),),
    ]
    with pytest.raises(UsageError, match="axis 'arrival_rate' means something with scenario=server alone"):
        scenario_cases(scenario=["single"], arrival_rate=[5])
    with pytest.raises(UsageError, match="arrival_rate"):
        scenario_cases(arrival_rate=[5])


@pytest.mark.parametrize("scenarios", [["server"], ["single", "server"]])
def test_a_server_needs_a_rate_before_anything_runs(scenarios: list[object]) -> None:
    with pytest.raises(UsageError, match=r"^scenario server needs --arrival-rate too: requests per second"):
        scenario_cases(scenario=scenarios)
