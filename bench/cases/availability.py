"""Precisions that a device is expected not to offer: asked once per run, and no cases of a plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.cases.axes import MODES, NOUNS
from bench.cases.case import Case
from bench.cases.device_kinds import label
from bench.cases.plan import PlannedRun
from bench.worker.workloads.base import family_of

TITLES = {
    "on": "AMP",
    "bf16": "AMP in bfloat16",
    "forced-bf16": "forced AMP in bfloat16",
    "forced-fp16": "forced AMP in float16",
}
"""Precisions in a sentence."""


def why_unavailable(case: Case) -> str:
    """Return why the precision of a case is expected to be unavailable, in a few words; empty where it is not."""
    return family_of(case.model).why_no_amp(case.mode, case.device_kind, case.amp)


def divide(planned: Sequence[PlannedRun]) -> tuple[list[PlannedRun], list[PlannedRun]]:
    """Divide a plan into the cases that can run, and one case for each unavailable precision.

    The latter are asked for once in a run, so that the workload itself says that they are unavailable.
    """
    possible: list[PlannedRun] = []
    questions: dict[tuple[str, ...], PlannedRun] = {}
    for plan in planned:
        case = plan.case
        if why_unavailable(case):
            questions.setdefault((family_of(case.model).name, case.mode, case.device, case.amp), plan)
        else:
            possible.append(plan)
    return possible, list(questions.values())


def unavailable_lines(unavailable: Iterable[tuple[Case, str]], modes: Iterable[str] = MODES) -> list[str]:
    """Format lines such as ``AMP: not available on cpu (Ultralytics turns it off)``.

    Args:
        unavailable: cases whose precision is not available, each with the reason.
        modes: of the run; a line names its mode only where the precision is available in another one.
    """
    devices: dict[tuple[str, str, str], set[str]] = {}
    for case, why in unavailable:
        devices.setdefault((case.amp, why, case.device), set()).add(case.mode)
    groups: dict[tuple[str, str, tuple[str, ...]], list[str]] = {}
    for (amp, why, device), affected in devices.items():
        named = () if affected >= set(modes) else tuple(sorted(affected, key=list(NOUNS).index))
        groups.setdefault((amp, why, named), []).append(label(device))
    return [
        f"{TITLES.get(amp, f'amp {amp}')}: not available"
        + (f" for {' and '.join(NOUNS[mode] for mode in named)}" if named else "")
        + f" on {' and '.join(shown)} ({why})"
        for (amp, why, named), shown in groups.items()
    ]
