"""Messages between runner and worker: jobs, events, and the constants that both sides know.

Needs the standard library alone, from Python 3.10 on. ``message_json.py`` writes and reads them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, ClassVar, Union

PYTHON_FLOOR = (3, 10)
"""Oldest Python that can be measured."""

TORCH_FLOOR = (2, 6)
"""Oldest torch that can be measured."""

JOB_VARIABLE = "YOLOPACE_JOB"
"""Environment variable that holds the assignment of a rank, where several ranks train together."""

GRANT = struct.Struct("<H")
"""Message that grants a worker its turn: the point within the step at which the turn ends, counted from 1, or one of
the values below."""

FREE, WITH_STEP, ALONE = 0, 0xFFFE, 0xFFFF
"""End of a turn: at the first point after a time slice; with the step; with the step, because the peer has ended."""

SHORT_ACCUMULATION_STEPS = 6
"""Steps from one optimizer step to the next during warm-up, and in a window too short for the real accumulation steps.

Two thirds of the steps are then plain ones, like most steps of an epoch, and a dozen steps hold every kind twice."""

SLACK = 4 / 3
"""Maximum ratio of a window that is a multiple of the real accumulation steps to the requested window."""

MAX_STEAL = 0.01
"""Maximum share of the machine's CPU time that a hypervisor may take during a window."""

MAX_OTHER_LOAD = 0.05
"""Maximum share of the machine's CPUs that other processes may use while a case runs on the CPU. They share its caches,
its memory and its clocks. In a virtual machine they often share its cores too, which no wait shows: see
``docs/explanation/noise.md``."""


# Jobs


@dataclass(frozen=True)
class Window:
    """Length of warm-up and window.

    Attributes:
        warmup_seconds: minimum duration of warm-up.
        window_steps: minimum number of steps of the window.
        window_seconds: minimum duration of the window.
        warmup_steps: minimum number of steps of warm-up, where two processes have to see the same images.
        shared_accumulation_steps: accumulation steps of the window that the peer has chosen; 0: chosen here.
        short_accumulation_steps: maximum accumulation steps during warm-up.
        settled_after: steps of warm-up after its first optimizer step.
        align_to_accumulation: whether a window has to be a multiple of the real accumulation steps; None: the device's
            default.
        most_seconds: seconds after which a window ends whatever its steps; 0: no such limit.
    """

    warmup_seconds: float
    window_steps: int
    window_seconds: float
    warmup_steps: int = 0
    shared_accumulation_steps: int = 0
    short_accumulation_steps: int = SHORT_ACCUMULATION_STEPS
    settled_after: int = 2
    align_to_accumulation: bool | None = None
    most_seconds: float = 0.0


@dataclass(frozen=True)
class RequestedAxis:
    """A further axis of a case, and the setting by which a worker checks that its value is effective.

    Attributes:
        axis: its name.
        text: its value, as the user writes it.
        arguments: names of the library's arguments that it sets.
        setting: key in the effective settings.
        value: required value of that setting.
    """

    axis: str
    text: str
    arguments: list[str]
    setting: str
    value: Any


@dataclass(frozen=True)
class CaseJob:
    """Measure a case.

    Attributes:
        workload: family that measures it.
        case: its axes by name.
        overrides: library arguments that the recipe and the further axes fix.
        threads: CPU threads of torch; 0 for the workload's own number.
        window: length of warm-up and window.
        data: data set, as the family's data maker or inspector named it.
        scratch: an empty folder that disappears with the case.
        asked: further axes of the case.
        with_val: whether validation and checkpoint are timed too, after the window.
        compare_losses: whether the first losses are compared with the CPU's, on a device that leaves the choice.
        energy: whether joules are counted.
        seeded: whether a model without weights gets the seeded ones that an export has.
        block: steps of a turn, where two workers take turns; 0: no turns.
        within: whether turns end within a step too.
        separate_pass: whether phases may be timed in separate steps after the window.
        memory_before: whether memory is read before the first step too.
        loss_scale: initial loss scale of mixed precision; None for the library's own.
        retry_noisy: whether a window with interference is measured again.
        memory_limit: bytes of the device's memory that may be taken; 0: as many as are safe; None: no limit.
        data_limit: RLIMIT_DATA of the process in bytes; 0: no limit.
        rendezvous: rendezvous of the ranks of several machines; for the runner.
        oom_kills: number of processes that the kernel had killed for lack of memory before; for the runner.
        extra_seconds: seconds by which set-up and warm-up may take longer; for the runner.
        single_process: whether one process takes all devices of the case, in place of one process per device.
        export: details of :class:`Exported`, where an exported model predicts; else empty.
    """

    kind: ClassVar[str] = "case"

    workload: str
    case: dict[str, Any]
    overrides: dict[str, Any]
    threads: int
    window: Window
    data: str
    scratch: str
    asked: list[RequestedAxis] = field(default_factory=list)
    with_val: bool = False
    compare_losses: bool = False
    energy: bool = False
    seeded: bool = False
    block: int = 0
    within: bool = False
    separate_pass: bool = True
    memory_before: bool = False
    loss_scale: float | None = None
    retry_noisy: bool = True
    memory_limit: int | None = None
    data_limit: int = 0
    rendezvous: dict[str, Any] | None = None
    oom_kills: int = 0
    extra_seconds: float = 0.0
    single_process: bool = False
    export: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PlainJob:
    """Train as a user would, for comparison with a measured case.

    Attributes:
        steps: steps to time in all, in blocks of ``block``.
        warmup_steps: minimum number of steps of warm-up.
        warmup_seconds: minimum duration of warm-up.
    """

    kind: ClassVar[str] = "plain"

    workload: str
    case: dict[str, Any]
    overrides: dict[str, Any]
    threads: int
    data: str
    scratch: str
    steps: int
    block: int
    warmup_steps: int
    warmup_seconds: float
    within: bool = False


@dataclass(frozen=True)
class DataJob:
    """Provide a data set: make it, or look at the user's own.

    Attributes:
        workload: family whose data it is.
        name: name of a made set, or the user's own data set.
        root: folder of the cache for data sets.
        made: whether this suite makes the set.
        images: length of a made set.
        val_images: length of its validation set; 0 for the maker's minimum.
        seed: random seed of a made set.
        replaces: name of the made set that the user's own data set replaces, which says what its labels have to be.
    """

    kind: ClassVar[str] = "data"

    workload: str
    name: str
    root: str
    made: bool
    images: int = 0
    val_images: int = 0
    seed: int = 0
    replaces: str = ""


@dataclass(frozen=True)
class ExportJob:
    """Export the model of a case to its format, or find an earlier export of it.

    Attributes:
        workload: family of the model.
        case: its axes by name.
        overrides: library arguments of prediction that the recipe and the further axes fix.
        data: data set, as the family's data maker or inspector named it.
        root: folder of the cache for exports.
        scratch: an empty folder on the same file system, which disappears with the job.
    """

    kind: ClassVar[str] = "export"

    workload: str
    case: dict[str, Any]
    overrides: dict[str, Any]
    data: str
    root: str
    scratch: str


@dataclass(frozen=True)
class OverheadJob:
    """Measure what the harness adds to a step."""

    kind: ClassVar[str] = "overhead"


Job = Union[CaseJob, PlainJob, DataJob, ExportJob, OverheadJob]  # noqa: UP007 - evaluated under Python 3.10
JOBS: dict[str, type[Any]] = {job.kind: job for job in (CaseJob, PlainJob, DataJob, ExportJob, OverheadJob)}


@dataclass(frozen=True)
class ProcessSetup:
    """Settings that a process needs before it imports anything.

    Attributes:
        workload: family whose libraries are imported.
        config: folder for settings of libraries, in place of the user's own.
        network: whether the user named something that may have to be fetched.
        imported: required identity of each module (``worker/interpreter/identity.py``).
        extensions: files that add device kinds and workloads.
    """

    workload: str
    config: str
    network: bool = False
    imported: dict[str, Any] = field(default_factory=dict)
    extensions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Assignment:
    """A job for a process that is started for it alone."""

    setup: ProcessSetup
    job: Job


# Events


@dataclass(frozen=True)
class Event:
    """A report of a worker; ``at`` is its ``time.monotonic``, which all processes of a machine share."""

    event: ClassVar[str] = ""

    at: float = field(default=0.0, kw_only=True)


@dataclass(frozen=True)
class PhaseBegan(Event):
    """Set-up, warm-up, the window, the checks after it or the epoch overhead began.

    Attributes:
        name: ``setup``, ``warmup``, ``window``, ``checking`` or ``rest``.
        steps: steps of warm-up, where the window begins.
        accumulation_steps: accumulation steps in the window.
        planned: steps of the window, where their number is fixed already.
    """

    event: ClassVar[str] = "phase"

    name: str
    steps: int = 0
    accumulation_steps: int = 0
    planned: int = 0


@dataclass(frozen=True)
class SettingsRead(Event):
    """Effective settings, read back before the clock starts."""

    event: ClassVar[str] = "effective"

    settings: dict[str, Any]


@dataclass(frozen=True)
class Measured(Event):
    """Result of a case; keys are those of the record where it has them.

    Attributes:
        worth_retrying: whether the interference of the window is of a kind that a new window may avoid.
    """

    event: ClassVar[str] = "measured"

    steps: dict[str, Any]
    phases: dict[str, Any]
    window: dict[str, Any]
    memory: dict[str, Any] = field(default_factory=dict)
    memory_before: dict[str, Any] = field(default_factory=dict)
    device: dict[str, Any] = field(default_factory=dict)
    checks: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    epoch_overhead: dict[str, Any] = field(default_factory=dict)
    energy: dict[str, Any] | None = None
    discarded: list[dict[str, Any]] = field(default_factory=list)
    worth_retrying: bool = False


@dataclass(frozen=True)
class RestMeasured(Event):
    """Validation and checkpoint, timed once after the window.

    Attributes:
        values: by the names of the record.
        failed: reason why ``values`` is empty.
    """

    event: ClassVar[str] = "rest"

    values: dict[str, Any] = field(default_factory=dict)
    failed: str = ""


@dataclass(frozen=True)
class DataProvided(Event):
    """A data set that can be used.

    Attributes:
        source: how the library names it: a file, or the name of a set that is made.
        fingerprint: twelve hexadecimal digits that identify its content.
        images: number of training images that are used.
        details: further facts about a user's own set.
    """

    event: ClassVar[str] = "data"

    source: str
    fingerprint: str
    images: int
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Exported(Event):
    """An export that can be used.

    Attributes:
        details: ``folder`` and ``file``, ``format``, ``seconds``, ``bytes``, ``made`` (whether this job made it),
            ``arguments``, ``packages``, and ``model``: facts of the model that was exported.
    """

    event: ClassVar[str] = "exported"

    details: dict[str, Any]


@dataclass(frozen=True)
class BlockEnded(Event):
    """A block of steps ended, and with it a turn."""

    event: ClassVar[str] = "block"

    seconds: float
    steps: int


@dataclass(frozen=True)
class TurnEnded(Event):
    """A turn ended within a step, at a point that is counted from 1."""

    event: ClassVar[str] = "part"

    point: int


@dataclass(frozen=True)
class OverheadMeasured(Event):
    """Seconds that the harness adds to a step: a mean over ``steps`` for each round."""

    event: ClassVar[str] = "overhead"

    seconds: list[float]
    steps: int


@dataclass(frozen=True)
class JobEnded(Event):
    """End of a job.

    Attributes:
        status: of the outcome.
        reason: one sentence; empty for ``measured``.
        scope: fields of the case that decide the outcome; empty where it holds for this case alone.
    """

    event: ClassVar[str] = "ended"

    status: str
    reason: str = ""
    scope: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ServerReady(Event):
    """The fork server has imported everything."""

    event: ClassVar[str] = "ready"


@dataclass(frozen=True)
class ServerUnusable(Event):
    """The fork server cannot fork workers; ``differs`` where something else was imported than expected."""

    event: ClassVar[str] = "unusable"

    reason: str
    differs: bool = False


@dataclass(frozen=True)
class WorkerForked(Event):
    """A worker was forked."""

    event: ClassVar[str] = "forked"

    pid: int


@dataclass(frozen=True)
class WorkerReaped(Event):
    """A forked worker has exited; ``code`` is negative for a signal."""

    event: ClassVar[str] = "exited"

    pid: int
    code: int
