"""What is asked for on the command line: requirements, wheels, project folders, or an interpreter."""

import sys
import zipfile
from pathlib import Path

import pytest

from bench.environments.specification import HEADLESS, Specification, require_shared
from bench.errors import UsageError


def parse(text):
    return Specification.parse(text)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The folder that the command is run from: it has a wheel and a few folders."""
    here = tmp_path / "secret-place" / "here"
    here.mkdir(parents=True)
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(here))
    for name in ("ultralytics-8.4.190-py3-none-any", "numpy-2.0-1-cp311-cp311-linux_x86_64", "unnamed"):
        with zipfile.ZipFile(f"{name}.whl", "w") as wheel:
            wheel.writestr("METADATA", "")
    Path("torch-2.15.0-py3-none-any.whl").write_text("this is no zip archive")
    Path("notes.txt").touch()
    for folder, file, content in (
        ("Ultra", "pyproject.toml", '[project]\nname = "Ultralytics"\n'),
        ("other", "pyproject.toml", '[project]\nname = "numpy"\n'),
        ("unknown", "setup.py", ""),
        ("toolless", "pyproject.toml", "[tool.ruff]\n"),
        ("odd", "pyproject.toml", "project = 3\n"),
        ("garbled", "pyproject.toml", "[project\n"),
        ("empty", "README.md", ""),
    ):
        Path(folder).mkdir()
        (Path(folder) / file).write_text(content)
    return here


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("torch==2.6.0,ultralytics==8.4.0", ("torch==2.6.0", "ultralytics==8.4.0")),
        ("ultralytics", ("ultralytics",)),
        ("torch>=2.6,<2.8 , ultralytics == 8.4.0", ("torch>=2.6,<2.8", "ultralytics == 8.4.0")),
        ("ultralytics>=8.4,<9", ("ultralytics>=8.4,<9",)),
        ("torch==2.14.1", ("torch==2.14.1",)),
        ("torch>=2.6 , ~=2.7,ultralytics", ("torch>=2.6 , ~=2.7", "ultralytics")),
        ("Ultralytics[export,solutions]!=8.4.1", ("Ultralytics[export,solutions]!=8.4.1",)),
        ("ultralytics_opencv.headless==8.4.0,torch~=2.9", ("ultralytics_opencv.headless==8.4.0", "torch~=2.9")),
    ],
)
def test_a_specification_is_requirements_with_commas_between(text, requirements):
    assert parse(text).requirements == requirements
    assert str(parse(text)) == ",".join(requirements)
    assert parse(text).paths == ()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "'' is no requirement: write torch==2.14.1, or several"),
        ("torch==2.6.0,", "'' is no requirement"),
        ("ultralytics==", "'ultralytics==' is no requirement"),
        ("--index-url=x,torch", "'--index-url=x' is no requirement"),
        ("torch 2.6", "'torch 2.6' is no requirement"),
        ("torch==latest", "'torch==latest' is no requirement"),
        ("torch @ file:torch.zip", "'torch @ file:torch.zip' names an address"),
        ("numpy==2.0", "'numpy==2.0' names neither torch nor ultralytics"),
        ("python:", "'python:' names no interpreter"),
        ("./nowhere", "here/nowhere: there is no such file or folder"),
        ("ultralytics-8.4.1-py3-none-any.whl", r"any\.whl: there is no such file or folder"),
        ("torch,~/nowhere", "here/nowhere: there is no such file or folder"),
        ("ultralytics @ git+https://example.org/x", "there is no such file or folder"),
        ("./notes.txt", r"notes\.txt is not named like a wheel"),
        ("unnamed.whl", r"unnamed\.whl is not named like a wheel"),
        ("torch-2.15.0-py3-none-any.whl", r"any\.whl is no wheel but in its name"),
        ("./empty", "empty is no project: it has neither pyproject.toml nor setup.py"),
        ("torch,./garbled", r"garbled/pyproject\.toml cannot be read: .*line 1"),
        ("./other", "'./other' names neither torch nor ultralytics"),
        ("numpy-2.0-1-cp311-cp311-linux_x86_64.whl", "names neither torch nor ultralytics"),
    ],
)
def test_what_is_no_specification(place, text, sentence):
    with pytest.raises(UsageError, match=sentence) as error:
        parse(text)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "names", "shown"),
    [
        ("./Ultra", ["ultralytics"], "Ultra/"),
        ("Ultra/", ["ultralytics"], "Ultra/"),
        ("~/Ultra", ["ultralytics"], "Ultra/"),
        ("../here/Ultra", ["ultralytics"], "Ultra/"),
        ("./other/../Ultra,torch==2.6.0", ["ultralytics", "torch"], "Ultra/,torch==2.6.0"),
        ("torch>=2.6,<3,./other", ["torch", "numpy"], "torch>=2.6,<3,other/"),
        ("ultralytics-8.4.190-py3-none-any.whl", ["ultralytics"], "ultralytics-8.4.190-py3-none-any.whl"),
        ("./ultralytics-8.4.190-py3-none-any.whl", ["ultralytics"], "ultralytics-8.4.190-py3-none-any.whl"),
        # What these are is known when they are built.
        ("./unknown", [""], "unknown/"),
        ("./toolless", [""], "toolless/"),
        ("./odd", [""], "odd/"),
    ],
)
def test_wheels_and_project_folders(place, text, names, shown):
    specification = parse(text)
    assert list(specification.names()) == names
    assert str(specification) == shown
    assert all(path.is_absolute() and path.exists() for path in specification.paths)


def test_a_folder_is_distinguished_from_a_release_of_its_name(place):
    (place / "Ultra").rename("ultralytics")
    release, folder = parse("ultralytics"), parse("./ultralytics")
    assert (release.requirements, release.paths) == (("ultralytics",), ())
    assert (folder.requirements, folder.paths) == ((), (place / "ultralytics",))
    assert str(release) != str(folder)


def test_the_current_folder_has_its_own_name(place, monkeypatch):
    monkeypatch.chdir("Ultra")
    assert str(parse(".")) == "Ultra/"


@pytest.mark.parametrize(
    ("text", "python", "shown"),
    [
        ("python:python3.12", "python3.12", "python:python3.12"),
        (" python: /opt/env,2/bin/python ", "/opt/env,2/bin/python", "python:python"),
        ("python:~/env/bin/python3", "HERE/env/bin/python3", "python:python3"),
        ("python:env/bin/python", "HERE/env/bin/python", "python:python"),
    ],
)
def test_an_interpreter(place, text, python, shown):
    specification = parse(text)
    assert specification.python == python.replace("HERE", str(place))
    assert (str(specification), specification.parts) == (shown, ())


@pytest.mark.parametrize(
    "text", ["./Ultra,torch", "~/Ultra", "./ultralytics-8.4.190-py3-none-any.whl", "python:./env/bin/python"]
)
def test_no_folder_of_this_machine_is_shown(place, text):
    assert "secret-place" not in str(parse(text))


def test_an_interpreter_by_its_path_alone():
    with pytest.raises(UsageError, match=r"is neither a folder nor a wheel: an interpreter is named as python:/"):
        Specification.parse(sys.executable)


@pytest.mark.parametrize("name", ["onnxruntime", "onnxruntime-gpu", "openvino", "ncnn"])
def test_a_runtime_of_exports_is_enough(name):
    assert parse(f"{name}==1.31.0").names() == (name,)


@pytest.mark.parametrize(
    ("base", "head"),
    [
        ("torch==2.14.1", "torch==2.15.0,ultralytics==8.4.100"),
        ("ultralytics==8.4.0", f"{HEADLESS}==8.4.100"),
        ("onnxruntime==1.31.0,torch==2.14.1", "onnxruntime==1.32.0,torch==2.14.1"),
        ("python:/usr/bin/python3", "torch==2.15.0"),
    ],
)
def test_sides_that_share_a_package_can_be_compared(base, head):
    require_shared(Specification.parse(base), Specification.parse(head))


@pytest.mark.parametrize(
    ("base", "head"), [("onnxruntime==1.31.0", "torch==2.11.0"), ("numpy==2,torch", "ultralytics")]
)
def test_sides_without_a_package_in_common_are_refused(base, head):
    with pytest.raises(UsageError, match=r"^base names .* and head names .*: name the same package on both sides"):
        require_shared(Specification.parse(base), Specification.parse(head))
