"""A few steps of Ultralytics' own training on a device, in float32 and in mixed precision: losses of each step."""

import json
import sys
from pathlib import Path

STEPS = 4


class Done(Exception):
    """Enough steps were seen."""


def losses(device, amp, data, scratch):
    """Losses of each step by name, and what the trainer ran on."""
    import ultralytics.engine.trainer as engine
    from ultralytics.models.yolo.detect import DetectionTrainer

    from bench.cases.recipe import overrides_for

    engine.check_amp = lambda model: True  # it would fetch weights to try mixed precision with
    losses_by_step = []

    def note(trainer):
        losses_by_step.append({name: float(value) for name, value in trainer.loss_items.items()})
        if len(losses_by_step) == STEPS:
            raise Done

    fixed = {**overrides_for("train"), "nbs": 4, "batch": 2, "imgsz": 64, "workers": 0, "verbose": False}
    paths = {"model": "yolov8n.yaml", "data": data, "project": scratch, "name": f"amp-{amp}"}
    trainer = DetectionTrainer(overrides={**fixed, **paths, "device": device, "amp": amp})
    trainer.add_callback("on_train_batch_end", note)
    try:
        trainer.train()
    except Done:
        pass
    weights = next(trainer.model.parameters())
    return {"device": weights.device.type, "amp": trainer.amp, "losses": losses_by_step}


def main():
    from bench.worker.workloads.ultralytics import isolation, made_data

    question = json.load(sys.stdin)
    cache = Path(question["cache"])
    settings = cache / "accelerators-config"
    settings.mkdir(parents=True, exist_ok=True)
    isolation.before_import(str(settings), False)
    isolation.after_import()
    import torch

    torch.set_num_threads(1)
    images = made_data.provide({"root": str(cache / "data"), "images": 16, "seed": 0})["yaml"]
    device = "0" if question["kind"] == "cuda" else question["kind"]
    answer = {
        name: losses(device, amp, images, question["scratch"]) for name, amp in (("float32", False), ("mixed", True))
    }
    print("\n" + json.dumps(answer))


if __name__ == "__main__":
    main()
