"""Find the model that a name means, and whether Ultralytics has it in the size that the name asks for.

Ultralytics takes a size letter out of the name wherever a number is before it, and looks for the file of the rest. But
it reads the size only right behind the first number, and ignores a size that the file does not have. So ``yolov8-p2x``
would run at size n, and ``yolov3n`` as the whole yolov3.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path

LETTER = re.compile(r"(\d+)([nslmx])(.+)?$")
"""Pattern of the size letter that Ultralytics takes out of a name."""

SIZE = re.compile(r"yolo(?:e-)?v?\d+([nslmx])")
"""Pattern of the size that Ultralytics reads in a name."""

SCALES = re.compile(r"^scales:[^\n]*\n((?:[ \t]+[^\n]*\n|[ \t]*(?:#[^\n]*)?\n)*)", re.MULTILINE)
SCALE = re.compile(r"^[ \t]+[\"']?(\w+)[\"']?[ \t]*:", re.MULTILINE)


def family(name: str) -> str:
    """Return the model file that a name means: ``yolov8n-seg`` is size n of ``yolov8-seg``, as Ultralytics reads it."""
    return LETTER.sub(r"\1\3", name)


def size_asked(name: str) -> str:
    """Return the size letter that is taken out of a name: ``x`` of ``yolov8x-p2`` and of ``yolov8-p2x``, or empty."""
    match = LETTER.search(Path(name).stem)
    return match[2] if match else ""


def size_read(name: str) -> str:
    """Return the size letter that Ultralytics reads in a name: ``x`` in ``yolov8x-p2``, empty in ``yolov8-p2x``."""
    match = SIZE.search(Path(name).stem)
    return match[1] if match else ""


def sizes_in(folder: Path) -> dict[str, str]:
    """Return the letters of the sizes of each model that Ultralytics brings, by its name; empty for a single size.

    Args:
        folder: ``cfg/models`` of Ultralytics.
    """
    return {path.stem: "".join(sizes_of(path.read_text("utf-8", "replace"))) for path in folder.glob("*/*.yaml")}


def sizes_of(yaml: str) -> list[str]:
    """Return the keys of ``scales`` in the text of a model yaml, in their order."""
    match = SCALES.search(yaml)
    return SCALE.findall(match[1]) if match else []


def is_known(name: str, sizes: dict[str, str]) -> bool:
    """Whether a name means a model that Ultralytics has, in the size that the name asks for.

    Args:
        name: without ``.yaml``.
        sizes: as :func:`sizes_in` gives them.
    """
    if name in sizes:
        return True
    letter, base = size_read(name), family(name)
    return letter != "" and letter == size_asked(name) and not size_read(base) and letter in sizes.get(base, "")


def has_weights(name: str, sizes: dict[str, str]) -> bool:
    """Whether a name means weights that Ultralytics may fetch; those of yolov3 and yolov5 carry a ``u``: yolov5nu."""
    old = re.fullmatch(r"(yolov[35].*?)(6)?u", name)
    return is_known(name, sizes) or bool(old and is_known(old[1] + ("-p6" if old[2] else ""), sizes))


def why_unknown(name: str, sizes: dict[str, str]) -> str:
    """Say what is wrong with a name that :func:`is_known` does not know, and which names are right."""
    base, letter = family(name), size_asked(name)
    right = alternatives(name, sizes)
    use = f"use {' or '.join(right)}" if right else "use one of its models, or a .pt or .yaml file"
    if letter and base in sizes:
        if letter in sizes[base]:
            return f"the size letter belongs right behind the first number: {use}"
        has = f"in the sizes {', '.join(sizes[base])} only" if len(sizes[base]) > 1 else "in one size only"
        return f"it has {base} {has}: {use}"
    return f"there is no such model: {use}"


def alternatives(name: str, sizes: dict[str, str]) -> list[str]:
    """Return at most three names that may have been meant, best first."""
    base, letter = family(name), size_asked(name)
    guesses = [base] if base in sizes and letter not in sizes[base] else []
    low = name.lower()
    old = re.fullmatch(r"(yolov[358]\w)6u?", low)  # size, then 6: P6 models have a suffix now
    spelled = [low, *([f"{old[1]}-p6"] if old else []), re.sub(r"u$", "", low), re.sub(r"[-_ ]([nslmx])$", r"\1", low)]
    for text in list(spelled):  # yolov11n is called yolo11n, and yolo8n is called yolov8n
        spelled += [re.sub(r"^yolov(?=\d)", "yolo", text), re.sub(r"^yolo(?=\d)", "yolov", text)]
    for text in list(spelled):  # the letter behind the first number
        if moved := size_asked(text):
            spelled.append(re.sub(r"(\d+)", rf"\g<1>{moved}", family(text), count=1))
    guesses += [text for text in spelled if text != name and is_known(text, sizes)]
    if not guesses:
        close = difflib.get_close_matches(base, sizes, n=3, cutoff=0.5)
        smallest = [re.sub(r"(\d+)", r"\g<1>n", candidate, count=1) for candidate in close]
        guesses = [small if is_known(small, sizes) else candidate for small, candidate in zip(smallest, close)]
    return list(dict.fromkeys(guesses))[:3]
