"""Other plugins of pytest: it works, or one sentence says which to leave out. Stand-ins play the real ones."""

import pytest

PLAN = (
    "--profile",
    "smoke",
    "--device",
    "cpu",
    "--mode",
    "train",
    "--model",
    "yolov8n",
    "--amp",
    "off",
    "-vv",  # lists the cases, whatever -q a test adds
    "--plan",
)
CASE = "train-yolov8n-cpu-fp32-"

CLASHING = """
def pytest_addoption(parser):
    parser.addoption("--theirs", help="of another plugin")
    parser.getgroup("theirs").addoption("{option}", action="append", default=[], help="of another plugin")
"""

SHARING = """
def pytest_addoption(parser):
    parser.addoption("--their-device", dest="device", default="theirs", help="of another plugin")
    parser.addoption("--their-run", dest="run", default=["theirs"], help="of another plugin")
"""

REPEATING = """
def pytest_collection_modifyitems(items):
    items[:] = [item for item in items for _ in range(2)]
"""

BREAKING = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems():
    raise ZeroDivisionError("of another plugin")
"""


TIMING = """
def pytest_addoption(parser):
    parser.addoption("--timeout", default=None, help="of another plugin")

def pytest_configure(config):
    config.pluginmanager.register(object(), "timeout")
    config.addinivalue_line("markers", "timeout(seconds): ends a test")

def pytest_collection_finish(session):
    print("LIMITS", {item.get_closest_marker("timeout").args for item in session.items})
"""


@pytest.fixture
def planned(bench, tmp_path):
    """Plans a run with a plugin of the given source: exit status, standard output, standard error."""

    def run(source, *arguments, **variables):
        (tmp_path / "standin.py").write_text(source, encoding="utf-8")
        installed = tmp_path / "standin-1.dist-info"
        installed.mkdir()
        (installed / "METADATA").write_text("Name: standin\nVersion: 1\n")
        (installed / "entry_points.txt").write_text("[pytest11]\nstandin = standin\n")
        return bench(*PLAN, *arguments, PYTHONPATH=str(tmp_path), **variables)

    return run


def sentence(out, err):
    """What is said, where that is one sentence and nothing else."""
    assert "Traceback" not in out + err and "INTERNALERROR" not in out + err
    [line] = [line for line in (out + err).splitlines() if "yolopace:" in line]
    return line.partition("yolopace: ")[2].removesuffix(" !")


@pytest.mark.parametrize("option", ["--device", "--profile", "--run"])
def test_an_option_that_another_plugin_has_too(planned, option, tmp_path):
    code, out, err = planned(CLASHING.format(option=option))
    assert (code, sentence(out, err)) == (
        2,
        f"{option} is an option of yolopace and of the plugin standin: leave that plugin out, with -p no:standin.",
    )
    assert not (tmp_path / "results").exists()


def test_the_remedy_works(planned):
    code, out, err = planned(CLASHING.format(option="--device"), "-p", "no:standin")
    assert code == 0, out + err
    assert CASE in out


def test_an_option_that_a_later_conftest_has_too(bench, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "conftest.py").write_text(CLASHING.format(option="--amp"), encoding="utf-8")
    code, out, err = bench(*PLAN, folder)
    assert (code, sentence(out, err)) == (
        2,
        f"--amp is an option of yolopace and of {folder}/conftest.py: name bench/ alone, so that it is not loaded.",
    )


def test_another_option_that_is_kept_under_the_name_of_ours(planned):
    code, out, err = planned(SHARING)
    assert code == 0, out + err
    assert CASE in out


@pytest.mark.parametrize(
    ("arguments", "variables", "expected"),
    [
        ([], {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, "pytest loads no plugins"),
        (["-p", "no:benchmark"], {}, "'-p no:benchmark' leaves out pytest-benchmark, which is needed"),
        (["-p", "no:terminal"], {}, "'-p no:terminal' hides the report of the run"),
    ],
)
def test_a_plugin_that_is_needed(bench, arguments, variables, expected):
    code, out, err = bench(*PLAN, *arguments, **variables)
    assert code == 2
    assert sentence(out, err).startswith(expected)


def test_a_plugin_that_is_needed_and_not_installed(planned):
    hidden = "import importlib.util\nfind = importlib.util.find_spec\n"
    hidden += "importlib.util.find_spec = lambda name: None if name == 'pytest_benchmark' else find(name)\n"
    code, out, err = planned(hidden, "-p", "standin", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert (code, sentence(out, err)) == (
        2,
        "pytest-benchmark is not installed: python -m pip install pytest-benchmark",
    )


@pytest.mark.parametrize(
    ("arguments", "variables"),
    [
        (["-p", "pytest_benchmark.plugin"], {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}),
        (["-p", "no:capture"], {}),
        (["-p", "no:skipping", "-p", "no:warnings", "-p", "no:logging", "-W", "error"], {}),
        (["-W", "error", "--strict-markers", "--strict-config", "--import-mode=importlib"], {}),
        (["-c", "/dev/null"], {}),
        ([], {"PYTHONOPTIMIZE": "1"}),
        ([], {"PYTEST_ADDOPTS": "-q -v -x --tb=no"}),
    ],
)
def test_what_does_not_matter(bench, arguments, variables):
    code, out, err = bench(*PLAN, *arguments, **variables)
    assert code == 0, out + err
    assert CASE in out


def test_a_plugin_that_takes_the_reporter_away(planned):
    source = "def pytest_sessionstart(session):\n    manager = session.config.pluginmanager\n"
    source += "    manager.unregister(manager.get_plugin('terminalreporter'))\n"
    code, out, err = planned(source)
    assert code == 0, out + err
    assert CASE in out


def test_a_plugin_that_repeats_tests(planned, tmp_path):
    code, out, err = planned(REPEATING)
    assert code == 2
    expected = "was collected more than once, by a plugin that repeats tests: leave that out, and use --processes N"
    assert expected in sentence(out, err)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("name", "value", "option"),
    [("forked", True, "--forked of pytest-forked"), ("workers", "2", "--workers of pytest-parallel")],
)
def test_cases_side_by_side(planned, name, value, option):
    source = f"def pytest_addoption(parser):\n    parser.addoption('--x', dest={name!r}, default={value!r})\n"
    code, out, err = planned(source)
    assert (code, sentence(out, err)) == (
        2,
        f"cases that run side by side ({option}) would slow each other: leave that out.",
    )


def test_a_plugin_that_ends_tests_ends_no_case(planned):
    code, out, err = planned(TIMING, "--timeout", "1")
    assert code == 0, out + err
    assert "LIMITS {(0,)}" in out


def test_an_internal_error_is_not_called_not_comparable(planned):
    code, out, err = planned(BREAKING)
    assert code == 2
    assert "ZeroDivisionError: of another plugin" in out + err


@pytest.mark.parametrize("arguments", [["--plan"], ["--collect-only", "-q"]])
def test_a_run_that_starts_nothing_leaves_no_folder(bench, tmp_path, arguments):
    code, out, err = bench(*PLAN[:-1], *arguments)
    assert code == 0, out + err
    assert not (tmp_path / "results").exists()


def test_a_run_whose_cache_cannot_be_used_leaves_no_folder(bench, tmp_path):
    (tmp_path / "file").write_text("")
    code, out, err = bench(*PLAN[:-1], YOLOPACE_CACHE=str(tmp_path / "file" / "cache"))
    assert code == 2
    assert "YOLOPACE_CACHE" in sentence(out, err)
    assert "records" not in out
    assert not (tmp_path / "results").exists()
