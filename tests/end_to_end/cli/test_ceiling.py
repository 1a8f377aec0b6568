"""``python -m bench ceiling`` as it is typed: bad input, what it prints and writes, and one real search."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.ceiling.service import default_sizes, describe, granularity_for, search_cases
from bench.cli import app
from bench.records import ceiling as records
from bench.records.outcome import Outcome, Status
from bench.records.record import Memory
from bench.records.store import Store, encoded, read_ceilings
from tests.builders import make_record


def typed(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        app.main()
    return int(left.value.code or 0)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path_factory.getbasetemp() / "ceiling-cache"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--multiple-of", 0), "multiple-of '0' is not allowed: use a whole number from 1."),
        (("--multiple-of", 8, "--max", 4), "max '4' is below --multiple-of 8"),
        (("--device", "cpu+cpu", "--max", 1), "max '1' is below 2, the smallest batch of cpu+cpu"),
        (
            ("--multiple-of", 3, "--device", "cpu+cpu"),
            "--multiple-of 3 cannot be shared equally by the 2 devices of cpu+cpu",
        ),
        (("--max", 10**9), "use a whole number from 1 to 65536"),
        (("--threads", -1), "threads -1 is not allowed"),
        (("--memory-limit", 4), "memory-limit '4' has no unit: write 4GiB or 4MiB."),
        (("--memory-sizes", "8GiB,big"), "memory-sizes 'big' is no size of memory"),
        (("--device", "toaster"), "device 'toaster' is unknown"),
        (("--model", "yolov9999n"), "yolov9999n"),
        (("--python", "no-such-python"), "there is no such executable."),
    ],
)
def test_bad_input(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    arguments: tuple[object, ...],
    sentence: str,
) -> None:
    results = tmp_path / "results"
    assert typed(monkeypatch, "ceiling", "--results", results, *arguments) == 2
    assert sentence in capsys.readouterr().err
    assert not results.exists()


def test_a_card_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert typed(monkeypatch, "ceiling", "--device", 7, "--imgsz", 64, "--results", tmp_path) == 4
    output = capsys.readouterr()
    assert "unsupported: device 7" in output.out and "no ceiling was found" in output.err


def test_a_real_search_under_a_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The machine survives, the result is the edge, and the table has it as a row."""
    limit, asked = "900MiB", ("--device", "cpu", "--imgsz", 64, "--multiple-of", 16, "--max", 512)
    assert typed(monkeypatch, "ceiling", *asked, "--memory-limit", limit, "--results", tmp_path) == 0
    output = capsys.readouterr()
    [ceiling], complaints = read_ceilings([tmp_path])
    assert complaints == [] and ceiling.outcome.status.value == "measured"
    assert ceiling.case.batch % 16 == 0 and ceiling.limit_bytes == 900 * 2**20
    by_batch = {probe.batch: probe for probe in ceiling.probes}
    if ceiling.stop_reason == "limit":
        assert ceiling.case.batch == 512
    elif ceiling.stop_reason != "predicted":
        assert not by_batch[ceiling.case.batch + 16].fits
    assert ceiling.case.batch > 0 and by_batch[ceiling.case.batch].fits
    assert f"batch {ceiling.case.batch} trains" in output.out
    assert typed(monkeypatch, "table", tmp_path, "--format", "csv") == 0
    [row] = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["mode"], row["status"], row["batch"]) == ("ceiling", "measured", str(ceiling.case.batch))
    assert row["images_per_second"] == ""


def test_what_fits_a_card_is_verified_by_a_search_under_its_limit(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    asked = ("--device", "cpu", "--imgsz", 32, "--multiple-of", 16, "--max", 16, "--memory-limit", "900MiB")
    cards = ("--memory-sizes", "900MiB,1GiB,9999GiB", "--verify")
    assert typed(monkeypatch, "ceiling", *asked, *cards, "--results", tmp_path) == 0
    ceilings, complaints = read_ceilings([tmp_path])
    assert complaints == []
    limits = sorted(ceiling.limit_bytes or 0 for ceiling in ceilings)
    assert limits == [900 * 2**20, 2**30], "each once, and none that the machine has not"
    assert all(ceiling.limit_requested and ceiling.case.batch == 16 for ceiling in ceilings)
    output = capsys.readouterr().out
    assert "batch 16 trains within 900 MiB" in output and "batch 16 trains within 1 GiB" in output


@pytest.mark.parametrize("with_groups", [True, False], ids=["as-it-is-here", "RLIMIT_DATA"])
def test_a_limit_below_the_model(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, with_groups: bool
) -> None:
    if not with_groups:
        monkeypatch.setattr("bench.ceiling.probe_limits.group", lambda limit: None)
    asked = ("--device", "cpu", "--imgsz", 64, "--multiple-of", 8, "--memory-limit", "120MiB")
    assert typed(monkeypatch, "ceiling", *asked, "--results", tmp_path) == 0
    assert "not even batch 8 trains within 120 MiB" in capsys.readouterr().out


def test_a_limit_that_nothing_would_hold(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.ceiling.probe_limits.enforced", lambda: False)
    asked = ("--device", "cpu", "--memory-limit", "4GiB", "--results", tmp_path / "results")
    assert typed(monkeypatch, "ceiling", *asked) == 2
    monkeypatch.setattr("bench.ceiling.search.card_bytes", lambda device: 80 * 2**30)
    asked = ("--device", 0, "--memory-limit", "200GiB", "--results", tmp_path / "results")
    assert typed(monkeypatch, "ceiling", *asked) == 2
    err = capsys.readouterr().err
    assert "this system keeps no such limit on the CPU" in err
    assert "memory-limit 200 GiB is more than device 0 has: at most 80 GiB." in err


def test_a_limit_above_what_there_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.ceiling.probe_limits.enforced", lambda: True)
    monkeypatch.setattr("bench.ceiling.search.memory_limit", lambda: 2 * 2**30)
    asked = ("--memory-limit", "4GiB", "--results", tmp_path / "results")
    assert typed(monkeypatch, "ceiling", "--device", "cpu", *asked) == 2
    sizes = {"0": 80 * 2**30, "1": 3 * 2**30}
    monkeypatch.setattr("bench.ceiling.search.card_bytes", sizes.get)
    assert typed(monkeypatch, "ceiling", "--device", "0+1", *asked) == 2
    err = capsys.readouterr().err
    assert "memory-limit 4 GiB is more than device cpu has: at most 2 GiB." in err
    assert "memory-limit 4 GiB is more than device 0+1 has: at most 3 GiB." in err
    assert not (tmp_path / "results").exists()


def test_several_devices_share_every_batch_that_they_can() -> None:
    [single, double] = search_cases({"device": ["cpu", "cpu+cpu"], "model": ["yolov8n"], "amp": ["off"], "imgsz": [64]})
    assert [granularity_for(1, single), granularity_for(1, double), granularity_for(6, double)] == [1, 2, 6]
    [twice] = search_cases({"device": ["0+0"], "model": ["yolov8n"], "amp": ["off"], "imgsz": [64]})
    assert granularity_for(3, twice) == 3, "refused for its own reason, when its turn comes"
    assert default_sizes("cpu+cpu") == default_sizes("2xcpu") == default_sizes("cpu") != default_sizes("0+1")


def test_several_of_mps_are_refused_for_their_own_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("bench.ceiling.search.provide_data", lambda *asked: pytest.fail("no data set is needed"))
    assert typed(monkeypatch, "ceiling", "--device", "mps+mps", "--imgsz", 64, "--results", tmp_path) == 4
    assert "torch has no distributed backend that takes tensors of mps" in capsys.readouterr().out


def test_ctrl_c_keeps_what_was_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tried = []

    def fake_probe(planned: Any, *arguments: Any) -> Any:
        if tried:
            raise KeyboardInterrupt
        tried.append(planned.case.batch)
        return records.Probe(
            batch=planned.case.batch, outcome=Outcome(Status.MEASURED), peak=2**29, baseline_bytes=2**28
        ), {}

    monkeypatch.setattr("bench.ceiling.search.run_probe", fake_probe)
    monkeypatch.setattr("bench.ceiling.search.provide_data", lambda question, launcher: {})
    asked = ("ceiling", "--device", "cpu", "--memory-limit", "1GiB", "--imgsz", "64,96", "--results", tmp_path)
    assert typed(monkeypatch, *asked) == 3
    [ceiling], _ = read_ceilings([tmp_path])
    assert (ceiling.outcome.status, ceiling.case.batch, len(ceiling.probes)) == (Status.INTERRUPTED, 8, 1)
    output = capsys.readouterr()
    assert "batch 8 trains within 1 GiB" in output.out
    assert output.err.startswith("2 searches of about 6 probes: 2 to 6 minutes; memory limit 1GiB = 1 GiB\n")


def made(*probes: records.Probe) -> records.Ceiling:
    """A ceiling of batch 8 within 1 GiB."""
    record = make_record(run="run")
    return records.Ceiling(
        run="run",
        started=record.started,
        case=msgspec.structs.replace(record.case, mode="ceiling", batch=8),
        recipe=record.recipe,
        outcome=Outcome(Status.MEASURED),
        stop_reason="out of memory",
        machine=record.machine,
        environment=record.environment,
        granularity=8,
        max_batch=64,
        limit_bytes=2**30,
        limit_method="control group",
        probes=list(probes),
    )


def test_limits_that_are_alike_to_a_mib_have_files_of_their_own() -> None:
    ceiling = made()
    close = msgspec.structs.replace(ceiling, limit_bytes=2**30 + 1)
    assert ceiling.name.endswith("-1024MiB") and close.name.endswith("-1073741825B")


def test_a_limit_that_was_searched_is_not_predicted() -> None:
    sizes = {4: 700 * 2**20, 8: 900 * 2**20}
    fit = [
        records.Probe(batch=batch, outcome=Outcome(Status.MEASURED), peak=peak, baseline_bytes=500 * 2**20)
        for batch, peak in sizes.items()
    ]
    assert describe(made(*fit), [2**30, 2**31])[-1] == "  predicted: 24 in 2 GiB"


def test_the_table_has_ceilings_next_to_cases(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    record = make_record(run="run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / f"{record.name}.json").write_bytes(encoded(record))
    probe = records.Probe(batch=8, outcome=Outcome(Status.MEASURED), memory={"process": Memory(2**29, "seen")})
    Store.at(tmp_path / "run").save(made(probe))
    assert typed(monkeypatch, "table", tmp_path, "--format", "csv") == 0
    first, second = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert first["mode"] == record.case.mode and first["images_per_second"]
    assert (second["mode"], second["batch"], second["peak_memory_bytes"]) == ("ceiling", "8", str(2**29))
    assert second["flags"] == "within 1073741824 bytes (control group); then out of memory"


def test_a_file_that_is_no_ceiling_is_named_and_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    for name, content in (("a", "{"), ("b", json.dumps({"schema": 99})), ("c", "[]")):
        (tmp_path / "run" / f"ceiling-{name}.json").write_text(content)
    assert typed(monkeypatch, "table", tmp_path) == 4
    err = capsys.readouterr().err
    assert err.count("is left out: ") == 3 and "a newer yolopace wrote it" in err
