"""Jobs for tests, with defaults for what a test does not care about."""

from __future__ import annotations

from typing import Any

from bench.worker.protocol import CaseJob, Window

CASE = {"mode": "train", "model": "yolov8n", "device": "cpu", "amp": "off", "batch": 2, "imgsz": 64}
WINDOW = Window(warmup_seconds=0.0, window_steps=1, window_seconds=0.0)


def case_job(case: dict[str, Any] | None = None, **changes: Any) -> CaseJob:
    """A job of a case; ``case`` changes its axes."""
    fields: dict[str, Any] = {"workload": "ultralytics", "overrides": {}, "threads": 1, "window": WINDOW}
    fields |= {"data": "data.yaml", "scratch": "/nowhere", "case": {**CASE, **(case or {})}}
    return CaseJob(**{**fields, **changes})
