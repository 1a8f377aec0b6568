"""This machine against itself, with workers that are played."""

from bench.cases import Case
from bench.compare.calibration import MAX_PROCESSES, RUN_PREFIX, calibrate, planned
from bench.records import store


def test_a_small_case_of_each_device_and_mode_in_every_round():
    plans = planned(["0", "cpu"], "seed")
    assert {plan.case for plan in plans} == {
        Case(mode, "yolov8n", device, "off", batch, size)
        for mode in ("train", "predict")
        for device, batch, size in (("0", 16, 640), ("cpu", 4, 160))
    }
    assert len(plans) == 4 * MAX_PROCESSES
    for number in range(MAX_PROCESSES):
        assert len({plan.case for plan in plans[4 * number : 4 * number + 4]}) == 4
    orders = {tuple(plan.case for plan in plans[4 * number : 4 * number + 4]) for number in range(MAX_PROCESSES)}
    assert len(orders) > 5


def test_records_are_a_run_of_their_own(launcher, tmp_path):
    heard = []
    records, folder, trouble, stopped = calibrate(
        launcher, ["cpu"], tmp_path, 300, lambda record, run: heard.append(record)
    )
    assert heard == records and len(records) == 2 * MAX_PROCESSES
    assert (trouble, stopped) == ("", False)
    assert folder.name.startswith(RUN_PREFIX) and folder.parent == tmp_path
    read, complaints = store.read([tmp_path])
    assert complaints == []
    assert {record.name for record in read} == {record.name for record in records}
    assert {record.run for record in read} == {folder.name}


def test_the_budget_ends_it(launcher, tmp_path):
    records, folder, _, _ = calibrate(launcher, ["cpu"], tmp_path, 0.01, lambda record, run: None)
    assert [record.outcome.status.value for record in records] == ["measured", "interrupted"]
    assert len(list(folder.iterdir())) == 2


def test_ctrl_c_keeps_what_there_is(launcher, tmp_path):
    def stop(record, run):
        if len(run.records) == 5:
            raise KeyboardInterrupt

    records, folder, _, stopped = calibrate(launcher, ["cpu"], tmp_path, 300, stop)
    assert stopped and len(records) == len(list(folder.iterdir())) == 5


def test_ctrl_c_before_anything_leaves_no_folder(launcher, tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(launcher, "wait", interrupted)
    records, folder, _, stopped = calibrate(launcher, ["cpu"], tmp_path, 300, lambda record, run: None)
    assert stopped and records == [] and not folder.exists()
