"""The search for the largest batch on a fake card, whose loader processes are forked by a spawned worker."""

from bench.records.store import read_ceilings


def test_a_search_trains_up_to_the_largest_batch_that_is_asked_for(run_on, tmp_path):
    size = ("--device", "0", "--model", "yolov8n", "--imgsz", "64", "--memory-limit", "600MiB", "--max", "16")
    done = run_on("cuda", "-m", "bench", "ceiling", *size, "--results", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    [ceiling], complaints = read_ceilings([tmp_path])
    assert not complaints
    assert ceiling.case.batch == ceiling.max_batch == 16
    assert [probe.outcome.status.value for probe in ceiling.probes] == ["measured"] * len(ceiling.probes)
    assert ceiling.limit_method == "fraction of the device that its allocator may take"
