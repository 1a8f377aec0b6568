"""README and docs are short, plain and in the words of the glossary, and their links lead somewhere."""

from __future__ import annotations

import re
import statistics
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
GENERATED = {ROOT / "docs" / "reference" / "cli.md"}
"""Pages made from help texts, which list exit statuses in one long sentence."""

LONGEST_SENTENCE = 30
MEAN_SENTENCE = 18
README_WORDS = 700

FORBIDDEN = {
    "predicted": r"foretold|foretell\w*",
    "again, or new": r"anew",
    "with, next to, or at the same time": r"besides?",
    "interleaved": r"abreast|in turns|tak(?:e|es|ing) turns",
    "other processes, or background load": r"crowd\w*|strangers?|the usual way",
    "interference, or interfered": r"disturb\w*",
    "missing, unavailable, or no": r"(?:is|are|was|were) none\b(?! of)",
    "repair, correct, or retry": r"mend\w*",
    "report, show, or say": r"tells?|told|telling|no word for|mood",
    "compared with, or limited to": r"held (?:against|to|beside)",
    "no one, or a named reader": r"nobody",
    "separate, or its": r"of (?:its|their|one's|your|his) own|by itself|by themselves",
    "per": r"(?:images?|joules?|seconds?|processes|boxes|rows?|MiB) an? (?:image|step|process|case|pair|epoch|run)",
    "injected": r"planted",
    "synthetic": r"made (?:data|set)|COCO-like set",
    "dataset": r"data sets?",
    "usage error": r"wrong use",
    "includes 1, or excludes 1": r"(?:holds?|leaves? out) 1",
    "interim analysis": r"looks? (?:after|at) \d|planned looks?",
}
"""What is written instead, by the words that are not used."""


def prose(text: str) -> str:
    """The text of a page without comments, code blocks and the targets of links; inline code is one word."""
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"^(\s*)```.*?^\s*```$", "", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"``[^`]+``|`[^`]+`", "code", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"</?\w+[^>]*>", "", text)


def blocks(text: str) -> list[str]:
    """Paragraphs and list items, each in one line; no headings and no tables."""
    paragraphs: list[str] = [""]
    for line in prose(text).splitlines():
        bare = line.strip()
        if not bare or re.match(r"#|\||>?\s*$", bare):
            paragraphs.append("")
        elif re.match(r"(?:[-*+]|\d+\.)\s", bare):
            paragraphs.append(re.sub(r"^(?:[-*+]|\d+\.)\s+", "", bare))
        else:
            paragraphs[-1] = f"{paragraphs[-1]} {bare}".strip()
    return [block for block in paragraphs if block]


def sentences(text: str) -> list[str]:
    """The sentences of a page's prose."""
    parts = [re.split(r"(?<=[.!?])[\"')*]*\s+(?=[\"'(*\w])", block) for block in blocks(text)]
    return [part for block in parts for part in block if words(part)]


def words(text: str) -> list[str]:
    """Words and numbers."""
    return [word for word in text.split() if re.search(r"\w", word)]


def forbidden_in(text: str) -> list[str]:
    """One entry for each forbidden word of a page."""
    return [
        f"'{match.group()}' (write: {instead}): …{plain[max(0, match.start() - 40) : match.end() + 40]!r}…"
        for plain in [" ".join(prose(text).split())]
        for instead, listed in FORBIDDEN.items()
        for match in re.finditer(rf"\b(?:{listed})\b", plain, re.IGNORECASE)
    ]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_words_are_those_of_the_glossary(path: Path) -> None:
    assert forbidden_in(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", [path for path in PAGES if path not in GENERATED], ids=name)
def test_sentences_are_short(path: Path) -> None:
    listed = sentences(path.read_text(encoding="utf-8"))
    assert [sentence for sentence in listed if len(words(sentence)) > LONGEST_SENTENCE] == []
    assert statistics.fmean(len(words(sentence)) for sentence in listed) <= MEAN_SENTENCE


def test_the_readme_is_short() -> None:
    assert len(words(prose(README.read_text(encoding="utf-8")))) <= README_WORDS


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_to_files_and_headings(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        place, _, anchor = unquote(target).partition("#")
        if re.match(r"[a-z]+:", place):
            continue
        file = (path.parent / place) if place else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def anchors(path: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_sentences_and_words_are_counted() -> None:
    text = "# Not counted\n\nOne `a b` two [three](x.md). Takes 2 min 10 s!\n\n- An item\n  goes on.\n\n| a | table |\n"
    assert sentences(text) == ["One code two three.", "Takes 2 min 10 s!", "An item goes on."]
    assert len(words("Takes 2 min, or 4 %: ±3 MiB")) == 7
    assert words(prose("```sh\nx y\n```\nz")) == ["z"]


def test_a_forbidden_word_is_found_also_in_a_table_and_not_in_code() -> None:
    assert len(forbidden_in("| measured anew | joules an\nimage |")) == 2
    assert forbidden_in("`anew` and [x](anew.md)") == []
