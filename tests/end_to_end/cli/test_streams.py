"""Commands whose output nobody takes, or whose terminal lacks characters: the exit status says what happened."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = "results/examples/linux-cpu"
C_LOCALE = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def bench(*arguments, stdout=subprocess.PIPE, **variables):
    done = subprocess.run(
        [sys.executable, "-m", "bench", *map(str, arguments)],
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, **variables},
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.fixture
def unread():
    """A pipe whose reader has gone."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["table", "--help"],
        ["--version"],
        ["table", EXAMPLE, "--format", "csv"],
        ["plan", "--device", "cpu"],
    ],
)
def test_a_closed_pipe_is_no_regression(unread, arguments):
    code, _, err = bench(*arguments, stdout=unread)
    assert (code, err) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["table", EXAMPLE, "--format", "csv"]])
def test_a_full_disk_is_one_sentence(arguments):
    with open("/dev/full", "wb") as full:
        code, _, err = bench(*arguments, stdout=full)
    assert (code, err) == (2, "yolopace: the output could not be written: No space left on device.\n")


@pytest.mark.parametrize("variables", [C_LOCALE, {"PYTHONIOENCODING": "gbk"}, {"PYTHONIOENCODING": "iso8859-1"}])
def test_tables_are_utf_8_in_every_locale(variables):
    code, out, err = bench("table", EXAMPLE, "--format", "csv", **variables)
    assert (code, err) == (0, "")
    assert out == bench("table", EXAMPLE, "--format", "csv", PYTHONIOENCODING="utf-8")[1]
    assert "·" in out.decode("utf-8")


def test_a_report_is_the_same_in_every_locale(tmp_path):
    for name, variables in (("c", C_LOCALE), ("utf-8", {"PYTHONUTF8": "1"})):
        code, _, err = bench("report", EXAMPLE, "--output", tmp_path / name, "--format", "md,csv", **variables)
        assert (code, err) == (0, "")
    for name in ("report.md", "cases.csv"):
        assert (tmp_path / "c" / name).read_bytes() == (tmp_path / "utf-8" / name).read_bytes()


@pytest.mark.parametrize("arguments", [["--help"], ["doctor"], ["regress", "--help"]])
def test_text_for_people_degrades(arguments, tmp_path):
    code, out, err = bench(*arguments, YOLOPACE_CACHE=str(tmp_path), **C_LOCALE)
    assert (code, err) == (0, "")
    out.decode("ascii")


def test_places_whose_names_are_no_text(tmp_path):
    place = os.fsencode(tmp_path) + b"/caf\xe9"
    os.mkdir(place)
    code, _, err = bench("table", os.fsdecode(place))
    assert (code, err) == (4, f"yolopace: there are no records in {tmp_path}/caf\\xe9.\n")
    code, out, err = bench("report", EXAMPLE, "--output", os.fsdecode(place), "--format", "csv")
    assert (code, err) == (0, "")
    assert out == os.fsencode(tmp_path) + b"/caf\\xe9/cases.csv\n"


@pytest.mark.parametrize("closed", ["1", "2", "1 2", "0 1 2"])
def test_streams_that_are_closed_from_the_start(closed):
    shell = " ".join(f"{number}>&-" for number in closed.split())
    command = f"{sys.executable} -m bench --version {shell}"
    assert subprocess.run(["sh", "-c", command], cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode == 0


# pytest bench/


@pytest.fixture
def plan(tmp_path):
    """Runs ``pytest bench/ --plan`` into a given standard output: exit status, and standard error."""

    def run(stdout, *arguments, **variables):
        small = ("--profile", "smoke", "--device", "cpu", "--model", "yolov8n", "--plan", "-p", "no:cacheprovider")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "bench/", *small, *arguments],
            cwd=ROOT,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, "YOLOPACE_CACHE": str(tmp_path), **variables},
            check=False,
        )
        return done.returncode, done.stderr.decode()

    return run


def test_pytest_into_a_closed_pipe(plan, unread):
    assert plan(unread) == (141, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_pytest_onto_a_full_disk(plan):
    with open("/dev/full", "wb") as full:
        code, err = plan(full)
    assert (code, err) == (2, "yolopace: the output could not be written: No space left on device.\n")


@pytest.mark.parametrize("variables", [C_LOCALE, {"PYTHONIOENCODING": "gbk"}])
def test_pytest_in_every_locale(plan, tmp_path, variables):
    with open(tmp_path / "out", "wb") as file:
        assert plan(file, **variables) == (0, "")
    assert b"yolov8n; amp off; batch 16; 64 px" in (tmp_path / "out").read_bytes()


@pytest.mark.parametrize(("option", "file"), [("--model", "caf\udce9.pt"), ("--data", "caf\udce9.yaml")])
def test_a_file_whose_name_is_no_text_is_refused(plan, tmp_path, option, file):
    if sys.platform == "darwin":
        pytest.skip("the file system of macOS has no such names")
    (tmp_path / file).write_text("")
    with open(tmp_path / "out", "wb") as out:
        code, err = plan(out, option, tmp_path / file)
    shown = file.replace("\udce9", "\\udce9")
    assert code == 2
    assert f"yolopace: {option[2:]} '{tmp_path}/{shown}': its name is not valid utf-8, so no record can hold it" in err
