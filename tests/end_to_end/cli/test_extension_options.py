"""``--extension`` on pytest and on commands: its axes are options, and one that cannot be used is one sentence."""

import pytest

AXIS = """
def register():
    from bench.cases.axes import Axis, register

    register(Axis("flux", "Flux", str, "how much flux, such as high", modes=("train",), setting="flux"))
"""

PLAN = ("--profile", "smoke", "--device", "cpu", "--mode", "train", "--model", "yolov8n", "--amp", "off", "-v")


@pytest.fixture
def flux(tmp_path):
    file = tmp_path / "flux_axis.py"
    file.write_text(AXIS)
    return file


def cases(out):
    return [word for line in out.splitlines() for word in line.split() if word.startswith("train-yolov8n")]


@pytest.mark.parametrize("asked", [("--flux", "high,low"), ("--axis", "flux=high,low")])
def test_pytest_has_an_option_for_an_axis_of_an_extension(bench, flux, asked):
    code, out, err = bench("--plan", *PLAN, "--extension", flux, *asked)
    assert code == 0, out + err
    assert len(cases(out)) == 2 and all("flux" in case for case in cases(out))


def test_the_variable_and_the_arguments_of_pytest_name_extensions_too(bench, flux):
    for variables in ({"YOLOPACE_EXTENSIONS": str(flux)}, {"PYTEST_ADDOPTS": f"--extension={flux}"}):
        code, out, err = bench("--plan", *PLAN, "--flux", "high", **variables)
        assert code == 0, out + err
        assert len(cases(out)) == 1


@pytest.mark.parametrize("place", [0, 1])
def test_a_command_has_it_wherever_the_extension_is_named(command, flux, tmp_path, place):
    parts = [["plan"], [*PLAN, "--flux", "high,low", "--results", tmp_path]]
    parts.insert(place, ["--extension", flux])
    code, out, err = command("-m", "bench", *parts[0], *parts[1], *parts[2])
    assert code == 0, out + err
    assert len(cases(out)) == 2 and all("flux" in case for case in cases(out))


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (None, "there is no such file."),
        ("import nothing_of_that_name", "does not import: ModuleNotFoundError"),
        (AXIS.replace('"flux", "Flux"', '"workers", "Workers"'), "cannot be registered: axis 'workers' is registered"),
    ],
)
def test_an_extension_that_cannot_be_used(bench, command, tmp_path, source, sentence):
    file = tmp_path / "toy.py"
    if source is not None:
        file.write_text(source)
    for code, out, err in (
        bench("--plan", *PLAN, "--extension", file),
        command("-m", "bench", "plan", "--extension", file),
    ):
        assert code == 2
        [line] = [line for line in err.splitlines() if "yolopace: " in line]
        assert f"yolopace: extension {str(file)!r}" in line and sentence in line
        assert "Traceback" not in out + err
