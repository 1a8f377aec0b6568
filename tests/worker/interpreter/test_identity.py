"""What is imported under a name, however it came to be found before what is installed."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.worker.interpreter import identity
from bench.worker.interpreter.identity import Unidentified, differs, identify
from bench.worker.interpreter.info import facts
from bench.worker.workloads import workloads
from tests.made_packages import install, metadata, module

ENTRY = Path(identity.__file__).parents[1] / "entry.py"
NAMES = ("ultralytics", "torch", "torchvision", "numpy", "cv2", "PIL", "transformers", "accelerate")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of packages of a Python that has no other; what its modules were is forgotten afterwards."""
    place = tmp_path / "site-packages"
    place.mkdir()
    kept = {name: loaded for name, loaded in sys.modules.items() if name.partition(".")[0] in NAMES}
    for name in kept:
        monkeypatch.delitem(sys.modules, name)
    standard = [entry for entry in sys.path if entry and "site-packages" not in entry]
    monkeypatch.setattr(sys, "path", [str(place), *standard])
    monkeypatch.setattr(
        sys, "meta_path", [finder for finder in sys.meta_path if isinstance(finder, type)]
    )  # no editable ones
    monkeypatch.delenv("PYTHONPATH", raising=False)
    importlib.invalidate_caches()
    yield place
    for name in [name for name in sys.modules if name.partition(".")[0] in NAMES]:
        del sys.modules[name]  # not by monkeypatch, which would bring it back
    importlib.invalidate_caches()


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: Path) -> Callable[[str], Path]:
    """Puts a folder on PYTHONPATH."""

    def put(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        monkeypatch.setenv("PYTHONPATH", str(folder))
        monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
        importlib.invalidate_caches()
        return folder

    return put


def read_identity(name: str) -> dict[str, Any]:
    package = identify(name)
    assert package is not None
    return package


def identified(name: str) -> tuple[str, str, str, bool, bool]:
    """Version, the installed one, source, whether edited, whether there is a hash."""
    package = read_identity(name)
    return package["version"], package["installed"], package["source"], package["edited"], bool(package["hash"])


def test_what_is_installed(site: Path) -> None:
    install(site, "ultralytics", "8.4.190")
    assert identified("ultralytics") == ("8.4.190", "8.4.190", "distribution", False, False)
    assert read_identity("ultralytics")["file"] == str(site / "ultralytics" / "__init__.py")
    assert identify("torch") is None


def test_the_build_of_torch_is_no_other_version(site: Path) -> None:
    folder = module(site, "torch", "2.15.0+cu132")
    metadata(site, "torch", "2.15.0", folder)
    assert identified("torch") == ("2.15.0", "2.15.0", "distribution", False, False)
    assert (read_identity("torch")["stated"], len(read_identity("torch")["git"])) == ("2.15.0+cu132", 40)


def test_a_clone_on_pythonpath(site: Path, first: Callable[[str], Path]) -> None:
    install(site, "ultralytics", "8.4.190")
    clone = first("clone")
    module(clone, "ultralytics", "8.3.999")
    assert identified("ultralytics") == ("8.3.999", "8.4.190", "path", False, True)
    assert read_identity("ultralytics")["by"] == str(clone)


def test_a_clone_with_nothing_installed(site: Path, first: Callable[[str], Path]) -> None:
    module(first("clone"), "ultralytics", "8.3.999")
    assert identified("ultralytics") == ("8.3.999", "", "path", False, True)


def test_a_clone_with_stale_metadata_in_it(site: Path, first: Callable[[str], Path]) -> None:
    """As ``pip install -e`` or a build leaves them in a checkout."""
    clone = first("clone")
    module(clone, "ultralytics", "8.3.999")
    metadata(clone, "ultralytics", "8.3.1")
    assert identified("ultralytics") == ("8.3.999", "8.3.1", "path", False, True)


def test_an_editable_install(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ``.pth`` file puts the checkout on the path; the metadata are those of the day of the installation."""
    module(tmp_path / "checkout", "ultralytics", "8.4.200")
    listed = metadata(site, "ultralytics", "8.4.100")
    (listed / "RECORD").write_text("__editable__.ultralytics-8.4.100.pth,,\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "checkout")])
    assert identified("ultralytics") == ("8.4.200", "8.4.100", "path", False, True)
    assert read_identity("ultralytics")["by"] == ""


@pytest.mark.parametrize(
    "edit",
    [
        lambda folder: (folder / "engine" / "trainer.py").write_text("a = 2\n"),
        lambda folder: (folder / "cfg" / "models" / "v8" / "yolov8.yaml").write_text("nc: 81\n"),
        lambda folder: (folder / "engine" / "trainer.py").unlink(),
        lambda folder: (folder / "more.py").write_text("b = 1\n"),
    ],
)
def test_an_installed_package_that_was_edited(site: Path, edit: Callable[[Path], object]) -> None:
    edit(install(site, "ultralytics", "8.4.190"))
    assert identified("ultralytics") == ("8.4.190", "8.4.190", "distribution", True, True)


def test_two_edits_are_not_the_same(site: Path) -> None:
    folder = install(site, "ultralytics", "8.4.190")
    hashes = set()
    for text in ("a = 2\n", "a = 3\n"):
        (folder / "engine" / "trainer.py").write_text(text)
        hashes.add(read_identity("ultralytics")["hash"])
    assert len(hashes) == 2


def test_compiled_files_are_no_edit(site: Path) -> None:
    folder = install(site, "ultralytics", "8.4.190")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "x.py").touch()
    assert identified("ultralytics")[3:] == (False, False)


@pytest.mark.parametrize("size", ["same", "other"])
def test_a_torch_that_was_edited(site: Path, size: str) -> None:
    folder = install(site, "torch", "2.15.0")
    file = folder / "engine" / "trainer.py"
    file.write_text("a = 2\n" if size == "same" else "a = 22\n")
    later = file.stat().st_mtime_ns + 10 * identity.SLACK
    os.utime(file, ns=(later, later))
    assert identified("torch") == ("2.15.0", "2.15.0", "distribution", True, True)


def test_a_torch_that_was_copied_is_not_edited(site: Path) -> None:
    folder = install(site, "torch", "2.15.0")
    for file in folder.rglob("*.py"):
        later = file.stat().st_mtime_ns + 10 * identity.SLACK
        os.utime(file, ns=(later, later))
    assert identified("torch")[3:] == (False, False)


@pytest.mark.parametrize("last", ["8.4.190", "8.4.100"])
def test_two_distributions_of_one_package(site: Path, last: str) -> None:
    """Whichever was installed last has overwritten the other's files."""
    names = {"8.4.190": "ultralytics", "8.4.100": "ultralytics-opencv-headless"}
    for version in sorted(names, key=lambda version: version == last):
        install(site, names[version], version)
    assert identified("ultralytics") == (last, last, "distribution", False, False)


def test_metadata_whose_package_is_gone(site: Path) -> None:
    metadata(site, "ultralytics", "8.4.190")
    assert identify("ultralytics") is None


def test_a_system_package_without_a_list_of_files(site: Path) -> None:
    metadata(site, "torch", "2.15.0")
    module(site, "torch", "2.15.0+debian")
    assert identified("torch") == ("2.15.0", "2.15.0", "distribution", False, False)


def test_what_is_left_of_a_package(site: Path) -> None:
    (site / "ultralytics" / "assets").mkdir(parents=True)
    with pytest.raises(Unidentified, match=r"from .*ultralytics, which has no __init__.py, .*: move it away"):
        identify("ultralytics")


def test_a_package_in_an_archive(site: Path, first: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "ultralytics", "8.4.190")
    module(first("clone"), "ultralytics", "8.3.999")
    archive = shutil.make_archive(str(site.parent / "packed"), "zip", site.parent / "clone")
    monkeypatch.setenv("PYTHONPATH", archive)
    monkeypatch.setattr(sys, "path", [archive, *sys.path])
    with pytest.raises(Unidentified, match=r"which is in an archive: take '.*packed\.zip' out of PYTHONPATH"):
        identify("ultralytics")


def test_a_version_that_is_computed_is_none_that_is_stated(site: Path) -> None:
    folder = module(site, "ultralytics", "8.4.190")
    (folder / "version.py").unlink()
    (folder / "__init__.py").write_text('__version__ = ".".join(["8", "4"])\n')
    with pytest.raises(Unidentified, match="states no version"):
        identify("ultralytics")
    (folder / "__init__.py").write_text('__version__ = "8.4.7"  # of today\n')
    assert read_identity("ultralytics")["version"] == "8.4.7"


def test_a_finder_that_raises(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            raise RuntimeError("not\n\x1b[31mtoday")

    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with pytest.raises(Unidentified) as caught:
        identify("torch")
    assert "torch cannot be looked up (RuntimeError: not" in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["torch.py", "torch/__init__.py"])
def test_a_file_of_the_users_that_has_the_name_of_torch(site: Path, first: Callable[[str], Path], name: str) -> None:
    install(site, "torch", "2.15.0")
    folder = first("scripts")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text("print('a script of mine')\n")
    sentence = rf"torch would be imported from {folder / name}, which states no version .*: take '{folder}' out of PY"
    with pytest.raises(Unidentified, match=sentence):
        identify("torch")
    assert facts()["unusable"].startswith("torch would be imported from")


def test_metadata_that_were_cut_off(site: Path) -> None:
    install(site, "ultralytics", "8.4.190")
    (metadata(site, "ultralytics", "8.4.1") / "METADATA").write_text("")
    assert identified("ultralytics")[:2] == ("8.4.190", "8.4.190")


def test_a_version_that_is_stated_twice(site: Path, first: Callable[[str], Path]) -> None:
    module(first("clone"), "ultralytics", "8.3.999", extra='__version__ = "8.3.999+mine"\n')
    assert identified("ultralytics")[0] == "8.3.999+mine"


def test_what_is_imported_counts_in_the_facts(site: Path, first: Callable[[str], Path]) -> None:
    for name, version in (("ultralytics", "8.4.190"), ("torch", "2.15.0"), ("numpy", "2.4"), ("opencv-python", "5.0")):
        install(site, name, version)
    clone = first("clone")
    for name, version in (("ultralytics", "8.3.999"), ("numpy", "1.26"), ("cv2", "4.9")):
        module(clone, name, version)
    interpreter_facts = facts()
    assert interpreter_facts["packages"] == {
        "ultralytics": "8.3.999",
        "torch": "2.15.0",
        "numpy": "1.26",
        "opencv-python": "4.9",
    }
    assert (list(interpreter_facts["offers"]["ultralytics"]["models"]), interpreter_facts["unusable"]) == (
        ["yolov8"],
        "",
    )


@pytest.mark.usefixtures("site")
def test_an_interpreter_with_nothing_in_it() -> None:
    interpreter_facts = facts()
    assert (interpreter_facts["packages"], interpreter_facts["imported"], interpreter_facts["offers"]) == (
        {},
        {},
        {name: {} for name in workloads()},
    )
    assert interpreter_facts["unusable"].startswith("torch is not installed")
    assert interpreter_facts["lacking"]["ultralytics"].startswith("ultralytics is not installed")


# What a process has imported is what was identified before


def test_nothing_differs_where_nothing_changed(site: Path) -> None:
    for name, version in (("ultralytics", "8.4.190"), ("torch", "2.15.0")):
        install(site, name, version)
    before = facts()["imported"]
    assert differs(before) == ""  # nothing is imported yet
    for name in ("ultralytics", "torch"):
        importlib.import_module(name)
    assert differs(before) == ""
    assert differs({}) == ""


def test_another_file_was_imported(site: Path, first: Callable[[str], Path]) -> None:
    install(site, "ultralytics", "8.4.190")
    before = facts()["imported"]
    module(first("clone"), "ultralytics", "8.3.999")
    importlib.import_module("ultralytics")
    assert differs(before).startswith("ultralytics was imported from ")
    assert ": the figure would not be of ultralytics 8.4.190. Start again once" in differs(before)


def test_its_files_changed(site: Path) -> None:
    folder = install(site, "ultralytics", "8.4.190")
    before = facts()["imported"]
    importlib.import_module("ultralytics")
    (folder / "engine" / "trainer.py").write_text("a = 2\n")
    assert f"the files of ultralytics in {folder} have changed since this began" in differs(before)


def test_it_says_another_version_at_run_time(site: Path) -> None:
    install(site, "ultralytics", "8.4.190", extra="globals()['__version__'] = '8.0.0'\n")
    before = facts()["imported"]
    importlib.import_module("ultralytics")
    assert "says at run time that it is 8.0.0, and its files say 8.4.190" in differs(before)


def test_another_build_of_torch(site: Path) -> None:
    install(site, "torch", "2.15.0")
    before = facts()["imported"]
    importlib.import_module("torch")
    before["torch"]["git"] = "0" * 40
    assert "torch was built from " in differs(before)


def test_a_spawned_worker_refuses_what_was_not_identified(tmp_path: Path) -> None:
    """The real one, with a torch and an Ultralytics that are made; before it would do anything else."""
    site = tmp_path / "clone"
    for name, version in (("ultralytics", "8.3.999"), ("torch", "2.15.0")):
        module(site, name, version)
    code = (
        "import sys, os\n"
        f"sys.argv = ['entry']; sys.path.insert(0, {str(site)!r})\n"
        "import importlib.util\n"
        f"spec = importlib.util.spec_from_file_location('entry', {str(ENTRY)!r})\n"
        "entry = importlib.util.module_from_spec(spec); spec.loader.exec_module(entry); entry.load_package()\n"
        "import ultralytics, torch, importlib\n"
        "tasks = importlib.import_module('yolopace_worker.tasks')\n"
        "protocol = importlib.import_module('yolopace_worker.protocol')\n"
        "channel = importlib.import_module('yolopace_worker.channel')\n"
        "identified = {'ultralytics': {'file': '/elsewhere/ultralytics/__init__.py', 'version': '8.4.190'}}\n"
        "setup = protocol.ProcessSetup('ultralytics', '', imported=identified)\n"
        "tasks.run(protocol.OverheadJob(), channel.Channel(1), 0, setup=setup)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    ended = json.loads(done.stdout.splitlines()[-1])
    assert (ended["event"], ended["status"]) == ("ended", "substituted"), done.stderr
    assert ended["reason"].startswith(f"ultralytics was imported from {site}/ultralytics/__init__.py, and /elsewhere/")
