"""Environments are resolved, built once, and used again; the fake uv stands for the network and the disk."""

import fcntl
import itertools
import os
import platform
import threading
import time
import zipfile
from pathlib import Path

import pytest

from bench.environments.builder import check_imported, check_path, environments_folder, install, provide
from bench.environments.interpreter import Interpreter, inspect
from bench.environments.local_source import LocalDistribution
from bench.environments.package_origins import Imported
from bench.environments.resolver import Resolved, newest, oldest, resolve
from bench.environments.specification import Specification
from bench.errors import UsageError
from bench.records.record import Environment

from .uv_index import Uv


@pytest.fixture
def uv(tmp_path, monkeypatch):
    return Uv(tmp_path, monkeypatch)


@pytest.fixture
def project(tmp_path):
    """Makes a project folder: its path."""

    def make(name="ultralytics", version="8.4.190", file="pyproject.toml"):
        folder = tmp_path / "secret-place" / "checkout"
        folder.mkdir(parents=True)
        table = "[project]\n" if file == "pyproject.toml" else ""
        (folder / file).write_text(f'{table}name = "{name}"\nversion = "{version}"\n')
        return folder

    return make


def quietly(text):
    pass


def parse(text):
    return Specification.parse(str(text))


def build(specification, say):
    return install(resolve(specification), say)


def test_ultralytics_comes_without_libgl_where_there_is_such_a_release(uv):
    resolved = resolve(parse("ultralytics==8.4.0"))
    assert resolved.packages == ("opencv-python-headless==5.0.0", "torch==2.15.0", "ultralytics-opencv-headless==8.4.0")
    assert (resolved.ultralytics, resolved.torch) == ("8.4.0", "2.15.0")
    assert len(uv.calls()) == 1


def test_older_releases_get_the_headless_opencv_by_an_override(uv):
    resolved = resolve(parse("ultralytics==8.3.230,torch==2.6.0"))
    assert resolved.packages == ("opencv-python-headless==5.0.0", "torch==2.6.0", "ultralytics==8.3.230")
    assert resolved.ultralytics == "8.3.230"


def test_ultralytics_is_always_among_what_is_installed(uv):
    assert resolve(parse("torch==2.6.0")) == resolve(parse("torch==2.6.0,ultralytics"))
    assert resolve(parse("torch==2.6.0")).ultralytics == "8.4.190"


def test_a_runtime_comes_with_what_exports_to_its_format(uv):
    resolved = resolve(parse("onnxruntime==1.31.0"))
    assert {"onnx==1.23.2", "onnxslim==0.1.98", "onnxruntime==1.31.0"} <= set(resolved.packages)
    assert (resolved.ultralytics, resolved.torch) == ("8.4.190", "2.15.0")
    assert not any(package.startswith("onnx") for package in resolve(parse("openvino==2026.3.0")).packages)
    assert not any(package.startswith("onnx") for package in resolve(parse("torch==2.15.0")).packages)


def test_a_runtime_that_requires_the_other_opencv_gets_the_headless_one(uv):
    packages = resolve(parse("ncnn==1.0.1")).packages
    assert {"ncnn==1.0.1", "pnnx==20260526", "opencv-python-headless==5.0.0"} <= set(packages)
    assert "opencv-python==5.0.0" not in packages


def test_the_date_goes_to_the_resolver(uv):
    resolve(parse("ultralytics==8.3.230"), "2026-01-31")
    assert all(call[call.index("--exclude-newer") + 1] == "2026-01-31" for call in uv.calls("pip compile"))
    assert len(uv.calls("pip compile")) == 2


def test_the_oldest_and_the_newest_that_install(uv):
    assert oldest("torch>=2.6") == "2.6.0"
    assert newest("torch>=2.6,<2.15") == "2.7.0"
    with pytest.raises(UsageError, match=r"no environment can be made of torch>=3: "):
        oldest("torch>=3")


def test_what_cannot_be_resolved_ends_with_the_resolvers_reason(uv):
    with pytest.raises(UsageError) as error:
        build(parse("ultralytics==8.4.999"), quietly)
    assert str(error.value) == (
        "no environment can be made of ultralytics==8.4.999: Because there is no version of ultralytics==8.4.999 "
        "and you require ultralytics==8.4.999, we can conclude that your requirements are unsatisfiable."
    )
    assert not environments_folder().exists()


def test_without_a_network_no_address_is_shown(uv):
    uv.breaks("no-network")
    with pytest.raises(
        UsageError, match=r"the package index does not answer: failed to lookup address .* not known\.$"
    ):
        resolve(parse("ultralytics"))


def test_what_comes_from_an_address_is_refused(uv):
    uv.needs("torch", "clip @ git+https://example.org/clip")
    with pytest.raises(UsageError, match=r"^clip is required from an address, and no version says what is there"):
        resolve(parse("ultralytics"))


def test_an_interpreter_is_not_resolved(uv):
    with pytest.raises(UsageError, match="python:python3 is there already"):
        resolve(parse("python:python3"))


def test_a_folder_of_ultralytics_gets_the_headless_opencv_and_no_path_is_stored(uv, project):
    folder = project()
    prepared = provide(parse(folder), "", quietly)
    local, *_ = resolve(parse(folder)).local
    assert prepared.packages == ("opencv-python-headless==5.0.0", "torch==2.15.0", local.package)
    assert local.package == f"ultralytics==8.4.190+{local.digest[:8]}"
    assert prepared.requested == "checkout/"
    assert prepared.interpreter.environment.ultralytics == "8.4.190"
    assert provide(parse(folder), "", quietly) == prepared
    assert (len(uv.calls("build")), len(uv.calls("pip install"))) == (1, 1)
    stored = (Path(prepared.interpreter.path).parents[1] / "packages.txt").read_text()
    for text in (prepared.requested, prepared.key, *prepared.packages, stored):
        assert "secret-place" not in text
        assert "://" not in text


def test_a_changed_folder_is_another_environment(uv, project):
    folder = project()
    before = provide(parse(folder), "", quietly)
    (folder / "slow.py").write_text("")
    after = provide(parse(folder), "", quietly)
    assert after.key != before.key
    assert after.interpreter.path != before.interpreter.path
    assert len(uv.calls("build")) == 2


def test_a_wheel_next_to_a_requirement(uv, tmp_path):
    wheel = tmp_path / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("METADATA", "")
    prepared = provide(parse(f"{wheel},ultralytics==8.4.100"), "", quietly)
    assert prepared.packages[1].startswith("torch==2.13.0+cpu.")
    assert prepared.packages[2] == "ultralytics-opencv-headless==8.4.100"
    assert prepared.requested == f"{wheel.name},ultralytics==8.4.100"


@pytest.mark.parametrize(("name", "fine"), [("ultralytics", True), ("torch", True), ("numpy", False)])
def test_what_a_folder_is_may_be_known_only_when_it_is_built(uv, project, name, fine):
    specification = parse(project(name, file="setup.py"))
    if fine:
        assert {"torch", "ultralytics"} <= {
            package.split("==")[0].removesuffix("-opencv-headless") for package in resolve(specification).packages
        }
    else:
        with pytest.raises(UsageError, match="'checkout/' names neither torch nor ultralytics"):
            resolve(specification)


def test_an_environment_is_built_once_and_used_again(uv):
    messages = []
    first = build(parse("ultralytics==8.4.0,torch==2.6.0"), messages.append)
    again = build(parse("torch==2.6.0,ultralytics==8.4.0"), messages.append)
    assert first == again
    assert first.packages == ("opencv-python-headless==5.0.0", "torch==2.6.0", "ultralytics-opencv-headless==8.4.0")
    assert inspect(first.python).environment.torch == "2.6.0"
    assert len(uv.calls("venv")) == len(uv.calls("pip install")) == 1
    assert len(messages) == 1
    assert "building the environment of Ultralytics 8.4.0 and torch 2.6.0: 3 packages" in messages[0]


def test_it_is_found_by_what_it_holds(uv):
    newest = build(parse("ultralytics"), quietly)
    assert build(parse("ultralytics==8.4.190,torch==2.15.0"), quietly) == newest
    assert build(parse("ultralytics==8.4.190,torch==2.7.0"), quietly).python != newest.python


def test_the_python_is_part_of_what_it_is_found_by(uv, monkeypatch):
    resolved = resolve(parse("ultralytics"))
    before = resolved.key
    monkeypatch.setattr(platform, "python_version", lambda: "3.99.0")
    assert resolved.key != before


def test_the_whole_digest_is_part_of_what_it_is_found_by():
    first, second = (LocalDistribution("torch", "2.15.0+3f2a91c0", f"3f2a91c0{end}", "/x.whl") for end in ("aa", "bb"))
    keys = {Resolved((local.package,), (local,)).key for local in (first, second)}
    assert len(keys) == 2


def test_copies_hold_the_same_and_were_installed_separately(uv):
    messages = []
    copies = [provide(parse("ultralytics"), "", messages.append, copy) for copy in (0, 1, 2)]
    for first, second in itertools.combinations(copies, 2):
        assert (first.key, first.packages, first.requested) == (second.key, second.packages, second.requested)
        assert first.interpreter.path != second.interpreter.path
        assert len(first.interpreter.path) == len(second.interpreter.path)
        assert first.interpreter.environment == second.interpreter.environment
    assert (len(uv.calls("venv")), len(uv.calls("pip install"))) == (3, 3)
    assert messages[1].startswith("building a copy of the environment of Ultralytics 8.4.190 and torch 2.15.0")
    assert [provide(parse("ultralytics"), "", messages.append, copy) for copy in (0, 1, 2)] == copies
    assert len(messages) == 3


def test_a_failed_installation_leaves_nothing_and_is_built_again(uv):
    uv.breaks("disk-full")
    with pytest.raises(UsageError) as error:
        build(parse("ultralytics"), quietly)
    assert str(error.value) == (
        "the environment of Ultralytics 8.4.190 and torch 2.15.0 cannot be built: the disk is full, so make room on it "
        "or set YOLOPACE_CACHE to a folder on another one."
    )
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


@pytest.mark.parametrize("content", ["", "torch==2.15.0\n", "\0\0\0"])
def test_one_whose_list_was_cut_off_is_rebuilt(uv, content):
    built = build(parse("ultralytics"), quietly)
    (built.folder / "packages.txt").write_text(content)
    assert build(parse("ultralytics"), quietly) == built
    assert len(uv.calls("venv")) == 2


def test_one_that_lacks_files_names_the_folder_to_delete(uv):
    built = build(parse("ultralytics"), quietly)
    (built.folder / "facts.json").unlink()
    with pytest.raises(UsageError, match=f"does not answer .* delete {built.folder}, and it is built again"):
        provide(parse("ultralytics"), "", quietly)


@pytest.mark.skipif(not hasattr(os, "ST_NOEXEC"), reason="this system does not tell")
def test_a_disk_on_which_programs_may_not_run(uv, monkeypatch):
    resolved = resolve(parse("ultralytics"))
    real = os.statvfs("/")
    flags = os.statvfs_result([*real[:8], real.f_flag | os.ST_NOEXEC, *real[9:]])
    monkeypatch.setattr(os, "statvfs", lambda place: flags)
    with pytest.raises(UsageError, match=r"may not run on its disk \(noexec\): set YOLOPACE_CACHE to a folder"):
        install(resolved, quietly)
    assert uv.calls("venv") == []


def test_a_second_run_waits_for_the_first_and_uses_what_it_built(uv):
    resolved = resolve(parse("ultralytics"))
    place = Path(install(resolved, quietly).python).parents[1]
    aside = place.rename(place.with_name("aside"))
    messages, built = [], []
    with (environments_folder() / f".{resolved.key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first run, about to build
        second = threading.Thread(target=lambda: built.append(install(resolved, messages.append)))
        second.start()
        deadline = time.monotonic() + 30
        while not messages and time.monotonic() < deadline:
            time.sleep(0.01)
        aside.rename(place)
    second.join(30)
    assert messages == [
        "waiting for another run that builds the environment of Ultralytics 8.4.190 and torch 2.15.0 ..."
    ]
    assert [Path(interpreter.python).parents[1].name for interpreter in built] == [resolved.key]
    assert len(uv.calls("venv")) == 1


def test_a_cache_that_cannot_be_written(uv, tmp_path):
    (tmp_path / "cache").write_text("a file is in the way")
    with pytest.raises(UsageError, match=r"cannot be built in .*cache/environments: Not a directory\.$"):
        build(parse("ultralytics"), quietly)


SITE = "lib/python3.11/site-packages"


def checked(folder, **changes):
    """What is said of an environment, one of whose packages is imported otherwise than it was installed."""
    imported = {}
    for name, version in (("torch", "2.9.0"), ("ultralytics", "8.4.100"), ("numpy", "2.0")):
        known = {"file": f"{folder}/{SITE}/{name}/__init__.py", "version": version, "installed": version}
        imported[name] = Imported(**{"source": "distribution", **known, **changes.get(name, {})})
    versions = {name: package.version for name, package in imported.items()}
    environment = Environment(python="3.11.0", packages=versions, yolopace="0")
    interpreter = Interpreter(path="python", environment=environment, imported=imported)
    check_imported(interpreter, Resolved(("torch==2.9.0", "ultralytics-opencv-headless==8.4.100")), folder)


def test_an_environment_that_imports_what_was_installed(tmp_path):
    checked(tmp_path)
    checked(tmp_path, torch={"version": "2.9.0+cpu"})


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        (
            "ultralytics",
            {"file": "/clone/ultralytics/__init__.py", "version": "8.3.999", "source": "path", "by": "/clone"},
            "python has ultralytics 8.4.100 installed and would import 8.3.999 from /clone/ultralytics/__init__.py "
            "(by the entry '/clone' of PYTHONPATH): take '/clone' out of PYTHONPATH, or name that folder in place of a "
            "release.",
        ),
        (
            "torch",
            {"file": "/home/me/torch/__init__.py", "source": "path"},
            "python has torch 2.9.0 installed and would import 2.9.0 from /home/me/torch/__init__.py: find what adds "
            "its folder to sys.path (a .pth file, a sitecustomize, PYTHONHOME), and remove that.",
        ),
        ("numpy", {"file": "/clone/numpy/__init__.py", "source": "path"}, "has numpy 2.0 installed and would import"),
        ("ultralytics", {"edited": True}, "are not as they were installed: delete FOLDER, and it is built again."),
        ("ultralytics", {"source": "path"}, "are not as they were installed: delete FOLDER, and it is built again."),
        ("torch", {"version": "2.10.0"}, "would import torch 2.10.0, and 2.9.0 was installed: delete FOLDER"),
        ("ultralytics", {"version": "8.4.101"}, "would import Ultralytics 8.4.101, and 8.4.100 was installed"),
    ],
)
def test_what_would_be_imported_has_to_be_what_was_installed(tmp_path, name, change, sentence):
    with pytest.raises(UsageError) as raised:
        checked(tmp_path, **{name: change})
    assert sentence.replace("FOLDER", str(tmp_path)) in str(raised.value)


@pytest.mark.parametrize("file", ["ultralytics/__init__.py", "torch.py"])
def test_what_is_on_pythonpath_is_refused_before_anything_is_built(uv, tmp_path, monkeypatch, file):
    clone = tmp_path / "clone"
    (clone / file).parent.mkdir(parents=True)
    (clone / file).touch()
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{clone}")
    with pytest.raises(UsageError, match=rf"would be imported from '{clone}', which is on PYTHONPATH, .*: take that"):
        provide(parse("ultralytics==8.4.190"), "", quietly)
    assert uv.calls() == []
    monkeypatch.chdir(clone)
    monkeypatch.setenv("PYTHONPATH", f":{tmp_path}")  # an empty entry is the working folder
    with pytest.raises(UsageError, match=r"would be imported from '\.', which is on PYTHONPATH"):
        check_path()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    provide(parse("ultralytics==8.4.190"), "", quietly)
