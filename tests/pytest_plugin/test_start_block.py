"""The first lines of a run."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from bench.pytest_plugin import start_block
from bench.pytest_plugin.first_line import first_line, write_first_line
from bench.pytest_plugin.screen import Screen
from bench.pytest_plugin.start_block import machine_text, plan_text, short_path
from tests.builders import make_case, make_record

RECORD = make_record()


def test_the_first_line_names_the_profile(capsys: pytest.CaptureFixture[str]) -> None:
    assert first_line("quick").startswith("yolopace ") and first_line("quick").endswith(" · quick profile")
    named = [[], ["--profile", "smoke"], ["--profile=full", "-v"], ["--resume", "a"], ["--plan"], ["--collect-only"]]
    for arguments in named:
        write_first_line(arguments)
    written = [line.partition(" · ")[2] for line in capsys.readouterr().out.splitlines()]
    assert written == ["quick profile", "smoke profile", "full profile", "run a goes on"]


def test_a_machine_without_and_with_a_gpu() -> None:
    text = machine_text(RECORD.machine)
    assert RECORD.machine.cpu in text and f"{RECORD.machine.cores} cores" in text
    assert text.endswith(" · no GPU" if not RECORD.machine.gpus else RECORD.machine.gpus[-1])


def test_a_plan_counts_its_cases_and_names_the_values_of_its_axes() -> None:
    cases = [
        make_case(mode=mode, batch=batch, imgsz=size)
        for size in (640, 320)
        for batch in (16, 4)
        for mode in ("predict", "train")
    ]
    first, second = plan_text(cases, len(cases), 125)
    assert first == "8 cases, about 2 min"
    assert second == "train, predict · yolov8n · cpu · amp off · batch 16, 4 · 640, 320 px"
    assert plan_text(cases[:1], 3, 60)[0] == "1 case in 3 processes, about 60 s"
    assert plan_text([], 0, 0, searches=2) == ["2 ceilings"]
    assert plan_text([], 0, 0) == ["no case that this machine can measure"]
    texts = [make_case(model="bert-tiny", imgsz=128), make_case(model="lstm256", imgsz=28)]
    assert plan_text([*cases, *texts], 10, 60)[1].endswith(" · 640, 320 px, 128 tokens, 28 steps")
    many = [make_case(batch=batch) for batch in range(1, 9)]
    assert "8 values of batch" in plan_text(many, 8, 60)[1]


def test_paths_are_as_short_as_they_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert short_path(tmp_path / "reports" / "a") == "reports/a"
    assert short_path(Path("/elsewhere/a")) == "/elsewhere/a"


@pytest.mark.parametrize("width", [80, 40])
def test_the_block_has_all_its_parts_and_fits(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    pipe = io.StringIO()
    start_block.write(
        Screen(pipe),
        machine=RECORD.machine,
        environment=RECORD.environment,
        plan=plan_text([RECORD.case], 1, 60),
        cases=[RECORD.case],
        notes=["AMP: not available on cpu (Ultralytics turns it off)"],
        warnings=["The load is 4.5 on 2 cores: other programs slow the figures."],
        report=Path("reports/a/index.html"),
    )
    lines = pipe.getvalue().splitlines()
    labels = ["Machine", "Software", "Plan", "Warning", "Report"]
    assert [line.split()[0] for line in lines if line[:1].isupper()] == labels
    assert "AMP: not available on" in pipe.getvalue()
    assert max(map(len, lines)) <= width
