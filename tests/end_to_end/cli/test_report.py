"""``report`` and ``table`` as commands: which cases, which files, which inputs."""

from __future__ import annotations

import pytest

from bench.records.store import Store
from tests.builders import make_ceiling, make_compared, make_comparison, make_record
from tests.report.conftest import timed


@pytest.fixture
def results(tmp_path):
    """A run of three cases, one with a ceiling, and a live comparison."""
    store = Store(tmp_path / "results", "a")
    for record in (
        timed(20.0, 4, run="a"),
        timed(25.0, 8, run="a"),
        make_record(model="yolo11n", run="a", amp="on", status="substituted"),
    ):
        store.save(record)
    store.save(make_ceiling(24, run="a"))
    (tmp_path / "results" / "regress-a").mkdir()
    compared = make_compared([0.05, 0.051, 0.049, 0.05], [0.05] * 7 + [0.051], batch=4)
    Store.at(tmp_path / "results" / "regress-a").save(make_comparison([compared]))
    return tmp_path / "results"


def test_everything_that_the_runs_hold_is_on_the_page(command, results, tmp_path):
    code, output, wrong = command("-m", "bench", "report", results, "--output", tmp_path / "out")
    assert (code, output.strip(), wrong) == (0, str(tmp_path / "out" / "index.html"), "")
    html = (tmp_path / "out" / "index.html").read_text()
    for heading in ("Training: time per epoch", "Largest batch that trains", "What did an upgrade change?"):
        assert heading in html, heading


def test_a_folder_with_nothing_but_a_comparison_is_a_report(command, results, tmp_path):
    code, _, _ = command(
        "-m", "bench", "report", results / "regress-a", "--output", tmp_path / "out", "--format", "html"
    )
    assert code == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["index.html"]


def test_only_chooses_cases(command, results):
    code, output, _ = command(
        "-m", "bench", "table", results, "--format", "csv", "--only", "model=yolov8n,batch=4", "--only", "batch=16"
    )
    assert code == 0
    rows = output.splitlines()[1:]
    assert len(rows) == 2, "one case, and the ceiling, whose batch is nobody's choice"
    assert ",train,yolov8n,cpu,off,4," in rows[0] and ",ceiling," in rows[1]


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("--only", "speed=4"), 2, "only 'speed=4': write axis=value, with one of mode, model"),
        (("--only", "batch=x"), 2, "batch 'x' is not allowed"),
        (("--only", "imgsz=32"), 4, "no record is of such a case"),
        (("--format", "pdf"), 2, "format 'pdf' is unknown: use html, md, csv, svg, png, gha."),
    ],
)
def test_wrong_use_is_one_sentence_and_writes_nothing(command, results, tmp_path, arguments, code, sentence):
    (results / "a" / "ceiling-yolov8n-cpu-fp32-i160-4096MiB.json").unlink()
    (results / "regress-a" / "comparison.json").unlink()
    done, _, wrong = command("-m", "bench", "report", results, "--output", tmp_path / "out", *arguments)
    assert done == code
    assert sentence in wrong and wrong.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["comparison.json", "ceiling-yolov8n-cpu-fp32-i160-4096MiB.json"])
def test_what_cannot_be_read_is_named_once_and_left_out(command, results, tmp_path, name):
    [file] = results.rglob(name)
    file.write_text("{}")
    code, _, wrong = command("-m", "bench", "report", results, "--output", tmp_path / "out", "--format", "html")
    assert code == 0
    assert wrong.count(name) == 1 and f"{name} is left out: it is no c" in wrong
    assert f"{name} is left out" in (tmp_path / "out" / "index.html").read_text()


def test_only_leaves_out_comparisons_and_ceilings_without_such_a_case(command, results, tmp_path):
    def page(*only):
        code, _, wrong = command(
            "-m", "bench", "report", results, "--output", tmp_path / "o", "--format", "html", *only
        )
        return (tmp_path / "o" / "index.html").read_text() if code == 0 else wrong

    assert "What did an upgrade change?" in page("--only", "batch=4")
    html = page("--only", "batch=8")
    assert "What did an upgrade change?" not in html and "Largest batch that trains" in html
    assert "no record is of such a case" in page("--only", "model=yolov8s")
