"""The Transformers Trainer in mixed precision on a fake: float16 and a loss scaler, which no CPU has."""

import importlib.util

import pytest

from bench.records import store
from tests.accelerators.conftest import ROOT

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("transformers") is None or importlib.util.find_spec("accelerate") is None,
    reason="the extra 'transformers' is not installed",
)

AXES = ("--profile", "smoke", "--mode", "train", "--model", "bert-tiny", "--amp", "on", "--batch", "2", "--imgsz", "16")


def test_the_trainer_trains_in_float16_with_a_loss_scaler(run_on, tmp_path):
    places = ("--results", tmp_path / "results", "--reports", tmp_path / "reports", "-p", "no:cacheprovider")
    arguments = ("--benchmark-only", "--device", "mps", "--threads", "1", *AXES, *places)
    done = run_on("mps", "-m", "pytest", ROOT / "bench", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    [record] = store.read([tmp_path / "results"])[0]
    assert record.outcome.status.value == "measured", record.outcome.reason
    ran = {"device": "mps", "amp": "on", "native_amp": True, "loss_scaling": True, "weights_dtype": "float32"}
    assert {name: record.effective[name] for name in ran} == ran
    scales = record.checks["loss_scale"]
    assert 1 < scales[1] <= scales[0] <= 65536
    assert record.checks["moved"] == record.checks["parameters"]
    agreement = record.checks["cpu_agreement"]
    assert agreement["device"] == pytest.approx(agreement["cpu"], rel=1e-3)
