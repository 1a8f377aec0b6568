"""One contract for all kinds: a small training and prediction, from the command line to record and page."""

import pytest

from bench.cases.device_kinds import label
from bench.records import store
from tests.accelerators.conftest import ROOT

DEVICES = {"mps": "mps", "cuda": "0", "xpu": "xpu", "npu": "npu"}
AXES = ("--profile", "smoke", "--amp", "off", "--batch", "16", "--threads", "1", "--compare-losses")


class Ran:
    """A run of the suite on a kind: its output, records by mode, and page."""

    def __init__(self, kind, done, folder):
        assert done.returncode == 0, done.stdout + done.stderr
        self.kind, self.out = kind, done.stdout
        records, complaints = store.read([folder / "results"])
        assert not complaints
        self.records = {record.case.mode: record for record in records}
        [page] = folder.glob("reports/*/index.html")
        self.page = page.read_text()


@pytest.fixture(scope="module", params=DEVICES)
def ran(request, run_on, tmp_path_factory):
    kind, folder = request.param, tmp_path_factory.mktemp("run")
    places = ("--results", folder / "results", "--reports", folder / "reports", "-p", "no:cacheprovider")
    arguments = ("--device", DEVICES[kind], *AXES, *places)
    return Ran(kind, run_on(kind, "-m", "pytest", ROOT / "bench", "--benchmark-only", *arguments), folder)


def test_both_cases_are_measured(ran):
    assert {mode: record.outcome.status.value for mode, record in ran.records.items()} == {
        "train": "measured",
        "predict": "measured",
    }
    assert "2 of 2 cases measured" in ran.out


@pytest.mark.parametrize("mode", ["train", "predict"])
def test_the_device_is_read_back(ran, mode):
    record = ran.records[mode]
    assert record.effective["device"] == DEVICES[ran.kind]
    assert record.effective["amp"] == "off"


def test_losses_and_gradients_are_those_of_the_cpu(ran):
    agreement = ran.records["train"].checks["cpu_agreement"]
    assert agreement["device"] == pytest.approx(agreement["cpu"], rel=1e-3)
    assert len(agreement["cpu"]) == 4


@pytest.mark.parametrize("mode", ["train", "predict"])
def test_memory_has_its_method(ran, mode):
    figure = ran.records[mode].memory["allocated"]
    assert figure.bytes > 2**20
    assert figure.method.startswith(("torch.accelerator.", f"torch.{ran.kind}.", "largest of "))
    for other in ran.records[mode].memory.values():
        assert other.method and other.bytes != 0


def test_phases_are_timed_by_events(ran):
    phases = ran.records["train"].phases
    assert list(phases) == ["preprocess", "forward", "backward", "optimizer"]
    assert {phase.method for phase in phases.values()} == {"device events, steps of the window"}


def test_the_page_has_both(ran):
    for title, mode in (("Training", "train"), ("Prediction", "predict")):
        assert f"{title} · yolov8n · {label(ran.records[mode].case.device)} · amp off · batch 16" in ran.page
