"""Workflows, hooks, issue forms and CONTRIBUTING name commands, files and versions that exist."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
EXAMPLE = ROOT / "docs/regress.yml"
FORMS = [path for path in sorted((ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml")) if path.name != "config.yml"]
README_COMMAND = "python3 -m venv .venv && .venv/bin/pip install --quiet nox uv && .venv/bin/nox -s "
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PRE_COMMIT = ROOT / ".pre-commit-config.yaml"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def sessions() -> set[str]:
    """Sessions of the noxfile."""
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    return {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef) and "nox.session" in ast.unparse(node)[:40]
    }


def jobs(workflow: Any) -> Iterator[dict[str, Any]]:
    yield from workflow["jobs"].values()


def steps(workflow: Any) -> Iterator[dict[str, Any]]:
    for job in jobs(workflow):
        yield from job["steps"]


def anchors(path: Path) -> set[str]:
    """Anchors of a Markdown file's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_workflows_for_tests_and_for_a_mac() -> None:
    assert [path.stem for path in WORKFLOWS] == ["apple-silicon", "tests"]
    assert {form.stem for form in FORMS} == {"machine-records", "wrong-figure"}


@pytest.mark.parametrize("path", [*WORKFLOWS, EXAMPLE], ids=lambda path: path.stem)
def test_a_workflow_may_only_read_and_ends_some_time(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]
    assert all(isinstance(job["timeout-minutes"], int) for job in jobs(workflow))
    assert "pull_request_target" not in workflow[True]  # YAML 1.1 reads `on` as true
    assert "has not run yet" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [*WORKFLOWS, EXAMPLE], ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_keep_no_credentials(path: Path) -> None:
    used = [step for step in steps(load(path)) if "uses" in step]
    assert used
    for step in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", step["uses"])
        if step["uses"].startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    text = path.read_text(encoding="utf-8")
    assert len(re.findall(r"uses: \S+ # v\d+\.\d+\.\d+$", text, re.MULTILINE)) == len(used)


def test_the_example_for_users_takes_the_versions_of_the_workflows() -> None:
    ours = {step["uses"] for path in WORKFLOWS for step in steps(load(path)) if "uses" in step}
    assert {step["uses"] for step in steps(load(EXAMPLE)) if "uses" in step} <= ours


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_type_the_commands_of_the_readme(path: Path) -> None:
    commands = [step["run"] for step in steps(load(path)) if "run" in step]
    named = [name for command in commands for name in re.findall(r"nox -s (\w+)", command)]
    assert named and set(named) <= sessions()
    assert any(command.startswith(README_COMMAND) for command in commands)
    assert README_COMMAND in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_workflow_on_somebodys_own_mac_is_not_started_by_pull_requests() -> None:
    workflow = load(ROOT / ".github/workflows/apple-silicon.yml")
    assert "vars.MAC_RUNNER" in workflow["jobs"]["smoke"]["runs-on"]
    assert set(workflow[True]) == {"push", "workflow_dispatch"}


def test_the_mac_is_measured_on_cpu_and_gpu_and_its_records_are_kept() -> None:
    listed = list(steps(load(ROOT / ".github/workflows/apple-silicon.yml")))
    commands = " ".join(step.get("run", "") for step in listed)
    assert "--profile smoke --device cpu" in commands
    assert "--profile smoke --device mps" in commands
    kept = listed[-1]
    assert kept["uses"].startswith("actions/upload-artifact@")
    assert kept["if"] == "always()"
    folders = re.findall(r"--(?:results|reports|output) (\S+)", commands)
    assert len(folders) >= 5
    assert all(folder.startswith(f"{kept['with']['path']}/") for folder in folders)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_an_issue_form_has_what_github_wants(path: Path) -> None:
    form = load(path)
    assert set(form) <= {"name", "description", "title", "body", "labels"}
    asked = [field for field in form["body"] if field["type"] != "markdown"]
    assert all(field["type"] in {"input", "textarea", "dropdown", "checkboxes"} for field in asked)
    assert len({field["id"] for field in asked}) == len(asked)
    assert all(field["attributes"]["label"] for field in asked)
    assert any(field["id"].startswith("record") and field["validations"]["required"] for field in asked)
    assert "paths of your dataset" in path.read_text(encoding="utf-8")


def test_the_hooks_run_the_tools_that_constraints_pin() -> None:
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()}
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    (repository,) = load(PRE_COMMIT)["repos"]
    assert repository["repo"] == "local"
    tools = [hook["entry"].split()[0] for hook in repository["hooks"]]
    assert tools == [".nox/tests/bin/ruff", ".nox/tests/bin/ruff", ".nox/tests/bin/mypy"]
    assert {Path(tool).name for tool in tools} <= pinned & set(groups["tests"])


def test_the_hooks_look_at_the_files_that_nox_checks() -> None:
    (repository,) = load(PRE_COMMIT)["repos"]
    patterns = [re.compile(hook["files"]) for hook in repository["hooks"] if "ruff" in hook["id"]]
    assert all(pattern.search(name) for pattern in patterns for name in ("bench/text.py", "tests/a/b.py", "noxfile.py"))
    assert not any(
        pattern.search(name) for pattern in patterns for name in ("docs/plots.py", "bench/cases/profiles.toml")
    )


def test_contributing_names_what_there_is() -> None:
    assert set(re.findall(r"nox(?: --force-python [\d.]+)? -s (\w+)", CONTRIBUTING)) <= sessions()
    for target in re.findall(r"\]\(([^)]+)\)", CONTRIBUTING):
        name, _, anchor = target.partition("#")
        assert (ROOT / name).exists(), target
        assert not anchor or anchor in anchors(ROOT / name), target
    for name in re.findall(r"`((?:bench|tests|docs)/[\w/.]+|[\w-]+\.(?:txt|md|toml))`", CONTRIBUTING):
        assert (ROOT / name).exists(), name
    assert "These workflows have not run yet" in CONTRIBUTING


def test_the_changelog_begins_with_the_projects_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (\S+)", changelog, re.MULTILINE)[0] == version


def test_the_changelog_has_every_renamed_option() -> None:
    from bench.cli.arguments import RENAMED as OF_COMMANDS
    from bench.pytest_plugin.command_line import RENAMED as OF_PYTEST

    rows = re.findall(
        r"^\| (.+?) \| `(--[\w-]+)` \| `(--[\w-]+)` \|$",
        (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    named = {(command, old, new) for commands, old, new in rows for command in re.findall(r"`([^`]+)`", commands)}
    expected = {(command, old, new) for command, options in OF_COMMANDS.items() for old, new in options.items()}
    assert named == expected | {("pytest bench/", old, new) for old, new in OF_PYTEST.items()}
