from __future__ import annotations

from bench.analysis.reference import reference_cases
from bench.analysis.table import frame
from bench.analysis.throughput import COCO_TRAIN_IMAGES
from bench.records.record import Data, EpochOverhead, Record
from bench.report.headline.training_time import TrainingTime, training_time
from tests.analysis.test_reference import at
from tests.builders import make_recipe

STEADY = (1.0,) * 8


def times(record: Record, images: int = COCO_TRAIN_IMAGES, epochs: int = 0) -> TrainingTime:
    answer = training_time(reference_cases(frame([record]))["train"], record, images, epochs)
    assert answer is not None
    return answer


def test_usual_sizes_where_the_user_names_none() -> None:
    answer = times(at(10, STEADY))
    assert answer.columns == ("Images", "1 epoch", "100 epochs", "300 epochs")
    assert answer.rows[0] == ("1,000", "≈ 2 min", "≈ 2 h 47 min", "≈ 8 h 20 min")
    assert answer.rows[-1] == ("118,287 (COCO)", "≈ 3 h 17 min", "≈ 14 days", "≈ 41 days")
    assert answer.note.startswith("Without validation") and answer.total == ""
    assert answer.case == "yolov8n at 640 px, batch 16, on cpu"


def test_what_the_user_names() -> None:
    assert times(at(10, STEADY), 2000, 90).total == "≈ 5 h 00 min"
    assert times(at(10, STEADY), 2000).rows == (("2,000", "≈ 3 min", "≈ 5 h 33 min", "≈ 16 h 40 min"),)
    assert times(at(10, STEADY), epochs=10).columns == ("Images", "10 epochs")


def test_own_data_has_a_row() -> None:
    record = at(10, STEADY, recipe=make_recipe(data="/x/my.yaml"), data=Data("my.yaml", "9b1f4e0c7a23", 3214))
    assert [row[0] for row in times(record).rows][:3] == ["1,000", "3,214", "5,000"]


def test_measured_validation_is_included_in_proportion() -> None:
    overhead = EpochOverhead(epoch_gap_seconds=1.0, checkpoint=4.0, validation=10.0, validation_images=100)
    own = {"recipe": make_recipe(data="/x/my.yaml"), "data": Data("my.yaml", "9b1f4e0c7a23", 1000)}
    answer = times(at(10, STEADY, epoch_overhead=overhead, **own), 2000, 10)
    assert answer.total == "≈ 38 min", "10 x (200 s + 5 s + 20 s for 200 images)"
    assert answer.note == "With one validation per epoch, on 10.0 % as many images, as in your dataset."
    coco = times(at(10, STEADY, epoch_overhead=overhead), COCO_TRAIN_IMAGES, 1)
    assert "the share that COCO has" in coco.note and coco.rows[0][0] == "1,000"
