from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.compare.findings import evaluate
from bench.errors import UsageError
from bench.records.comparison import Comparison, SideOutcome
from bench.records.outcome import Outcome, Status
from bench.report.comparisons.regress import plots
from bench.report.comparisons.regress.context import context
from bench.report.comparisons.rendering import render_html, write_page
from bench.report.links import REPOSITORY
from tests.builders import make_compared, make_comparison, make_side
from tests.report.comparisons.comparisons import HOSTILE, PACKAGES, eventful, hostile
from tests.report.conftest import breakable
from tests.report.test_page import Reader


def write(comparison: Comparison, folder: Path, packages: str = PACKAGES) -> Path:
    result = evaluate(comparison)
    return write_page("regress", context(result, packages), plots.draw(result), folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("upgrade") / "new" / "folder"
    assert write(eventful(), output) == output / "index.html"
    return output


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return breakable((folder / "index.html").read_text())


def render_without_plots(comparison: Comparison) -> str:
    """The page without its plots: they take most of the time."""
    return breakable(render_html("regress", context(evaluate(comparison), PACKAGES), []))


def test_all_files_are_there_and_nothing_else(folder: Path) -> None:
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    plots = {f"plots/{key}.{kind}" for key in ("change", "parts-1", "parts-2") for kind in ("svg", "png")}
    assert names == {"index.html", "summary.md", *plots}


def test_the_page_needs_no_other_file_and_no_script(page: str) -> None:
    reader = Reader(page)
    assert reader.open == [] and reader.tags.count("svg") == 3
    assert not {"script", "link", "iframe", "img", "object"} & set(reader.tags)
    assert all(address.startswith(("#", REPOSITORY)) for address in reader.addresses)
    assert not re.search(r"@import|url\((?!#)", page)
    assert len(reader.ids) == len(set(reader.ids))


def test_the_page_says_what_it_must_in_order(page: str) -> None:
    order = [
        "torch==2.14.1 → torch==2.15.0",
        "CPU threads: 7 of 8 cores",
        "Base (<code>--base</code>): torch==2.14.1 · new version (<code>--head</code>, “head” below): torch==2.15.0",
        "Slower.</span> Head is slower in train-yolov8n-cpu-fp32-b4-i160: it takes 5.0 % longer",
        "The effective settings differ: optimizer SGD → MuSGD and mosaic 1 → 0.",
        "Settings that differ",
        "probability of mosaic",
        "Change of the time per step",
        '<h2 id="cases">',
        "of these pairs only 4 count: fresh ones, measured to confirm what the first 4 showed",
        "4 of 12",
        "All cases together",
        "Not compared",
        "base alone can run it",
        "Where the time went",
        "What was compared",
        PACKAGES,
        "releases after 2026-11-20",
        "torchvision==0.29.1",
        "brand_new",
        "How it was judged",
        "after 4, 8 and 12 pairs, each with an interval of 97.79 %",
        "Holm&#39;s rule at 5 %",
        "Every pair",
    ]
    places = [page.index(text) for text in order]
    assert places == sorted(places)
    assert not re.search(r">\s*(nan|inf|None|NaT)\s*<", page)


def test_every_pair_is_a_row(page: str) -> None:
    table = page[page.index("Every pair") :]
    assert table.count("<tr>") == 1 + 41
    assert "confirmation" in table and "+0.05500" in table and "others used 0.30 of 2 processors" in table


def test_hostile_text_is_text() -> None:
    text = render_without_plots(hostile())
    assert "<script>" not in text and "&lt;script&gt;" in text
    assert Reader(text).open == []


def test_the_hostile_page_can_be_written(tmp_path: Path) -> None:
    text = write(hostile(), tmp_path, HOSTILE).read_text()
    assert "<script>" not in text and Reader(text).open == []
    assert "<script>" not in (tmp_path / "summary.md").read_text()


@pytest.mark.parametrize(
    ("comparison", "sentence"),
    [
        (make_comparison(), "Nothing measured."),
        (make_comparison([make_compared()]), "no pair was measured"),
        (make_comparison([make_compared([0.05])]), "one pair gives no interval"),
        (
            make_comparison([make_compared([0.001, -0.001] * 2)], head=make_side()),
            "Both sides are the same (A/A test).",
        ),
        (
            make_comparison(
                [make_compared(base=SideOutcome(), head=SideOutcome(outcome=Outcome(Status.FAILED, "It broke.")))],
            ),
            "failed: It broke.",
        ),
        (make_comparison([make_compared([0.0] * 3, error="head: it died")]), "stopped early: head: it died"),
    ],
)
def test_whatever_there_is_has_a_page(comparison: Comparison, sentence: str) -> None:
    text = render_without_plots(comparison)
    assert sentence in text and Reader(text).open == []
    assert not re.search(r">\s*(nan|inf|None)\b", text)


def test_writing_twice_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    write(eventful(), tmp_path)
    for path in folder.rglob("*.*"):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


def test_a_folder_that_cannot_be_written_to_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(UsageError, match="cannot be written to"):
        write(make_comparison(), tmp_path / "taken")
