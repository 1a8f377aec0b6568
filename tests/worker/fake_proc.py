"""A ``/proc`` and a ``/sys`` in a folder, with the files and formats of Linux that the meters read."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")
OWN = os.getpgrp()
KERNEL_THREAD = 0x00200040


class FakeProc:
    """Times are in seconds; what is written again replaces what was there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "proc"
        self.system = folder / "sys"
        self.root.mkdir()
        self.system.mkdir()

    def file(self, path: str, text: str | bytes) -> None:
        """Write ``path``, which is below ``proc`` or ``sys``."""
        target = self.root.parent / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(text if isinstance(text, bytes) else text.encode())

    def thread(self, number: int, waited: float, ran: float = 1.0) -> None:
        """A thread of this process, and how long it waited for a processor."""
        self.file(f"proc/self/task/{number}/schedstat", f"{int(ran * 1e9)} {int(waited * 1e9)} 17\n")

    def machine(
        self, user: float, idle: float, steal: float = 0.0, guest: float = 0.0, iowait: float = 0.0, irq: float = 0.0
    ) -> None:
        """The first lines of ``stat`` of a machine of two processors; a guest's time is in ``user`` too."""
        fields = [round(seconds * TICK) for seconds in (user, 0, 0, idle, iowait, irq, 0, steal, guest, 0)]
        numbers = " ".join(map(str, fields))
        each = "".join(f"cpu{number} {numbers}\n" for number in range(2))
        self.file("proc/stat", f"cpu  {numbers}\n{each}intr 99 1 2\nctxt 12345\n")

    def process(
        self,
        number: int,
        used: float,
        group: int = 1,
        parent: int = 1,
        reaped: float = 0.0,
        name: bytes = b"python",
        start: int = 100,
        flags: int = 0x400000,
    ) -> None:
        """A process with its 52 fields; user and system time have half each."""
        half, reaped_half = round(used * TICK / 2), round(reaped * TICK / 2)
        text = f" S {parent} {group} {group} 0 -1 {flags} 10 20 30 40 {half} {half} {reaped_half} {reaped_half}"
        text += f" 20 0 5 0 {start} 3133440 363 18446744073709551615" + " 0" * 27
        self.file(f"proc/{number}/stat", str(number).encode() + b" (" + name + b")" + text.encode() + b"\n")

    def gone(self, number: int) -> None:
        """The process has ended and was waited for."""
        shutil.rmtree(self.root / str(number))

    def pressure(self, name: str, seconds: float) -> None:
        """A file of ``pressure``."""
        line = "{} avg10=0.19 avg60=0.45 avg300=0.15 total={}\n"
        self.file(f"proc/pressure/{name}", line.format("some", int(seconds * 1e6)) + line.format("full", 7))

    def group(self, path: str, stat: str, version: int = 2) -> None:
        """The control group that this process is in, with its ``cpu.stat``."""
        line, tree = (f"0::{path}", "") if version == 2 else (f"4:cpu,cpuacct:{path}", "cpu,cpuacct")
        self.file("proc/self/cgroup", f"9:name=systemd:/\n{line}\n")
        self.file(f"sys/fs/cgroup/{tree}/{path}/cpu.stat", stat)

    def swap(self, used: int, total: int = 8 << 30) -> None:
        """The lines of ``meminfo`` that are about it."""
        lines = [("MemTotal", 16 << 30), ("SwapCached", 0), ("SwapTotal", total), ("SwapFree", total - used)]
        self.file("proc/meminfo", "".join(f"{name + ':':16}{size >> 10:8} kB\n" for name, size in lines))

    def frequency(self, processor: int, kilohertz: int) -> None:
        """A ``scaling_cur_freq``."""
        self.file(f"sys/devices/system/cpu/cpu{processor}/cpufreq/scaling_cur_freq", f"{kilohertz}\n")

    def cpuinfo(self, clocks: dict[int, str], flags: str) -> None:
        """``cpuinfo`` with the clock of each processor in MHz."""
        block = "processor\t: {}\nvendor_id\t: AuthenticAMD\ncpu MHz\t\t: {}\nflags\t\t: fpu vme {} sse2\n\n"
        self.file("proc/cpuinfo", "".join(block.format(number, clock, flags) for number, clock in clocks.items()))

    def supply(self, name: str, **facts: str) -> None:
        """A power supply: ``type``, ``online``, ``status``, ``scope``."""
        for key, value in facts.items():
            self.file(f"sys/class/power_supply/{name}/{key}", f"{value}\n")
