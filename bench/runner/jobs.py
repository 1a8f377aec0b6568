"""Jobs for workers: from a planned run to the message that a worker reads."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec

from bench.cases.axes import NOT_ASKED
from bench.cases.case import Case
from bench.cases.plan import PlannedRun
from bench.machine.paths import cache_folder
from bench.runner.launchers.torchrun import Rendezvous
from bench.worker.protocol import CaseJob, DataJob, ExportJob, RequestedAxis, Window
from bench.worker.workloads.base import family_of, own_name, workloads

VAL_STEPS = 16
"""Length of a made validation set, in training batches, where validation is timed; Ultralytics doubles its batch."""

FEW_STEPS = Window(
    warmup_seconds=0.0,
    warmup_steps=3,
    window_steps=2,
    window_seconds=0.0,
    short_accumulation_steps=2,
    settled_after=1,
    align_to_accumulation=False,
)
"""Five steps. All run the optimizer where a batch is so large that every step of training does, else two do. So there
are steps that hold the optimizer's state and, where training has them, steps that hold gradients in the forward pass.
More steps find a higher peak now and then, by up to 3 % (docs/how-to/max-batch.md)."""

LOSS_SCALE = 1024.0
"""Initial loss scale of a probe: from the usual one the first steps overflow, and a step that is skipped allocates
nothing."""


def case_job(planned: PlannedRun, data: dict[str, Any], scratch: str, rendezvous: Rendezvous | None = None) -> CaseJob:
    """Return the job of a case.

    Args:
        planned: the case.
        data: result of :func:`bench.runner.measure.find_data`.
        scratch: folder for files of this job only.
        rendezvous: where the ranks of several machines meet.
    """
    case, recipe = planned.case, planned.recipe
    job = CaseJob(
        workload=family_of(case.model).name,
        case=msgspec.to_builtins(case),
        overrides={**recipe.overrides, **case.arguments},
        threads=recipe.threads,
        asked=[
            RequestedAxis(axis.name, axis.text(value), list(axis.arguments(value)), axis.setting, axis.expected(value))
            for axis, value in case.asked
        ],
        window=Window(
            recipe.warmup_seconds, recipe.window_steps, recipe.window_seconds, most_seconds=recipe.most_seconds
        ),
        with_val=recipe.with_val,
        compare_losses=recipe.compare_losses,
        energy=recipe.energy,
        seeded=recipe.seeded,
        data=data["source"],
        scratch=scratch,
        rendezvous=msgspec.to_builtins(rendezvous),
        oom_kills=oom_kills(),
        extra_seconds=sum(axis.extra_seconds(value) for axis, value in case.asked),
        export=data.get("export", {}),
    )
    return dataclasses.replace(job, **{key: new for axis, value in case.asked for key, new in axis.job(value).items()})


def probe_job(planned: PlannedRun, data: dict[str, Any], scratch: str) -> CaseJob:
    """Return the job of a probe, which trains just long enough to show the memory that training needs."""
    return dataclasses.replace(
        case_job(planned, data, scratch),
        window=FEW_STEPS,
        separate_pass=False,
        memory_before=True,
        loss_scale=LOSS_SCALE,
        retry_noisy=False,
    )


def data_job(planned: PlannedRun) -> DataJob:
    """Return the job that provides the data set of a case."""
    recipe, family, root = planned.recipe, family_of(planned.case.model), str(cache_folder() / "data")
    if not family.makes(recipe.data):
        made = family.data_for(own_name(planned.case.model), planned.case.imgsz)
        return DataJob(family.name, recipe.data, root, made=False, replaces=made)
    return DataJob(
        family.name,
        recipe.data,
        root,
        made=True,
        images=planned.case.batch * recipe.data_steps,
        val_images=planned.case.batch * VAL_STEPS if recipe.with_val else 0,
        seed=recipe.data_seed,
    )


def export_job(planned: PlannedRun, data: dict[str, Any], scratch: str) -> ExportJob | None:
    """Return the job that exports the model of a case; None for a case that runs no export.

    Args:
        planned: the case.
        data: result of :func:`bench.runner.measure.find_data`.
        scratch: folder for files of this job only.
    """
    case = planned.case
    if case.value("format") == NOT_ASKED:
        return None
    return ExportJob(
        workload=family_of(case.model).name,
        case=msgspec.to_builtins(case),
        overrides={**planned.recipe.overrides, **case.arguments},
        data=data["source"],
        root=str(cache_folder() / "exports"),
        scratch=scratch,
    )


def workload_facts(case: Case) -> dict[str, Any]:
    """Return a workload's entries in a record's ``extra``; empty for the default workload and its units."""
    family, default = family_of(case.model), next(iter(workloads().values()))
    units = family.units(own_name(case.model), case.imgsz)
    if family.name == default.name and units == default.units("", 0):
        return {}
    return {"workload": {"name": family.name, **units}}


def oom_kills() -> int:
    """Return the number of out-of-memory kills since the kernel started; 0 where it is unknown."""
    try:
        for line in Path("/proc/vmstat").read_text(encoding="utf-8").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    return 0
