"""Links of pages: to the documentation, and to the runs below the working directory."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.report import links
from bench.report.links import run_folders

ROOT = Path(__file__).parents[2]


def test_links_to_the_documentation_lead_to_pages_that_exist() -> None:
    asked = {links.docs()}
    for template in (ROOT / "bench/report/templates").rglob("*.jinja"):
        asked |= {links.docs(path) for path in re.findall(r'docs\("([^"]*)"\)', template.read_text())}
    pages = [address.removeprefix(f"{links.REPOSITORY}/blob/main/") for address in asked]
    assert len(pages) > 4
    assert [page for page in pages if not (ROOT / page).is_file()] == []


def test_the_address_of_the_repository_is_that_of_the_readme() -> None:
    assert links.REPOSITORY in (ROOT / "README.md").read_text()


def test_a_run_below_the_working_directory_has_a_link_relative_to_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = tmp_path / "work"
    for name in ("results/first run", "results/second", "reports/page"):
        (work / name).mkdir(parents=True)
    (tmp_path / "elsewhere/third").mkdir(parents=True)
    monkeypatch.chdir(work)
    runs = ["first run", "second", "third", "fourth"]
    results = [Path("results"), tmp_path / "elsewhere"]
    assert run_folders(runs, results, Path("reports/page")) == {
        "first run": "../../results/first%20run/",
        "second": "../../results/second/",
    }
    assert run_folders(["second"], [Path("results/second")], Path("reports")) == {"second": "../results/second/"}
    assert run_folders(runs, results, tmp_path / "elsewhere") == {}, "a page elsewhere names no folder of this machine"
    assert run_folders(["..", "."], results, Path("reports")) == {}, "a recorded name is no path"
