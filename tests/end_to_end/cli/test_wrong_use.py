"""Wrong use ends before anything is started: one sentence, exit status 2, nothing written."""

import pytest

from bench.cases.device_kinds import kinds
from tests.made_packages import install

KINDS = ", ".join(kind.written for kind in kinds().values())
UNKNOWN_DEVICE = f"device 'gpu' is unknown: use {KINDS}, or several as in 0+1."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--profile", "fast"], "profile 'fast' is unknown: use smoke, quick, full, regress, workloads."),
        (["--device", "gpu"], UNKNOWN_DEVICE),
        (["--batch", "0"], "batch '0' is not allowed: use a whole number from 1 to 65536."),
        (["--imgsz", "big"], "imgsz 'big' is not allowed: use a whole number from 1 to 16384."),
        (["--amp", "fp16"], "amp 'fp16' is unknown: use off, on, bf16, half, forced-bf16, forced-fp16, int8."),
        (["--mode", "val"], "mode 'val' is unknown: use train or predict."),
        (["--axis", "speed=1"], "axis 'speed' is unknown: use mode, model, device, amp, batch, imgsz, workers, cache"),
        (["--axis", "workers"], "axis 'workers': write NAME=VALUES, such as workers=0,2."),
        (["--mode", "train", "--cache", "ssd"], "cache 'ssd' is unknown: use off, ram, disk."),
        (["--mode", "train", "--workers", "0", "--axis", "workers=2"], "axis 'workers' is named twice: give all its"),
        (["--cache", "ram"], "axis 'cache' is not taken by prediction: use --mode train."),
        (["--threads", "2", "--axis", "threads=1"], "threads is named twice: leave out --threads 2, or the axis"),
        (["--model", "yolov99n"], "model 'yolov99n' is unknown to Ultralytics"),
        (["--model", "yolov8-p2x"], "model 'yolov8-p2x' is unknown to Ultralytics"),
        (["--model", "yolov3n"], "model 'yolov3n' is unknown to Ultralytics"),
        (["--model", "missing/best.pt"], "model 'missing/best.pt': there is no such file."),
        (["--data", "missing.yaml"], "data 'missing.yaml': there is no such file"),
        (["--data", "bench/cases"], "data 'bench/cases' is a folder: name the data yaml in it;"),
        (["--data", "https://example.com/set.zip"], "data 'https://example.com/set.zip': nothing is fetched; fetch"),
        (["--time-budget", "soon"], "'soon' is no duration: write 90s, 10m or 1h30m."),
        (["--resume", "20200101-000000-abc"], "run '20200101-000000-abc' is not in"),
        (["--run", "../elsewhere"], "run '../elsewhere' cannot be the name of a folder"),
        (["--run", "a", "--resume", "last"], "run 'last' is not in"),
        (["--python", "missing-python"], "python 'missing-python': there is no such executable."),
        (["--threads", "-1"], "threads '-1' is not allowed: use a whole number."),
        (["--threads", "two"], "threads 'two' is not allowed: use a whole number."),
        (
            ["--model", "nothere.pt"],
            "model 'nothere.pt': there is no such file, and Ultralytics has no weights of that",
        ),
        (["--processes", "0"], "processes '0' is not allowed: use a whole number from 1 to 999."),
        (["--processes", "many"], "processes 'many' is not allowed: use a whole number from 1 to 999."),
        (["--target-ci", "0.02"], "target-ci '0.02' is not allowed: write a percentage from 0.1% to 100%, such as 2%."),
        (["--target-ci", "good"], "target-ci 'good' is not allowed: write a percentage from 0.1% to 100%, such as 2%."),
        (["--epoch-images", "-5"], "epoch-images '-5' is not allowed: use a whole number."),
    ],
)
def test_one_sentence_and_exit_status_2(bench, tmp_path, arguments, sentence):
    code, out, err = bench(*arguments)
    assert code == 2
    assert f"yolopace: {sentence}" in err
    assert "Traceback" not in out + err
    assert not (tmp_path / "results").exists()


def test_a_cache_that_cannot_be_used_ends_a_run_before_anything_is_made(bench, tmp_path):
    (tmp_path / "cache").write_text("a file is in the way")
    arguments = ("--profile", "smoke", "--device", "cpu", "--model", "yolov8n")
    code, out, err = bench(*arguments, YOLOPACE_CACHE=str(tmp_path / "cache"))
    assert code == 2
    assert f"yolopace: the cache {tmp_path}/cache cannot be made, for {tmp_path}/cache is a file: set YOLOPACE" in out
    assert "Traceback" not in out + err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "command_line", [["calibrate"], ["ceiling"], ["regress", "--base", "torch", "--head", "torch"]]
)
def test_a_cache_that_cannot_be_used_ends_a_command(command, tmp_path, command_line):
    (tmp_path / "cache").write_text("a file is in the way")
    arguments = ("-m", "bench", *command_line, "--results", tmp_path / "results")
    code, _, err = command(*arguments, YOLOPACE_CACHE=str(tmp_path / "cache"))
    assert code == 2
    assert err.strip().endswith("is a file: set YOLOPACE_CACHE to another folder.")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("best.onnx", "an exported model (ONNX) cannot be measured yet: name the .pt file that it was made from."),
        ("best.pt", "it is no checkpoint of PyTorch: name a best.pt or last.pt as Ultralytics saves it."),
        ("data.yaml", "it is a data yaml: give it to --data; a model yaml has backbone and head."),
    ],
)
def test_a_model_file_of_another_kind(bench, tmp_path, name, sentence):
    (tmp_path / name).write_text("train: a\nval: b\nnames: [x]\n")
    code, out, err = bench("--model", tmp_path / name)
    assert (code, "Traceback" in out + err) == (2, False)
    assert f"yolopace: model {str(tmp_path / name)!r}: {sentence}" in err


def test_results_that_cannot_be_written(bench, tmp_path):
    (tmp_path / "results").write_text("a file is in the way")
    code, out, err = bench("--profile", "smoke")
    assert code == 2
    assert "results cannot be written to" in out + err


def test_an_interpreter_without_torch(bench, tmp_path):
    # -S leaves out site-packages, so this Python has neither torch nor Ultralytics.
    python = tmp_path / "bare-python"
    import sys

    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    code, _, err = bench("--python", python)
    assert code == 2
    assert "torch is not installed for" in err


def test_an_ultralytics_below_the_floor(bench, tmp_path):
    import sys

    site = tmp_path / "site"
    for name, version in (("ultralytics", "8.2.0"), ("torch", "2.9.0")):
        install(site, name, version)
    python = tmp_path / "old-python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    code, _, err = bench("--python", python)
    assert code == 2
    assert "ultralytics 8.2.0 is older than 8.3.230, the oldest that can be measured: upgrade it." in err


def test_a_torch_that_cannot_be_imported(bench, tmp_path):
    import sys

    site = tmp_path / "site"
    for name, version in (("ultralytics", "8.4.0"), ("torch", "2.9.0")):
        install(site, name, version, "raise ImportError('libcudart.so.13: cannot open shared object file')\n")
    python = tmp_path / "broken-python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={site} exec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    code, out, err = bench("--python", python, "--profile", "smoke", "--model", "yolov8n.yaml")
    assert code == 2, out + err
    assert "cannot import torch and ultralytics: ImportError: libcudart.so.13" in out + err


def test_cases_side_by_side_are_refused(bench):
    code, _, err = bench("-n", "2")
    assert code == 2
    assert "yolopace: cases that run side by side (-n of pytest-xdist) would slow each other" in err


def test_a_precision_without_its_test_is_refused(command, tmp_path):
    only = ("-m", "pytest", "bench/test_train.py", "--benchmark-only", "--results", tmp_path / "results")
    code, out, err = command(*only, "--profile", "smoke", "--device", "cpu", "--target-ci", "2%")
    assert code == 2
    assert "yolopace: --target-ci has a test of its own: name bench/ or bench/test_target_ci.py too." in out + err
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--device", "gpu"], UNKNOWN_DEVICE),
        (["--time-budget", "soon"], "'soon' is no duration: write 90s, 10m or 1h30m."),
        (["--python", "missing-python"], "python 'missing-python': there is no such executable."),
    ],
)
def test_a_calibration_that_cannot_be(command, tmp_path, arguments, sentence):
    code, out, err = command("-m", "bench", "calibrate", "--results", tmp_path / "results", *arguments)
    assert code == 2
    assert err.strip().splitlines()[-1] == f"yolopace: {sentence}"
    assert "Traceback" not in out + err
    assert not (tmp_path / "results").exists()
