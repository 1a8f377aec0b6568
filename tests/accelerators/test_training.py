"""Ultralytics itself trains on every fake as on the CPU: same losses step by step, in mixed precision nearly so."""

import math

import pytest

KINDS = ("mps", "cuda", "xpu", "npu")


@pytest.fixture(scope="module")
def trained(ask, tmp_path_factory):
    """Losses of a kind, trained once."""
    reports = {}

    def train(kind):
        if kind not in reports:
            reports[kind] = ask(kind, "plain_training", tmp_path_factory.mktemp(kind))
        return reports[kind]

    return train


def relative(losses, others):
    """Greatest relative difference of two losses by name."""
    assert losses.keys() == others.keys()
    return max(abs(losses[name] - others[name]) / others[name] for name in others)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_those_of_the_cpu(kind, trained):
    here, there = trained(kind)["float32"], trained("cpu")["float32"]
    assert (here["device"], there["device"]) == (kind, "cpu")
    for losses, others in zip(here["losses"], there["losses"], strict=True):
        assert relative(losses, others) < 1e-3  # the optimizer ran in between, with another order of sums


@pytest.mark.parametrize("kind", KINDS)
def test_mixed_precision_runs_behind_the_host_too(kind, trained):
    mixed, plain = trained(kind)["mixed"], trained(kind)["float32"]
    assert mixed["amp"] and not plain["amp"]
    assert mixed["losses"] != plain["losses"], "nothing ran in lower precision"
    assert relative(mixed["losses"][0], plain["losses"][0]) < 0.05
    assert all(math.isfinite(value) for losses in mixed["losses"] for value in losses.values())
