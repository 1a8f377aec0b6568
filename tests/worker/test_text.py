from __future__ import annotations

import re

import pytest

from bench.worker.text import clean, cleaned, last_shown, one_line, shorten

FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[34m\x1b[1mtrain: \x1b[0mScanning", "train: Scanning"),
        ("\x1b[38;5;196mred\x1b[m", "red"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;https://example.org\x1b\\a link\x1b]8;;\x1b\\", "a link"),
        ("\x1b(Bline \x1b=drawing\x1bc", "line drawing"),
        ("\x9b31mred", "red"),
        ("cut off \x1b[3", "cut off "),
        ("cut off \x1b", "cut off "),
        ("a\x00b\x07c\x7fd\x85e", "abcd\ne"),
        ("dos\r\nmac\rend", "dos\nmac\nend"),
        ("name \udcff.jpg", "name \\xff.jpg"),
        ("Zürich 東京 🐱", "Zürich 東京 🐱"),
    ],
)
def test_no_control_character_is_left(text: str, shown: str) -> None:
    assert clean(text) == shown
    assert clean(shown) == shown


def test_every_control_character_alone_and_in_the_midst() -> None:
    every = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"]
    for sign in every:
        for text in (sign, f"a{sign}b", f"{sign}[31mx", f"a{sign}{sign}\n{sign}"):
            assert not FORBIDDEN.search(clean(text)), repr(text)
    assert not FORBIDDEN.search(clean("".join(every)))


def test_all_texts_of_a_value_keys_too() -> None:
    value = {"a\x1b[1m": ["b\x00", 1, None, ("c\x07",)], 2: {"d": 0.5}}
    assert cleaned(value) == {"a": ["b", 1, None, ["c"]], 2: {"d": 0.5}}


def test_a_progress_bar_is_kept_as_it_last_was() -> None:
    assert last_shown("start\r\n 0%|   |\r 50%|#  |\r100%|###|\nend\n") == "start\n100%|###|\nend\n"


def test_a_long_text_ends_after_a_sentence() -> None:
    text = "The first sentence is here. The second one says what to do. " + "word " * 50
    assert shorten(text, 70) == "The first sentence is here. The second one says what to do. …"


def test_a_long_sentence_ends_after_a_word() -> None:
    assert shorten("one two three four five six", 20) == "one two three …"
    assert shorten("x" * 30, 20) == "x" * 18 + " …"
    assert shorten("v1.2.3 of a.b.c", 12) == "v1.2.3 of …"


@pytest.mark.parametrize("most", range(3, 40))
def test_it_is_never_longer_than_asked(most: int) -> None:
    for text in ("one. two. three. four. five. six. seven.", "x" * 50, "a b c d e f g h i j k l m n o p q r s t u v"):
        assert len(shorten(text, most)) <= most


def test_one_line() -> None:
    assert one_line("  two\n\x1b[1mlines\x1b[0m \t here ") == "two lines here"
