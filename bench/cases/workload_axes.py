"""Further axes that workloads besides Ultralytics take."""

from __future__ import annotations

from bench.cases.axes import Axis, register, whole_number

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
