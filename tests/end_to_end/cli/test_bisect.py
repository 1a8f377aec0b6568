"""``python -m bench bisect`` with releases that exist here alone: what it probes, prints, writes and ends with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.records.store import read_comparison
from tests.end_to_end.cli.released import Commands, Shop, bench, shop

__all__ = ["bench", "shop"]

CASE = "train-yolov8n-cpu-fp32-b4-i160"
BISECT = ("bisect", "--package", "ultralytics", "--device", "cpu")
ENDS = ("--good", "8.4.180", "--bad", "8.4.190")
ALL = [f"8.4.{number}" for number in range(180, 191)]


def slower_from(version: str, factor: float = 1.06) -> dict[str, float]:
    return {release: factor for release in ALL if int(release[4:]) >= int(version[4:])}


@pytest.mark.parametrize("first", ALL[1:])
def test_it_finds_the_release_wherever_it_is(shop: Shop, bench: Commands, first: str) -> None:
    shop.factors = slower_from(first)
    ended = bench(*BISECT, *ENDS)
    before = ALL[ALL.index(first) - 1]
    assert ended.code == 1
    assert f"It became slower with {first}: {before}, the release before, is good." in ended.out
    assert f"Compared with {before} itself, {first} takes " in ended.out and "that confirms it." in ended.out
    assert shop.compared[0] == ("8.4.180", "8.4.190") and shop.compared[-1] == (before, first)
    assert {base for base, _ in shop.compared[1:-1]} <= {"8.4.180"}, "every probe is against the good end"
    assert len(shop.compared) <= 2 + 4


def test_it_says_what_it_will_do_and_what_it_did(shop: Shop, bench: Commands) -> None:
    shop.factors = slower_from("8.4.186")
    ended = bench(*BISECT, *ENDS, "--json", bench.json)
    assert (
        "ultralytics 8.4.180 (good) to 8.4.190 (bad), 9 releases between: up to 6 comparisons, which are the ends, "
        "4 probes, and the two neighbours" in ended.err
    )
    assert "8.4.190 is slower: at most 5 more comparisons, about 8 min" in ended.err
    assert "8.4.185 is good: it takes " in ended.err and "8.4.187 is bad: it takes " in ended.err
    assert "forward" in ended.out, "the parts of the step of the last comparison"
    probes = len(shop.compared) - 2
    assert f"\n{probes} probes, {probes + 2} comparisons in all, measured in " in ended.out
    content = json.loads(bench.json.read_text())
    assert (content["verdict"], content["exit_code"]) == ("found", 1)
    assert (content["last_good"], content["first_bad"], content["between"]) == ("8.4.185", "8.4.186", [])
    assert len(content["probes"]) == probes and content["last"]["verdict"] == "slower"
    [page] = bench.reports.glob("*/index.html")
    assert page.parent.name.endswith("-8.4.185-8.4.186")


def test_every_comparison_is_kept_by_itself(shop: Shop, bench: Commands) -> None:
    shop.factors = slower_from("8.4.181")
    bench(*BISECT, *ENDS)
    names = sorted(folder.name.split("-", 4)[4] for folder in bench.results.iterdir())
    assert names == sorted([*(head for _, head in shop.compared[:-1]), "8.4.180-8.4.181"])
    for folder in bench.results.iterdir():
        assert read_comparison(folder).run == folder.name


def test_the_neighbours_are_compared_again_although_the_ends_are_neighbours(shop: Shop, bench: Commands) -> None:
    shop.factors = slower_from("8.4.190")
    assert bench(*BISECT, "--good", "8.4.189", "--bad", "8.4.190").code == 1
    assert shop.compared == [("8.4.189", "8.4.190")] * 2


def test_all_else_is_held_as_it_is_with_the_bad_end(shop: Shop, bench: Commands) -> None:
    shop.factors = slower_from("8.4.190")
    bench(*BISECT, "--good", "8.4.189", "--bad", "8.4.190")
    assert set(shop.provided) == {
        f"ultralytics=={version},torch==2.15.0,torchvision==0.30.0" for version in ("8.4.189", "8.4.190")
    }


@pytest.mark.parametrize("how", ["unbuildable", "unusable", "cannot"])
def test_broken_releases_are_skipped_and_all_that_may_be_the_first_are_named(
    shop: Shop, bench: Commands, how: str
) -> None:
    shop.factors = slower_from("8.4.186")
    getattr(shop, how).update(["8.4.185", "8.4.186"])
    ended = bench(*BISECT, *ENDS)
    assert ended.code == 1
    assert shop.compared[-1] == ("8.4.184", "8.4.187")
    assert (
        "It became slower after 8.4.184, with 8.4.185, 8.4.186 or 8.4.187: 8.4.185 and 8.4.186 could not be measured."
        in ended.out
    )
    assert "8.4.185 is skipped: " in ended.err
    [line] = [line for line in ended.out.splitlines() if line.startswith("8.4.185: ")]
    reasons = {"unbuildable": "no environment can be made", "unusable": "cannot import", "cannot": "ValueError: no"}
    assert reasons[how] in line


def test_where_all_between_is_broken_the_ends_are_what_is_known(shop: Shop, bench: Commands) -> None:
    shop.factors = slower_from("8.4.188")
    shop.unbuildable = {"8.4.188", "8.4.189"}
    ended = bench(*BISECT, "--good", "8.4.187", "--bad", "8.4.190")
    assert ended.code == 1
    assert "after 8.4.187, with 8.4.188, 8.4.189 or 8.4.190" in ended.out


def test_releases_that_were_yanked_are_no_probes_but_may_be_ends(shop: Shop, bench: Commands) -> None:
    shop.factors = slower_from("8.4.188")
    shop.yanked = {"8.4.180", "8.4.185", "8.4.190"}
    ended = bench(*BISECT, *ENDS)
    assert ended.code == 1
    assert "8 releases between" in ended.out
    assert "8.4.185" not in {head for _, head in shop.compared}


@pytest.mark.parametrize(
    ("factor", "sentence"),
    [
        (1.0, "8.4.190 is not slower than 8.4.180: it takes "),
        (0.9, "8.4.190 is faster than 8.4.180, not slower: it takes "),
    ],
)
def test_where_the_bad_end_is_not_slower_there_is_nothing_to_look_for(
    shop: Shop, bench: Commands, factor: float, sentence: str
) -> None:
    shop.factors = {"8.4.190": factor}
    ended = bench(*BISECT, *ENDS)
    assert (ended.code, len(shop.compared)) == (3, 1)
    assert sentence in ended.out
    assert "there is nothing to look for between 8.4.180 and 8.4.190." in ended.out


def test_where_the_ends_are_not_decided_there_is_no_search(shop: Shop, bench: Commands) -> None:
    shop.factors = slower_from("8.4.185")
    ended = bench(*BISECT, *ENDS, "--time-budget", "60s")
    assert (ended.code, len(shop.compared)) == (3, 1)
    assert "Inconclusive: 8.4.190 takes" in ended.out


def test_an_end_that_cannot_run_the_case(shop: Shop, bench: Commands) -> None:
    shop.cannot = {"8.4.190"}
    ended = bench(*BISECT, *ENDS)
    assert ended.code == 3
    assert "8.4.190 cannot be compared with 8.4.180, and a search goes by speed: head cannot run" in ended.out
    shop.cannot = {"8.4.180"}
    ended = bench(*BISECT, *ENDS)
    assert ended.code == 4
    assert f"The ends were not compared: base cannot run {CASE}: failed: ValueError: no." in ended.out


@pytest.mark.parametrize("how", ["unbuildable", "unusable"])
@pytest.mark.parametrize("end", ["8.4.180", "8.4.190"])
def test_an_end_without_an_environment_ends_it(shop: Shop, bench: Commands, how: str, end: str) -> None:
    getattr(shop, how).add(end)
    ended = bench(*BISECT, *ENDS)
    assert ended.code == 2
    assert end in ended.sentence


def test_a_close_probe_goes_to_the_nearer_side_and_the_line_says_so(shop: Shop, bench: Commands) -> None:
    shop.noise = 0.01
    shop.factors = slower_from("8.4.188", 1.2) | {"8.4.185": 1.027}
    ended = bench(*BISECT, *ENDS)
    assert ended.code == 1
    [line] = [line for line in ended.err.splitlines() if line.startswith("8.4.185 is good: it takes ")]
    assert line.endswith(" (inconclusive: put on the nearer side)")
    assert "Inconclusive, and put on the nearer side: 8.4.185." in ended.out
    assert "It became slower with 8.4.188" in ended.out


def test_what_the_last_comparison_does_not_confirm_is_said(shop: Shop, bench: Commands) -> None:
    # In steps too small to be seen between neighbours.
    shop.factors = {version: 1.008**number for number, version in enumerate(ALL)}
    ended = bench(*BISECT, *ENDS)
    assert ended.code == 3
    assert "which is same: that does not confirm it. It may have come in several small steps" in ended.out


def test_of_several_cases_those_that_are_slower_are_searched_by(shop: Shop, bench: Commands) -> None:
    shop.factors = slower_from("8.4.186")
    shop.spared = {"train-yolov8n-cpu-fp32-b8-i160"}
    ended = bench(*BISECT, *ENDS, "--batch", "4,8")
    assert ended.code == 1
    assert "It became slower with 8.4.186" in ended.out
    cases = {folder.name.split("-", 4)[4]: len(read_comparison(folder).cases) for folder in bench.results.iterdir()}
    assert cases.pop("8.4.190") == 2
    assert set(cases.values()) == {1}


@pytest.mark.parametrize(
    ("pairs", "code", "sentence"),
    [
        (0, 4, "The ends were not compared"),
        (3, 3, "Inconclusive: 8.4.190 takes"),
        (9, 3, "The search ended early: 8.4.180 is good and 8.4.190 is bad, and 9 releases between them were not"),
        (22, 3, "The search ended early: 8.4.185 is good and 8.4.188 is bad, and 2 releases between them were"),
    ],
)
def test_ctrl_c_at_any_time_says_what_is_known(
    shop: Shop, bench: Commands, pairs: int, code: int, sentence: str
) -> None:
    shop.factors = slower_from("8.4.186")
    shop.stops = pairs or 1
    if not pairs:
        shop.interrupts_building = True
    ended = bench(*BISECT, *ENDS)
    assert ended.code == code
    assert sentence in ended.out
    assert ("stopped: --resume continues with" if pairs else "stopped before anything was measured") in ended.err


@pytest.mark.parametrize("stops", [3, 10, 22, 30])
def test_resume_goes_on_where_it_was_stopped(shop: Shop, bench: Commands, stops: int) -> None:
    shop.factors = slower_from("8.4.186")
    shop.stops = stops
    bench(*BISECT, *ENDS)
    before = {folder.name: len(read_comparison(folder).cases[0].pairs) for folder in bench.results.iterdir()}
    assert sum(before.values()) == stops
    shop.stops = 0
    ended = bench(*BISECT, *ENDS, "--resume")
    assert ended.code == 1
    assert "It became slower with 8.4.186: 8.4.185, the release before, is good." in ended.out
    after = {folder.name: len(read_comparison(folder).cases[0].pairs) for folder in bench.results.iterdir()}
    assert before.keys() <= after.keys() and len({name.split("-8.4.")[0] for name in after}) == 1
    assert sum(after.values()) < 100, "nothing is measured twice"


def test_the_last_comparison_is_a_fresh_one_although_the_ends_ask_the_same(shop: Shop, bench: Commands) -> None:
    shop.factors = slower_from("8.4.190")
    shop.stops = 14
    neighbours = ("--good", "8.4.189", "--bad", "8.4.190")
    bench(*BISECT, *neighbours)
    shop.stops = 0
    assert bench(*BISECT, *neighbours, "--resume").code == 1
    pairs = {
        folder.name.split("-", 4)[4]: len(read_comparison(folder).cases[0].pairs) for folder in bench.results.iterdir()
    }
    assert pairs == {"8.4.190": 8, "8.4.189-8.4.190": 8}


def test_github_gets_a_summary(shop: Shop, bench: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    shop.factors = slower_from("8.4.186")
    bench(*BISECT, *ENDS)
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("### ultralytics 8.4.180 (good) to 8.4.190 (bad), 9 releases between\n\n**found**: ")
    assert "ultralytics==8.4.185 → ultralytics==8.4.186" in text


def test_pairs_are_measured_by_workers(shop: Shop, bench: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.measures_for_real(monkeypatch)
    shop.factors = slower_from("8.4.188", 1.25)
    ended = bench(*BISECT, "--good", "8.4.186", "--bad", "8.4.188")
    assert ended.code == 1
    assert "Compared with 8.4.187 itself, 8.4.188 takes 25.0 % longer" in ended.out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--good", "8.4.190", "--bad", "8.4.180"], "ultralytics 8.4.190 is newer than 8.4.180: name the older one"),
        (
            ["--good", "8.4.190", "--bad", "8.4.190"],
            "good and bad are the same release, ultralytics 8.4.190: name two.",
        ),
        (["--good", "8.4.1", "--bad", "8.4.190"], "ultralytics 8.4.1 was not published, or does not install on this"),
        (["--good", "8.4.180", "--bad", "8.4.999"], "ultralytics 8.4.999 was not published, or does not install on"),
        (["--good", "8.4.180", "--bad", "latest"], "'latest' is no version of a release: write 8.4.100."),
        ([*ENDS, "--package", "numpy"], "package 'numpy' is not what is measured: use torch or ultralytics, or one of"),
        ([*ENDS, "--time-budget", "0s"], "'0s' is no duration: it has to be more than nothing."),
        ([*ENDS, "--pin", "ultralytics"], "'ultralytics' names ultralytics, whose releases are compared"),
        ([*ENDS, "--threads", "-1"], "threads -1 is not allowed"),
        ([*ENDS, "--json", "no/such/folder/found.json"], "no/such/folder/found.json cannot be written: there is no"),
    ],
)
def test_wrong_use_is_one_sentence(shop: Shop, bench: Commands, arguments: list[str], sentence: str) -> None:
    ended = bench(*BISECT, *arguments)
    assert ended.code == 2
    assert ended.sentence.startswith(sentence)
    assert shop.compared == [] and not bench.results.exists()


def test_results_that_cannot_be_written(shop: Shop, bench: Commands) -> None:
    bench.results.write_text("a file is in the way")
    ended = bench(*BISECT, *ENDS)
    assert ended.code == 2
    assert ended.sentence.startswith("results cannot be written to")
