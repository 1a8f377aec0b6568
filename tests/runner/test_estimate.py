from bench.records.record import Durations
from bench.runner.estimate import Estimator, work
from tests.fake_workers import plan


def test_work_grows_with_batch_pixels_and_scale():
    small = work(plan("yolov8n", batch=1, imgsz=64).case)
    assert work(plan("yolov8n", batch=4, imgsz=128).case) == 16 * small
    assert work(plan("yolov8x", batch=1, imgsz=64).case) == 30 * small
    assert work(plan("yolo11n-seg", batch=1, imgsz=64).case) == small
    assert work(plan("best.pt", batch=1, imgsz=64).case) == small


def test_a_case_seen_before_takes_as_long_as_then(launcher):
    from bench.runner.measure import measure

    planned = plan("yolov8n")
    record = measure(launcher, planned, {"source": "", "fingerprint": "f", "images": 4}, "r1", 20)
    estimator = Estimator([record])
    assert estimator.knows(planned)
    assert estimator.seconds(planned) == record.durations.total
    other = plan("yolov8n", batch=8)
    assert not estimator.knows(other)
    # 0.25 s a step of batch 4 was seen, so 0.5 s at batch 8: eight steps of warm-up (a short cycle and two), and six of
    # window, since a whole cycle of eight would be twice what was asked for.
    assert estimator.seconds(other) == 0.6 + 8 * 0.5 + 6 * 0.5


def test_a_case_that_never_ran_teaches_nothing():
    from tests.builders import make_record

    planned = plan("yolov8n", device="0")
    settled = make_record(
        case=planned.case,
        recipe=planned.recipe,
        status="unsupported",
        durations=Durations(),
        extra={"skipped_because_of": "another"},
    )
    estimator = Estimator([settled])
    assert not estimator.knows(planned)
    assert estimator.seconds(planned) == Estimator().seconds(planned) > 0
    refused = make_record(
        case=planned.case, recipe=planned.recipe, status="unsupported", durations=Durations(total=1.5)
    )
    assert Estimator([refused]).seconds(planned) == 1.5


def test_a_question_about_a_precision_takes_as_long_as_the_last_time():
    from tests.builders import make_record

    question, case = plan("yolov8n", amp="on"), plan("yolov8n")
    estimator = Estimator()
    assert estimator.question_seconds(question) < estimator.seconds(question)
    asked = make_record(
        case=question.case, recipe=question.recipe, status="substituted", durations=Durations(total=2.5)
    )
    estimator.learn(asked)
    assert estimator.question_seconds(question) == 2.5
    assert estimator.total([case], [question]) == estimator.startup + estimator.seconds(case) + 2.5
