"""Further axes that workloads besides Ultralytics take."""

from __future__ import annotations

from bench.cases.axes import Axis, order_of, register, whole_number
from bench.cases.ultralytics_axes import choice

PARALLEL = {"ddp": "DistributedDataParallel", "dp": "DataParallel"}
"""Values of ``parallel``, with torch's classes."""

register(
    Axis(
        "accumulate",
        "Accumulation steps",
        whole_number("accumulate", 1, 1024),
        "batches per optimizer step, such as 1,4; reference models",
        order=int,
        numeric=True,
        modes=("train",),
        arguments=lambda value: {"accumulate": value},
        setting="accumulate",
    )
)
register(
    Axis(
        "parallel",
        "Parallel",
        choice("parallel", PARALLEL),
        "ddp,dp: one process per device (DistributedDataParallel), or one process for all (DataParallel)",
        order=order_of(list(PARALLEL)),
        modes=("train",),
        job=lambda value: {"single_process": value == "dp"},
        setting="parallel",
        expected=PARALLEL.__getitem__,
        option=False,
    )
)
