"""Environments are resolved, built once, and used again; the fake uv stands for the network and the disk."""

import fcntl
import threading
import time
from pathlib import Path

import pytest

from bench.errors import WrongUse
from bench.runner import environments
from bench.runner.environments import (
    Specification,
    environments_folder,
    find_uv,
    install,
    oldest,
    reason,
    resolve,
)
from bench.runner.interpreter import inspect

from .uv_index import Uv


@pytest.fixture
def uv(tmp_path, monkeypatch):
    return Uv(tmp_path, monkeypatch)


def quietly(text):
    pass


def parse(text):
    return Specification.parse(text)


def build(specification, say):
    return install(resolve(specification), say)


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("torch==2.6.0,ultralytics==8.4.0", ("torch==2.6.0", "ultralytics==8.4.0")),
        ("ultralytics", ("ultralytics",)),
        ("torch>=2.6,<2.8 , ultralytics == 8.4.0", ("torch>=2.6,<2.8", "ultralytics == 8.4.0")),
        ("torch==2.14.1", ("torch==2.14.1", "ultralytics")),
        ("Ultralytics[export,solutions]!=8.4.1", ("Ultralytics[export,solutions]!=8.4.1",)),
        ("ultralytics_opencv.headless==8.4.0,torch~=2.9", ("ultralytics_opencv.headless==8.4.0", "torch~=2.9")),
    ],
)
def test_a_specification_is_requirements_with_commas_between(text, requirements):
    assert parse(text).requirements == requirements


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'' is no requirement: write torch==2.14.1, or several"),
        ("torch==2.6.0,", "'' is no requirement"),
        ("ultralytics==", "'ultralytics==' is no requirement"),
        ("--index-url=x,torch", "'--index-url=x' is no requirement"),
        ("torch 2.6", "'torch 2.6' is no requirement"),
        ("numpy==2.0", "'numpy==2.0' names neither torch nor ultralytics"),
    ],
)
def test_what_is_no_specification(text, sentence):
    with pytest.raises(WrongUse, match=sentence):
        parse(text)


def test_ultralytics_comes_without_libgl_where_there_is_such_a_release(uv):
    found = resolve(parse("ultralytics==8.4.0"))
    assert found.packages == ("opencv-python-headless==5.0.0", "torch==2.15.0", "ultralytics-opencv-headless==8.4.0")
    assert (found.ultralytics, found.torch) == ("8.4.0", "2.15.0")
    assert len(uv.calls()) == 1


def test_older_releases_get_the_headless_opencv_by_an_override(uv):
    found = resolve(parse("ultralytics==8.3.230,torch==2.6.0"))
    assert found.packages == ("opencv-python-headless==5.0.0", "torch==2.6.0", "ultralytics==8.3.230")
    assert found.ultralytics == "8.3.230"


def test_the_date_goes_to_the_resolver(uv):
    resolve(parse("ultralytics==8.3.230"), "2026-01-31")
    assert all(call[call.index("--exclude-newer") + 1] == "2026-01-31" for call in uv.calls("pip compile"))
    assert len(uv.calls("pip compile")) == 2


def test_the_oldest_that_installs(uv):
    assert oldest("torch>=2.6") == "2.6.0"
    with pytest.raises(WrongUse, match=r"no environment can be made of torch>=3: "):
        oldest("torch>=3")


def test_what_cannot_be_resolved_ends_with_the_resolvers_reason(uv):
    with pytest.raises(WrongUse) as error:
        build(parse("ultralytics==8.4.999"), quietly)
    assert str(error.value) == (
        "no environment can be made of ultralytics==8.4.999: Because there is no version of ultralytics==8.4.999 "
        "and you require ultralytics==8.4.999, we can conclude that your requirements are unsatisfiable."
    )
    assert not environments_folder().exists()


def test_without_a_network_no_address_is_shown(uv):
    uv.breaks("no-network")
    with pytest.raises(WrongUse, match=r"the package index does not answer: failed to lookup address .* not known\.$"):
        resolve(parse("ultralytics"))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("", "uv gave no reason."),
        ("thread 'main' panicked\nnote: x", "thread 'main' panicked note: x."),
        # As releases of uv before 0.10 said it.
        (
            "  × No solution found when resolving dependencies:\n  ╰─▶ Because a==1 and\n      b, no.\n",
            "Because a==1 and b, no.",
        ),
        ("warning: old\n  cause: never mind\n\nerror: real\n", "real."),
        (
            "error: Couldn't parse `-`\n  cause: no version\n         torch==x\n              ^^^\n",
            "no version torch==x.",
        ),
        ("error: HTTP 503 for url (https://user:pw@index.example/simple)\n", "HTTP 503 for url (the package index)."),
    ],
)
def test_the_reason_is_the_last_cause_on_one_line(said, shown):
    assert reason(said) == shown


def test_an_environment_is_built_once_and_used_again(uv):
    said = []
    first = build(parse("ultralytics==8.4.0,torch==2.6.0"), said.append)
    again = build(parse("torch==2.6.0,ultralytics==8.4.0"), said.append)
    assert first == again
    assert first.packages == ("opencv-python-headless==5.0.0", "torch==2.6.0", "ultralytics-opencv-headless==8.4.0")
    assert inspect(first.python).environment.torch == "2.6.0"
    assert len(uv.calls("venv")) == len(uv.calls("pip install")) == 1
    assert len(said) == 1
    assert "building the environment of Ultralytics 8.4.0 and torch 2.6.0: 3 packages" in said[0]


def test_it_is_found_by_what_it_holds(uv):
    newest = build(parse("ultralytics"), quietly)
    assert build(parse("ultralytics==8.4.190,torch==2.15.0"), quietly) == newest
    assert build(parse("ultralytics==8.4.190,torch==2.7.0"), quietly).python != newest.python


def test_the_python_is_part_of_what_it_is_found_by(uv, monkeypatch):
    resolved = resolve(parse("ultralytics"))
    before = resolved.key
    monkeypatch.setattr(environments.platform, "python_version", lambda: "3.99.0")
    assert resolved.key != before


def test_one_that_cannot_be_installed_leaves_nothing_and_is_built_anew(uv):
    uv.breaks("disk-full")
    with pytest.raises(
        WrongUse, match=r"cannot be built: failed to write `x`: No space left on device \(os error 28\)\.$"
    ):
        build(parse("ultralytics"), quietly)
    assert [path.name for path in environments_folder().iterdir() if path.is_dir()] == []
    uv.mended("disk-full")
    assert inspect(build(parse("ultralytics"), quietly).python).environment.ultralytics == "8.4.190"


def test_a_half_built_one_is_rebuilt(uv):
    resolved = resolve(parse("ultralytics"))
    half = environments_folder() / resolved.key
    (half / "bin").mkdir(parents=True)
    (half / "bin" / "python").write_text("")
    killed = environments_folder() / f".{resolved.key}-abcdef"
    killed.mkdir()
    built = install(resolved, quietly)
    assert Path(built.python).parents[1] == half
    assert inspect(built.python).environment.torch == "2.15.0"
    assert not killed.exists()


def test_one_whose_python_has_gone_is_rebuilt(uv):
    built = build(parse("ultralytics"), quietly)
    Path(built.python).unlink()
    Path(built.python).symlink_to("/nowhere/python3")
    assert build(parse("ultralytics"), quietly) == built
    assert inspect(built.python).environment.torch == "2.15.0"


def test_a_second_run_waits_for_the_first_and_uses_what_it_built(uv):
    resolved = resolve(parse("ultralytics"))
    environments_folder().mkdir(parents=True)
    said, built = [], []
    with (environments_folder() / f".{resolved.key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first run, about to build
        second = threading.Thread(target=lambda: built.append(install(resolved, said.append)))
        second.start()
        deadline = time.monotonic() + 30
        while not said and time.monotonic() < deadline:
            time.sleep(0.01)
        environments._build(resolved, environments_folder(), environments_folder() / resolved.key, "it")
    second.join(30)
    assert said == ["waiting for another run that builds the environment of Ultralytics 8.4.190 and torch 2.15.0 ..."]
    assert [Path(one.python).parents[1].name for one in built] == [resolved.key]
    assert len(uv.calls("venv")) == 1


def test_a_cache_that_cannot_be_written(uv, tmp_path):
    (tmp_path / "cache").write_text("a file is in the way")
    with pytest.raises(WrongUse, match=r"cannot be built in .*cache/environments: Not a directory"):
        build(parse("ultralytics"), quietly)


def test_without_uv_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(environments.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WrongUse, match=r"environments are built by uv, which is not here: .* -m pip install uv"):
        find_uv()


def test_uv_may_be_a_module_of_this_python(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(environments.importlib.util, "find_spec", lambda name: name if name == "uv" else None)
    assert find_uv()[1:] == ["-m", "uv"]
