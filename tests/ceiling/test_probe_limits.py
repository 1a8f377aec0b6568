"""What holds one process to so much memory: control groups that are played, and real limits on real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

import psutil
import pytest

from bench.ceiling import probe_limits
from bench.ceiling.probe_limits import AllocatorLimit, CgroupLimit, RlimitDataLimit, group, limited, parents

MIB = 2**20

EATS = """
import sys
sys.stdin.readline()
blocks = []
for _ in range(64):
    blocks.append(bytearray(8 * 2**20))
print("ate it all")
"""


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


class Kernel:
    """A folder that fills new groups with files, as the kernel does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...]) -> None:
        make = Path.mkdir

        def mkdir(folder: Path, *arguments: int, **options: bool) -> None:
            make(folder, *arguments, **options)  # type: ignore[arg-type]
            for name in files:
                (folder / name).write_text("")

        monkeypatch.setattr(Path, "mkdir", mkdir)
        monkeypatch.setattr(Path, "rmdir", lambda folder: [file.unlink() for file in folder.iterdir()])
        monkeypatch.setattr(probe_limits, "PROC", Path("nowhere"))  # else a real process would be spoken to


def test_version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Kernel(monkeypatch, ("memory.max", "memory.swap.max", "cgroup.procs"))
    held = CgroupLimit(tmp_path / "own", 512 * MIB)
    held.apply(17)
    files = {file.name: file.read_text() for file in (tmp_path / "own").iterdir()}
    assert files == {"memory.max": str(512 * MIB), "memory.swap.max": "0", "cgroup.procs": "17"}
    assert held.method == "control group, version 2" and held.figure == "private" and held.job() == {}
    assert not held.killed()
    write(tmp_path / "own" / "memory.events", "low 0\noom 2\noom_kill 1\n")
    assert held.killed()
    held.close()


def test_version_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Kernel(monkeypatch, ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "cgroup.procs"))
    held = CgroupLimit(tmp_path / "own", 512 * MIB)
    assert (tmp_path / "own" / "memory.limit_in_bytes").read_text() == str(512 * MIB)
    assert (tmp_path / "own" / "memory.memsw.limit_in_bytes").read_text() == str(512 * MIB)
    write(tmp_path / "own" / "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n")
    assert not held.killed()


def test_where_no_group_can_be_made_the_process_limits_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(probe_limits, "CGROUP", tmp_path / "nowhere")
    assert group(MIB) is None
    with limited(MIB) as held:
        assert isinstance(held, RlimitDataLimit)
        assert (held.figure, held.job()) == ("data", {"data_limit": MIB})


def test_a_mac_keeps_no_limit_and_its_swap_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_limits.platform, "system", lambda: "Darwin")
    with limited(MIB) as held:
        assert (held.figure, held.job(), held.killed()) == ("process", {}, False)
    assert not probe_limits.enforced()


def test_groups_of_runners_that_were_killed_are_swept_away(tmp_path: Path) -> None:
    for owner in (os.getpid(), 4_194_305, "x"):
        (tmp_path / f"yolopace-{owner}-0").mkdir()
    probe_limits.remove_stale_groups(tmp_path)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == [f"yolopace-{os.getpid()}-0", "yolopace-x-0"]


def test_a_group_goes_where_its_parent_hands_the_controller_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "cgroup.subtree_control", "cpu\n")
    write(tmp_path / "a" / "cgroup.subtree_control", "cpu memory\n")
    monkeypatch.setattr(probe_limits, "_own_group", lambda first: "/a/b")
    assert list(parents(tmp_path)) == [tmp_path / "a"]
    write(tmp_path / "memory" / "memory.limit_in_bytes", "1")
    assert list(parents(tmp_path)) == [tmp_path / "memory" / "a" / "b", tmp_path / "memory" / "a", tmp_path / "memory"]


def test_a_real_process_in_a_real_group() -> None:
    held = group(200 * MIB)
    if held is None:
        pytest.skip("no control group can be made here")
    if swaps(held):
        held.close()
        pytest.skip("what is above the limit is swapped here")
    try:
        with subprocess.Popen([sys.executable, "-c", EATS], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            held.apply(process.pid)
            out, _ = process.communicate(b"\n")
        assert process.returncode == -9 and out == b""
        assert held.killed()
    finally:
        held.close()


def swaps(held: CgroupLimit) -> bool:
    """Whether what is above its limit would be swapped."""
    files = (held._folder / name for name in ("memory.swap.max", "memory.memsw.limit_in_bytes"))
    return psutil.swap_memory().total > 0 and not any(file.exists() for file in files)


LARGE = """
block = bytearray(240 * 2**20)
print("there", flush=True)
input()
"""
"""A process that takes more than the probe that runs at the same time."""


@pytest.mark.parametrize("reported", [True, False], ids=["a-probe-goes-first", "else-the-largest-goes"])
def test_where_memory_runs_out_for_all_the_kernel_takes_the_probe(reported: bool) -> None:
    """A group of 400 MiB stands for the machine: a process of 240 MiB is in it, and one that eats the rest."""
    machine = group(400 * MIB)
    if machine is None:
        pytest.skip("no control group can be made here")
    if Path("/proc/self/oom_score_adj").read_text().strip() == "1000" or swaps(machine):
        machine.close()
        pytest.skip("every process here is the first to go, or swaps before one has to")
    inside = str(machine._folder / "cgroup.procs")
    enter = f"open({inside!r}, 'w').write('0')\n"
    try:
        with (
            subprocess.Popen([sys.executable, "-c", enter + LARGE], stdin=PIPE, stdout=PIPE) as large,
            subprocess.Popen([sys.executable, "-c", enter + EATS], stdin=PIPE, stdout=PIPE) as probe,
        ):
            assert large.stdout is not None and large.stdout.readline() == b"there\n"
            if reported:
                probe_limits.set_oom_score(probe.pid)
            out, _ = probe.communicate(b"\n")
            large.communicate(b"\n")
        assert machine.killed()
        assert (probe.returncode, large.returncode, out) == ((-9, 0, b"") if reported else (-9, -9, b""))
    finally:
        machine.close()


@pytest.mark.parametrize("with_groups", [True, False])
def test_where_the_whole_machine_runs_out_the_probe_goes_first(
    monkeypatch: pytest.MonkeyPatch, with_groups: bool
) -> None:
    held = group(200 * MIB) if with_groups else RlimitDataLimit(200 * MIB)
    if held is None or not Path("/proc/self/oom_score_adj").exists():
        pytest.skip("no control group can be made here, or this is no Linux")
    try:
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
            held.apply(process.pid)
            assert Path(f"/proc/{process.pid}/oom_score_adj").read_text().strip() == "1000"
            process.communicate(b"\n")
    finally:
        held.close()


def test_a_group_that_may_be_made_and_not_entered_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Kernel(monkeypatch, ("memory.max", "memory.swap.max"))
    monkeypatch.setattr(probe_limits, "parents", lambda root: iter([tmp_path]))
    write = Path.write_text

    def refused(file: Path, text: str, encoding: str | None = None) -> int:
        if file.name == "cgroup.procs":
            raise PermissionError(13, "Permission denied")
        return write(file, text, encoding)

    monkeypatch.setattr(Path, "write_text", refused)
    assert group(MIB) is None


def test_an_allocator_is_reported() -> None:
    assert AllocatorLimit(MIB).job() == {"memory_limit": MIB}
    assert AllocatorLimit(None).job() == {"memory_limit": 0} and not AllocatorLimit(None).killed()


def test_a_real_process_that_limits_itself() -> None:
    """As a worker does: before it imports anything."""
    setting = "import resource; resource.setrlimit(resource.RLIMIT_DATA, (200 * 2**20, 200 * 2**20))"
    done = subprocess.run([sys.executable, "-c", f"{setting}\n{EATS}"], input="\n", capture_output=True, text=True)
    assert done.returncode == 1 and "MemoryError" in done.stderr
