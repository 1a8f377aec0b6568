from __future__ import annotations

import pytest

from bench.analysis.intervals import Interval
from bench.analysis.throughput import COCO_TRAIN_IMAGES, seconds_per_epoch


def test_seconds_times_rate_is_images() -> None:
    epoch = seconds_per_epoch(Interval(64.1, 60.3, 68.7), 118_287)
    assert epoch.point * 64.1 == pytest.approx(118_287, rel=1e-15)
    assert epoch.low * 68.7 == pytest.approx(118_287, rel=1e-15)
    assert epoch.high * 60.3 == pytest.approx(118_287, rel=1e-15)


def test_an_epoch_without_an_interval() -> None:
    assert seconds_per_epoch(Interval(64.0), 128) == Interval(2.0, None, None)


def test_the_epoch_that_everyone_quotes() -> None:
    assert COCO_TRAIN_IMAGES == 118_287
