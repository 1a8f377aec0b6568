"""The face: pytest picks the cases, shows progress, and hands every measured step to pytest-benchmark as a round.

Nothing is measured in this process and torch is never imported here; records under ``results/`` are the truth, and
pytest-benchmark's table and JSON are made from them.
"""

from __future__ import annotations

import contextlib
import functools
import signal
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from bench import __version__
from bench.cases.axes import axes
from bench.cases.plan import profiles
from bench.ceiling.service import describe, is_known
from bench.environments import failure_causes
from bench.errors import BenchError, ExitCode, UsageError, describe_unexpected
from bench.machine.fingerprint import machine
from bench.pytest_plugin import other_plugins, output_streams
from bench.pytest_plugin.benchmark_bridge import replay
from bench.pytest_plugin.progress import line, model_lines, plan_lines, rate, so_far
from bench.pytest_plugin.session import BenchSession, BudgetExhausted
from bench.records.outcome import Status
from bench.records.record import Record
from bench.runner.estimate import from_history
from bench.runner.run import Run
from bench.text import clean, one_line


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """The options of a run."""

    def refuse(error: BenchError) -> NoReturn:
        with _shown(pluginmanager):
            print(f"yolopace: {error}", file=sys.stderr)
        raise SystemExit(int(error.code))  # pytest.exit would be a traceback this early

    try:
        other_plugins.check_needed(pluginmanager)
    except UsageError as error:
        refuse(error)
    add = other_plugins.Options(parser, pluginmanager, refuse).add
    names = ", ".join(f"{name} ({found.about})" for name, found in profiles().items())
    add("--profile", default="quick", metavar="NAME", help=f"{names}; default quick")
    for axis in axes().values():
        if axis.option:
            about = f"instead of the profile's: {axis.help}" if axis.fixed else axis.help
            add(f"--{axis.name.replace('_', '-')}", metavar="VALUES", help=about)
    add("--axis", action="append", default=[], metavar="NAME=VALUES", help="a further axis; again for another")
    add("--per-device", action="store_true", help="batches are of each device, where a case has several")
    add("--memory-limit", default="", metavar="SIZE", help="with --mode ceiling: what a process may take")
    add("--granularity", default="1", metavar="N", help="with --mode ceiling: batches are multiples of it")
    add("--data", default="", metavar="YAML", help="an Ultralytics data yaml; default: made on the spot")
    add("--threads", default="0", metavar="N", help="CPU threads; default: what Ultralytics sets")
    add("--with-val", action="store_true", help="time validation and the saving of a checkpoint too")
    add("--energy", action="store_true", help="count joules too, over windows of 10 s and more")
    add("--compare-losses", action="store_true", help="compare the first losses with the CPU's on cuda too")
    add("--python", default="", metavar="PATH", help="the interpreter to measure; default: this one")
    add("--results", default="results", metavar="DIR", help="where records go; default results")
    add("--reports", default="reports", metavar="DIR", help="where the report goes; default reports")
    add("--epoch-images", default="0", metavar="N", help="epoch of the report; default COCO's")
    add("--processes", default="", metavar="N", help="measure each case in N fresh processes; default 1")
    add("--precision", default="", metavar="PERCENT", help="add processes until all intervals are within it")
    add("--time-budget", default="", metavar="TIME", help="start no case beyond it, such as 10m")
    add("--phase-limit", default="10m", metavar="TIME", help="end a case whose warm-up or window hangs")
    add("--run", default="", metavar="NAME", help="name of the run's folder; default: time and machine")
    add("--resume", default="", metavar="RUN", help="go on with a run by its name, or with the last")
    add("--plan", action="store_true", help="list the cases with time estimates and start nothing")


FACE = pytest.StashKey[BenchSession]()
STREAMS = pytest.StashKey[output_streams.Streams]()
SESSION = pytest.StashKey[pytest.Session]()


def _shown(manager: pytest.PytestPluginManager) -> contextlib.AbstractContextManager[None]:
    """What is printed meanwhile is shown, and not captured as the output of a test."""
    capture = manager.get_plugin("capturemanager")  # none with -p no:capture
    shown: contextlib.AbstractContextManager[None] = (
        capture.global_and_fixture_disabled() if capture else contextlib.nullcontext()
    )
    return shown


class _Plain:
    """Takes the place of pytest's reporter where another plugin has removed it."""

    def write_line(self, text: str, **_: bool) -> None:
        print(text)

    def ensure_newline(self) -> None:
        pass


def _reporter(config: pytest.Config) -> Any:
    return config.pluginmanager.get_plugin("terminalreporter") or _Plain()


def _write(config: pytest.Config, text: str, **markup: bool) -> None:
    """Write a line between pytest's own."""
    reporter = _reporter(config)
    with _shown(config.pluginmanager):
        reporter.ensure_newline()
        reporter.write_line(clean(text), **markup)


def _stop(error: BenchError) -> None:
    pytest.exit(clean(f"yolopace: {error}"), returncode=int(error.code))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Check what was asked for before anything is collected or started."""
    config.stash[STREAMS] = output_streams.prepare(raising=False)  # the reporter, which comes next, writes there
    if config.option.help or config.option.version:
        return
    try:
        other_plugins.check_alone(config)
        config.stash[FACE] = BenchSession(
            lambda name: config.getoption(other_plugins.PREFIX + name), config.invocation_params.dir
        )
    except BenchError as error:
        _stop(error)
    except Exception as error:
        _stop(UsageError(failure_causes.of_error(error) or describe_unexpected(error)))
    # A case that was not measured has no rounds to show.
    config.addinivalue_line("filterwarnings", "ignore:Benchmark fixture was not used at all")
    if not config.option.benchmark_columns:
        config.option.benchmark_columns = ["mean", "stddev", "median", "min", "max", "rounds"]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Keep the session: its exit status may still change when the last line is written."""
    session.config.stash[SESSION] = session


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Write what is left to write; where nobody takes it, the exit status says so."""
    streams = config.stash.get(STREAMS, None)
    if streams is None:
        return
    streams.restore()
    session = config.stash.get(SESSION, None)
    if session is not None and (failure := streams.failure) is not None:
        session.exitstatus = output_streams.status(failure)
        if session.exitstatus != output_streams.BROKEN_PIPE:
            with contextlib.suppress(OSError):
                print(f"yolopace: {output_streams.OutputFailed(failure).sentence}", file=sys.stderr)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a case, by its id: pytest-benchmark stores parameters, and text is what it can store."""
    if "case_id" in metafunc.fixturenames:
        mode = metafunc.function.__name__.removeprefix("test_")
        planned = metafunc.config.stash[FACE].planned
        metafunc.parametrize("case_id", [name for name, plan in planned.items() if plan.case.mode == mode])
    if "ceiling_id" in metafunc.fixturenames:
        metafunc.parametrize("ceiling_id", list(metafunc.config.stash[FACE].questions))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None, None, None]:
    """Run the cases in the order of the plan, whichever file they stand in; a mode without cases has no test.

    The precision comes last. It is about whatever is measured, so -k and its like choose the cases and leave it be.
    """
    face = config.stash[FACE]
    last = [item for item in items if _is_precision(item)] if face.precision is not None else []
    order = {name: number for number, name in enumerate(face.planned)}
    named = {**order, **dict.fromkeys(face.questions)}
    kept = [item for item in items if (name := _case_id(item) or _ceiling_id(item)) is None or name in named]
    items[:] = [item for item in kept if not _is_precision(item)]
    items.sort(key=lambda item: order.get(_case_id(item) or "", len(order)))
    other_plugins.lift_timeouts(config, items, face.note)
    yield
    if items:
        items += last


def _is_precision(item: pytest.Item) -> bool:
    return item.path.name == "test_precision.py" and item.path.parent.name == "bench"


def _case_id(item: pytest.Item) -> str | None:
    """The case that a test is about; None for a test that is about none."""
    callspec = getattr(item, "callspec", None)
    return str(callspec.params["case_id"]) if callspec and "case_id" in callspec.params else None


def _ceiling_id(item: pytest.Item) -> str | None:
    """The ceiling that a test is about; None for a test that is about none."""
    callspec = getattr(item, "callspec", None)
    return str(callspec.params["ceiling_id"]) if callspec and "ceiling_id" in callspec.params else None


def _named(item: pytest.Item) -> str | None:
    """The case or the ceiling that a test is about."""
    return _case_id(item) or _ceiling_id(item)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What is left after -k and its like is what will run."""
    face = session.config.stash[FACE]
    face.selected = [face.planned[name] for item in session.items if (name := _case_id(item))]
    face.asked = [name for item in session.items if (name := _ceiling_id(item))]
    twice = [name for name, times in Counter(map(_named, session.items)).items() if name and times > 1]
    if twice:
        _stop(
            UsageError(
                f"{twice[0]} was collected more than once, by a plugin that repeats tests: leave that out, and use "
                "--processes N to measure each case N times."
            )
        )
    if face.precision is not None and face.selected and not any(map(_is_precision, session.items)):
        _stop(UsageError("--precision has a test of its own: name bench/ or bench/test_precision.py too."))


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Show the plan, or start the run."""
    config = session.config
    face = config.stash[FACE]
    if face.plan_only:
        for text in plan_lines(face.selected, from_history(face.results)):
            _write(config, text)
        for name in face.asked:
            _write(config, f"ceiling {name}: a search of some batches, without an estimate")
        return True
    nothing = not face.selected and not face.asked
    if config.getoption("collectonly", False) or nothing or config.option.benchmark_disable:
        return None
    if _unread(config):
        return True
    _reporter(config).showfspath = False  # one line a case takes the place of pytest's dots
    try:
        _stop_on_signals(config)
        face.begin()
    except BenchError as error:
        face.fatal = error
    except (OSError, MemoryError, RuntimeError) as error:
        face.fatal = UsageError(failure_causes.of_error(error) or describe_unexpected(error))
    if face.fatal is not None:
        _write(config, f"yolopace: {face.fatal}", red=True)
        return True
    for text in model_lines(plan.case for plan in face.selected):
        _write(config, text)
    order = face.order
    session.items.sort(key=lambda item: order.get(_case_id(item) or "", len(order)))
    return None


STOPPING = (signal.SIGTERM, signal.SIGHUP)
"""What job schedulers, containers and closed terminals send to end a process."""


def _back_to_default(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)


def _stop_on_signals(config: pytest.Config) -> None:
    """End the run as Ctrl-C does, with a record of the case that is running, where one of these signals would kill."""

    def stop(number: int, frame: object) -> NoReturn:
        signal.signal(number, signal.SIG_IGN)  # a second one would cut off what is being written
        raise KeyboardInterrupt(f"stopped by {signal.Signals(number).name}")

    for number in STOPPING:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, stop)
            config.add_cleanup(functools.partial(_back_to_default, number))


@pytest.fixture
def measure(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[Callable[[str], None]]:
    """Measures a process of a case by its name: rounds for pytest-benchmark, or a skip or failure with the reason."""
    config = request.config
    face = config.stash[FACE]

    def measure_case(name: str) -> None:
        if face.run is None:
            pytest.skip(OFF)
        plan = face.planned[name]
        if (over := face.run.over(plan)) is not None:
            face.note(REPEATED)
            return _settle(over, benchmark, face.run.place(over))
        if spared := face.run.spare(plan):
            pytest.skip(spared)
        with _able(request, face):
            record = face.run.measure(plan)
        _show(config, face, face.run, record)
        _settle(record, benchmark, face.run.place(record))

    yield measure_case


@pytest.fixture
def search(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[Callable[[str], None]]:
    """Searches for a ceiling by its name: a round for every batch that was tried, or a failure with the reason."""
    config = request.config
    face = config.stash[FACE]

    def tell(text: str) -> None:
        _write(config, text)

    def search_one(name: str) -> None:
        if face.run is None:
            pytest.skip(OFF)
        try:
            with _able(request, face):
                found = face.search(name, tell)
        except BudgetExhausted:
            pytest.skip("the time budget is over")
        for text in describe(found, []):
            tell(text)
        if found.outcome.status is not Status.MEASURED:
            text = clean(f"{found.outcome.status.value}: {found.outcome.reason}")
            pytest.fail(text, pytrace=False) if found.outcome.status.broken else pytest.skip(text)
        benchmark.group = "ceiling: time of a batch that was tried"
        benchmark.extra_info.update(
            record=found.id,
            largest_batch=found.case.batch,
            stop_reason=found.stop_reason,
            limit_bytes=found.limit_bytes,
            machine=found.machine.fingerprint,
            torch=found.environment.label("torch"),
            ultralytics=found.environment.label("ultralytics"),
        )
        replay(benchmark, [probe.seconds for probe in found.probes])

    yield search_one


@pytest.fixture
def refine(request: pytest.FixtureRequest, benchmark: Any) -> Iterator[Callable[[], None]]:
    """Adds processes until the precision is reached; ``benchmark`` keeps --benchmark-only from skipping it."""
    config = request.config
    face = config.stash[FACE]

    def refine_all() -> None:
        if face.run is None:
            pytest.skip(OFF)
        with _able(request, face):
            for record in face.refine():
                _show(config, face, face.run, record)

    yield refine_all


OFF = "benchmarks are switched off (--benchmark-disable)"


REPEATED = (
    "another plugin ran tests again: each case was measured once, and its result was repeated. To measure each case "
    "several times, use --processes."
)


@contextlib.contextmanager
def _able(request: pytest.FixtureRequest, face: BenchSession) -> Iterator[None]:
    """Measure as long as that can go on: else the run ends with one sentence."""
    if _unread(request.config):
        request.session.shouldstop = "yolopace: standard output was closed"
        pytest.skip("nobody reads the output any more")
    try:
        face.check_turn()
        yield
    except BenchError as error:
        _give_up(request, face, error)
    except (OSError, MemoryError) as error:
        _give_up(request, face, UsageError(failure_causes.of_error(error)))


def _unread(config: pytest.Config) -> bool:
    """Whether the reader of standard output has gone."""
    failure = config.stash[STREAMS].failure
    return failure is not None and output_streams.status(failure) == output_streams.BROKEN_PIPE


def _give_up(request: pytest.FixtureRequest, face: BenchSession, error: BenchError) -> NoReturn:
    """The run cannot go on."""
    face.fatal = error
    request.session.shouldstop = clean(f"yolopace: {error}")
    pytest.skip(clean(str(error)))


def _show(config: pytest.Config, face: BenchSession, run: Run, record: Record) -> None:
    """One line on a case; those that another one settled were counted there."""
    if "skipped_because_of" in record.extra and not config.getoption("verbose", 0):
        return
    number, total = len(run.records) + run.spared, len(face.selected)
    text = line(
        record,
        number,
        total,
        left=run.seconds_left(),
        reused=record.name in face.finished,
        settles=run.settles(record),
        width=max(len(plan.case.id) for plan in face.selected),
        processes=face.processes,
        together=so_far([other for other in run.measured(record.case) if other.process <= record.process]),
    )
    _write(config, text)
    if run.trouble:
        _write(config, run.trouble, yellow=True)
    if number < total and (page := face.refresh()) is not None:
        _write(config, f"to watch it: {page}")


LAST_LINES = 3
"""Lines of a log that the terminal shows; the record has it whole."""


def _last_words(record: Record, place: Path) -> str:
    """The end of a case's log, and where the rest is; less what its reason says already."""
    last = [one_line(text, 300) for text in record.worker_output.splitlines() if text.strip()][-LAST_LINES:]
    end = [text for text in last if text not in record.outcome.reason and record.outcome.reason not in text]
    trace = any("Traceback (most recent call last)" in text for text in record.worker_output.splitlines())
    shown = [] if trace else end  # the reason says what a traceback ends with
    return "\n".join([*shown, f"The whole log is in {place}." if record.worker_output else ""]).strip()


def _settle(record: Record, benchmark: Any, place: Path) -> None:
    """Tell pytest and pytest-benchmark how a case ended; ``place`` is the file of its record."""
    case, outcome = record.case, record.outcome
    if outcome.status is not Status.MEASURED:
        text = one_line(f"{outcome.status.value}: {outcome.reason}")
        if outcome.status.broken:
            pytest.fail(clean("\n".join(filter(None, [text, _last_words(record, place)]))), pytrace=False)
        pytest.skip(text)
    assert record.steps is not None
    # The rounds of a modelled window have a mean that is not training's: its optimizer ran more often than it does.
    modelled = ", modelled: see step_seconds" if record.steps.modelled else ""
    benchmark.group = f"{case.mode}, batch {case.batch}, {case.imgsz} px: time of a step{modelled}"
    benchmark.extra_info.update(
        record=record.id,
        process=record.process,
        schema=record.schema,
        images_per_second=rate(record),
        step_seconds=record.steps.step_seconds,
        modelled=record.steps.modelled,
        batch=case.batch,
        device=record.effective.get("device"),
        amp=record.effective.get("amp"),
        machine=record.machine.fingerprint,
        torch=record.environment.label("torch"),
        ultralytics=record.environment.label("ultralytics"),
        recipe=record.recipe.fingerprint,
    )
    benchmark.extra_info.update(dict(case.further))
    benchmark.extra_info.update(
        {f"{name}_bytes": figure.bytes for name, figure in record.memory.items() if figure.bytes is not None}
    )
    replay(benchmark, record.steps.window)


def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> tuple[str, str, str] | None:
    """No dots and letters between the lines of progress."""
    if report.when == "call" and config.stash[FACE].run is not None and not config.getoption("verbose", 0):
        return report.outcome, "", ""
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Make the report; exit status 4 where nothing was measured."""
    face = session.config.stash.get(FACE, None)
    if face is None:
        return
    face.end()
    if session.exitstatus == pytest.ExitCode.INTERNAL_ERROR:  # 3 would say: not comparable
        session.exitstatus = int(ExitCode.WRONG_USE)
    if face.fatal is not None:
        session.exitstatus = int(face.fatal.code)
        return
    ended_well = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
    if face.run is not None and ended_well and not face.measured and not any(map(is_known, face.ceilings)):
        session.exitstatus = int(ExitCode.NOTHING_MEASURED)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Where everything is."""
    face = config.stash.get(FACE, None)
    if face is None or face.store is None:
        return
    terminalreporter.section("yolopace")
    several = f" in {face.measured_processes} processes" if face.measured_processes > face.measured else ""
    cases = len({plan.case for plan in face.selected})
    if face.asked:
        count = sum(map(is_known, face.ceilings))
        terminalreporter.write_line(clean(f"{count} of {len(face.asked)} ceilings found: {face.store.folder}"))
    if cases:
        found = f"{face.measured} of {cases} cases measured{several}; records: {face.store.folder}"
        terminalreporter.write_line(clean(found))
    if face.report_path is not None:
        terminalreporter.write_line(clean(f"report: {face.report_path}"))
    for note in face.notes:
        terminalreporter.write_line(clean(note), yellow=True)


def pytest_benchmark_generate_machine_info() -> dict[str, Any]:
    """Stable facts only: a clock speed that changes would make every machine differ from itself."""
    here = machine()
    return {
        "fingerprint": here.fingerprint,
        "system": here.system,
        "cpu": here.cpu,
        "cores": here.cores,
        "memory_gib": here.memory_gib,
        "gpus": here.gpus,
        "yolopace": __version__,
    }
