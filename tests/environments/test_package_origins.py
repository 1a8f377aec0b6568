"""Where packages come from that no distribution installed, and how a record shows it."""

import shutil
import subprocess

import msgspec
import pytest

from bench.environments.package_origins import Imported, below, origin_of, origins, replaced
from bench.records.record import Environment, Origin
from tests.made_packages import module

HASH = "9f8e7d6c5b4a"


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout of git that holds a package: what is imported of it."""
    if shutil.which("git") is None:
        pytest.skip("needs git")
    for name in ("GIT_AUTHOR", "GIT_COMMITTER"):
        monkeypatch.setenv(f"{name}_NAME", "somebody")
        monkeypatch.setenv(f"{name}_EMAIL", "somebody@example.invalid")
    place = tmp_path / "checkout"
    module(place, "ultralytics", "8.3.999")

    def git(*arguments):
        command = ["git", "-C", str(place), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-q", "-m", "all")
    return place, git


def make_imported(file, **more):
    return Imported(**{"file": str(file), "version": "8.3.999", "source": "path", "hash": HASH, **more})


def test_a_checkout(checkout):
    place, git = checkout
    file = place / "ultralytics" / "__init__.py"
    commit = git("rev-parse", "HEAD")[:12]
    assert origin_of(make_imported(file)) == Origin(source="checkout", hash=HASH, commit=commit)
    (place / "README.md").write_text("next to the package")
    assert origin_of(make_imported(file)).edited is False
    (place / "ultralytics" / "new.py").write_text("a = 1")
    assert origin_of(make_imported(file)) == Origin(source="checkout", hash=HASH, commit=commit, edited=True)


def test_a_folder_in_a_checkout_of_something_else(checkout):
    place, _ = checkout
    module(place / "copies", "ultralytics", "8.3.998")
    assert origin_of(make_imported(place / "copies" / "ultralytics" / "__init__.py")) == Origin(
        source="path", hash=HASH
    )


def test_without_git(checkout, monkeypatch):
    place, _ = checkout
    monkeypatch.setenv("PATH", "")
    assert origin_of(make_imported(place / "ultralytics" / "__init__.py")) == Origin(source="path", hash=HASH)


def test_only_what_is_not_as_installed_has_an_origin(tmp_path):
    imported = {
        "torch": make_imported("/a/torch/__init__.py", source="distribution", hash=""),
        "ultralytics": make_imported("/a/ultralytics/__init__.py", source="distribution", edited=True),
        "cv2": make_imported(tmp_path / "cv2" / "__init__.py"),
    }
    assert origins(imported) == {
        "ultralytics": Origin(source="distribution", hash=HASH, edited=True),
        "opencv-python": Origin(source="path", hash=HASH),
    }


def test_what_is_not_as_installed_is_named_with_what_to_do():
    imported = {
        "numpy": make_imported("/a/numpy/__init__.py", source="distribution", hash=""),
        "torch": make_imported("/a/torch/__init__.py", source="distribution", edited=True),
        "ultralytics": make_imported("/b/ultralytics/__init__.py", by="/b"),
    }
    assert replaced(imported) == (
        "The files of torch in /a/torch were changed: install torch again. ultralytics is imported from "
        "/b/ultralytics/__init__.py: take '/b' out of PYTHONPATH to use the installed one."
    )


@pytest.mark.parametrize(
    ("origin", "label"),
    [
        (None, "8.3.999"),
        (Origin(source="checkout", hash=HASH, commit="1a2b3c4d5e6f"), "8.3.999 (checkout 1a2b3c4)"),
        (
            Origin(source="checkout", hash=HASH, commit="1a2b3c4d5e6f", edited=True),
            "8.3.999 (checkout 1a2b3c4, edited 9f8e7d6)",
        ),
        (Origin(source="distribution", hash=HASH, edited=True), "8.3.999 (edited 9f8e7d6)"),
        (Origin(source="path", hash=HASH), "8.3.999 (copy 9f8e7d6)"),
    ],
)
def test_the_label(origin, label):
    known = {"ultralytics": origin} if origin else {}
    environment = Environment(python="3.11.0", packages={"ultralytics": "8.3.999"}, yolopace="0", origins=known)
    assert environment.label("ultralytics") == label
    assert environment.label("torch") == ""


def test_a_record_of_what_was_installed_is_as_it_always_was():
    environment = Environment(python="3.11.0", packages={"torch": "2.9"}, yolopace="0.1.0")
    written = msgspec.json.encode(environment)
    assert written == b'{"python":"3.11.0","packages":{"torch":"2.9"},"yolopace":"0.1.0"}'
    assert environment.fingerprint == "778cab51364f"
    assert msgspec.json.decode(written, type=Environment) == environment


def test_two_edits_are_two_environments():
    fingerprints = {
        Environment(
            python="3.11.0",
            packages={"ultralytics": "8.4"},
            yolopace="0",
            origins={"ultralytics": Origin(source="path", hash=text)} if text else {},
        ).fingerprint
        for text in ("", "a" * 12, "b" * 12)
    }
    assert len(fingerprints) == 3


def test_a_file_below_a_folder_that_is_a_link(tmp_path):
    (tmp_path / "real" / "site").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "site" / "a.py").symlink_to("/elsewhere/a.py")
    assert below(str(tmp_path / "real" / "site" / "a.py"), tmp_path / "link")
    assert not below(str(tmp_path / "other" / "a.py"), tmp_path / "link")
