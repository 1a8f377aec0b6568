"""Many records, made from real ones by varying the case: for trying what large folders cost.

    python -m tests.many_records FOLDER [COUNT] [SOURCE]

writes COUNT record files (100,000) into runs of 1,000 under FOLDER, from the records of SOURCE, which is
results/examples/linux-cpu.
Their figures are no measurements: steps are those of the source, longer by a factor of the case.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

from bench.records.store import encoded, read

IN_A_RUN = 1_000
MODELS = [f"yolo{family}{size}" for family in ("v8", "11", "26", "v9", "v10") for size in "nsmlx"]
BATCHES = [1, 2, 4, 8, 16, 32, 64, 128]
SIZES = [96, 160, 224, 320, 416, 512, 640, 768, 896, 1024]


def make(folder: Path, count: int, source: Path) -> None:
    """Write so many records."""
    sources = [json.loads(encoded(record)) for record in read([source])[0]]
    cases = itertools.cycle(itertools.product(MODELS, SIZES, BATCHES))
    for number in range(count):
        content = sources[number % len(sources)]
        model, size, batch = next(cases)
        factor = (batch * size**2) / (4 * 160**2) * (1 + len(model) / 10)
        run = f"made-{number // IN_A_RUN:04d}"
        case = {**content["case"], "model": model, "imgsz": size, "batch": batch}
        made = {**content, "run": run, "case": case}
        if made.get("steps"):
            steps = made["steps"]
            made["steps"] = {
                **steps,
                "images": batch,
                "seconds": [value * factor for value in steps["seconds"]],
                "data_wait": [value * factor for value in steps["data_wait"]],
            }
        place = folder / run
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:06d}.json").write_text(json.dumps(made))


if __name__ == "__main__":
    where, *rest = sys.argv[1:]
    make(
        Path(where),
        int(rest[0]) if rest else 100_000,
        Path(rest[1] if len(rest) > 1 else "results/examples/linux-cpu"),
    )
