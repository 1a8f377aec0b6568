"""``python -m bench sweep`` with releases that exist here alone: what it compares, prints, writes and ends with."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bench.records.store import read_comparison
from tests.end_to_end.cli.released import Commands, Shop, bench, shop

__all__ = ["bench", "shop"]

CASE = "train-yolov8n-cpu-fp32-b4-i160"
SWEEP = ("sweep", "--package", "ultralytics", "--device", "cpu")


def test_the_newest_releases_against_the_first_of_them(shop: Shop, bench: Commands) -> None:
    shop.factors = {"8.4.189": 1.05, "8.4.190": 1.05}
    ended = bench(*SWEEP, "--last", 4, "--json", bench.json)
    assert ended.code == 1
    assert shop.compared == [("8.4.187", version) for version in ("8.4.188", "8.4.189", "8.4.190")]
    lines = ended.out.splitlines()
    assert lines[0] == "SLOWER  ultralytics 8.4.187 to 8.4.190"
    rows = [line.split()[:2] for line in lines[lines.index(CASE) + 1 :][:4]]
    assert rows == [["8.4.187", "first"], ["8.4.188", "same"], ["8.4.189", "slower"], ["8.4.190", "slower"]]
    assert re.match(r"Ultralytics is slower since 8.4.189: against 8.4.187, 8.4.190 takes [45]\.\d %", lines[1])
    assert "pinned for every release: torch==2.15.0, torchvision==0.30.0" in ended.err
    content = json.loads(bench.json.read_text())
    assert (content["verdict"], content["exit_code"], content["since"]) == ("slower", 1, "8.4.189")
    assert [row["comparison"] and len(row["comparison"]["cases"]) for row in content["releases"]] == [None, 1, 1, 1]
    [page] = bench.reports.glob("sweep-*/index.html")
    assert {path.name for path in page.parent.rglob("*.*")} == {
        "index.html",
        "sweep.md",
        "throughput.svg",
        "throughput.png",
    }


def test_every_comparison_is_kept_by_itself(shop: Shop, bench: Commands) -> None:
    assert bench(*SWEEP, "--last", 3).code == 0
    folders = sorted(bench.results.iterdir())
    assert [folder.name.split("-", 4)[4] for folder in folders] == ["8.4.189", "8.4.190"]
    kept = read_comparison(folders[0])
    assert kept.run == folders[0].name
    assert (kept.base.asked, kept.head.asked) == ("ultralytics==8.4.188", "ultralytics==8.4.189")
    assert [case.case.id for case in kept.cases] == [CASE]


def test_six_releases_by_default(shop: Shop, bench: Commands) -> None:
    assert bench(*SWEEP).code == 0
    assert len(shop.compared) == 5 and shop.compared[0] == ("8.4.185", "8.4.186")


def test_all_else_is_held_as_it_is_with_the_newest(shop: Shop, bench: Commands) -> None:
    bench(*SWEEP, "--last", 2)
    assert set(shop.provided) == {
        f"ultralytics=={version},torch==2.15.0,torchvision==0.30.0" for version in ("8.4.189", "8.4.190")
    }
    shop.provided.clear()
    bench("sweep", "--package", "Torch", "--device", "cpu", "--last", 2)
    assert set(shop.provided) == {f"torch=={version},ultralytics==8.4.190" for version in ("2.14.1", "2.15.0")}
    shop.provided.clear()
    bench(*SWEEP, "--last", 2, "--pin", "torch==2.14.0,numpy<3")
    assert shop.provided[0] == "ultralytics==8.4.189,torch==2.14.0,numpy<3,torchvision==0.30.0"


def test_releases_by_name_keep_their_order(shop: Shop, bench: Commands) -> None:
    assert bench(*SWEEP, "--versions", "8.4.190, 8.4.180,8.4.185").code == 0
    assert shop.compared == [("8.4.190", "8.4.180"), ("8.4.190", "8.4.185")]


def test_a_release_that_has_no_environment_costs_its_own_line_alone(shop: Shop, bench: Commands) -> None:
    shop.unbuildable = {"8.4.188"}
    ended = bench(*SWEEP, "--last", 4)
    assert ended.code == 0
    assert shop.compared == [("8.4.187", "8.4.189"), ("8.4.187", "8.4.190")]
    assert "8.4.188: no environment can be made of ultralytics==8.4.188" in ended.out


def test_where_the_newest_has_no_environment_the_one_before_says_what_is_held(shop: Shop, bench: Commands) -> None:
    shop.unbuildable = {"8.4.190"}
    ended = bench(*SWEEP, "--last", 3)
    assert ended.code == 3
    assert "pinned for every release: torch==2.15.0" in ended.err
    assert "8.4.190, the newest, is not compared: no environment can be made of" in ended.out
    assert "8.4.189 is as fast as 8.4.188" in ended.out


@pytest.mark.parametrize("how", ["unbuildable", "unusable", "cannot"])
def test_where_the_first_release_cannot_be_measured_the_next_one_takes_its_place(
    shop: Shop, bench: Commands, how: str
) -> None:
    getattr(shop, how).add("8.4.186")
    shop.factors = {"8.4.190": 1.12}
    ended = bench(*SWEEP, "--last", 5)
    assert ended.code == 1
    assert shop.compared[-3:] == [("8.4.187", version) for version in ("8.4.188", "8.4.189", "8.4.190")]
    assert "8.4.186 is left out" in ended.err
    assert "against 8.4.187, 8.4.190 takes 1" in ended.out
    assert any(line.startswith("8.4.186: ") for line in ended.out.splitlines())
    assert "pythons" not in ended.out, "no report says where anything is on this machine"


def test_a_release_whose_workers_do_not_start_says_why(shop: Shop, bench: Commands) -> None:
    shop.unusable = {"8.4.189"}
    ended = bench(*SWEEP, "--last", 3)
    assert ended.code == 0
    assert "8.4.189: the Python of ultralytics 8.4.189 cannot import torch and ultralytics: it is" in ended.out


def test_a_newest_release_that_cannot_run_the_case_is_a_regression(shop: Shop, bench: Commands) -> None:
    shop.cannot = {"8.4.190"}
    ended = bench(*SWEEP, "--last", 3)
    assert ended.code == 1
    assert f"8.4.190, the newest: it cannot run {CASE} (failed: ValueError: no)." in ended.out


def test_the_first_release_is_replaced_by_none_once_it_was_measured(shop: Shop, bench: Commands) -> None:
    shop.unusable = {"8.4.190"}
    bench(*SWEEP, "--last", 3)
    assert shop.compared == [("8.4.188", "8.4.189"), ("8.4.188", "8.4.190")]


def test_nothing_measured(shop: Shop, bench: Commands) -> None:
    shop.cannot = {*shop.versions["ultralytics"]}
    ended = bench(*SWEEP, "--last", 3)
    assert ended.code == 4
    assert ended.sentence == "no release was compared with another: the list says why."
    assert "No release was compared" in ended.out


def test_one_environment_alone_is_nothing_to_compare(shop: Shop, bench: Commands) -> None:
    shop.unbuildable = {"8.4.189", "8.4.190"}
    ended = bench(*SWEEP, "--last", 3)
    assert (ended.code, shop.compared) == (4, [])


def test_no_environment_at_all_ends_with_the_reason(shop: Shop, bench: Commands) -> None:
    shop.unbuildable = {*shop.versions["ultralytics"]}
    ended = bench(*SWEEP, "--last", 2)
    assert ended.code == 2
    assert "no environment can be made of ultralytics==8.4.189" in ended.sentence


def test_the_time_budget_is_shared_evenly_and_what_one_spares_others_have(shop: Shop, bench: Commands) -> None:
    ended = bench(*SWEEP, "--last", 3, "--time-budget", "72s")
    assert ended.code == 3
    pairs = [len(read_comparison(folder).cases[0].pairs) for folder in sorted(bench.results.iterdir())]
    assert pairs == [3, 3]
    assert ended.err.count("its share of the time budget is used up") == 2
    again = Commands(bench.results.parent / "again", bench._monkeypatch, bench._capsys)
    assert again(*SWEEP, "--last", 3, "--time-budget", "120s").code == 0
    assert [len(read_comparison(folder).cases[0].pairs) for folder in sorted(again.results.iterdir())] == [4, 4]


def test_ctrl_c_keeps_what_was_measured_and_says_it(shop: Shop, bench: Commands) -> None:
    shop.stops = 6
    ended = bench(*SWEEP, "--last", 4)
    assert ended.code == 3
    assert "stopped: --resume continues with what was measured" in ended.err
    pairs = [len(read_comparison(folder).cases[0].pairs) for folder in sorted(bench.results.iterdir())]
    assert pairs == [4, 2]
    rows = {line.split()[0]: line.split()[1] for line in ended.out.splitlines() if line.startswith("  8.4.")}
    assert rows == {"8.4.187": "first", "8.4.188": "same", "8.4.189": "inconclusive", "8.4.190": "not"}
    assert "8.4.190: it was not reached" in ended.out
    assert list(bench.reports.glob("sweep-*/index.html"))


def test_resume_measures_what_is_left_and_nothing_twice(shop: Shop, bench: Commands) -> None:
    shop.factors = {"8.4.190": 1.12}
    shop.stops = 6
    assert bench(*SWEEP, "--last", 4).code == 3
    [first, second] = sorted(bench.results.iterdir())
    shop.stops = 0
    ended = bench(*SWEEP, "--last", 4, "--resume")
    assert ended.code == 1
    rows = {line.split()[0]: line.split()[1] for line in ended.out.splitlines() if line.startswith("  8.4.")}
    assert rows == {"8.4.187": "first", "8.4.188": "same", "8.4.189": "same", "8.4.190": "slower"}
    folders = sorted(bench.results.iterdir())
    assert folders[:2] == [first, second] and len(folders) == 3, "the third one is of the same run"
    assert len({folder.name.rsplit("-", 1)[0] for folder in folders}) == 1
    assert [len(read_comparison(folder).cases[0].pairs) for folder in folders] == [4, 4, 8]
    assert [page.parent.name for page in bench.reports.glob("sweep-*/index.html")] == [
        first.name.removesuffix("-8.4.188")
    ]


def test_resume_passes_over_a_run_of_other_releases(
    shop: Shop, bench: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = iter(["20261125-100000-abcdef", "20261125-110000-abcdef", "20261125-120000-abcdef"])
    monkeypatch.setattr("bench.records.store.new_run_name", lambda machine: next(names))
    shop.stops = 6
    assert bench(*SWEEP, "--versions", "8.4.180,8.4.181,8.4.190").code == 3
    shop.stops = 0
    assert bench(*SWEEP, "--versions", "8.4.180,8.4.181,8.4.182").code == 0
    assert bench(*SWEEP, "--versions", "8.4.180,8.4.181,8.4.190", "--resume").code == 0
    assert sorted(folder.name for folder in bench.results.iterdir()) == [
        "sweep-20261125-100000-abcdef-8.4.181",
        "sweep-20261125-100000-abcdef-8.4.190",
        "sweep-20261125-110000-abcdef-8.4.181",
        "sweep-20261125-110000-abcdef-8.4.182",
    ]


def test_the_budget_of_a_second_sitting_is_its_own(shop: Shop, bench: Commands) -> None:
    assert bench(*SWEEP, "--last", 3, "--time-budget", "30s").code == 3
    before = [len(read_comparison(folder).cases[0].pairs) for folder in sorted(bench.results.iterdir())]
    assert max(before) < 4
    assert bench(*SWEEP, "--last", 3, "--time-budget", "10m", "--resume").code == 0


def test_there_must_be_something_to_resume(shop: Shop, bench: Commands) -> None:
    assert bench(*SWEEP, "--last", 2).code == 0
    ended = bench(*SWEEP, "--last", 3, "--resume")
    assert ended.code == 2
    assert "holds no sweep of these releases and cases on this machine: leave --resume out." in ended.sentence


def test_several_cases_have_a_plot_each(shop: Shop, bench: Commands) -> None:
    shop.factors = {"8.4.190": 1.12}
    ended = bench(*SWEEP, "--last", 2, "--batch", "4,8")
    assert ended.code == 1
    assert "All cases together" in ended.out
    assert "8.4.190 takes 1" in ended.out and "in train-yolov8n-cpu-fp32-b4-i160 and takes 1" in ended.out
    assert {path.stem for path in bench.reports.rglob("*.svg")} == {"throughput-1", "throughput-2"}


def test_github_gets_a_summary(shop: Shop, bench: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    bench(*SWEEP, "--last", 2)
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("### ultralytics 8.4.189 to 8.4.190\n\n**same**: ")
    assert "![" not in text, "no picture lies next to it"


def test_pairs_are_measured_by_workers(shop: Shop, bench: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.measures_for_real(monkeypatch)
    shop.factors = {"8.4.190": 1.25}
    ended = bench(*SWEEP, "--last", 2)
    assert ended.code == 1
    assert "takes 25.0 % longer" in ended.out
    [folder] = bench.results.iterdir()
    assert len(read_comparison(folder).cases[0].pairs) == 8
    rates = [line.split() for line in ended.out.splitlines() if line.startswith("  8.4.")]
    assert "16.0" in rates[0] and "12.8" in rates[1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--package", "numpy"], "package 'numpy' is not what is measured: use torch or ultralytics, or one of"),
        (["--last", "1"], "last 1 is not allowed: a row has two releases at least."),
        (["--last", "3", "--versions", "8.4.189,8.4.190"], "name releases by --last or by --versions, not by both."),
        (["--versions", "8.4.190"], "versions '8.4.190' names one release: a row has two at least"),
        (["--versions", "8.4.190,"], "'' is no version of a release: write 8.4.100."),
        (["--versions", "8.4.190,8.4.190"], "ultralytics 8.4.190 is named twice: name every release once."),
        (["--versions", "8.4.190,8.4.999"], "ultralytics 8.4.999 was not published, or does not install on this"),
        (["--versions", "8.4.190,new"], "'new' is no version of a release: write 8.4.100."),
        (["--time-budget", "soon"], "'soon' is no duration: write 90s, 10m or 1h30m."),
        (["--margin", "lots"], "margin 'lots' is not allowed: write a percentage"),
        (["--pin", "ultralytics==8.4.0"], "'ultralytics==8.4.0' names ultralytics, whose releases are compared"),
        (["--pin", "python:/usr/bin/python3"], "'python:/usr/bin/python3' is an interpreter: name requirements"),
        (["--pin", "no requirement"], "'no requirement' is no requirement"),
        (["--case", CASE], "name cases by --case or by --device and the like, not by both."),
        (["--data", "missing.yaml"], "data 'missing.yaml': there is no such file"),
        (["--json", "no/such/folder/found.json"], "no/such/folder/found.json cannot be written: there is no folder"),
    ],
)
def test_wrong_use_is_one_sentence(shop: Shop, bench: Commands, arguments: list[str], sentence: str) -> None:
    ended = bench(*SWEEP, *arguments)
    assert ended.code == 2
    assert ended.sentence.startswith(sentence)
    assert shop.compared == [] and not bench.results.exists()


def test_one_release_is_no_row(shop: Shop, bench: Commands) -> None:
    shop.versions["ultralytics"] = ["8.4.190"]
    ended = bench(*SWEEP, "--exclude-newer", "2026-01-01")
    assert ended.sentence == ("ultralytics has one release alone up to 2026-01-01, 8.4.190: there is no row of one.")


def test_no_network(shop: Shop, bench: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.environments import releases
    from bench.errors import UsageError

    def away(*_: object) -> str:
        raise UsageError("no environment can be made of ultralytics: the package index does not answer: no route.")

    monkeypatch.setattr(releases, "newest", away)
    assert "the package index does not answer" in bench(*SWEEP).sentence


def test_help_is_there_without_pandas(command) -> None:  # type: ignore[no-untyped-def]
    for name in ("sweep", "bisect"):
        code, out, _ = command(
            "-c",
            f"import sys; from bench.cli import app as cli; sys.argv = ['bench', {name!r}, '--help']\n"
            "try: cli.main()\n"
            "except SystemExit: print('heavy:', sorted({'pandas', 'scipy', 'numpy'} & set(sys.modules)))",
        )
        assert code == 0 and "--time-budget" in out and "Exit status" in out
        assert out.rstrip().endswith("heavy: []")
