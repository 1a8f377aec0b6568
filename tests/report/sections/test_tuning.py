"""The page, the terminal and the JSON of a search for the fastest settings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench.records.tune import NotTried, Tuning
from bench.report import tuning as rendered
from bench.tune.answer import answer
from tests.builders import make_case, make_record
from tests.report.conftest import written
from tests.tune.made import PRESENT, PROVEN, WINNER, make_proof, make_tuning

COMMAND = "yolo train model=yolov8n.pt data=your-data.yaml imgsz=160 batch=16 device=cpu amp=False cache=ram"


def page(tmp_path: Path, *tunings: Tuning) -> str:
    records = [make_record(), make_record(case=WINNER)]
    return written(records, tmp_path, tunings=list(tunings))


def test_the_first_line_says_what_to_set_and_how_much_it_helps() -> None:
    text = rendered.render_text(make_tuning(proof=PROVEN), epochs=100)
    first, *rest = text.splitlines()
    assert re.fullmatch(
        r"SET  cache=ram: 1\.40 times as fast as the defaults \(95 % interval 1\.3\d to 1\.4\d\)\.", first
    )
    assert f"  {COMMAND}" in rest
    assert "  An epoch of 1,000 images: 15.6 s before, 11.1 s after." in rest
    assert any(line.startswith("  100 epochs: 26 min before, 19 min after; set-up is included") for line in rest)
    assert "  workers: Ultralytics loads images in the training process on CPU" in rest
    assert any("substituted: threads 2 requested" in line for line in rest)


def test_where_the_defaults_are_best_their_command_is_shown() -> None:
    text = rendered.render_text(make_tuning(winner=PRESENT))
    assert text.startswith("KEEP  the defaults: nothing that was tried is faster by 3.0 % or more.\n")
    assert "cache=ram\n" not in text.split("Tried")[0].replace(COMMAND, "")
    assert f"  {COMMAND.removesuffix(' cache=ram')}\n" in text


def test_threads_are_no_argument_of_ultralytics() -> None:
    shell, python = rendered.commands(make_tuning(), make_case(further=(("threads", 4),)))
    assert shell == ""
    assert python.startswith("from ultralytics.utils import torch_utils; torch_utils.NUM_THREADS = 4; YOLO(")
    assert "threads" not in python.partition("YOLO(")[2]


def test_an_exported_model_is_exported_first() -> None:
    shell, python = rendered.commands(make_tuning(), make_case(mode="predict", batch=8, further=(("format", "onnx"),)))
    assert shell == ""
    assert python.startswith('YOLO(YOLO("yolov8n.pt").export(format="onnx", imgsz=160, batch=8)).predict(source=')


def test_prediction_has_a_source_and_no_amp() -> None:
    shell, python = rendered.commands(make_tuning(), make_case(mode="predict", batch=8))
    assert shell == "yolo predict model=yolov8n.pt source=your-images imgsz=160 batch=8 device=cpu half=False"
    assert python == 'YOLO("yolov8n.pt").predict(source="your-images", imgsz=160, batch=8, device="cpu", half=False)'


def test_other_workloads_have_no_command() -> None:
    assert rendered.commands(make_tuning(), make_case(model="resnet18", imgsz=32)) == ("", "")


def test_settings_that_change_what_is_learned_say_so() -> None:
    larger = make_case(batch=32)
    proof = make_proof([-0.3, -0.31, -0.3, -0.29], [-0.3, -0.31, -0.3, -0.29], head=larger)
    text = rendered.render_text(make_tuning(winner=larger, proof=proof))
    assert text.startswith("SET  batch=32: 1.35 times as fast")
    assert "  batch: another batch changes what is learned: the learning rate may have to change with it." in text


def test_json_has_the_answer_and_all_that_was_tried() -> None:
    content = json.loads(rendered.render_json(make_tuning(proof=PROVEN), epochs=100))
    assert (content["verdict"], content["settings"], content["pairs"]) == ("set", {"cache": "ram"}, 8)
    assert content["gain"]["low"] < content["gain"]["ratio"] < content["gain"]["high"]
    assert content["command"] == COMMAND
    assert content["seconds_per_epoch"]["before"] == pytest.approx(15.625)
    assert [row["settings"] for row in content["tried"]] == ["cache=ram", "", "threads=2"]
    assert content["not_tried"][0]["settings"] == "workers"


def test_the_page_answers_what_to_set_and_the_headline_recommends_it(tmp_path: Path) -> None:
    html = page(tmp_path, make_tuning(proof=PROVEN))
    assert "What should I set?" in html
    assert "Fastest settings, proven" in html
    assert html.count(COMMAND) == 2  # in the headline and in the section
    markdown = (tmp_path / "report.md").read_text()
    assert "SET cache=ram" in markdown and COMMAND in markdown


def test_a_page_without_a_search_has_no_such_question(tmp_path: Path) -> None:
    assert "What should I set?" not in page(tmp_path)


def test_an_unproven_winner_is_not_recommended(tmp_path: Path) -> None:
    tuning = make_tuning(proof=make_proof([-0.3, 0.3] * 6))
    assert rendered.recommended(tuning) is None
    html = page(tmp_path, tuning)
    assert "Fastest settings so far, not proven" in html


def test_recorded_text_cannot_add_markup(tmp_path: Path) -> None:
    nasty = '<script>alert("x")</script>'
    html = page(tmp_path, make_tuning(not_tried=[NotTried(nasty, nasty)], notes=[nasty]))
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


def test_the_summary_has_the_table() -> None:
    text = rendered.render_markdown(make_tuning(proof=PROVEN))
    assert text.startswith("**SET  cache=ram: ")
    assert "| cache=ram " in text
    assert answer(make_tuning(proof=PROVEN)).sentence in text
