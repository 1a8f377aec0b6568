from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.cases import model_labels
from bench.cases.model_labels import is_called, label, shortest, show_together
from tests.builders import make_case


@pytest.fixture(autouse=True)
def nothing_shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(model_labels, "_labels", {})
    yield


@pytest.mark.parametrize(
    ("models", "labels"),
    [
        (["yolov8n", "yolo11n.pt"], ["yolov8n", "yolo11n.pt"]),
        (["/a/run1/best.pt"], ["best.pt"]),
        (["/a/run1/best.pt", "/a/run2/best.pt"], ["run1/best.pt", "run2/best.pt"]),
        (["/r/t1/weights/best.pt", "/r/t2/weights/best.pt"], ["t1/weights/best.pt", "t2/weights/best.pt"]),
        (["/a/x/best.pt", "/b/x/best.pt", "/b/y/last.pt"], ["a/x/best.pt", "b/x/best.pt", "last.pt"]),
        (["/best.pt", "/a/best.pt"], ["/best.pt", "a/best.pt"]),
        (["/a/yolov8n.pt", "yolov8n.pt"], ["a/yolov8n.pt", "yolov8n.pt"]),
        (["/x/a/b.pt", "/a/b.pt"], ["x/a/b.pt", "/a/b.pt"]),
        ([], []),
    ],
)
def test_the_shortest_path_that_tells_files_apart(models: list[str], labels: list[str]) -> None:
    label_by_model = shortest(models)
    assert [label_by_model[model] for model in models] == labels
    assert len(set(label_by_model.values())) == len(models)


def test_a_label_is_of_what_stands_together() -> None:
    case, other = make_case(model="/a/run1/best.pt"), make_case(model="/a/run2/best.pt")
    assert (case.model_label, label("/a/run1/best.pt")) == (case.model_name, None)
    show_together([case.model])
    assert case.model_label == "best.pt"
    show_together([other.model, "yolov8n"])
    assert (case.model_label, other.model_label) == ("run1/best.pt", "run2/best.pt")
    assert make_case(model="yolov8n").model_label == "yolov8n"
    assert case.id == make_case(model="/a/run1/best.pt").id and "run1" not in case.id


@pytest.mark.parametrize("text", ["/a/run1/best.pt", "run1/best.pt", "./run1/best.pt", "best.pt", "best.pt_1", "best"])
def test_what_a_user_may_call_a_file(text: str) -> None:
    assert is_called("/a/run1/best.pt", text, "best.pt_1") == (text != "best")


def test_what_is_another_model() -> None:
    assert not is_called("/a/run1/best.pt", "run2/best.pt", "best.pt_1")
    assert not is_called("/a/run1/best.pt", "st.pt", "best.pt_1")
    assert not is_called("yolov8n", "yolov8", "yolov8n")
    assert is_called("/a/mine.yaml", "mine", "mine.yaml_1")
