"""The walls of DESIGN.md, read off the source: who may import what, start processes and print."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
FILES = sorted(BENCH.rglob("*.py"))
WORKER = [path for path in FILES if path.is_relative_to(BENCH / "worker")]
HEAVY = ("torch", "torchvision", "ultralytics", "transformers", "accelerate")

METERS = {"psutil", "pynvml", "zeus_apple_silicon"}
"""What may measure energy or memory in a worker, where it is installed."""

LIBRARIES = {"torch", "torchvision", "ultralytics", "transformers", "numpy", "cv2", "PIL", *METERS}
"""What else a worker may import: what is measured, and what that brings along."""

RUNTIMES = {
    "worker/workloads/ultralytics/formats/ncnn.py": {"ncnn"},
    "worker/workloads/ultralytics/formats/onnx.py": {"onnx", "onnxruntime"},
    "worker/workloads/ultralytics/formats/openvino.py": {"openvino"},
}
"""Runtimes of exported models: each is imported by its own file, within functions."""

MATPLOTLIB = "worker/workloads/ultralytics/isolation.py"
"""Ultralytics brings it, and a font of its own spares a look for one on the network."""

STARTS_PROCESSES = {
    "worker/fork_server.py": {"os.fork"},  # forks a worker for every request: that is its whole purpose
    "worker/devices/base.py": {"multiprocessing"},  # asks it which data loader processes there are, and starts none
    "cli/reading_pool.py": {"concurrent", "multiprocessing"},  # reads, in a command that measures nothing
    "report/plots/rendering.py": {"concurrent", "multiprocessing"},  # draws, in a command that measures nothing
    "worker/interpreter/memory_layout.py": {"os.execve"},  # becomes another process with the same number
    "machine/fingerprint.py": {"subprocess"},  # macOS tells the name of its CPU by sysctl alone
    "selfcheck/costs.py": {"subprocess"},  # times whole commands of the suite
    "selfcheck/fleet_runs.py": {"subprocess"},  # the same
    "ceiling/probe_limits.py": {"subprocess"},  # tries whether a process may enter a control group
}
"""Exceptions to: only ``runner/``, ``environments/`` and ``fleet/`` start processes."""

STORE = "records/store/"
"""The only files that write, move or delete in a folder of results."""

WRITES_ELSEWHERE = {
    "ceiling/probe_limits.py": "control groups below /sys/fs/cgroup",
    "cli/fleet_member.py": "the cache's folder of records that a coordinator has not collected yet",
    "cli/live/output.py": "the file that --json names, and the summary of a step of GitHub Actions",
    "environments/build_cache.py": "environments in the cache",
    "environments/builder.py": "the list of packages of an environment in the cache",
    "environments/bytecode_cache.py": "compiled modules in the cache",
    "environments/cache_checks.py": "the folder of the cache",
    "environments/interpreter.py": "the folder of the cache",
    "environments/local_source.py": "a copy of a local project in the cache",
    "environments/resolver.py": "a temporary file of constraints",
    "errors.py": "a traceback among the temporary files",
    "fleet/agent.py": "the suite's code in the cache of another machine, where it runs without the suite",
    "fleet/locks.py": "locks in the cache",
    "machine/identity.py": "the ID of this machine in the cache",
    "pytest_plugin/output_streams.py": "the null device, in place of a closed stream",
    "report/inputs.py": "nothing: a column of a table is renamed",
    "report/page.py": "pages and plots below reports/",
    "report/comparisons/rendering.py": "pages and plots below reports/",
    "runner/launchers/local.py": "scratch folders of workers",
    "selfcheck/tune.py": "made data sets among the temporary files",
    "selfcheck/trials.py": "the folder of trials that --keep names",
    "selfcheck/kept_pairs.py": "the results of pairs in the folder that --keep names",
    "selfcheck/planted_environment.py": "patched copies of environments",
}
"""Files that write, move or delete something, and what; the worker is handed a scratch folder and no other."""

CHANGES = {
    *("unlink", "rmdir", "rmtree", "rename", "renames", "mkdir", "makedirs", "removedirs", "touch", "write_whole"),
    *("write_text", "write_bytes", "symlink_to", "hardlink_to", "mkstemp", "mkdtemp", "copyfile", "copytree", "copy2"),
}
"""Functions and methods that change a file system, whatever they belong to."""

CHANGES_OF = {"os": {"replace", "remove", "truncate", "link", "symlink"}, "shutil": {"copy", "move"}}
"""Functions of modules whose names have other meanings elsewhere."""

MAY_PRINT = {"cli", "pytest_plugin", "worker/entry.py"}
"""Commands and the plugin of pytest; ``entry.py`` prints one JSON object."""

ORDER = (
    ("conftest", "test_train", "test_predict", "test_ceiling", "test_target_ci", "__main__"),
    ("cli",),
    ("pytest_plugin",),
    ("report",),
    ("tune", "fleet", "selfcheck"),
    ("compare", "ceiling", "claims", "compat"),
    ("runner",),
    ("environments",),
    ("analysis",),
    ("records",),
    ("machine",),
    ("cases",),
    ("extensions", "signals", "early_signals", "formatting", "errors", "text", ""),
)
"""Rooms from top to bottom, as in DESIGN.md: a file imports from its own row and from those below."""

FLOOR = {room: floor for floor, rooms in enumerate(ORDER) for room in rooms}

OPEN_TO_ALL = tuple(
    f"bench.worker.{name}" for name in ("message_json", "protocol", "text", "timing.precision", "workloads.base")
)
"""Modules of the worker that the rest may import: they need the standard library alone."""

ULTRALYTICS = "worker/workloads/ultralytics/"
"""The folder that may import Ultralytics."""

HUGGINGFACE = "worker/workloads/huggingface/"
"""The folder that may import Transformers."""


def name_of(path: Path) -> str:
    return path.relative_to(BENCH).as_posix()


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def imports(tree: ast.Module, package: str) -> set[str]:
    """Everything that is imported anywhere in a file, as absolute names; ``package`` is where the file stands."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")
            parts = base[: len(base) - node.level + 1] if node.level else []
            start = ".".join([*parts, *([node.module] if node.module else [])])
            names |= {start, *(f"{start}.{alias.name}" for alias in node.names)}
    return names


def imports_of(path: Path) -> set[str]:
    return imports(parsed(path), ".".join(path.relative_to(ROOT).parent.parts))


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def process_starts(tree: ast.Module) -> set[str]:
    """The ways of starting a process that a file knows."""
    modules = {name.split(".")[0] for name in imports(tree, "")} & {"subprocess", "multiprocessing", "concurrent"}
    calls = {
        f"os.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
        and node.attr.startswith(("fork", "posix_spawn", "spawn", "exec", "system", "popen"))
    }
    return modules | calls


def prints(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "print" for node in ast.walk(tree))


def opens_for_writing(call: ast.Call) -> bool:
    """Whether a call of ``open`` or ``fdopen`` has a mode that writes."""
    given = [*call.args[:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    modes = [
        argument.value for argument in given if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    return any(set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes)


def changes_files(tree: ast.Module) -> set[str]:
    """The calls of a file that write, move or delete in a file system."""
    names = set()
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        function = call.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = getattr(function.value, "id", "") if isinstance(function, ast.Attribute) else ""
        moves = name == "replace" and bool(owner or isinstance(function, ast.Attribute)) and len(call.args) == 1
        if name in CHANGES | CHANGES_OF.get(owner, set()) or (moves and not call.keywords):
            names.add(name)
        if name in ("open", "fdopen") and opens_for_writing(call):
            names.add(name)
    return names


def in_folders(*names: str) -> list[Path]:
    return [path for path in FILES if name_of(path).split("/")[0] in names]


def room_of(name: str) -> str:
    """The room of a module: ``runner`` of ``bench.runner.measure``; empty for :mod:`bench` itself."""
    return name.split(".")[1] if "." in name else ""


def test_every_file_has_a_floor() -> None:
    rooms = {room_of(".".join(path.with_suffix("").relative_to(ROOT).parts)) for path in FILES}
    assert rooms - {"worker", "__init__"} <= set(FLOOR)
    assert len(WORKER) > 10


def test_imports_are_found_wherever_they_hide() -> None:
    source = (
        "import a.b\ndef f():\n    from c import d\n    from . import e\n    from .. import g\n    from ..h import i\n"
    )
    names = imports(ast.parse(source), "bench.worker.devices")
    assert {"a.b", "c.d", "bench.worker.devices.e", "bench.worker.g", "bench.worker.h.i"} <= names


def test_process_starts_and_prints_are_found_wherever_they_hide() -> None:
    source = "import os\ndef f():\n    from subprocess import run\n    os.posix_spawn('x')\n    x = print\n"
    assert process_starts(ast.parse(source)) == {"subprocess", "os.posix_spawn"}
    assert prints(ast.parse(source))
    assert not prints(ast.parse("console.print('x')"))


@pytest.mark.parametrize("path", WORKER, ids=name_of)
def test_the_worker_runs_where_nothing_of_this_project_is(path: Path) -> None:
    outside = {name for name in imports_of(path) if not within(name, "bench.worker")}
    allowed = LIBRARIES | set(sys.stdlib_module_names) | ({"matplotlib"} if name_of(path) == MATPLOTLIB else set())
    assert {name.split(".")[0] for name in outside} <= allowed | RUNTIMES.get(name_of(path), set())


@pytest.mark.parametrize("path", WORKER, ids=name_of)
def test_the_worker_imports_itself_by_relative_names_alone(path: Path) -> None:
    absolute = [
        node
        for node in ast.walk(parsed(path))
        if (isinstance(node, ast.ImportFrom) and not node.level and within(node.module or "", "bench"))
        or (isinstance(node, ast.Import) and any(within(alias.name, "bench") for alias in node.names))
    ]
    assert absolute == []


@pytest.mark.parametrize("path", WORKER, ids=name_of)
def test_the_worker_compiles_under_python_3_10(path: Path) -> None:
    ast.parse(path.read_text(), filename=str(path), feature_version=(3, 10))


MEASURED = [*WORKER, BENCH / "selfcheck/waiting_workload.py"]
"""Files that run in a measured process; the last one is an extension, which workers load."""


@pytest.mark.parametrize("path", [path for path in FILES if path not in MEASURED], ids=name_of)
def test_only_the_worker_imports_what_is_measured(path: Path) -> None:
    assert [name for name in imports_of(path) if any(within(name, heavy) for heavy in HEAVY)] == []


OTHERS = [path for path in FILES if path not in WORKER]


@pytest.mark.parametrize("path", OTHERS, ids=name_of)
def test_imports_go_down_the_house(path: Path) -> None:
    own = FLOOR["" if name_of(path) == "__init__.py" else name_of(path).split("/")[0].removesuffix(".py")]
    ours = [name for name in imports_of(path) if within(name, "bench") and not within(name, "bench.worker")]
    assert [name for name in ours if FLOOR.get(room_of(name), len(FLOOR)) < own] == []


@pytest.mark.parametrize("path", OTHERS, ids=name_of)
def test_of_the_worker_others_import_what_is_open_to_all(path: Path) -> None:
    inside = [name for name in imports_of(path) if name != "bench.worker" and within(name, "bench.worker")]
    packages = {name.rpartition(".")[0] for name in OPEN_TO_ALL}
    assert [
        name
        for name in inside
        if name not in packages and not any(within(name, open_name) for open_name in OPEN_TO_ALL)
    ] == []


@pytest.mark.parametrize("path", WORKER, ids=name_of)
def test_ultralytics_is_imported_below_its_own_folder_alone(path: Path) -> None:
    outside = [name for name in imports_of(path) if within(name, "ultralytics")]
    own = [name for name in imports_of(path) if within(name, "bench.worker.workloads.ultralytics")]
    if not name_of(path).startswith(ULTRALYTICS):
        assert outside == []
        assert name_of(path) == "worker/workloads/__init__.py" or own == []


@pytest.mark.parametrize("path", WORKER, ids=name_of)
def test_transformers_is_imported_below_its_own_folder_alone(path: Path) -> None:
    outside = [name for name in imports_of(path) if within(name, "transformers")]
    own = [name for name in imports_of(path) if within(name, "bench.worker.workloads.huggingface")]
    if not name_of(path).startswith(HUGGINGFACE):
        assert outside == []
        assert name_of(path) == "worker/workloads/__init__.py" or own == []


def test_what_is_open_to_all_needs_the_standard_library_alone() -> None:
    code = f"import sys, {', '.join(OPEN_TO_ALL)}\nprint([n for n in sys.modules if n.split('.')[0] in {HEAVY!r}])"
    done = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    "path", [p for p in FILES if p not in in_folders("runner", "environments", "fleet")], ids=name_of
)
def test_only_the_runner_environments_and_fleets_start_processes(path: Path) -> None:
    assert process_starts(parsed(path)) <= STARTS_PROCESSES.get(name_of(path), set())


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_faces_print(path: Path) -> None:
    assert not prints(parsed(path)) or {name_of(path), name_of(path).split("/")[0]} & MAY_PRINT


def test_collecting_imports_neither_torch_nor_ultralytics() -> None:
    code = (
        "import sys\n"
        "import bench.conftest, bench.pytest_plugin.options, bench.pytest_plugin.progress, bench.cli.app\n"
        "import bench.records.store, bench.runner.run, bench.analysis.table\n"
        "assert not {'torch', 'ultralytics'} & set(sys.modules), 'imported'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_comes_before_the_first_case_imports_no_library_of_numbers() -> None:
    """A run, its plan and the doctor are quick to say their first words; analysis takes numpy, scipy and pandas."""
    code = (
        "import sys\n"
        "import bench.conftest, bench.cli.run, bench.cli.plan, bench.cli.doctor, bench.report.doctor\n"
        "import bench.runner.doctor, bench.runner.run, bench.pytest_plugin.result_block\n"
        "print(*sorted({'numpy', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "\n", done.stderr


AXES = {"mode", "model", "device", "amp", "batch", "imgsz"}


def lists_of_axes(tree: ast.Module) -> list[int]:
    """Lines at which three or more axes stand in a literal: a list by hand, which a new axis would not be in."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
            texts = {element.value for element in node.elts if isinstance(element, ast.Constant)}
            if len(texts & AXES) > 2:
                lines.append(node.lineno)
    return lines


def test_lists_of_axes_are_found() -> None:
    source = 'def f():\n    return ("model", "device", "amp")\na = ("mode", "amp")\nb = ["batch", "imgsz", "amp"]\n'
    assert lists_of_axes(ast.parse(source)) == [4, 2]


@pytest.mark.parametrize("path", [path for path in FILES if not path.is_relative_to(BENCH / "worker")], ids=name_of)
def test_axes_are_listed_by_their_registry_alone(path: Path) -> None:
    assert lists_of_axes(parsed(path)) == []


def test_changes_of_files_are_found_wherever_they_hide() -> None:
    source = (
        "import os\nfrom pathlib import Path\ndef f(path, folder):\n    path.unlink()\n    path.replace(folder)\n"
        "    os.replace(path, folder)\n    open(path, 'wb')\n    path.open(mode='a')\n    Path(path).mkdir()\n"
    )
    assert changes_files(ast.parse(source)) == {"unlink", "replace", "open", "mkdir"}
    assert changes_files(ast.parse("'a'.replace('b', 'c')\nstructs.replace(one, a=1)\nopen(path, 'rb')")) == set()


@pytest.mark.parametrize("path", [path for path in FILES if path not in WORKER], ids=name_of)
def test_only_the_store_changes_anything_among_results(path: Path) -> None:
    name = name_of(path)
    assert not changes_files(parsed(path)) or name.startswith(STORE) or name in WRITES_ELSEWHERE
