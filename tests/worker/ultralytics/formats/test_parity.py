"""Agreement of an export with its original: what passes, what is invalid, and what is no reduced precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.worker.rejection import CaseRejected
from bench.worker.workloads.ultralytics.formats import parity

DETECT = {"task": "detect", "classes": 2, "end2end": False, "head": "Detect"}
CHOSEN = {"task": "detect", "classes": 2, "end2end": True, "head": "v10Detect"}
CLASSIFY = {"task": "classify", "classes": 6, "end2end": False, "head": "Classify"}


@pytest.fixture
def reference(tmp_path: Path) -> Any:
    """The raw output of an original for two images: boxes in pixels, scores of two classes, 50 places."""
    import torch

    torch.manual_seed(0)
    output = torch.cat([torch.rand(2, 4, 50) * 160, torch.rand(2, 2, 50)], 1)
    parity.save(tmp_path, torch.rand(2, 3, 8, 8), [output])
    return output


class Model:
    """An exported model that puts out what it is given, once for each image."""

    device = "cpu"

    def __init__(self, *outputs: Any) -> None:
        self.outputs = outputs

    def __call__(self, images: Any) -> Any:
        places = [index % len(self.outputs[0]) for index in range(len(images))]
        return [output[places] for output in self.outputs]


def distances(folder: Path, output: Any, facts: dict[str, Any] = DETECT, batch: int = 5) -> dict[str, float | None]:
    return parity.compare(Model(output), folder, batch, facts, 160)


def test_the_same_outputs_are_at_no_distance(reference: Any, tmp_path: Path) -> None:
    apart = distances(tmp_path, reference)
    assert apart == {"relative_l2": 0.0, "box_p99_px": 0.0, "score_max": 0.0}
    assert parity.check(apart, "off", 160) == {**apart, "limit": parity.LIMIT}


def test_rounding_of_float32_passes(reference: Any, tmp_path: Path) -> None:
    assert parity.check(distances(tmp_path, reference * (1 + 1e-5)), "off", 160)["limit"] == 1e-4


@pytest.mark.parametrize(
    ("part", "shift"),
    [(slice(0, 4), 0.2), (slice(4, 6), 0.01)],  # boxes by a fifth of a pixel; scores, which are small next to pixels
)
def test_outputs_of_another_model_are_invalid(reference: Any, tmp_path: Path, part: slice, shift: float) -> None:
    other = reference.clone()
    other[:, part] += shift
    with pytest.raises(CaseRejected) as caught:
        parity.check(distances(tmp_path, other), "off", 160)
    assert caught.value.status == "invalid"
    assert caught.value.reason.startswith("The exported model differs from the original: relative distance ")


def small_network() -> Any:
    """A network that puts out boxes of 160 px and scores of two classes, for 50 places."""
    import torch

    torch.manual_seed(0)
    layers = [torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.SiLU(), torch.nn.Conv2d(8, 6, 1), torch.nn.Flatten(2)]
    network = torch.nn.Sequential(*layers).eval()
    with torch.no_grad():
        layers[2].weight[:4] *= 100  # type: ignore[index, operator]
    return network


@pytest.mark.parametrize(
    ("precision", "passes"), [("float64", True), ("float32", True), ("float16", False), ("bfloat16", False)]
)
def test_a_graph_that_runs_in_16_bits_never_passes_as_float32(tmp_path: Path, precision: str, passes: bool) -> None:
    import copy

    import torch

    images, network = torch.rand(2, 3, 8, 8), small_network()
    with torch.inference_mode():
        raw = network(images)
        half = parity.distance_of_half(network, lambda: [network(images)], [raw], DETECT)
        assert torch.equal(network(images), raw), "the rounding is over"
        dtype = getattr(torch, precision)
        other = copy.deepcopy(network).to(dtype)(images.to(dtype)).float()
    parity.save(tmp_path, images, [raw])
    apart = distances(tmp_path, other)
    assert 1e-5 < half < 1e-2
    if passes:
        assert parity.check(apart, "off", 160, half)["limit"] == pytest.approx(min(half / 20, 1e-4), rel=1e-3)
        return
    with pytest.raises(CaseRejected, match="differs from the original"):
        parity.check({**apart, "score_max": 0.0, "box_p99_px": 0.0}, "off", 160, half)
    amp = {"float16": "on", "bfloat16": "bf16"}[precision]
    assert parity.check(apart, amp, 160, half)["limit"] is None


@pytest.mark.parametrize(
    ("half", "limit"),
    [(2e-5, 1e-6), (0.3, 1e-4), (float("inf"), 1e-4), (float("nan"), 1e-4), (0.0, 1e-6), (None, 1e-4)],
)
def test_the_limit_follows_from_the_distance_of_float16(half: float | None, limit: float) -> None:
    assert parity.limit_of(half) == limit


def test_weights_that_put_out_the_same_in_any_precision_are_not_judged_by_it(reference: Any, tmp_path: Path) -> None:
    """As those of a checkpoint that was never trained: its boxes are the places, and its scores are nothing."""
    apart = distances(tmp_path, reference * (1 + 1e-7))
    assert parity.check(apart, "off", 160, half=7e-8)["limit"] == 1e-6
    assert parity.check(apart, "bf16", 160, half=7e-8)["limit"] is None


def test_one_wrong_image_of_a_batch_is_invalid(reference: Any, tmp_path: Path) -> None:
    other = reference.clone()
    other[1] = 0.0  # as a batch that is padded with zeros
    with pytest.raises(CaseRejected):
        parity.check(distances(tmp_path, other), "off", 160)


def test_a_reduced_precision_states_its_distance(reference: Any, tmp_path: Path) -> None:
    checked = parity.check(distances(tmp_path, reference.half().float()), "on", 160)
    assert checked["limit"] is None and 1e-4 < checked["relative_l2"] < 1e-2


def test_a_reduced_precision_that_is_float32_is_substituted(reference: Any, tmp_path: Path) -> None:
    with pytest.raises(CaseRejected) as caught:
        parity.check(distances(tmp_path, reference * (1 + 1e-6)), "bf16", 160)
    assert caught.value.status == "substituted"
    assert caught.value.reason.startswith("amp bf16 requested, amp off would run: the outputs are those of float32")


@pytest.mark.parametrize("amp", ["off", "on", "int8"])
def test_numbers_that_are_not_finite_are_invalid(reference: Any, tmp_path: Path, amp: str) -> None:
    other = reference.clone()
    other[0, 5, 3] = float("nan")
    with pytest.raises(CaseRejected, match="not finite"):
        distances(tmp_path, other)


def test_another_shape_is_invalid(reference: Any, tmp_path: Path) -> None:
    with pytest.raises(CaseRejected) as caught:
        distances(tmp_path, reference[:, :, :40])
    assert caught.value.status == "invalid"


def test_rows_that_changed_places_are_the_same(tmp_path: Path) -> None:
    """Models that choose their best predictions sort them by scores, of which many are nearly equal."""
    import torch

    torch.manual_seed(0)
    output = torch.rand(1, 30, 6) * 100
    parity.save(tmp_path, torch.rand(1, 3, 8, 8), [output])
    swapped = output[:, torch.randperm(30)]
    assert distances(tmp_path, swapped, CHOSEN)["relative_l2"] == 0.0
    assert distances(tmp_path, swapped + 1.0, CHOSEN)["box_p99_px"] == pytest.approx(1.0, abs=1e-4)


def test_classes_have_no_boxes(tmp_path: Path) -> None:
    import torch

    output = torch.softmax(torch.rand(1, 6), 1)
    parity.save(tmp_path, torch.rand(1, 3, 8, 8), [output])
    assert distances(tmp_path, output, CLASSIFY)["box_p99_px"] is None


def test_masks_are_compared_too(tmp_path: Path) -> None:
    import torch

    output, masks = torch.rand(1, 6, 50) * 100, torch.rand(1, 3, 4, 4)
    parity.save(tmp_path, torch.rand(1, 3, 8, 8), [output, masks])
    facts = {**DETECT, "task": "segment"}
    assert parity.compare(Model(output, masks), tmp_path, 1, facts, 160)["relative_l2"] == 0.0
    assert parity.compare(Model(output, masks * 1.1), tmp_path, 1, facts, 160)["relative_l2"] == pytest.approx(0.1)


def test_the_raw_output_of_an_original_has_more_parts() -> None:
    import torch

    first, masks, maps = torch.zeros(1, 6, 5), torch.ones(1, 3, 2, 2), torch.ones(1, 9, 2, 2)
    raw = ((first, masks), {"one2many": [maps]})
    assert [out.shape for out in parity.kept(raw, "segment")] == [first.shape, masks.shape]
    assert len(parity.kept(raw, "detect")) == 1


@pytest.mark.usefixtures("ultralytics")
def test_images_are_square_and_as_many_channels_as_the_model_takes(tmp_path: Path) -> None:
    from ultralytics.utils import ASSETS

    files = [Path(ASSETS) / "bus.jpg", tmp_path / "missing.jpg"]
    tensor = parity.images(files, 64, 4)
    assert tuple(tensor.shape) == (1, 4, 64, 64)
    assert 0 <= float(tensor.min()) < float(tensor.max()) <= 1
    assert bool((tensor[:, 3] == tensor[:, 0]).all())
