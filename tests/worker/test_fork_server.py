"""What the parent of forked workers imports, and how."""

from __future__ import annotations

import gc
import os
import socket
import sys
import threading

import pytest

from bench.environments.interpreter import Interpreter
from bench.runner.launchers import local
from bench.worker import fork_server


@pytest.fixture
def modules(tmp_path, monkeypatch):
    """A folder to import from, and what was collected while its modules were imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "heavy_one.py").write_text("import gc\ncollects = gc.isenabled()\n")
    yield tmp_path
    sys.modules.pop("heavy_one", None)


def test_garbage_is_not_looked_for_while_importing_and_is_again_afterwards(modules, monkeypatch):
    monkeypatch.setattr(fork_server, "PRELOAD", ("heavy_one", "one_that_an_older_version_lacks"))
    fork_server.preload()
    assert not sys.modules["heavy_one"].collects
    assert gc.isenabled()


def test_without_torch_nothing_can_be_preloaded_and_garbage_is_collected_again(modules, monkeypatch):
    monkeypatch.setattr(fork_server, "PRELOAD", ("torch",))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModuleNotFoundError):
        fork_server.preload()
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
    found = []
    thread = threading.Thread(target=lambda: found.append(fork_server._receive(theirs)))
    thread.start()
    return thread, found


def test_a_request_larger_than_the_socket_arrives_whole_with_its_descriptors(line):
    ours, theirs = line
    job = {"kind": "case", "files": ["x" * 1000] * 2000}
    thread, found = received_in_a_thread(theirs)
    read, write = os.pipe()
    local._send(ours, job, [write])
    thread.join(30)
    message, [descriptor] = found[0]
    assert message == job
    os.write(descriptor, b"same")
    assert os.read(read, 4) == b"same"
    for end in (read, write, descriptor):
        os.close(end)


def test_a_request_that_comes_in_pieces(line):
    ours, theirs = line
    thread, found = received_in_a_thread(theirs)
    content = local._line({"kind": "case", "name": "é"})
    with open(os.devnull) as file:
        for place in range(len(content)):  # the descriptor comes with the third part
            socket.send_fds(ours, [content[place : place + 1]], [file.fileno()] if place == 2 else [])
        thread.join(30)
    message, descriptors = found[0]
    assert message == {"kind": "case", "name": "é"}
    assert len(descriptors) == 1
    os.close(descriptors[0])


def test_a_line_that_is_closed_within_a_request_is_its_end(line):
    ours, theirs = line
    thread, found = received_in_a_thread(theirs)
    ours.sendall(b'{"kind": ')
    ours.shutdown(socket.SHUT_WR)
    thread.join(30)
    assert found == [None]


def test_answers_that_come_in_pieces_or_together(line):
    ours, theirs = line
    forking = local.ForkServerLauncher(Interpreter(path="python", environment=None))
    forking._socket = ours
    answers = b'{"event":"ready"}\n{"event":"exited","pid":7,"code":3}\n{"event":"forked","pid":8}\n'
    for place in range(0, len(answers), 5):
        theirs.sendall(answers[place : place + 5])
        assert forking.drain(1)
    assert [message["event"] for message in forking._messages] == ["ready", "forked"]
    assert forking.exits == {7: 3}
