"""Records come from anywhere: whatever stands in them is text on the page, and no record is fatal."""

from __future__ import annotations

import csv
import io
import json
import random
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bench.records.comparison import SideOutcome
from bench.records.outcome import Outcome, Status
from bench.records.record import Memory, Phase, Record
from bench.records.store import encoded, read, read_ceilings, read_comparisons
from bench.report.links import REPOSITORY
from bench.report.page import FORMATS, Inputs, write
from tests.builders import make_ceiling, make_compared, make_comparison, make_machine, make_record
from tests.report.conftest import timed
from tests.report.test_page import Reader

HOSTILE: tuple[Any, ...] = (
    '"><script>alert(1)</script>',
    "'><img src=x onerror=alert(1)>",
    "</style><script>alert(1)</script>",
    "<svg/onload=alert(1)>",
    "]]><x>&amp;&lt;",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "../../../../etc/passwd",
    "a\x00b",
    "\x1b[31mred\x07",
    "\ud800",
    "\u202egnp.exe\u2066",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "@SUM(A1)",
    "$x^2$ \\frac{1}{2",
    "| a | b |\n\n# heading\n[x](javascript:alert(1))",
    "![x](https://example.org/x.png) [y](//example.org)",
    "x" * 1_000_000,
    "",
    " ",
    "ß" * 300,
    0,
    -1,
    1,
    10**400,
    -(2**63),
    2**63,
    1e308,
    -1e308,
    5e-324,
    0.1,
    None,
    True,
    False,
    [],
    {},
    [[[]]],
    {"<b>": "</b>"},
    ["<i>", 1, None],
)
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]|\\u00[01]|\\u00[89]|\\u007f|\[31m")
"""What no file may have, nor text that JSON would make it of."""

CASES = 2_000
ON_A_PAGE = 100
PLOTTED = 4
"""Pages that are drawn too; drawing takes most of the time."""

TAGS = set(
    re.findall(
        r"\w+",
        """html head meta title style body main h1 h2 h3 h4 nav p ul li a section div dl dt dd details summary
    table thead tbody tr th td span sup small h5 i code strong br figure figcaption footer pre ol svg g defs path text
    use clippath rect tspan image pattern circle""",
    )
)


MAC: dict[str, Any] = {"device": "mps", "machine": make_machine(system="macOS arm64", cpu="Apple M2"), "limit": None}


def seeds() -> list[Record]:
    """Records of every kind that some part of the page takes up: two precisions of a card, a Mac, parts of a step."""
    parts = {name: Phase([0.05], "host clock") for name in ("forward", "backward", "optimizer")}
    figure = {"allocated": Memory(2**30, "torch.cuda.max_memory_allocated")}
    return [
        msgspec.structs.replace(timed(20.0, 4), phases=parts),
        timed(25.0, 8, mode="predict"),
        timed(99.0, 4, device="0", memory=figure),
        timed(150.0, 4, device="0", amp="on", memory=figure, phases=parts),
        msgspec.structs.replace(
            timed(60.0, 4, device="mps", machine=MAC["machine"]), device={"fell_back": ["aten::x"]}
        ),
        timed(80.0, 8, device="0+1+2+3", model="yolov8m"),
        make_record(amp="on", status="substituted", reason="amp on requested, amp off would run."),
        make_record(batch=64, status="out_of_memory", reason="Full."),
    ]


def leaves(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values of a JSON document, containers too."""
    paths = [path] if path else []
    if isinstance(content, dict):
        for key in content:
            paths += leaves(content[key], (*path, key))
    elif isinstance(content, list) and content:
        paths += leaves(content[0], (*path, 0))
    return paths


def mutated(content: dict[str, Any], draw: random.Random) -> bytes:
    """One record file with one to three values replaced, or its bytes cut or changed."""
    copy = json.loads(json.dumps(content))
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        paths = leaves(copy)
        path = draw.choice(paths)
        place = copy
        for key in path[:-1]:
            place = place[key]
        if draw.random() < 0.1 and isinstance(place, dict):
            del place[path[-1]]
        else:
            place[path[-1]] = draw.choice(HOSTILE)
    text = json.dumps(copy).encode("utf-8", "surrogatepass")
    kind = draw.random()
    if kind < 0.03:
        return text[: draw.randrange(len(text))]
    if kind < 0.06:
        at = draw.randrange(len(text))
        return text[:at] + bytes([draw.randrange(256)]) + text[at + 1 :]
    return text


def check(folder: Path) -> None:
    """Nothing of what was written holds markup that the templates did not make, a formula or a control character."""
    for file in folder.rglob("*"):
        if file.suffix in (".html", ".md", ".csv", ".json", ".svg"):
            assert not CONTROL.search(file.read_text()), file
    html = (folder / "index.html").read_text()
    page = Reader(html)
    assert page.open == []
    assert {tag.rpartition(":")[2] for tag in page.tags} <= TAGS, sorted(set(page.tags) - TAGS)
    assert not re.search(r"<[^>]*\son\w+\s*=", re.sub(r'"[^"]*"', '""', html)), "an attribute that runs"
    assert all(address.startswith(("#", "data:text/csv;", REPOSITORY)) for address in page.addresses)
    assert "\0" not in html
    text = (folder / "cases.csv").read_text()
    csv.field_size_limit(10_000_000)
    for row in csv.reader(io.StringIO(text)):
        for cell in row:
            assert not cell.startswith(("=", "@", "+", "\t", "\r")), cell[:40]
    markdown = re.sub(r"^```$.*?^```$", "", (folder / "report.md").read_text(), flags=re.S | re.M)
    assert not re.search(r"<(?!br>)[a-zA-Z/!]", markdown), "markup in Markdown"
    for target in re.findall(r"(?<!\\)\]\(([^)]*)\)", markdown):
        assert re.fullmatch(r"plots/[\w.-]+\.png|cases\.csv", target), "a link that the templates did not make"


@pytest.mark.parametrize("number", range(CASES // ON_A_PAGE))
def test_no_record_is_fatal_and_none_makes_markup(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(number)
    if number >= PLOTTED:
        monkeypatch.setattr("bench.report.plots.PLOTS", ())
    content = [json.loads(encoded(record)) for record in seeds()]
    (tmp_path / "run").mkdir()
    for place in range(ON_A_PAGE):
        (tmp_path / "run" / f"r{place:03d}.json").write_bytes(mutated(draw.choice(content), draw))
    records, complaints = read([tmp_path])
    assert len(records) + len(complaints) == ON_A_PAGE
    write(Inputs(records=[*seeds(), *records], epoch_images=1000, complaints=complaints), tmp_path / "out", FORMATS)
    check(tmp_path / "out")


@pytest.mark.parametrize("number", range(4))
def test_no_ceiling_is_fatal_and_none_makes_markup(number: int, tmp_path: Path) -> None:
    draw = random.Random(number)
    good = [make_ceiling(24, **{**MAC, "imgsz": size}) for size in (320, 640)]
    good += [make_ceiling(24, device="0", amp=amp, imgsz=640, limit=24 * 2**30) for amp in ("off", "on")]
    content = [json.loads(encoded(ceiling)) for ceiling in good]
    files = []
    for place in range(ON_A_PAGE):
        files.append(tmp_path / f"ceiling-{place:03d}.json")
        files[-1].write_bytes(mutated(draw.choice(content), draw))
    ceilings, complaints = read_ceilings(files)
    assert len(ceilings) + len(complaints) == ON_A_PAGE
    write(Inputs(records=[], ceilings=[*ceilings, *good], epoch_images=1000), tmp_path / "out", FORMATS)
    check(tmp_path / "out")


@pytest.mark.parametrize("number", range(2))
def test_no_comparison_is_fatal_and_none_makes_markup(number: int, tmp_path: Path) -> None:
    draw = random.Random(number)
    compared = make_compared([0.05, 0.051, 0.049, 0.05], [0.05] * 8, batch=4)
    refused = make_compared(
        base=SideOutcome(outcome=Outcome(Status.UNSUPPORTED, "Not here.")), head=SideOutcome(), model="yolo26n"
    )
    content = json.loads(encoded(make_comparison([compared, refused])))
    for place, pair in enumerate(content["cases"][0]["pairs"]):
        pair["block_steps"] = place % 2
    for place in range(ON_A_PAGE):
        (tmp_path / f"c{place:03d}").mkdir()
        (tmp_path / f"c{place:03d}" / "comparison.json").write_bytes(mutated(content, draw))
    comparisons, complaints = read_comparisons([tmp_path])
    assert 0 < len(comparisons) + len(complaints) <= ON_A_PAGE
    write(
        Inputs(
            records=[],
            comparisons=[comparison for comparison in comparisons if comparison.has_findings],
            epoch_images=1000,
        ),
        tmp_path / "out",
        FORMATS,
    )
    check(tmp_path / "out")


def test_every_text_of_a_record_may_be_hostile_at_once(tmp_path: Path) -> None:
    for number, text in enumerate(text for text in HOSTILE if isinstance(text, str) and text != "\ud800"):
        record = timed(20.0, 4, run=f"a{text}", started=text)
        changed = msgspec.structs.replace(
            record,
            effective={**record.effective, "optimizer": text, text: text},
            worker_output=text,
            extra={"note": text},
        )
        assert isinstance(changed, Record)
        write(
            Inputs(records=[changed], epoch_images=1000, complaints=[text]),
            tmp_path / str(number),
            ("html", "csv", "md"),
        )
        check(tmp_path / str(number))
