"""The member of a fleet: plans and measures on one machine, as its coordinator says; started by the agent."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

from bench import extensions, signals
from bench.cases.device_kinds import MACHINES, device_names, kind_of
from bench.ceiling.service import CEILING
from bench.errors import BenchError, ExitCode, UsageError, describe_unexpected
from bench.fleet import locks, messages
from bench.fleet.incoming import name_of
from bench.machine.fingerprint import devices, machine, visible_cards
from bench.machine.paths import cache_folder
from bench.pytest_plugin.command_line import run_options
from bench.pytest_plugin.request import RunRequest
from bench.pytest_plugin.resume import SELECTION
from bench.pytest_plugin.selection import keyword_matcher
from bench.pytest_plugin.session import BenchSession, BudgetExhausted
from bench.records import store
from bench.records.ceiling import Ceiling
from bench.records.outcome import Status
from bench.records.record import Record
from bench.records.store.atomic import write_whole

Send = Callable[[messages.Event], None]
"""Sends an event to the coordinator."""

LAST_SECONDS = 20.0
"""Seconds in which a member whose agent has gone saves the interrupted record and ends."""


def main() -> None:
    """Measure what comes on standard input until it ends; events go to standard output."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    events = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever else is printed is no event
    signals.interrupt_on_signals()

    def send(event: messages.Event) -> None:
        events.write(messages.encode(event) + b"\n")
        events.flush()

    code = 0
    try:
        serve(_Commands(sys.stdin.buffer), send)
    except BenchError as error:
        send(messages.Refused(str(error), int(error.code)))
    except KeyboardInterrupt:
        code = int(ExitCode.WRONG_USE)
    except BrokenPipeError:  # the agent has gone
        code = int(ExitCode.WRONG_USE)
    except Exception as error:
        send(messages.Refused(describe_unexpected(error), int(ExitCode.WRONG_USE)))
    sys.stdout.flush()
    os._exit(code)  # the thread that reads commands may wait for ever


class _Commands:
    """Commands on standard input; when it ends, the agent has gone, and this process is interrupted."""

    def __init__(self, source: BinaryIO) -> None:
        import queue

        self._queue: queue.Queue[messages.Command] = queue.Queue()
        self._source = source
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self._source:
            self._queue.put(messages.command(line))
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_SECONDS)
        os._exit(int(ExitCode.WRONG_USE))  # the fork server and its workers end with this process

    def next(self) -> messages.Command:
        """Return the next command; waits for it."""
        return self._queue.get()


def serve(commands: Any, send: Send) -> None:
    """Plan, then measure what is asked for.

    Raises:
        BenchError: where the machine cannot measure that.
        KeyboardInterrupt: when it is ended; the record of the interrupted case was sent.
    """
    start = commands.next()
    assert isinstance(start, messages.Start)
    load_extensions(start.extensions)
    if start.examine:
        return send(_examine())
    with locks.measuring(start.lock, start.run):
        session = begin(start)
        assert session.store is not None and session.run is not None and session.launcher is not None
        complete = False
        try:
            for event in _not_sent(session, start.records):
                send(event)
            send(_planned(session))
            complete = _measure_all(session, commands, send)
        except KeyboardInterrupt:
            if session.run.records and session.run.records[-1].outcome.status is Status.INTERRUPTED:
                send(_recorded(session.run.records[-1]))
            raise
        finally:
            session.launcher.close()
        if complete:
            _forget(session.store)
    send(messages.Finished())


def load_extensions(files: Iterable[messages.ExtensionFile]) -> None:
    """Load the extensions of the run, and none that this machine names itself.

    Raises:
        UsageError: for one that arrived damaged, or that does not load here.
    """
    os.environ.pop(extensions.VARIABLE, None)
    for file in files:
        if extensions.digest_of(file.content) != file.digest or Path(file.name).name != file.name:
            raise UsageError(f"extension {file.name!r} arrived damaged.")
        path = cache_folder() / "fleet" / "code" / file.digest / f"{file.name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, file.content, lasting=False)
        extensions.load([str(path)])


def runs_folder() -> Path:
    """Return where members keep records until their coordinator has all."""
    return cache_folder() / "fleet" / "runs"


def begin(start: messages.Start) -> BenchSession:
    """Begin the run, or go on with it where records of it are here or at the coordinator.

    Raises:
        UsageError: where the options are impossible on this machine.
    """
    results, kept = runs_folder(), store.Store.at(runs_folder() / start.run)
    try:
        kept.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"nothing can be written to {kept.folder}: {error.strerror or error}.") from None
    for content in start.records:
        file_name = store.decode_file(content.encode()).file_name
        received = store.Received(file_name, content.encode())
        if not kept.path(received).exists() and (problem := kept.save(received)):
            raise UsageError(problem)
    ceilings = [store.Received(item.file_name, kept.path(item).read_bytes()) for item in final_ceilings(kept)]
    known = start.run in store.runs(results)
    if not known:  # a search is no record that a run goes on from
        for ceiling in store.read_ceilings([kept.folder])[0]:
            kept.remove(ceiling)
        kept.discard()
    values = {
        "resume" if known else "run": start.run,
        "results": str(results),
        "reports": str(results.parent / "reports"),
    }
    session = BenchSession(RunRequest.parse(option_getter({**start.options, **values}), Path.cwd()))
    _select(session)
    session.begin()
    assert session.store is not None
    for received in ceilings:
        session.store.save(received)
    return session


def _select(session: BenchSession) -> None:
    """Select the processes and ceilings that ``-k`` chooses and whose devices this machine has.

    Raises:
        UsageError: where nothing is left.
    """
    keyword = session.request.options.options["k"]
    matches, searches = keyword_matcher(keyword), session.request.searches
    chosen = [plan for name, plan in session.planned.items() if matches(plan.case.mode, name)]
    chosen_searches = [name for name in searches if matches(CEILING, name)]
    if not chosen and not chosen_searches:
        raise UsageError(
            f"no case matches -k {keyword!r}: use a part of an id such as {[*session.planned, *searches][0]}."
        )
    session.selected = [plan for plan in chosen if is_offered(plan.case.device)]
    session.selected_searches = [name for name in chosen_searches if is_offered(searches[name].case.device)]
    left_out = len(chosen) + len(chosen_searches) - len(session.selected) - len(session.selected_searches)
    if not session.selected and not session.selected_searches:
        asked = {plan.case.device for plan in chosen} | {searches[name].case.device for name in chosen_searches}
        raise UsageError(f"it has no device of the plan ({', '.join(sorted(asked))}): it has {', '.join(devices())}.")
    if left_out:
        session.note(f"{left_out} cases left out, whose devices it does not have: it has {', '.join(devices())}")


def final_ceilings(kept: store.Store) -> list[Ceiling]:
    """Return the ceilings in a folder that are not searched for again."""
    return [ceiling for ceiling in store.read_ceilings([kept.folder])[0] if ceiling.outcome.status.final]


def option_getter(values: dict[str, Any]) -> Callable[[str], Any]:
    """Return a getter of the options of a run: these values, and the defaults of all others."""
    defaults: dict[str, Any] = {name: "" for name in SELECTION}
    for option in run_options():
        if option.group:
            empty: Any = [] if option.repeated else option.default if option.metavar else False
            defaults[option.name.lstrip("-").replace("-", "_")] = empty
    unknown = set(values) - set(defaults)
    if unknown:
        raise UsageError(f"option {min(unknown)!r} is unknown.")
    return lambda name: values[name] if values.get(name) is not None else defaults[name]


def is_offered(device: str) -> bool:
    """Whether this machine has the devices of a case; a kind that only torch knows is left to the worker."""
    if (whole := MACHINES.fullmatch(device)) and whole["machines"]:
        return False
    kind = kind_of(device)
    if kind.on_host:
        return True
    numbers = [name for name in device_names(device) if name.isdecimal()]
    if numbers:
        return all(int(name) < len(visible_cards()) for name in numbers)
    return kind.indexed or device in devices()


def _planned(session: BenchSession) -> messages.Planned:
    assert session.launcher is not None and session.store is not None
    environment = session.launcher.interpreter.environment
    names = [*(plan.name for plan in session.selected), *session.selected_searches]
    cases = {plan.case for plan in session.selected}
    return messages.Planned(
        names=names,
        added=[name for name, record in session.finished.items() if record.case in cases and name not in names],
        finished=[*session.finished, *(ceiling.case.search_id for ceiling in final_ceilings(session.store))],
        machine=machine(),
        environment=environment.fingerprint,
        torch=environment.torch,
        notes=session.notes,
    )


def _not_sent(session: BenchSession, held: list[str]) -> list[messages.Recorded]:
    """Return what was measured here and the coordinator does not have, byte for byte as it was written."""
    assert session.store is not None
    items: list[Record | Ceiling] = [*session.finished.values(), *final_ceilings(session.store)]
    events = [messages.Recorded(name_of(item), session.store.path(item).read_text(encoding="utf-8")) for item in items]
    return [event for event in events if event.content not in held]


def _recorded(item: Record | Ceiling) -> messages.Recorded:
    return messages.Recorded(name_of(item), store.encoded(item).decode())


def _measure_all(session: BenchSession, commands: Any, send: Send) -> bool:
    """Do what the coordinator asks for until it says that this is all; return whether it has everything."""
    assert session.run is not None
    while True:
        match commands.next():
            case messages.Measure(name) if name in session.request.searches:
                try:
                    send(_recorded(session.search(name, lambda text: None)))
                except BudgetExhausted:
                    send(messages.Skipped(name, "the time budget is over"))
            case messages.Measure(name):
                plan = session.planned[name]
                if reason := session.run.skip_reason(plan):
                    send(messages.Skipped(name, reason))
                else:
                    send(_recorded(session.measure(plan)))
            case messages.GiveUp(name, reason):
                send(_recorded(session.run.give_up(session.planned[name], reason)))
            case messages.Refine():
                send(_added(session))
            case messages.Finish(complete):
                return complete


def _added(session: BenchSession) -> messages.Added:
    """Return the next process that ``--target-ci`` adds; without a name, what came of the target."""
    target = session.target
    plan = target.next() if target is not None else None
    if plan is None:
        return messages.Added("", target.summary() if target is not None else "")
    session.planned[plan.name] = plan
    return messages.Added(plan.name)


def _forget(kept: store.Store) -> None:
    """Remove the copies of what the coordinator has."""
    items: list[Record | Ceiling] = [*store.read([kept.folder])[0], *store.read_ceilings([kept.folder])[0]]
    for item in items:
        kept.remove(item)
    kept.discard()


def _examine() -> messages.Examined:
    """Examine this machine as ``doctor`` does."""
    from bench.machine.doctor import State, devices_of, examine
    from bench.report.doctor import summary
    from bench.runner import doctor

    system, software = doctor.look("")
    rows = examine(system, software)
    checks = [f"{row.name}: {row.detail} {row.remedy}".strip() for row in rows if row.status is State.LIMITED]
    usable = devices_of(rows)[0]
    unusable = [f"{rows[0].detail} {rows[0].remedy}".strip()] if rows[0].status is State.UNUSABLE else []
    return messages.Examined(
        f"{machine().title}; {rows[0].detail}. {summary(rows)}", [*unusable, *checks], bool(usable)
    )
