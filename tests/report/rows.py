"""Made-up rows of releases and searches, for the tests of their renderings."""

from __future__ import annotations

from bench.compare.bisection import Bisection, Probe, Search
from bench.compare.bisection import Side as Half
from bench.compare.findings import ComparisonResult, evaluate
from bench.compare.sweep import Entry, Sweep
from bench.records.comparison import CaseComparison, EnvironmentSide, SideOutcome
from bench.records.outcome import Outcome, Status
from tests.builders import make_compared, make_comparison, make_effective, make_environment, make_side
from tests.report.comparisons.comparisons import HOSTILE, HOSTILE_MODEL

SLOWER = [0.05, 0.051, 0.049, 0.05], [0.04925, 0.05025, 0.04955, 0.04995] * 2
SAME = ([0.002, -0.003, 0.001, -0.001],)
UNSURE = ([0.05, -0.05],)


def against(*cases: CaseComparison, head: str = "8.4.190") -> ComparisonResult:
    """A release against 8.4.185; nothing else differs."""
    return evaluate(make_comparison(cases, base=side("8.4.185"), head=side(head)))


def side(version: str) -> EnvironmentSide:
    environment = make_environment(ultralytics=version)
    packages = sorted(f"{name}=={number}" for name, number in environment.packages.items())
    return make_side(asked=f"ultralytics=={version}", environment=environment, key=version, packages=packages)


def flipped() -> CaseComparison:
    """A slower case whose optimizer is another one."""
    case = make_compared(*SLOWER, batch=4)
    case.head = SideOutcome(effective={**make_effective(case.case), "optimizer": "MuSGD"})
    return case


def lost() -> CaseComparison:
    return make_compared(
        base=SideOutcome(), head=SideOutcome(outcome=Outcome(Status.OUT_OF_MEMORY, "No room.")), batch=4
    )


def row(*entries: Entry, **changes: object) -> Sweep:
    fields = {
        "run": "sweep-20261122-184512-3f9ac2",
        "package": "ultralytics",
        "pinned": ("torch==2.15.0", "torchvision==0.30.0"),
        "base": "8.4.185",
        "entries": (Entry(release="8.4.185"), *entries),
    }
    return Sweep(**(fields | changes))  # type: ignore[arg-type]


def eventful() -> Sweep:
    """The same, one that cannot be built, an undecided one, one that cannot run, and one that is slower."""
    return row(
        Entry(release="8.4.186", result=against(make_compared(*SAME, batch=4), head="8.4.186")),
        Entry(release="8.4.187", reason="The environment of 8.4.187 cannot be built: no space."),
        Entry(release="8.4.188", result=against(make_compared(*UNSURE, batch=4), head="8.4.188")),
        Entry(release="8.4.189", result=against(lost(), head="8.4.189")),
        Entry(release="8.4.190", result=against(flipped())),
    )


def hostile() -> Sweep:
    """All text that can come from elsewhere, at its worst."""
    case = make_compared(*SLOWER, model=HOSTILE_MODEL)
    case.base, case.head = SideOutcome(effective={"optimizer": "SGD"}), SideOutcome(effective={"optimizer": HOSTILE})
    broken = Entry(release=f"1 {HOSTILE}", reason=HOSTILE)
    return row(broken, Entry(release=HOSTILE, result=against(case)), pinned=(HOSTILE,), run=HOSTILE)


def search(last: CaseComparison | None) -> Bisection:
    """8.4.185 to 8.4.190: one probe of each kind; then the neighbours, if they were compared."""
    releases = tuple(f"8.4.{number}" for number in range(185, 191))
    sides = {"8.4.188": Half.BAD, "8.4.186": Half.GOOD, "8.4.187": Half.BROKEN}
    return Bisection(
        package="ultralytics",
        search=Search(releases, sides),
        ends=against(make_compared(*SLOWER)),
        probes=[
            Probe(release="8.4.188", side=Half.BAD, result=against(make_compared(*SLOWER), head="8.4.188")),
            Probe(
                release="8.4.186", side=Half.GOOD, close=True, result=against(make_compared(*UNSURE), head="8.4.186")
            ),
            Probe(release="8.4.187", side=Half.BROKEN, reason="It cannot be built: no space."),
        ],
        last=against(last, head="8.4.188") if last else None,
    )
