from __future__ import annotations

import re

import pytest

from bench.worker import input_errors
from bench.worker.input_errors import Known, describe_error
from bench.worker.rejection import from_exception


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            "Dataset 'data.yaml' images not found ⚠️, missing path '/s/images/val'\nNote dataset download directory is "
            "'/d'. You can update this in '/cache/settings.json'",
            "Dataset 'data.yaml' images not found, missing path '/s/images/val'. Note dataset download directory is "
            "'/d'.",
        ),
        (
            "ERROR ❌️ best.pt is not a loadable checkpoint — the file is empty (EOFError: Ran out of input).\n"
            "Recommended fixes are to re-download the file, or to run a command with an official Ultralytics model, "
            "i.e. 'yolo predict model=yolo26n.pt'",
            "best.pt is not a loadable checkpoint — the file is empty (EOFError: Ran out of input).",
        ),
        ("\x1b[34mtrain: \x1b[0mno labels. See https://docs.ultralytics.com/datasets for help.", "train: no labels."),
        ("No module named 'x'. Run 'pip install x' and try again.", "No module named 'x'."),
        ("Use YOLO('yolov8n.yaml') to build a new model.", "Use"),
        ("a plain message", "a plain message"),
    ],
)
def test_advice_that_is_wrong_here_is_not_passed_on(message: str, sentence: str) -> None:
    assert describe_error(RuntimeError(message)) == sentence


def test_an_address_that_failed_is_no_advice() -> None:
    message = "Download failure for https://github.com/ultralytics/assets/releases/download/v8.3.0/yolo11n.pt."
    assert describe_error(ConnectionError(message)) == message


def test_an_error_without_a_message_is_told_by_its_type() -> None:
    assert describe_error(EOFError()) == "EOFError"
    assert describe_error(RuntimeError("\x1b[0m")) == "RuntimeError"


def test_a_known_message_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Known(re.compile(r"no labels in (?P<file>\S+)"), "invalid", "{file} has no labels: add some.", ("mode",))
    monkeypatch.setattr(input_errors, "KNOWN", (known,))
    refused = from_exception(RuntimeError("\x1b[34mtrain:\x1b[0m no labels\n in a.txt"))
    assert (refused.status, refused.reason, refused.scope) == ("invalid", "a.txt has no labels: add some.", ("mode",))
    assert from_exception(RuntimeError("no labels")).status == "failed"
