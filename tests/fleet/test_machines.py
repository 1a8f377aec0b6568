"""Machines as users write them; nothing that a shell or ssh would read in another way is taken."""

import sys

import pytest

from bench.errors import UsageError
from bench.fleet.coordinator import specs_of
from bench.fleet.links import ssh_arguments
from bench.fleet.machines import MachineSpec, local_machines, parse_address, parse_machines, read_file
from bench.records.fleet import FleetMachine, FleetRun


def test_machines_are_named_with_their_addresses():
    mac, box, here = parse_machines("mac=ssh://me@mac.local, box=ssh://box:2222//opt/venv/bin/python,here", {})
    assert mac == MachineSpec("mac", host="me@mac.local")
    assert box == MachineSpec("box", host="box", port=2222, python="/opt/venv/bin/python")
    assert here == MachineSpec("here")
    assert (mac.interpreter, box.interpreter, here.interpreter) == ("python3", "/opt/venv/bin/python", sys.executable)
    assert ssh_arguments(box)[-3:] == ["-p", "2222", "box"]
    assert parse_address("six", "ssh://me@[fe80::1%eth0]:22").host == "me@fe80::1%eth0"


@pytest.mark.parametrize("text", ["mac=ssh://me@mac.local:22//p/python", "mac=here", "mac=ssh://[::1]"])
def test_a_run_that_goes_on_has_the_machines_of_its_start(text):
    [spec] = parse_machines(text, {})
    machine = FleetMachine(address=spec.address, python=spec.python, options={"device": "0"}, lock="local1")
    [again] = specs_of(FleetRun(started="", machines={"mac": machine}))
    assert again == MachineSpec("mac", spec.host, spec.port, spec.python, {"device": "0"}, "local1")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no machine is named"),
        ("mac", "machine 'mac' is unknown"),
        ("mac=mac.local", "has no address that can be used"),
        ("mac=ssh://", "has no address"),
        ("mac=ssh://-oProxyCommand=x", "has no address"),
        ("mac=ssh://a b", "has no address"),
        ("mac=ssh://a;b", "has no address"),
        ("mac=ssh://$(x)", "has no address"),
        ("mac=ssh://box:99999", "has no address"),
        ("mac=ssh://box/python", "two slashes"),
        ("mac=ssh://box//opt/my python", "cannot be used"),
        ("mac=ssh://box//opt/$(x)", "cannot be used"),
        ("../x=here", "use letters"),
        (".=here", "use letters"),
        ("a=here,A=ssh://box", "'a' is given twice"),
        ("a=ssh://box,b=ssh://box", "'ssh://box' is given twice"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, why):
    with pytest.raises(UsageError, match=why):
        parse_machines(text, {})


def test_a_password_is_refused_and_not_repeated():
    for text in ("mac=ssh://me:geheim@mac", "mac=https://me:geheim@mac", "mac=ssh://me:geheim@"):
        with pytest.raises(UsageError) as raised:
            parse_machines(text, {})
        assert "geheim" not in str(raised.value)


def test_a_file_has_machines_with_options(tmp_path):
    file = tmp_path / "fleet.toml"
    assert read_file(file) == {}
    mac = '[machines.mac]\non = "ssh://mac"\npython = "/v/bin/python"\n'
    file.write_text(mac + '[machines.box]\non = "here"\noptions.device = "0"\n')
    known = read_file(file)
    assert parse_machines("", known) == list(known.values())
    assert parse_machines("box", known) == [MachineSpec("box", options={"device": "0"})]
    assert known["mac"].python == "/v/bin/python"


@pytest.mark.parametrize("content", ["machines = [", "[machines.a]\nhost='x'", "[machines.a]", "[other]", "machines=1"])
def test_a_file_that_is_wrong_is_named(tmp_path, content):
    (tmp_path / "fleet.toml").write_text(content)
    with pytest.raises(UsageError, match=r"fleet\.toml cannot be read"):
        read_file(tmp_path / "fleet.toml")


def test_agents_for_trying_have_locks_apart():
    assert [(spec.name, spec.lock) for spec in local_machines(2)] == [("local1", "local1"), ("local2", "local2")]
