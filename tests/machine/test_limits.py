"""What limits a process: control groups in a folder, masks and limits of the shell of this machine."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from bench.machine import limits as module
from bench.machine.description import Limits
from bench.machine.limits import allowed_nodes, cpu_quota, limits, memory_left, memory_limit, numbers

GIB = 2**30
ROOT = Path(__file__).resolve().parents[2]


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


@pytest.fixture
def groups(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "cgroup", tmp_path / "proc"


def test_without_control_groups_there_is_no_limit(groups: tuple[Path, Path]) -> None:
    assert memory_limit(*groups) is None
    assert memory_left(*groups) is None
    assert cpu_quota(*groups) is None


def test_the_narrowest_group_above_a_process_counts(groups: tuple[Path, Path]) -> None:
    root, proc = groups
    write(proc / "self" / "cgroup", "0::/user.slice/one.scope\n")
    write(root / "user.slice" / "one.scope" / "memory.max", "max\n")
    write(root / "user.slice" / "memory.max", f"{3 * GIB}\n")
    write(root / "user.slice" / "cpu.max", "150000 100000\n")
    write(root / "user.slice" / "one.scope" / "cpu.max", "max 100000\n")
    write(root / "elsewhere" / "memory.max", "1\n")
    assert memory_limit(root, proc) == 3 * GIB
    assert cpu_quota(root, proc) == 1.5
    write(root / "user.slice" / "memory.current", f"{2 * GIB}\n")
    assert memory_left(root, proc) == GIB


def test_in_a_container_the_own_group_is_the_root(groups: tuple[Path, Path]) -> None:
    root, proc = groups
    write(proc / "self" / "cgroup", "0::/../../docker/abc\n")
    write(root / "memory.max", f"{2 * GIB}\n")
    assert memory_limit(root, proc) == 2 * GIB


def test_version_1(groups: tuple[Path, Path]) -> None:
    root, proc = groups
    write(proc / "self" / "cgroup", "9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n")
    write(root / "memory" / "docker" / "abc" / "memory.limit_in_bytes", f"{GIB}\n")
    write(root / "memory" / "memory.limit_in_bytes", "9223372036854771712\n")
    write(root / "cpu" / "docker" / "abc" / "cpu.cfs_quota_us", "50000\n")
    write(root / "cpu" / "docker" / "abc" / "cpu.cfs_period_us", "100000\n")
    assert memory_limit(root, proc) == GIB
    assert cpu_quota(root, proc) == 0.5
    write(root / "cpu" / "docker" / "abc" / "cpu.cfs_quota_us", "-1\n")
    assert cpu_quota(root, proc) is None


def test_where_both_versions_are_there_each_has_its_own_folder(groups: tuple[Path, Path]) -> None:
    root, proc = groups
    write(proc / "self" / "cgroup", "4:cpu,cpuacct:/job\n0::/job\n")
    write(root / "cpu,cpuacct" / "job" / "cpu.cfs_quota_us", "20000\n")
    write(root / "cpu,cpuacct" / "job" / "cpu.cfs_period_us", "100000\n")
    write(root / "unified" / "job" / "memory.high", f"{GIB}\n")
    assert cpu_quota(root, proc) == 0.2
    assert memory_limit(root, proc) == GIB
    write(root / "unified" / "job" / "memory.current", f"{GIB // 4}\n")
    assert memory_left(root, proc) == GIB * 3 // 4


def test_a_limit_above_what_the_machine_has_is_none(groups: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root, proc = groups
    monkeypatch.setattr(module, "CGROUP", root)
    monkeypatch.setattr(module, "PROC", proc)
    write(root / "memory.max", f"{psutil.virtual_memory().total + GIB}\n")
    write(root / "cpu.max", "12800000 100000\n")
    assert (limits().memory_bytes, limits().cpu_quota) == (None, None)
    write(root / "memory.max", f"{GIB}\n")
    write(root / "cpu.max", "20000 100000\n")
    assert (limits().memory_bytes, limits().cpu_quota) == (GIB, 0.2)


@pytest.mark.parametrize(
    ("text", "expected"), [("0-2,8", [0, 1, 2, 8]), ("3\n", [3]), ("", []), ("all", []), ("1-x", [])]
)
def test_a_list_of_numbers_as_linux_writes_it(text: str, expected: list[int]) -> None:
    assert numbers(text) == expected


def test_memory_of_some_nodes_alone(tmp_path: Path) -> None:
    write(tmp_path / "self" / "status", "Name:\tpython\nMems_allowed:\t1\nMems_allowed_list:\t0\n")
    assert allowed_nodes(tmp_path, tmp_path / "none") is None
    write(tmp_path / "nodes", "0\n")
    assert allowed_nodes(tmp_path, tmp_path / "nodes") is None
    write(tmp_path / "nodes", "0-1\n")
    assert allowed_nodes(tmp_path, tmp_path / "nodes") == [0]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process")
@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="needs two processors")
def test_a_mask_and_limits_of_the_shell_of_a_process() -> None:
    code = (
        "import os, resource\n"
        "from bench.machine.limits import limits\n"
        f"os.sched_setaffinity(0, {{{max(os.sched_getaffinity(0))}}})\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({64 * GIB}, {64 * GIB}))\n"
        f"resource.setrlimit(resource.RLIMIT_DATA, ({32 * GIB}, {32 * GIB}))\n"
        "found = limits()\n"
        "print(found.processors, found.address_space_bytes, found.data_bytes)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"[{max(os.sched_getaffinity(0))}]", str(64 * GIB), str(32 * GIB)]


def test_what_the_system_does_not_tell_is_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    for name in ("cpu_quota", "affinity", "allowed_nodes", "memory_limit", "shell_limit"):
        monkeypatch.setattr(module, name, fail)
    assert limits() == Limits()


def test_no_limit_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert (limits().address_space_bytes, limits().data_bytes) == (None, None)
