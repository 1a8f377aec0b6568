"""Every call of device files, monitors and their fakes against the signatures of the real modules.

What runs only on hardware that no test has is at least a call that torch and NVML really have.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bench.worker.devices.accelerator import WITHOUT_INDEX
from tests.worker.fake_torch import FakeTorch

from .test_accelerator import module

pytest.importorskip("torch")
pytest.importorskip("pynvml")

ROOT = Path(__file__).resolve().parents[3]
SOURCES = sorted([*(ROOT / "bench" / "worker").rglob("*.py"), *(ROOT / "bench" / "machine").rglob("*.py")])
TESTS = sorted((ROOT / "tests").rglob("*.py"))
DEVICES = [path for path in SOURCES if path.parent.name == "devices"]
REAL = ("torch", "pynvml")
ELSEWHERE = ("torch.ops.", "torch.npu.")
"""Operators that torchvision registers when it is loaded, and what torch_npu adds, which is not installed here."""

NVML = re.compile(r"(nvml|NVML_)\w+")

APPLE = {"cpu_total", "gpu", "dram", "ane", "gpu_sram", "efficiency_cluster", "performance_cluster"}
"""Parts that the bindings of zeus-apple-silicon name (``energy_bindings.hpp`` of 1.1.0), which is for macOS alone."""


class Use(NamedTuple):
    """A name of a real module in a file, and the call of it, if it is called there."""

    name: str
    where: str
    call: ast.Call | None


def chain(node: ast.AST) -> list[str]:
    """``["torch", "cuda", "init"]`` of ``torch.cuda.init``; empty for other expressions."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []


def aliases(tree: ast.Module) -> dict[str, list[str]]:
    """Names that stand for a real module or a part of one: by import, or by ``x = torch.y``."""
    chains: dict[str, list[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            chains |= {alias.asname: alias.name.split(".") for alias in node.names if alias.asname}
            chains |= {
                name: [name] for alias in node.names if not alias.asname and (name := alias.name.split(".")[0]) in REAL
            }
        elif isinstance(node, ast.ImportFrom) and not node.level:
            chains |= {alias.asname or alias.name: [*str(node.module).split("."), alias.name] for alias in node.names}
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            parts = chain(node.value)
            if len(parts) > 1 and parts[0] in REAL:
                chains[node.targets[0].id] = parts
    return chains


def uses(path: Path) -> Iterator[Use]:
    """Every longest chain of attributes of a real module in a file, and names of NVML that stand in strings."""
    tree = ast.parse(path.read_text())
    known = aliases(tree)
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    within = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        parts = chain(node) if isinstance(node, (ast.Attribute, ast.Name)) and id(node) not in within else []
        where = f"{path.name}:{getattr(node, 'lineno', 0)}"
        if parts and (start := known.get(parts[0])) and start[0] in REAL:
            yield Use(".".join([*start, *parts[1:]]), where, calls.get(id(node)))
        elif len(parts) > 1 and NVML.fullmatch(parts[-1]):
            yield Use(f"pynvml.{parts[-1]}", where, calls.get(id(node)))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and NVML.fullmatch(node.value):
            yield Use(f"pynvml.{node.value}", where, None)


def resolve(name: str) -> Any:
    """Return the real object of a name; raises AttributeError where there is none."""
    head, *rest = name.split(".")
    resolved, place = importlib.import_module(head), head
    for part in rest:
        place = f"{place}.{part}"
        if hasattr(resolved, part) or not inspect.ismodule(resolved):
            resolved = getattr(resolved, part)
            continue
        try:
            resolved = importlib.import_module(place)  # a module that nobody has imported yet
        except ImportError:
            raise AttributeError(place) from None
    return resolved


def mismatch(use: Use) -> str:
    """What is wrong with a use; empty where it fits, and where the real thing has no signature to be held against."""
    try:
        real = resolve(use.name)
    except AttributeError:
        return f"{use.where}: {use.name} does not exist"
    if use.call is None or any(isinstance(argument, ast.Starred) for argument in use.call.args):
        return ""
    keywords = [keyword.arg for keyword in use.call.keywords]
    return "" if None in keywords else unbound(use, real, len(use.call.args), [name for name in keywords if name])


def unbound(use: Use, real: Any, count: int, keywords: list[str]) -> str:
    """What a signature says of so many arguments and these keywords; empty where it takes them."""
    try:
        signature = inspect.signature(real)
    except (TypeError, ValueError):  # built in
        return ""
    try:
        signature.bind(*[None] * count, **dict.fromkeys(keywords))
    except TypeError as error:
        return f"{use.where}: {use.name}{signature}: {error}"
    return ""


FOUND = [use for path in SOURCES for use in uses(path) if not use.name.startswith(ELSEWHERE)]


def test_the_files_use_what_the_real_modules_have() -> None:
    assert [wrong for use in FOUND if (wrong := mismatch(use))] == []
    names = {use.name for use in FOUND}
    assert {"torch.cuda.get_device_properties", "torch.mps.recommended_max_memory", "pynvml.nvmlInit"} <= names
    assert len(names) > 80


@pytest.mark.parametrize(
    ("source", "wrong"),
    [
        ("import torch\ntorch.cuda.mem_get_inf()\n", "torch.cuda.mem_get_inf does not exist"),
        ("import torch.mps as m\nm.synchronize(0)\n", "torch.mps.synchronize"),
        ("import torch\nx = torch.cuda\nx.synchronize(device=0, all=1)\n", "unexpected keyword argument 'all'"),
        ("import pynvml as n\nn.nvmlDeviceGetName()\n", "missing a required argument"),
        ("def f(card): card.nvmlDeviceGetNam()\n", "pynvml.nvmlDeviceGetNam does not exist"),
        ("f('nvmlDeviceGetTemp')\n", "pynvml.nvmlDeviceGetTemp does not exist"),
    ],
)
def test_a_use_that_does_not_fit_is_seen(tmp_path: Path, source: str, wrong: str) -> None:
    (tmp_path / "x.py").write_text(source)
    assert any(wrong in mismatch(use) for use in uses(tmp_path / "x.py"))


# Calls that the base of all accelerators makes by name


def asked() -> dict[str, list[str]]:
    """Names that ``ask`` and ``calls`` are given in device files, and those that they have in a kind's own module."""
    own_names: dict[str, list[str]] = {}
    for path in DEVICES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                words = [argument.value for argument in node.args if isinstance(argument, ast.Constant)]
                if node.func.attr in ("ask", "calls", "_peak") and words:
                    own_names[str(words[0])] = [str(word) for word in words[1:] or words]
    return own_names


@pytest.mark.parametrize("name", asked())
def test_what_is_asked_by_name_takes_an_index_or_nothing(name: str) -> None:
    count = 0 if name in WITHOUT_INDEX else 1
    here = Use(f"torch.accelerator.{name}", "accelerator.py", None)
    assert mismatch(here) == "" and unbound(here, resolve(here.name), count, []) == ""
    for kind, arguments in (("cuda", count), ("xpu", count), ("mps", 0)):
        there = [f"torch.{kind}.{own_name}" for own_name in asked()[name]]
        uses_there = [Use(full_name, "accelerator.py", None) for full_name in there]
        real = [(use, resolve(use.name)) for use in uses_there if not mismatch(use)]
        assert real or kind == "mps", f"{kind} has none of {there}"
        assert [wrong for use, call in real if (wrong := unbound(use, call, arguments, []))] == []


@pytest.mark.parametrize("kind", ["cuda", "xpu"])
@pytest.mark.parametrize(
    "name", ["get_device_properties", "get_device_name", "clock_rate", "temperature", "set_per_process_memory_fraction"]
)
def test_what_is_taken_off_the_module_of_a_kind(kind: str, name: str) -> None:
    text = (ROOT / "bench/worker/devices/accelerator.py").read_text()
    assert f'"{name}"' in text or f"_module().{name}(" in text
    use = Use(f"torch.{kind}.{name}", "accelerator.py", None)
    assert mismatch(use) == ""
    count = 2 if name.startswith("set_") else 1
    assert unbound(use, resolve(use.name), count, []) == ""


@pytest.mark.parametrize("kind", ["cuda", "xpu", "mps"])
def test_events_of_a_kind_are_made_to_take_the_time(kind: str) -> None:
    event = resolve(f"torch.{kind}.Event")
    assert "enable_timing" in inspect.signature(event).parameters
    assert all(hasattr(event, name) for name in ("record", "elapsed_time"))


# Fakes


def names_of(call: ast.Call, before: str) -> Iterator[str]:
    """Names that a tree of SimpleNamespace offers, with all that is above each."""
    for keyword in call.keywords:
        name = f"{before}.{keyword.arg}"
        if isinstance(keyword.value, ast.Call) and chain(keyword.value.func)[-1:] == ["SimpleNamespace"]:
            yield from names_of(keyword.value, name)
        else:
            yield name


def offered(path: Path) -> Iterator[str]:
    """Names that a file of tests gives to its fakes of torch: ``torch.x = SimpleNamespace(…)``."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)):
            continue
        target = node.targets[0]
        is_torch = isinstance(target, ast.Attribute) and chain(target)[:1] == ["torch"]
        if is_torch and chain(node.value.func)[-1:] == ["SimpleNamespace"]:
            yield from names_of(node.value, ".".join(chain(target)))


def test_fakes_of_torch_offer_nothing_that_torch_lacks() -> None:
    names = {name for path in TESTS for name in offered(path) if not name.startswith(ELSEWHERE)}
    assert [name for name in sorted(names) if mismatch(Use(name, "fake", None))] == []
    assert {"torch.cuda.mem_get_info", "torch.mps.driver_allocated_memory"} <= names


def fakes_of_nvml() -> Iterator[tuple[str, int]]:
    """Functions that tests play of NVML, by how many arguments each takes."""
    for path in TESTS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("nvml"):
                yield node.name, sum(argument.arg != "self" for argument in node.args.args)


def test_names_of_nvml_that_tests_play_exist() -> None:
    places = [path for path in TESTS if path != Path(__file__)]
    names = {use.name for path in places for use in uses(path) if use.name.startswith("pynvml.")}
    missing = {name for name in names if mismatch(Use(name, "fake", None))}
    assert len(names) > 15
    assert missing == {"pynvml.nvmlDeviceGet", "pynvml.nvmlClocksEventReason"}  # how names begin that tests look for


def test_the_fake_of_a_kinds_module_offers_nothing_that_torch_xpu_lacks() -> None:
    offered = set(vars(module(FakeTorch())))
    assert len(offered) > 10 and {name for name in offered if mismatch(Use(f"torch.xpu.{name}", "fake", None))} == set()


def test_fakes_of_nvml_are_called_as_nvml_is() -> None:
    fakes = set(fakes_of_nvml())
    assert len(fakes) >= 10
    for name, count in sorted(fakes):
        use = Use(f"pynvml.{name}", "fake", None)
        assert mismatch(use) == ""
        assert unbound(use, resolve(use.name), count, []) == ""


def test_apples_parts_are_those_of_its_library() -> None:
    calls = [
        node
        for path in DEVICES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and chain(node.func)[-1:] == ["machine_meter"]
    ]
    parts = {part for call in calls for part in ast.literal_eval(call.args[0])}
    assert parts and parts <= APPLE
    library = None
    try:
        library = importlib.import_module("zeus_apple_silicon")
    except ImportError:
        return  # for macOS alone
    assert all(hasattr(library.AppleEnergyMonitor, name) for name in ("begin_window", "end_window"))
    assert all(hasattr(library.AppleEnergyMetrics, f"{part}_mj") for part in parts)
