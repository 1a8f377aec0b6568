"""The description of the family, its made tokens and its variables; none of it needs Transformers."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from bench.cases.axes import find_axis, parse_values
from bench.cases.case import Case, parse_case
from bench.cases.plan import expand_grid, profile
from bench.ceiling.service import search_cases
from bench.errors import UsageError
from bench.runner.jobs import data_job, workload_facts
from bench.worker.interpreter import identity, info
from bench.worker.protocol import DataJob
from bench.worker.rejection import CaseRejected
from bench.worker.workloads import find
from bench.worker.workloads.base import canonical_model, family_of
from bench.worker.workloads.huggingface import isolation, made_tokens, train
from bench.worker.workloads.huggingface.expected_settings import OVERRIDES
from bench.worker.workloads.huggingface.models import MODELS

FAMILY = family_of("bert-tiny")
OVERRIDDEN = {override.key: override.value for override in OVERRIDES}


def test_the_family_claims_berts_alone() -> None:
    assert FAMILY.name == "transformers" and find("transformers") is FAMILY
    assert all(family_of(model) is FAMILY for model in MODELS)
    assert canonical_model("transformers:bert-base") == "bert-base"
    assert family_of("yolov8n").name == "ultralytics" and family_of("bert-tiny.pt").name == "ultralytics"
    assert FAMILY.why_unknown("bert-tiny", {}, "") == ""
    reason = "model 'bert-large' is unknown to the workload transformers: use bert-base or bert-tiny."
    assert FAMILY.why_unknown("bert-large", {}, "") == reason


def test_a_plan_takes_the_models_own_batch_and_length() -> None:
    planned = expand_grid(profile("quick"), ["cpu"], {"mode": ["train"], "model": ["bert-base"], "amp": ["off"]})
    assert [plan.case.id for plan in planned] == ["train-bert-base-cpu-fp32-b32-i128"]
    [plan] = planned
    assert plan.recipe.data == "mrpc-like" and plan.recipe.overrides == OVERRIDDEN
    assert (data_job(plan).name, data_job(plan).images % 32) == ("mrpc-like", 0)
    assert workload_facts(plan.case)["workload"] == {
        "name": "transformers",
        "unit": "sequence",
        "size_unit": "tokens",
        "epoch_items": 3668,
    }
    assert parse_case(plan.case.id) == plan.case


def test_a_search_for_the_largest_batch_takes_the_models_own_length() -> None:
    [case] = search_cases({"device": ["cpu"], "model": ["bert-tiny"], "amp": ["off"]})
    assert case.imgsz == 128


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"nbs": [64]}, "axis 'nbs' is not taken by the workload transformers: it takes threads, workers, optimizer"),
        ({"cache": ["ram"]}, "axis 'cache' is not taken by the workload transformers: it takes threads, workers, opt"),
    ],
)
def test_what_it_does_not_take_is_refused_in_a_sentence(values: dict[str, list[str]], reason: str) -> None:
    with pytest.raises(UsageError) as caught:
        expand_grid(profile("quick"), ["cpu"], {"model": ["bert-tiny"], **values})
    assert str(caught.value).startswith(reason)


def test_an_axis_replaces_what_the_recipe_fixes() -> None:
    values: dict[str, list[Any]] = {"mode": ["train"], "model": ["bert-tiny"], "amp": ["off"]}
    values |= {name: parse_values(find_axis(name), text) for name, text in (("workers", "2"), ("optimizer", "sgd"))}
    [plan] = expand_grid(profile("quick"), ["cpu"], values)
    given = {**plan.recipe.overrides, **plan.case.arguments}
    assert set(given) == set(OVERRIDDEN)
    arguments = train.arguments_of(plan.case.values, given, "/nowhere")
    assert (arguments["dataloader_num_workers"], arguments["optim"]) == (2, "sgd")
    assert not {"workers", "optimizer"} & set(arguments)


def test_accumulation_replaces_the_argument_of_the_trainer() -> None:
    values: dict[str, list[Any]] = {"mode": ["train"], "model": ["bert-tiny"], "amp": ["off"], "accumulate": [4]}
    [plan] = expand_grid(profile("quick"), ["cpu"], values)
    given = {**plan.recipe.overrides, **plan.case.arguments}
    assert set(given) == set(OVERRIDDEN) - {"gradient_accumulation_steps"} | {"accumulate"}
    assert train.arguments_of(plan.case.values, given, "/nowhere")["gradient_accumulation_steps"] == 4
    assert FAMILY.accumulation({**plan.case.values, "accumulate": 4}, given) == 4


@pytest.mark.parametrize(
    ("changes", "overrides", "reason", "scope"),
    [
        (
            {},
            {"optimizer": "MuSGD"},
            "optimizer MuSGD requested: of this suite's optimizers",
            ("mode", "optimizer"),
        ),
        ({"amp": "half"}, {}, "amp half requested: the Trainer has off, on, bf16.", ("mode", "amp")),
        ({"imgsz": 513}, {}, "imgsz 513 requested: bert-tiny takes at most 512", ("mode", "model", "imgsz")),
    ],
)
def test_what_the_trainer_or_the_model_lacks_is_unsupported(
    changes: dict[str, Any], overrides: dict[str, Any], reason: str, scope: tuple[str, ...]
) -> None:
    case = {"model": "bert-tiny", "device": "cpu", "amp": "off", "batch": 2, "imgsz": 128, **changes}
    with pytest.raises(CaseRejected) as caught:
        train.arguments_of(case, {**OVERRIDDEN, **overrides}, "/nowhere")
    assert (caught.value.status, caught.value.scope) == ("unsupported", scope)
    assert caught.value.reason.startswith(reason)


def test_every_argument_that_is_fixed_has_a_reason() -> None:
    assert all(override.why and len(override.why) < 120 for override in OVERRIDES)
    off = {"logging_strategy": "no", "save_strategy": "no", "eval_strategy": "no", "report_to": "none"}
    assert {name: OVERRIDDEN[name] for name in off} == off


def test_work_is_that_of_the_operations() -> None:
    assert MODELS["bert-base"].gflops(128) == pytest.approx(22.35, abs=0.005)  # as torch counts them
    base = Case(mode="train", model="bert-base", device="cpu", amp="off", batch=32, imgsz=128)
    yolo = Case(mode="train", model="yolov8n", device="cpu", amp="off", batch=32, imgsz=640)
    ratio = FAMILY.work(base.values) / family_of("yolov8n").work(yolo.values)
    assert ratio == pytest.approx(22.35 / 8.7, rel=0.01)


# Missing packages


@pytest.mark.parametrize(
    ("missing", "line"), [("transformers", "transformers>=5.0"), ("accelerate", "accelerate>=1.6")]
)
def test_a_missing_library_is_said_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, missing: str, line: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == missing else object())
    assert info.why_missing(FAMILY).endswith(f"install {line} there.")


def test_the_other_families_go_on_without_it() -> None:
    there = {"torch": "2.15.0", "ultralytics": "8.4.190"}
    assert info.why_lacking(there)["transformers"].endswith("install transformers>=5.0 there.")
    assert not info.why_unusable(there)
    old = {**there, "transformers": "4.57.0", "accelerate": "1.15.0"}
    assert info.why_lacking(old)["transformers"] == (
        "transformers 4.57.0 is older than 5.0, the oldest that can be measured: upgrade it."
    )


def test_its_packages_are_identified_with_the_others() -> None:
    assert {"torch", "ultralytics", "transformers", "accelerate"} <= set(identity.modules())
    identified = identity.identify("transformers")
    assert (identified is None) == (importlib.util.find_spec("transformers") is None)
    if identified is not None:
        assert info.versions({"transformers": identified})["transformers"] == identified["version"]


# Variables


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    kept = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(kept)


def test_variables_that_change_a_case_are_taken_out(environment: None) -> None:
    foreign = {
        "ACCELERATE_USE_CPU": "true",
        "ACCELERATE_MIXED_PRECISION": "bf16",
        "FSDP_OFFLOAD_PARAMS": "true",
        "WORLD_SIZE": "2",
        "LOCAL_RANK": "0",
        "PMI_SIZE": "2",
        "KUBEFLOW_TRAINER_SERVER_URL": "https://example.org",
    }
    os.environ.update(foreign)
    isolation.before_import("/config")
    assert not set(foreign) & set(os.environ)
    assert os.environ["HF_HUB_OFFLINE"] == os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert os.environ["HF_HOME"] == "/config/huggingface"


# Made tokens


def test_made_pairs_have_the_shape_of_mrpc() -> None:
    made = made_tokens.MadeTokens(3668, 128, seed=0)
    lengths = made.mask.sum(1)
    assert len(made) == 3668 and made.tokens.shape == made.mask.shape == made.types.shape == (3668, 128)
    assert lengths.min() == 22 and lengths.max() == 128
    assert float(lengths.float().mean()) == pytest.approx(53, abs=1)
    assert float(made.labels.float().mean()) == pytest.approx(0.67, abs=0.02)
    assert bool((made.tokens[:, 0] == made_tokens.CLASSIFY).all())
    assert bool(((made.tokens == made_tokens.PAD) == (made.mask == 0)).all()), "padded where nothing is attended to"
    assert bool(((made.tokens == made_tokens.SEPARATE).sum(1) == 2).all())
    assert bool((made.types <= made.mask).all()) and bool((made.types.sum(1) > 0).all())
    assert int(made.tokens.max()) < 28_996


def test_made_pairs_are_seeded() -> None:
    first, again, other = (made_tokens.MadeTokens(8, 32, seed) for seed in (0, 0, 1))
    assert torch.equal(first.tokens, again.tokens) and first.fingerprint == again.fingerprint
    assert other.fingerprint != first.fingerprint
    assert made_tokens.MadeTokens(9, 32, 0).fingerprint != first.fingerprint


def test_a_longer_set_repeats_its_pairs() -> None:
    made = made_tokens.MadeTokens(5000, 8, seed=0)
    assert len(made) == 5000 and len(made.tokens) == 3668
    assert torch.equal(made[3668]["input_ids"], made[0]["input_ids"])


def test_a_worker_makes_the_set_that_was_provided() -> None:
    provided = made_tokens.provide(DataJob("transformers", "mrpc-like", "/nowhere", made=True, images=64, seed=3))
    made = made_tokens.load(provided["source"], made_tokens.LENGTH)
    assert (provided["images"], provided["fingerprint"]) == (len(made), made.fingerprint)
    assert made_tokens.load(provided["source"], 16).tokens.shape == (64, 16)
    assert made_tokens.load_validation(provided["source"], 16) is None


def test_a_validation_set_has_other_pairs_and_leaves_the_training_set_as_it_is() -> None:
    job = DataJob("transformers", "mrpc-like", "/nowhere", made=True, images=64, seed=3)
    plain = made_tokens.provide(job)
    provided = made_tokens.provide(dataclasses.replace(job, val_images=8))
    assert provided["fingerprint"] == plain["fingerprint"]
    training, validation = (load(provided["source"], 16) for load in (made_tokens.load, made_tokens.load_validation))
    assert validation is not None and training is not None
    assert (len(training), len(validation)) == (64, 8)
    assert not torch.equal(training.tokens[:8], validation.tokens)
