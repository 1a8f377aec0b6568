"""What the parent of forked workers imports, and how."""

from __future__ import annotations

import gc
import os
import socket
import sys
import threading

import pytest

from bench.environments.interpreter import Interpreter
from bench.runner.launchers import fork_server as launcher
from bench.worker import fork_server
from bench.worker.message_json import job_from_json, to_json
from bench.worker.protocol import ServerReady, WorkerForked
from tests.jobs import case_job


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder to import from, and what was collected while its modules were imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "heavy_one.py").write_text("import gc\ncollects = gc.isenabled()\n")
    yield tmp_path
    sys.modules.pop("heavy_one", None)


def test_garbage_is_not_looked_for_while_importing_and_is_again_afterwards(modules):
    fork_server.preload(("heavy_one", "one_that_an_older_version_lacks"), {"heavy_one"})
    assert not sys.modules["heavy_one"].collects
    assert gc.isenabled()


def test_without_torch_nothing_can_be_preloaded_and_garbage_is_collected_again(modules, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError):
        fork_server.preload(("torch",), {"torch"})
    assert gc.isenabled()


@pytest.fixture
def line():
    """The two ends of a parent's line, with buffers as small as the system makes them."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    with ours, theirs:
        yield ours, theirs


def received_in_a_thread(theirs):
    requests = []
    thread = threading.Thread(target=lambda: requests.append(fork_server._receive(theirs)))
    thread.start()
    return thread, requests


def test_a_request_larger_than_the_socket_arrives_whole_with_its_descriptors(line):
    ours, theirs = line
    job = case_job(overrides={"files": ["x" * 1000] * 2000})
    thread, requests = received_in_a_thread(theirs)
    read, write = os.pipe()
    launcher.send_line(ours, job, [write])
    thread.join(30)
    message, [descriptor] = requests[0]
    assert job_from_json(message) == job
    os.write(descriptor, b"same")
    assert os.read(read, 4) == b"same"
    for end in (read, write, descriptor):
        os.close(end)


def test_a_request_that_comes_in_pieces(line):
    ours, theirs = line
    thread, requests = received_in_a_thread(theirs)
    job = case_job(scratch="/é")
    content = to_json(job).encode() + b"\n"
    with open(os.devnull) as file:
        for place in range(len(content)):  # the descriptor comes with the third part
            socket.send_fds(ours, [content[place : place + 1]], [file.fileno()] if place == 2 else [])
        thread.join(30)
    message, descriptors = requests[0]
    assert job_from_json(message) == job
    assert len(descriptors) == 1
    os.close(descriptors[0])


def test_a_line_that_is_closed_within_a_request_is_its_end(line):
    ours, theirs = line
    thread, requests = received_in_a_thread(theirs)
    ours.sendall(b'{"kind": ')
    ours.shutdown(socket.SHUT_WR)
    thread.join(30)
    assert requests == [None]


def test_answers_that_come_in_pieces_or_together(line):
    ours, theirs = line
    forking = launcher.ForkServer(Interpreter(path="python", environment=None))
    forking._socket = ours
    answers = b'{"event":"ready"}\n{"event":"exited","pid":7,"code":3}\n{"event":"forked","pid":8}\n'
    for place in range(0, len(answers), 5):
        theirs.sendall(answers[place : place + 5])
        assert forking.drain(1)
    assert list(forking._messages) == [ServerReady(), WorkerForked(8)]
    assert forking.exits == {7: 3}
