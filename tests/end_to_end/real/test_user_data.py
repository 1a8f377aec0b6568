"""A data set of a user, with what real ones have: it is trained on and predicted on, and stays as it is."""

import random

import msgspec
import pytest

from bench.analysis.flags import flags_of
from bench.compare import pairs
from bench.runner.measure import DatasetUnavailable, find_data
from tests.end_to_end.real.conftest import run_one, tiny
from tests.worker.ultralytics.data_sets import contents, make, write


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Nine images, of which six can be used; a script under ``download:``; its yaml."""
    root = tmp_path_factory.mktemp("own") / "set of ü"
    make(root, images=9)
    folder, labels = root / "images" / "train", root / "labels" / "train"
    for file in list(folder.iterdir()):
        file.write_bytes(file.read_bytes() + b"\0\0after the end")
        file.with_name(f"._{file.name}").write_bytes(b"\0\5\26\7Mac OS X")
    (folder / "0.jpg").write_bytes(b"")
    (folder / "1.jpg").write_bytes(b"<html>404</html>")
    (labels / "2.txt").write_text("15 0.5 0.5 0.3 0.3")
    for number, name in ((3, "3*"), (4, " 4 "), (5, "ünf")):
        (folder / f"{number}.jpg").rename(folder / f"{name}.jpg")
        (labels / f"{number}.txt").rename(labels / f"{name}.txt")
    return write(root, download=f"|\n  open('{root}/RAN', 'w').close()")


@pytest.fixture
def untouched(hostile):
    before = contents(hostile.parent)
    yield
    assert contents(hostile.parent) == before


@pytest.mark.usefixtures("untouched")
def test_training_and_prediction_use_the_same_images(hostile, forking, tmp_path):
    records = {}
    for mode in ("train", "predict"):
        planned = tiny(mode=mode, batch=6, data=str(hostile))
        planned = msgspec.structs.replace(planned, recipe=msgspec.structs.replace(planned.recipe, with_val=True))
        record = records[mode] = run_one(forking, tmp_path / mode, planned)
        assert record.outcome.status.value == "measured", record.outcome.reason + record.worker_output
        assert record.data.name == "data.yaml"
        assert record.data.images == 6
        assert record.data.left_out == {"empty file": 1, "no image": 1, "class out of range": 1}
        assert flags_of([record], [])[-1] == "images left out (3 of 9: empty file, no image, class out of range)"
    assert records["train"].data == records["predict"].data
    assert (records["train"].effective["images"], records["train"].effective["images_dropped"]) == (6, 3)
    assert records["predict"].effective["batch"] == 6


@pytest.mark.usefixtures("untouched")
def test_a_comparison_leaves_it_as_it_is(hostile, forking):
    planned = tiny(batch=2, data=str(hostile))
    data = find_data(forking, planned)
    two = pairs.run_interleaved(
        pairs.PairInputs((forking, forking), planned, (data, data)), True, random.Random(0), None
    )
    assert two.pair.base.steps.window


def test_a_batch_with_an_image_that_cannot_be_decoded(forking, tmp_path):
    """Pillow does not look into the pixels of a BMP, so Ultralytics' check passes it."""
    yaml = make(tmp_path / "set", images=4, suffix="bmp")
    broken = tmp_path / "set" / "images" / "train" / "1.bmp"
    broken.write_bytes(broken.read_bytes()[:60])
    for mode in ("train", "predict"):
        record = run_one(forking, tmp_path / mode, tiny(mode=mode, batch=4, data=str(yaml)))
        assert record.outcome.status.value == "unsupported", record.worker_output
        assert record.outcome.reason == (f"image {broken} passes Ultralytics' check and cannot be decoded: remove it.")


def test_what_has_no_labels_is_predicted_on(forking, tmp_path):
    yaml = make(tmp_path / "set", images=4)
    for file in (tmp_path / "set" / "labels" / "train").iterdir():
        file.unlink()
    with pytest.raises(DatasetUnavailable, match="none of its 4 training images has a box"):
        find_data(forking, tiny(batch=2, data=str(yaml)))
    record = run_one(forking, tmp_path, tiny(mode="predict", batch=2, data=str(yaml)))
    assert record.outcome.status.value == "measured", record.outcome.reason
