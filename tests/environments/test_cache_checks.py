"""A cache, or a folder for temporary files, that cannot be used is reported in one sentence, and nothing is made."""

import os
import platform
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from bench.environments import bytecode_cache, cache_checks
from bench.environments.cache_checks import check_calibrations, check_usable, problem
from bench.environments.interpreter import Interpreter, printed_by, variables, variables_without_user
from bench.errors import UsageError
from bench.machine.paths import cache_folder, home_folder
from bench.records.record import Environment
from bench.runner.launchers.local import ForkServerLauncher


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def nobody(monkeypatch):
    """A user that the system does not know, without HOME."""

    def unknown(*_):
        raise RuntimeError("Could not determine home directory.")

    for name in ("YOLOPACE_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", unknown)


# Where it is


@pytest.mark.parametrize("chosen", ["", "  "])
def test_an_empty_variable_is_none(monkeypatch, tmp_path, chosen):
    monkeypatch.setenv("YOLOPACE_CACHE", chosen)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert cache_folder() == tmp_path / "yolopace"


def test_a_relative_path_is_of_the_working_folder_and_a_tilde_of_the_home(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("YOLOPACE_CACHE", "here")
    assert cache_folder() == tmp_path.resolve() / "here"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("YOLOPACE_CACHE", "~/there")
    assert cache_folder() == tmp_path.resolve() / "there"


def test_a_relative_place_for_caches_is_ignored(monkeypatch, tmp_path):
    monkeypatch.delenv("YOLOPACE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    assert cache_folder() == tmp_path / ".cache" / "yolopace"


@pytest.mark.usefixtures("nobody")
def test_a_user_without_a_home_learns_which_variable_to_set():
    assert home_folder() is None
    with pytest.raises(UsageError, match=r"HOME is not set.* user \d+: set YOLOPACE_CACHE to a folder"):
        cache_folder()
    with pytest.raises(UsageError, match="set YOLOPACE_CACHE"):
        check_usable()


@pytest.mark.usefixtures("nobody")
def test_a_home_that_does_not_exist(monkeypatch):
    monkeypatch.setenv("YOLOPACE_CACHE", "~no-such-user-anywhere/cache")
    with pytest.raises(UsageError, match="YOLOPACE_CACHE '~no-such-user-anywhere/cache' cannot be resolved"):
        cache_folder()


@pytest.mark.usefixtures("nobody")
def test_a_worker_of_an_unknown_user_gets_a_home_and_a_name(monkeypatch, tmp_path):
    monkeypatch.setattr("getpass.getuser", lambda: {}["nobody"])
    monkeypatch.delenv("MPLCONFIGDIR", raising=False)
    assert variables_without_user() == {}  # nobody knows where: the cache is not known either
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path))
    place = tmp_path.resolve()
    home_variables = {"HOME": f"{place}/home", "MPLCONFIGDIR": f"{place}/matplotlib", "LOGNAME": str(os.getuid())}
    assert variables_without_user() == home_variables
    assert home_variables.items() <= variables().items()


def test_a_worker_of_another_runner_is_not_warned(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LOGNAME", "somebody")
    assert variables_without_user() == {}


# Whether it can be used


def test_looking_changes_nothing_and_checking_makes_it(cache):
    assert problem() == ""
    assert not cache.exists()
    check_usable()
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (".", r"the cache .* cannot be made, for .*/cache is a file: set YOLOPACE_CACHE"),
        ("data", r"/cache/data in the cache is a file, and a folder belongs there: delete it, or set YOLOPACE_CACHE"),
        ("scratch", r"/cache/scratch in the cache is a file, and a folder belongs there"),
    ],
)
def test_a_file_is_in_the_way(cache, file, sentence):
    (cache / file).parent.mkdir(exist_ok=True)
    (cache / file).write_text("in the way")
    with pytest.raises(UsageError, match=sentence):
        check_usable()


@pytest.mark.parametrize(
    ("forbidden", "sentence"),
    [
        ("cache", r"the cache .*/cache cannot be written \(Permission denied\): set YOLOPACE_CACHE to another folder"),
        ("config/a", r"/cache/config/a in the cache cannot be written \(Permission denied\): delete it, or set YOLOP"),
        ("config/a/settings.json", r"/settings.json in the cache cannot be written"),
        ("data/coco-like-0/pool/images", r"/pool/images in the cache cannot be read"),
    ],
)
def test_what_this_user_may_not_do(cache, monkeypatch, forbidden, sentence):
    for name in ("config/a", "data/coco-like-0/pool/images"):
        (cache / name).mkdir(parents=True)
    (cache / "config/a/settings.json").write_text("{}")
    may = cache_checks.may_write  # root may do everything
    monkeypatch.setattr(
        cache_checks, "may_write", lambda place, needed: not str(place).endswith(forbidden) and may(place, needed)
    )
    assert problem()
    with pytest.raises(UsageError, match=sentence):
        check_usable()


def test_whose_it_is(cache, monkeypatch):
    cache.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert cache_checks.why_not(cache) == f"Permission denied; {cache} belongs to user {os.getuid()}"


def test_a_file_system_that_is_read_only(cache, monkeypatch):
    cache.mkdir()
    real = os.statvfs(cache)
    fields = [*real[:8], real.f_flag | os.ST_RDONLY, *real[9:]]
    monkeypatch.setattr(os, "statvfs", lambda place: os.statvfs_result(fields))
    assert cache_checks.why_not(cache) == "Read-only file system"


def test_too_little_room(cache, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda place: Usage(8 * cache_checks.MIB))
    with pytest.raises(
        UsageError, match=r"too little room \(8.0 MiB are free, and 32 MiB are needed\): make room there"
    ):
        check_usable()
    (cache / "data/coco-like-0/pool").mkdir(parents=True)
    (cache / "data/coco-like-0/pool/pool.json").touch()
    check_usable()  # the data set is there


def test_room_for_compiled_files_until_those_of_ultralytics_are_there(cache, monkeypatch):
    """Asking an interpreter what it offers leaves some, long before torch is imported."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr("shutil.disk_usage", lambda place: Usage(40 * cache_checks.MIB))
    compiled = cache / "pycache/site-packages/ultralytics/engine"
    compiled.mkdir(parents=True)
    (compiled / "__init__.cpython-311.pyc").touch()
    assert "40.0 MiB are free, and 128 MiB are needed" in problem()
    (compiled / "trainer.cpython-311.pyc").touch()
    assert problem() == ""


class Usage:
    def __init__(self, free):
        self.free = free


def test_a_quota_that_does_not_show(cache, monkeypatch):
    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def write(self, content):
            raise OSError(122, "Disk quota exceeded")

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(
        UsageError, match=r"cannot be written \(Disk quota exceeded\): make room there, or set YOLOPACE"
    ):
        check_usable()


def test_no_folder_for_temporary_files(cache, monkeypatch):
    def none():
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(UsageError, match="no folder for temporary files can be written: set TMPDIR"):
        check_usable()


@pytest.mark.parametrize("name", ["a*b", "a\nb", "a\udcffb"])
def test_a_name_that_cannot_be_used(tmp_path, monkeypatch, name):
    monkeypatch.setenv("YOLOPACE_CACHE", f"{tmp_path}/{name}")
    with pytest.raises(UsageError, match=r"in its name.*: set YOLOPACE_CACHE to another folder\.$"):
        check_usable()


def test_a_name_that_is_too_long(tmp_path, monkeypatch):
    monkeypatch.setenv("YOLOPACE_CACHE", f"{tmp_path}/{'x' * 300}")
    assert "(File name too long): set YOLOPACE_CACHE to another folder." in problem()
    with pytest.raises(UsageError, match="cannot be used"):
        check_usable()


def test_a_link_that_leads_to_itself(tmp_path, monkeypatch):
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setenv("YOLOPACE_CACHE", str(tmp_path / "loop"))
    assert problem() == "" or "another folder" in problem()  # from Python 3.13 on, a loop is no error until it is used
    with pytest.raises(UsageError, match="another folder"):
        check_usable()


def test_whether_calibrations_can_be_kept_is_known_before_measuring(cache):
    check_calibrations()
    assert not cache.exists()
    cache.mkdir()
    (cache / "calibration").touch()
    with pytest.raises(UsageError, match=r"/calibration \(it is a file, and .*\): delete it, or set YOLOPACE_CACHE"):
        check_calibrations()


def test_a_name_with_what_shells_and_yaml_stumble_over(tmp_path, monkeypatch):
    monkeypatch.setenv("YOLOPACE_CACHE", f"{tmp_path}/a b: ü,#[1]")
    check_usable()


# Compiled Python files


@pytest.fixture
def compiling(cache, monkeypatch):
    """A shell that keeps Python from writing compiled files: they go to the cache."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return cache.resolve() / "pycache"


def break_all(folder):
    files = list(folder.rglob("*.pyc"))
    for file in files:
        os.truncate(file, 40)
    return len(files)


def test_broken_compiled_files_of_the_cache_are_made_again(compiling):
    command = [sys.executable, "-c", "import json; print(json.dumps(1))"]
    assert printed_by(command) == "1\n"
    assert break_all(compiling) > 3
    assert printed_by(command) == "1\n"
    assert min(file.stat().st_size for file in compiling.rglob("*.pyc")) > 40


def test_broken_compiled_files_of_the_user_are_his_own(compiling, tmp_path, monkeypatch):
    own = tmp_path / "own"
    monkeypatch.setenv("PYTHONPYCACHEPREFIX", str(own))
    assert bytecode_cache.folder() is None
    own.mkdir()
    assert not bytecode_cache.remove_broken_bytecode("EOFError: marshal data too short") and own.exists()
    assert bytecode_cache.advice("EOFError: marshal data too short").endswith(f": delete {own}.")
    assert bytecode_cache.advice("ImportError: no such library") == ""


def test_only_a_broken_file_is_a_reason_to_delete_them(compiling):
    compiling.mkdir(parents=True)
    assert (
        not bytecode_cache.remove_broken_bytecode("ModuleNotFoundError: No module named 'torch'") and compiling.exists()
    )
    assert (
        bytecode_cache.remove_broken_bytecode("ValueError: bad marshal data (unknown type code)")
        and not compiling.exists()
    )


PARENT = """\
#!/bin/sh
if [ -e "$PYTHONPYCACHEPREFIX" ]; then echo "EOFError: marshal data too short" >&2; exit 1; fi
exec {python} -S -B -c 'import os, sys; os.write(int(sys.argv[3]), b"{{\\"event\\": \\"ready\\"}}\\n")' "$@"
"""


@pytest.mark.skipif(platform.system() != "Linux", reason="elsewhere nothing is forked")
def test_a_parent_that_stumbles_over_one_is_started_once_more(compiling, tmp_path):
    python = tmp_path / "python"
    python.write_text(PARENT.format(python=sys.executable))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    environment = Environment(python="3.11.0", packages={"torch": "2.9", "ultralytics": "8.4"}, yolopace="0")
    launcher = ForkServerLauncher(Interpreter(path=str(python), environment=environment))
    compiling.mkdir(parents=True)
    launcher.wait()
    launcher.close()
    assert not compiling.exists()


def test_broken_compiled_files_of_an_environment_in_the_cache_are_made_again(cache):
    environment = cache.resolve() / "environments" / "0123"
    files = [environment / "lib" / name / "__pycache__" / "a.pyc" for name in ("torch", "json")]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    error = "EOFError: marshal data too short"
    assert not bytecode_cache.remove_broken_bytecode(error, "/usr/bin/python3") and files[0].exists()
    assert bytecode_cache.remove_broken_bytecode(error, str(environment / "bin" / "python"))
    assert not any(file.exists() for file in files)
    assert (environment / "lib" / "torch").is_dir()
