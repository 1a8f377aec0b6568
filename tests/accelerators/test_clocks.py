"""Phases of a step on a device that runs behind the host: a clock that does not wait is wrong, ours is right.

Every kernel takes the device a millisecond longer, so that a phase's share of a step is nearly that of its
kernels, which are counted.
"""

import pytest

SLOW = "0.001"


@pytest.fixture(scope="module", params=["events", "a synchronised pass"])
def marked(request, ask, tmp_path_factory):
    """A case on ``cuda``, whose events are right, and one on ``mps`` with events that do not wait."""
    folder = tmp_path_factory.mktemp("marked")
    if request.param == "events":
        return ask("cuda", "marked_training", folder, slow=SLOW)
    return ask("mps", "marked_training", folder, slow=SLOW, events="host")


def share(phases, part="optimizer"):
    """A phase's share of all phases, over all steps."""
    return sum(phases[part]) / sum(map(sum, phases.values()))


def test_the_way_of_timing_is_named(marked, request):
    expected = {"events": "device events", "a synchronised pass": "host clock after waiting for the device"}
    assert marked["method"].startswith(expected[request.node.callspec.params["marked"]])


def test_a_clock_that_does_not_wait_hides_the_optimizer(marked):
    assert share(marked["host"]) < 0.6 * share(marked["kernels"])


def test_phases_have_the_shares_of_their_kernels(marked):
    for part in ("forward", "backward", "optimizer"):
        assert share(marked["phases"], part) == pytest.approx(share(marked["kernels"], part), abs=0.12), part


def test_phases_are_the_step(marked):
    mean = sum(map(sum, marked["phases"].values())) / len(marked["phases"]["forward"])
    assert mean == pytest.approx(sum(marked["steps"]) / len(marked["steps"]), rel=0.35)


def test_a_memory_limit_ends_as_out_of_memory(marked):
    status, reason = marked["limited"]
    assert status == "out_of_memory"
    assert "out of memory" in reason.lower()
    assert marked["memory"]["allocated"]["bytes"] > 2**20, "more than it had later"
