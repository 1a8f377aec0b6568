"""Wheels and project folders: what they are known by, and that a folder is built once for each of its contents."""

import os
import random
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from bench.environments.local_source import digest_of, files, find_local, with_local_version
from bench.errors import UsageError
from bench.machine.paths import cache_folder

from .uv_index import Uv

PROJECT = '[project]\nname = "ultralytics"\nversion = "8.4.190"\n'

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="there is no git here")


@pytest.fixture
def uv(tmp_path, monkeypatch):
    return Uv(tmp_path, monkeypatch)


@pytest.fixture
def project(tmp_path):
    """A project of a few files."""
    folder = tmp_path / "work" / "ultralytics"
    write(folder, {"pyproject.toml": PROJECT, "ultralytics/__init__.py": "", "ultralytics/engine/build/x.py": "x = 1"})
    return folder


def write(folder, contents):
    for name, content in contents.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


def quietly(text):
    pass


def digest(folder):
    return digest_of(folder, files(folder))


def git(folder, *arguments):
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)


def test_a_folder_is_built_once_for_each_content(uv, project):
    messages = []
    first = find_local(project, messages.append)
    assert first == find_local(project, messages.append)
    assert messages == ["building a wheel of ultralytics ..."]
    assert (first.name, first.version) == ("ultralytics", f"8.4.190+{first.digest[:8]}")
    assert Path(first.wheel).parent.parent == cache_folder() / "wheels"
    write(project, {"ultralytics/__init__.py": "slow = True"})
    second = find_local(project, messages.append)
    assert (second.digest != first.digest, second.wheel != first.wheel, len(uv.calls("build"))) == (True, True, 2)
    write(project, {"ultralytics/__init__.py": ""})
    assert find_local(project, messages.append) == first
    assert len(uv.calls("build")) == 2


def test_nothing_is_written_into_the_folder_and_the_copy_is_gone(uv, project):
    before = sorted(project.rglob("*"))
    find_local(project, quietly)
    assert sorted(project.rglob("*")) == before
    assert not [path for path in (cache_folder() / "wheels").iterdir() if path.is_dir() and path.name.startswith(".")]


def test_where_a_folder_is_and_when_it_was_written_play_no_part(uv, project, tmp_path):
    first = find_local(project, quietly)
    elsewhere = shutil.copytree(project, tmp_path / "elsewhere" / "copy")
    for file in elsewhere.rglob("*"):
        os.utime(file, (1, 1))
    assert find_local(elsewhere, quietly) == first
    assert len(uv.calls("build")) == 1


def test_every_change_of_a_file_is_another_content(project):
    draw = random.Random(4)
    digests = [digest(project)]
    for number in range(30):
        name = draw.choice(["ultralytics/__init__.py", "ultralytics/engine/build/x.py", f"data/{number}.yaml"])
        write(project, {name: str(number)})
        digests.append(digest(project))
    (project / "ultralytics" / "__init__.py").rename(project / "ultralytics" / "init.py")
    digests.append(digest(project))
    (project / "ultralytics" / "init.py").unlink()
    digests.append(digest(project))
    (project / "pyproject.toml").chmod(0o755)
    digests.append(digest(project))
    assert len(set(digests)) == len(digests)


ARTEFACTS = [
    ".git/HEAD",
    "__pycache__/a.pyc",
    "ultralytics/__pycache__/a.pyc",
    "ultralytics/b.pyc",
    "build/lib/ultralytics/old.py",
    "dist/ultralytics.whl",
    "ultralytics.egg-info/PKG-INFO",
    "src/ultralytics.egg-info/PKG-INFO",
    ".mypy_cache/x.json",
]


def test_what_builds_and_caches_leave_is_no_part_of_a_folder(project):
    before = digest(project)
    write(project, dict.fromkeys(ARTEFACTS, "x"))
    write(project, {"env/pyvenv.cfg": "", "env/lib/site.py": ""})
    assert digest(project) == before
    write(project, {"ultralytics/dist/y.py": "a package may be called so"})
    assert digest(project) != before


def test_links_are_followed_and_circles_are_not(project, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "a.py").write_text("1")
    (project / "ultralytics" / "shared").symlink_to(tmp_path / "shared")
    (project / "ultralytics" / "whole").symlink_to(project)
    (project / "broken").symlink_to("/nowhere")
    assert "ultralytics/shared/a.py" in files(project)
    assert not [name for name in files(project) if "whole" in name or "broken" in name]
    before = digest(project)
    (tmp_path / "shared" / "a.py").write_text("2")
    assert digest(project) != before


@needs_git
def test_of_a_checkout_counts_what_git_knows_and_what_is_new(uv, project, monkeypatch):
    git(project, "init")
    write(project, {".gitignore": "runs/\n*.pt\nkept.pt\n", "kept.pt": "1", "gone.py": "1"})
    git(project, "add", "--force", ".")
    write(project, {"runs/x.py": "1", "weights.pt": "1", "new é.py": "1"})
    (project / "gone.py").unlink()
    known = {".gitignore", "kept.pt", "new é.py", "pyproject.toml"}
    assert set(files(project)) == {*known, "ultralytics/__init__.py", "ultralytics/engine/build/x.py"}
    first = find_local(project, quietly)
    assert known < set(zipfile.ZipFile(first.wheel).namelist())
    write(project, {"runs/y.py": "1", "weights.pt": "2"})
    git(project, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "a commit changes no file")
    assert find_local(project, quietly) == first
    monkeypatch.setenv("GIT_DIR", "/nowhere")  # as in a hook
    assert find_local(project, quietly) == first
    write(project, {"kept.pt": "2"})
    assert find_local(project, quietly) != first


@needs_git
def test_a_checkout_within_a_checkout_is_a_part_of_it(project):
    git(project, "init")
    inner = project / "third_party"
    write(inner, {"a.py": "1", "b.pyc": "1"})
    git(inner, "init")
    assert "third_party/a.py" in files(project)
    assert "third_party/b.pyc" not in files(project)


def test_without_git_a_checkout_is_a_folder(project, monkeypatch):
    write(project, {".git/HEAD": "x"})
    monkeypatch.setenv("PATH", "/nowhere")
    assert files(project) == ["pyproject.toml", "ultralytics/__init__.py", "ultralytics/engine/build/x.py"]


def wheel(folder, name, content="1"):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        archive.writestr(zipfile.ZipInfo("METADATA"), content)
    return folder / name


def test_a_wheel_is_known_by_its_content(uv, tmp_path):
    first = find_local(wheel(tmp_path / "a", "Ultra_lytics-8.4.190-py3-none-any.whl"), quietly)
    moved = find_local(wheel(tmp_path / "b", "Ultra_lytics-8.4.190-py3-none-any.whl"), quietly)
    other = find_local(wheel(tmp_path / "c", "Ultra_lytics-8.4.190-py3-none-any.whl", "2"), quietly)
    assert first.package == moved.package == f"ultra-lytics==8.4.190+{first.digest[:8]}"
    assert other.package != first.package
    assert uv.calls() == []


def test_a_local_part_of_a_version_is_kept(uv, tmp_path):
    package = find_local(wheel(tmp_path, "torch-2.15.0+cu130_x-1-cp311-cp311-linux_x86_64.whl"), quietly)
    assert package.version == f"2.15.0+cu130.x.{package.digest[:8]}"
    assert with_local_version("8.4.190", "3f2a91c0ffee") == "8.4.190+3f2a91c0"


def test_how_uv_takes_one(uv, tmp_path):
    package = find_local(wheel(tmp_path / "with blank", "torch-2.15.0-py3-none-any.whl"), quietly)
    assert package.requirement == f"torch @ file://{tmp_path}/with%20blank/torch-2.15.0-py3-none-any.whl"


def test_a_build_that_fails_ends_with_its_own_reason(uv, project):
    write(project, {"setup.py": "broken"})
    with pytest.raises(UsageError) as error:
        find_local(project, quietly)
    assert (
        str(error.value) == f"no wheel can be built of {project}: ModuleNotFoundError: No module named 'nonexistent'."
    )
    assert [path for path in (cache_folder() / "wheels").iterdir() if path.is_dir()] == []


def test_a_cache_that_cannot_be_written(uv, project, tmp_path):
    (tmp_path / "cache").write_text("a file is in the way")
    with pytest.raises(UsageError, match="cannot be read, or no wheel be built of it: Not a directory"):
        find_local(project, quietly)
