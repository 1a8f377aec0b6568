"""The rendezvous of machines, and the options of torch.distributed.run."""

from __future__ import annotations

import dataclasses
import socket
from types import SimpleNamespace

import pytest

from bench.errors import UsageError
from bench.runner.launchers.torchrun import (
    ELSEWHERE,
    Rendezvous,
    interface,
    is_distributed,
    options,
    unsupported_reason,
)
from bench.worker.protocol import CaseJob, OverheadJob
from tests.jobs import case_job


def case(device: str) -> CaseJob:
    return case_job({"device": device})


def test_which_jobs_take_several_processes() -> None:
    assert [is_distributed(case(device)) for device in ("cpu", "0", "0+1", "cpu+cpu", "2xcpu", "2x0+1")] == [
        False,
        False,
        True,
        True,
        True,
        True,
    ]
    assert not is_distributed(OverheadJob())
    assert not is_distributed(dataclasses.replace(case("0+1"), single_process=True)), "DataParallel"


@pytest.mark.parametrize(
    ("axes", "reason"),
    [
        ({"device": "0+1", "batch": 2}, ""),
        ({"device": "2x0+1"}, "device 2x0+1: DataParallel takes the devices of one machine; name those of one."),
        ({"device": "0+0"}, "device 0+0 names card 0 twice: each process needs a card of its own, as in 0+1."),
        ({"device": "0+1", "batch": 1}, "batch 1 has no image for each of 2 devices: use 2 or more."),
    ],
)
def test_what_data_parallel_cannot_do_is_said_before_anything_starts(axes: dict[str, object], reason: str) -> None:
    outcome = unsupported_reason({"mode": "train", "batch": 8, **axes}, single_process=True)
    assert (outcome.reason if outcome else "") == reason


def test_on_one_machine_a_free_port_is_found() -> None:
    assert options("0+1+2", None, "logs") == [
        "--standalone",
        "--local_addr=127.0.0.1",
        "--nproc_per_node=3",
        "--log_dir=logs",
    ]


def test_on_several_machines_all_meet_at_one_place() -> None:
    assert options("2x0+1", Rendezvous("box", 29500, 1), "logs") == [
        "--nnodes=2",
        "--node_rank=1",
        "--master_addr=box",
        "--master_port=29500",
        "--nproc_per_node=2",
        "--log_dir=logs",
    ]


def test_gloo_takes_the_interface_that_leads_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    [(name, interfaces)] = interface(Rendezvous("127.0.0.1", 29500, 0)).items()
    assert (name, interfaces[:2]) == ("GLOO_SOCKET_IFNAME", "lo")
    assert interface(Rendezvous("no such host", 29500, 0)) == {}
    own = {"lo": [SimpleNamespace(address="127.0.0.1")], "eth3": [SimpleNamespace(address="10.0.0.5")]}
    monkeypatch.setattr("bench.runner.launchers.torchrun._leaving_by", lambda *place: leaving[place])
    monkeypatch.setattr("bench.runner.launchers.torchrun.psutil.net_if_addrs", lambda: own)
    leaving = {("box0", 29500): "127.0.0.1", ("localhost", 29500): "127.0.0.1", ELSEWHERE: "10.0.0.5"}
    assert interface(Rendezvous("box0", 29500, 0)) == {"GLOO_SOCKET_IFNAME": "eth3"}, "the name of this very machine"
    assert interface(Rendezvous("localhost", 29500, 0)) == {"GLOO_SOCKET_IFNAME": "lo"}
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth7")
    assert interface(Rendezvous("127.0.0.1", 29500, 0)) == {}


@pytest.mark.parametrize("text", ["box", "box:", ":29500", "box:port", "box:0", "box:65536"])
def test_a_place_that_is_none(text: str) -> None:
    with pytest.raises(UsageError, match="is not allowed: write HOST:PORT"):
        Rendezvous.parse(text, 1, 2)


@pytest.mark.parametrize("machine", [-1, 2])
def test_a_machine_that_is_none(machine: int) -> None:
    with pytest.raises(UsageError, match=f"node-rank .{machine}. is not allowed: use a whole number from 0 to 1"):
        Rendezvous.parse("box:29500", machine, 2)


def test_a_port_in_use_is_found_where_it_would_be_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=rf"port {port} cannot be taken on this machine \(.+\): name another one"):
            Rendezvous.parse(f"box:{port}", 0, 2)
        assert Rendezvous.parse(f"box:{port}", 1, 2) == Rendezvous("box", port, 1)  # it is another machine's
