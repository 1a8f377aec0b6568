"""What an interpreter has that was not built here: real ones, with packages that are nothing but their metadata."""

import venv
from pathlib import Path

import pytest

from bench.environments.builder import provide
from bench.environments.existing import installed
from bench.environments.interpreter import inspect
from bench.environments.specification import Specification
from bench.errors import UsageError
from tests.made_packages import install, module


@pytest.fixture
def python(tmp_path, monkeypatch):
    """Makes an interpreter with the given packages: its path."""
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))

    def make(name, **versions):
        place = tmp_path / "secret-place" / name
        venv.EnvBuilder(with_pip=False, symlinks=True).create(place)
        [packages] = place.glob("lib/python*/site-packages")
        for distribution, version in versions.items():
            install(packages, distribution, version)
        return place / "bin" / "python"

    return make


def taken(python):
    return provide(Specification.parse(f"python:{python}"), "", lambda text: None)


def test_an_interpreter_is_taken_as_it_is(python):
    path = python("env", torch="2.15.0", ultralytics="8.4.190", Some_Thing="1.0+cpu")
    prepared = taken(path)
    assert prepared.packages == ("some-thing==1.0+cpu", "torch==2.15.0", "ultralytics==8.4.190")
    assert prepared.interpreter.path == str(path)
    assert prepared.requested == f"python:{prepared.interpreter.environment.python}"
    assert taken(path) == prepared
    assert "secret-place" not in f"{prepared.requested}{prepared.packages}{prepared.key}"


def test_an_interpreter_with_torch_alone_is_taken_for_cases_that_need_no_more(python):
    interpreter = taken(python("env", torch="2.15.0", torchvision="0.29.2")).interpreter
    assert interpreter.why_lacking("yolov8n").startswith("ultralytics is not installed")
    assert not interpreter.why_lacking("resnet18")


def test_two_with_the_same_packages_are_not_the_same(python):
    first, second = (taken(python(name, torch="2.15.0", ultralytics="8.4.190")) for name in ("a", "b"))
    assert first.packages == second.packages
    assert first.key != second.key


def test_what_it_holds_is_part_of_its_key(python):
    path = python("env", torch="2.15.0", ultralytics="8.4.190")
    before = taken(path)
    install(next(path.parents[1].glob("lib/python*/site-packages")), "numpy", "2.0")
    after = taken(path)
    assert (len(after.packages), after.key == before.key) == (3, False)


def test_a_torch_with_other_libraries_is_another(python):
    path = python("env", torch="2.15.0", ultralytics="8.4.190")
    [packages] = path.parents[1].glob("lib/python*/site-packages")
    file = packages / "torch" / "lib" / "libtorch_cpu.so"
    file.parent.mkdir()
    file.write_text("a = 1")
    before = taken(path)
    assert taken(path).key == before.key
    file.write_text("a = 22")
    assert (taken(path).packages, taken(path).key == before.key) == (before.packages, False)


def test_a_project_that_is_edited_in_place_is_another_and_says_so(python):
    path = python("env", torch="2.15.0", ultralytics="8.4.190")
    [packages] = path.parents[1].glob("lib/python*/site-packages")
    before = taken(path)
    keys = {before.key}
    for text in ("a = 2", "a = 33"):
        (packages / "ultralytics" / "engine" / "trainer.py").write_text(text)
        after = taken(path)
        keys.add(after.key)
        origin = after.interpreter.environment.origins["ultralytics"]
        assert (origin.source, origin.edited) == ("distribution", True)
        assert after.packages == ("torch==2.15.0", f"ultralytics==8.4.190+{origin.hash[:8]}")
    assert len(keys) == 3


def test_a_clone_is_what_the_list_of_packages_names(python, tmp_path, monkeypatch):
    path = python("env", torch="2.15.0", ultralytics_opencv_headless="8.4.190")
    module(tmp_path / "clone", "ultralytics", "8.3.999")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "clone"))
    prepared = taken(path)
    environment = prepared.interpreter.environment
    assert environment.ultralytics == "8.3.999"
    assert environment.origins["ultralytics"].source == "path"
    assert prepared.packages == ("torch==2.15.0", f"ultralytics==8.3.999+{environment.origins['ultralytics'].hash[:8]}")
    assert str(tmp_path) not in f"{environment}{prepared.packages}"


def test_what_a_worker_can_import_counts_and_where_the_command_is_run_from_does_not(python, tmp_path, monkeypatch):
    path = python("env", torch="2.15.0", ultralytics="8.4.190")
    install(tmp_path / "more", "numpy", "2.0")
    install(tmp_path / "here", "scipy", "1.0")
    (tmp_path / "here" / "json.py").write_text("raise RuntimeError('the wrong one')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "more"))
    monkeypatch.chdir(tmp_path / "here")
    assert taken(path).packages == ("numpy==2.0", "torch==2.15.0", "ultralytics==8.4.190")


def test_of_two_versions_the_one_that_is_imported_counts(python, tmp_path, monkeypatch):
    path = python("env", torch="2.15.0", ultralytics="8.4.190")
    install(tmp_path / "first", "torch", "2.14.1")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "first"))
    assert taken(path).packages == ("torch==2.14.1", "ultralytics==8.4.190")


@pytest.mark.parametrize(
    ("versions", "sentence"),
    [
        ({}, "torch is not installed for .*: install torch>="),
        ({"ultralytics": "8.4.190"}, "torch is not installed for .*: install torch>="),
        ({"ultralytics": "8.4.190", "torch": "2.4.0"}, "torch 2.4.0 is older than 2.6"),
    ],
)
def test_one_that_cannot_be_measured(python, versions, sentence):
    with pytest.raises(UsageError, match=sentence):
        taken(python("env", **versions))


def test_one_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="there is no such executable"):
        taken(tmp_path / "nowhere" / "python")


def test_one_that_does_not_tell(python, tmp_path):
    interpreter = inspect(str(python("env", torch="2.15.0", ultralytics="8.4.190")))
    Path(interpreter.path).unlink()
    Path(interpreter.path).write_text("#!/bin/sh\necho 'no more' >&2\nexit 3\n")
    Path(interpreter.path).chmod(0o755)
    with pytest.raises(UsageError, match=r"does not list its packages \(no more\)\. (.*)") as refused:
        installed(interpreter)
    kept = Path(str(refused.value).rpartition(" in ")[2].rstrip("."))
    assert "The cause is not known" in str(refused.value)
    assert kept.read_text() == "no more\n"
    kept.unlink()
