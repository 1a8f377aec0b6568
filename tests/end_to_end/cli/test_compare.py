"""``python -m bench compare`` on records as they come out of real runs: what it prints, and what it ends with."""

import csv
import io
import json
import shutil
import sys

import msgspec
import pytest

from bench.cli import app
from bench.records.store import Store
from tests.builders import make_machine, make_recipe, make_record, make_steps

OTHER = make_machine(fingerprint="a1b2c3d4e5f6", gpus=["NVIDIA H200 (139 GiB)"])
WIGGLE = (1.0, 1.02, 0.99, 1.01, 0.98, 1.0, 1.01, 0.99)
CASE = "train-yolov8n-cpu-fp32-b16-i160"


def at(seconds, **changes):
    """A record with steps of about so many seconds."""
    steps = make_steps([seconds * factor for factor in WIGGLE], images=changes.get("batch", 16))
    return make_record(**{"steps": steps, **changes})


@pytest.fixture
def run(tmp_path):
    """Records as a run of their own; its folder."""

    def save(name, *records):
        store = Store(tmp_path / "results", name)
        for record in records:
            assert store.save(msgspec.structs.replace(record, run=name)) == ""
        return store.folder

    return save


@pytest.fixture
def compare(monkeypatch, capsys):
    """The command as it is typed: exit status, standard output, standard error."""

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["bench", "compare", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            app.main()
        return left.value.code, *capsys.readouterr()

    return command


def refused(result):
    """The one sentence of a command that could not be answered, with its exit status."""
    code, out, err = result
    assert "Traceback" not in out + err
    lines = err.strip().splitlines()
    assert lines[-1].startswith("yolopace: ") and lines[-1].endswith(".")
    return code, lines[-1].removeprefix("yolopace: ")


def test_as_a_user_types_it(command, run):
    a, b = run("before", at(0.25)), run("after", at(0.5))
    code, out, err = command("-m", "bench", "compare", a, b)
    assert (code, err) == (0, "")
    assert out.startswith(f"# Two recorded runs: B compared with A\n\n**B is 2.00× slower in {CASE}.**")
    assert "2.000×" in out
    code, out, err = command("-m", "bench", "compare", a, b, "--fail-on-slower", "5%")
    assert code == 1
    assert err.startswith(f"slower by more than 5 %: {CASE} takes 100 % longer (")


def test_help_is_there_without_pandas(command):
    code, out, _ = command(
        "-c",
        "import sys; from bench.cli import app as cli; sys.argv = ['bench', 'compare', '--help']\n"
        "try: cli.main()\n"
        "except SystemExit: print('heavy:', sorted({'pandas', 'scipy', 'numpy'} & set(sys.modules)))",
    )
    assert code == 0 and "fail-on-slower" in out
    assert out.rstrip().endswith("heavy: []")


@pytest.mark.parametrize("format", ["md", "csv", "json"])
def test_formats(compare, run, format):
    code, out, err = compare(run("a", at(0.25)), run("b", at(0.5)), "--format", format)
    assert (code, err) == (0, "")
    if format == "json":
        assert json.loads(out)["cases"][0]["case"] == CASE
    elif format == "csv":
        assert [row["case"] for row in csv.DictReader(io.StringIO(out))] == [CASE]
    else:
        assert out.startswith("# ")


def test_sides_may_be_files_and_folders_of_runs(compare, run, tmp_path):
    old = at(0.25, started="2026-11-01T00:00:00+00:00")
    new = at(0.5, started="2026-11-02T00:00:00+00:00")
    first = run("first", old)
    run("second", new)
    code, out, _ = compare(first / f"{CASE}.json", tmp_path / "results", "--format", "json")
    content = json.loads(out)
    assert code == 0
    assert (content["a"]["runs"], content["b"]["runs"]) == (["first"], ["second"])
    assert content["cases"][0]["time_ratio"] == pytest.approx(2.0)


def test_a_terminal_gets_a_brief_table_unless_all_of_it_is_asked_for(compare, run, monkeypatch):
    monkeypatch.setattr("bench.cli.terminal.is_terminal", lambda stream: stream is sys.stdout)
    a, b = run("a", at(0.25)), run("b", at(0.5))
    code, out, err = compare(a, b)
    assert code == 0
    assert out.startswith(f"B is 2.00× slower in {CASE}.\n") and max(map(len, out.splitlines())) <= 80
    assert err == "all figures: --wide; for other programs: --format csv or --format json\n"
    for option in (["--wide"], ["--format", "md"]):
        code, out, err = compare(a, b, *option)
        assert (code, err) == (0, "") and out.startswith("# ")


# --fail-on-slower


@pytest.mark.parametrize(
    ("seconds", "limit", "code"),
    [(0.2725, "8%", 1), (0.2725, "8 %", 1), (0.2725, "10%", 0), (0.2625, "0.5%", 0), (0.2, "5%", 0)],
)
def test_fails_beyond_the_limit_where_the_interval_excludes_1(compare, run, seconds, limit, code):
    exit_code, out, err = compare(run("a", at(0.25)), run("b", at(seconds)), "--fail-on-slower", limit)
    assert exit_code == code
    assert ("slower by more than" in err) is bool(code)
    assert "not interleaved" in out, "the table is there whatever it ends with"


def test_only_the_cases_that_are_slower_are_named(compare, run):
    a, b = run("a", at(0.25), at(0.25, batch=4)), run("b", at(0.5), at(0.25, batch=4))
    code, _, err = compare(a, b, "--fail-on-slower", "5%")
    assert code == 1
    assert CASE in err and "b4" not in err
    assert "an interval within one process leaves out how far processes differ" in err


def test_intervals_between_processes_need_no_remark(compare, run):
    a, b = (run(name, at(seconds), at(seconds * 1.001, process=2)) for name, seconds in (("a", 0.25), ("b", 0.5)))
    code, _, err = compare(a, b, "--fail-on-slower", "5%")
    assert code == 1
    assert err.startswith("slower by more than 5 %: ") and len(err.splitlines()) == 1


@pytest.mark.parametrize("text", ["0.05", "5", "", "five%", "-5%", "0%", "5%%", "%"])
def test_what_is_no_percentage_is_refused_before_anything_is_read(compare, tmp_path, text):
    code, sentence = refused(compare(tmp_path / "a", tmp_path / "b", f"--fail-on-slower={text}"))
    assert code == 2
    assert sentence.startswith(f"fail-on-slower {text!r} is not allowed: write a percentage")


def test_a_case_without_an_interval_is_named(compare, run):
    short = make_steps([0.5, 0.5])
    a, b = run("a", at(0.25), at(0.25, batch=4)), run("b", at(0.25), at(0.5, batch=4, steps=short))
    code, _, err = compare(a, b, "--fail-on-slower", "5%")
    assert code == 0
    assert err == "without an interval, so --fail-on-slower has no answer: train-yolov8n-cpu-fp32-b4-i160\n"


def test_no_interval_at_all_is_no_answer(compare, run):
    a, b = run("a", at(0.25)), run("b", at(0.5, steps=make_steps([0.5, 0.5])))
    assert compare(a, b)[0] == 0
    code, sentence = refused(compare(a, b, "--fail-on-slower", "5%"))
    assert code == 3
    assert sentence.startswith("no case has an interval, so --fail-on-slower has no answer")


def test_different_machines_are_shown_and_never_tested(compare, run):
    a, b = run("a", at(0.25)), run("b", at(0.5, machine=OTHER))
    code, out, err = compare(a, b)
    assert (code, err) == (0, "")
    assert "NVIDIA H200 (139 GiB)" in out.splitlines()[0]
    code, sentence = refused(compare(a, b, "--fail-on-slower", "5%"))
    assert (code, sentence) == (
        3,
        "different machines are never tested: --fail-on-slower needs two runs of one machine.",
    )


# Nothing to compare


def test_different_recipes_end_with_3_and_name_what_differs(compare, run):
    a = run("a", at(0.25), at(0.25, batch=4))
    recipe = make_recipe(window_steps=64, threads=4)
    b = run("b", at(0.25, recipe=recipe), at(0.25, batch=4, recipe=recipe))
    code, sentence = refused(compare(a, b))
    assert code == 3
    assert sentence == f"{a} and {b} were measured by different recipes: window_steps 12 vs 64, threads 0 vs 4."


def test_a_recipe_that_differs_in_some_cases_is_listed_and_the_rest_compared(compare, run):
    b = run("b", at(0.25, recipe=make_recipe(window_steps=64)), at(0.25, batch=4))
    code, out, _ = compare(run("a", at(0.25), at(0.25, batch=4)), b, "--fail-on-slower", "5%")
    assert code == 0
    assert "window_steps 12 vs 64" in out


def test_no_case_in_common(compare, run):
    code, sentence = refused(compare(run("a", at(0.25)), run("b", at(0.25, batch=4))))
    assert code == 3
    assert sentence.endswith("have no measured case in common: the list says what each of them has.")


def test_a_side_without_a_figure(compare, run):
    failed = make_record(status="failed", reason="ValueError: no.")
    a, b = run("a", at(0.25)), run("b", failed)
    result = compare(a, b)
    assert "failed: ValueError: no." in result[1]
    assert refused(result) == (4, f"no case was measured in {b}: the list says why.")
    code, sentence = refused(compare(run("c", failed), b))
    assert (code, sentence) == (4, f"no case was measured in {a.parent / 'c'} nor in {b}: the list says why.")


# What cannot be read


def test_one_run_twice(compare, run, tmp_path):
    a = run("a", at(0.25))
    assert refused(compare(a, a)) == (2, f"A and B are the same run, {a}: name two.")
    assert refused(compare(a, a.parent / ".." / "results" / "a"))[0] == 2
    copy = shutil.copytree(a, tmp_path / "copy")
    assert refused(compare(a, copy)) == (2, f"{a} and {copy} hold the same measurements: name two runs.")


def test_a_folder_that_is_missing_or_empty(compare, run, tmp_path):
    a = run("a", at(0.25))
    assert refused(compare(a, tmp_path / "nowhere")) == (2, f"{tmp_path / 'nowhere'}: there is no such file or folder.")
    (tmp_path / "empty").mkdir()
    assert refused(compare(tmp_path / "empty", a)) == (4, f"there are no records in {tmp_path / 'empty'}.")


def test_a_side_of_several_machines(compare, run, tmp_path):
    a, _ = run("a", at(0.25)), run("b", at(0.25, machine=OTHER))
    code, sentence = refused(compare(tmp_path / "results", a))
    assert code == 2
    assert sentence.endswith("holds runs of 2 machines: name runs of one of them, such as a or b.")


def test_damaged_and_newer_records_are_named_and_left_out(compare, run):
    a, b = run("a", at(0.25), at(0.25, batch=4)), run("b", at(0.5), at(0.25, batch=4))
    (b / "train-yolov8n-cpu-fp32-b4-i160.json").write_text('{"schema": 99}')
    (a / "broken.json").write_text("{")
    code, out, err = compare(a, b)
    assert code == 0
    assert "2.000×" in out
    assert "broken.json is left out: " in err
    assert "a newer yolopace wrote it (schema 99" in err
    (b / f"{CASE}.json").write_text('{"schema": 99}')
    assert refused(compare(a, b)) == (4, f"there are no records in {b}.")


def test_too_few_arguments(command, run):
    code, out, err = command("-m", "bench", "compare", run("a", at(0.25)))
    assert code == 2
    assert err == "yolopace: missing argument 'B'; see yolopace compare --help.\n" and "Traceback" not in out + err
