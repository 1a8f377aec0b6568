"""What a user may give as a model by mistake: one sentence that says what it is, and no crash."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.worker.rejection import CaseRejected
from bench.worker.workloads.ultralytics import models, tasks
from bench.worker.workloads.ultralytics.models import building, built, channels, find_model, model_file

pytestmark = pytest.mark.usefixtures("ultralytics")

NEWER = "ultralytics.nn.newer"


@pytest.fixture(scope="module")
def network(ultralytics: None) -> Any:
    from ultralytics.nn.tasks import DetectionModel

    return DetectionModel("yolov8n.yaml", verbose=False)


@pytest.fixture(scope="module")
def shipped(ultralytics: None) -> str:
    """The text of Ultralytics' own yolov8.yaml."""
    import ultralytics as package

    return (Path(package.__file__).parent / "cfg/models/v8/yolov8.yaml").read_text("utf-8")


def why(file: Path, mode: str = "", data: str = "") -> str:
    with pytest.raises(CaseRejected) as caught:
        model = find_model(str(file), mode, data)
        with building(str(file), model.file):
            built(str(file), model, data)
    assert (caught.value.status, "model" in caught.value.scope) == ("unsupported", True)
    assert caught.value.reason.startswith(f"model {file}: ")
    return caught.value.reason.removeprefix(f"model {file}: ")


@pytest.fixture
def foreign() -> Iterator[Callable[[str, str], type]]:
    """Makes a class in a module that is gone when the test loads what it saved; :func:`forget` takes it away."""
    import torch

    made: list[str] = []

    def make(module: str, name: str) -> type:
        fake = sys.modules.get(module)
        if fake is None:
            fake = sys.modules[module] = types.ModuleType(module)
            made.append(module)
        kind = type(name, (torch.nn.Module,), {"__module__": module})
        setattr(fake, name, kind)
        return kind

    yield make
    for module in made:
        sys.modules.pop(module, None)


@pytest.mark.parametrize(
    ("module", "name", "reason"),
    [
        ("mymodule_of_nobody", "Net", "it needs the module mymodule_of_nobody, which is not installed: install it"),
        (NEWER, "Block", f"it needs the module {NEWER}, which Ultralytics "),
        ("ultralytics.nn.modules.block", "Newer", "it needs Newer of ultralytics.nn.modules.block, which Ultralytics "),
        ("__main__", "Net", "it needs Net, a class of the script that saved it: put it in a module."),
        ("models.yolo", "Model", "it is of the old repository yolov5, which Ultralytics cannot load: "),
    ],
)
@pytest.mark.filterwarnings("ignore:BuiltinImporter.module_repr")  # of pickle, where the main module is built in
def test_a_checkpoint_that_needs_code_which_is_not_here(
    module: str, name: str, reason: str, foreign: Callable[[str, str], type], tmp_path: Path
) -> None:
    import torch

    if module == "models.yolo":
        foreign("models", "Nothing")
    torch.save({"model": foreign(module, name)()}, tmp_path / "best.pt")
    delattr(sys.modules[module], name)
    if module not in ("__main__", "ultralytics.nn.modules.block"):
        del sys.modules[module]
        sys.modules.pop("models", None)
    assert why(tmp_path / "best.pt").startswith(reason)


def test_a_checkpoint_that_holds_something_else(network: Any, tmp_path: Path) -> None:
    import torch

    held = {
        "state.pt": network.state_dict(),
        "both.pt": {"model": network.state_dict(), "epoch": 3},
        "list.pt": [1, 2],
        "linear.pt": {"model": torch.nn.Linear(2, 2)},
    }
    for name, content in held.items():
        torch.save(content, tmp_path / name)
    assert why(tmp_path / "state.pt").startswith(f"it holds a state dict of {len(held['state.pt'])} tensors, and no")
    assert why(tmp_path / "both.pt").startswith("it holds a dictionary of 'model', 'epoch', and no whole model: name")
    assert why(tmp_path / "list.pt").startswith("it holds a list, and no whole model: name a best.pt or last.pt")
    assert why(tmp_path / "linear.pt") == "it holds a Linear, which is no model of Ultralytics."


def test_a_checkpoint_that_is_damaged(network: Any, tmp_path: Path) -> None:
    import torch

    torch.save({"model": network}, tmp_path / "whole.pt")
    content = (tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(content[: len(content) // 2])
    (tmp_path / "holes.pt").write_bytes(content[:1000] + bytes(5000) + content[6000:])
    for name in ("cut.pt", "holes.pt"):
        assert why(tmp_path / name) == "it is damaged, or no checkpoint of PyTorch: get the file again."


@pytest.mark.parametrize(
    ("name", "kind"),
    [("yolov8n-seg", "SegmentationModel"), ("yolo26n-pose", "PoseModel"), ("yolov8n-cls", "ClassificationModel")],
)
def test_the_task_of_a_checkpoint_is_known_before_and_after_it_is_loaded(name: str, kind: str, tmp_path: Path) -> None:
    import torch
    from ultralytics.nn import tasks as networks

    torch.save({"model": getattr(networks, kind)(f"{name}.yaml", verbose=False)}, tmp_path / "best.pt")
    task = tasks.task_of_model(name)
    assert tasks.task_of_model(str(tmp_path / "best.pt")) is task
    assert find_model(str(tmp_path / "best.pt")).task is task


@pytest.mark.parametrize(
    ("name", "head"), [("yolov8s-worldv2", "WorldDetect"), ("yoloe-11s-seg", "YOLOESegment"), ("yolo26n-sem", "Seman")]
)
def test_models_of_no_task_of_the_table_are_refused(name: str, head: str) -> None:
    with pytest.raises(CaseRejected, match=f"^model {name}: its last layer is {head}.*, and only models of detection,"):
        model_file(name)


def test_layers_that_fetch_weights_are_refused(tmp_path: Path) -> None:
    sentence = "its layer TorchVision fetches weights (DEFAULT): write None there, or use ultralytics:resnet18 or"
    with pytest.raises(CaseRejected, match=re.escape(sentence)):
        model_file("yolo11-cls-resnet18")
    (tmp_path / "my.yaml").write_text((tasks.NETWORKS / "resnet18.yaml").read_text().replace("None, True, 1", "None"))
    assert find_model(str(tmp_path / "my.yaml")).task is tasks.CLASSIFY


@pytest.mark.parametrize(("name", "parameters"), [("resnet18", 11_689_512), ("vit_b_16", 86_567_656)])
def test_networks_of_torchvision_are_whole(name: str, parameters: int) -> None:
    from ultralytics.nn.tasks import ClassificationModel

    source = find_model(f"ultralytics:{name}")
    assert (source.task, source.head) == (tasks.CLASSIFY, "Linear")
    network = ClassificationModel(source.file, verbose=False)
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert models.read_classes(network.model[-1]) == 1000


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (("SPPF", "SPPX"), "layer 9 is 'SPPX', which Ultralytics "),
        (("nn.Upsample", "nn.Upsampel"), "layer 10 is 'nn.Upsampel', which Ultralytics "),
        (("Conv, [256, 3, 2]", "Conv, [256, 'x', 2]"), "layer 3, Conv, cannot be built with its arguments (TypeError"),
        (("[[-1, 6], 1, Concat", "[[-1, 60], 1, Concat"), "layer 11, Concat, cannot be built with its arguments (Ind"),
        (("[[-1, 6], 1, Concat", "[[-1, 3], 1, Concat"), "its layers do not fit together (RuntimeError: Sizes of"),
        (("[-1, 1, Conv, [64, 3, 2]]", "[-1, 1, Conv]"), "layer 0 is \"[-1, 1, 'Conv']\": a layer is written [from, "),
        (("nc: 80", "classes: 80"), "its nc, the number of classes, is None: write a whole number."),
        (("head:", "tail:"), "it is no model yaml: that has the lists backbone and head."),
    ],
)
def test_a_yaml_file_that_describes_no_network(
    changes: tuple[str, str], reason: str, shipped: str, tmp_path: Path
) -> None:
    assert changes[0] in shipped
    (tmp_path / "mine.yaml").write_text(shipped.replace(*changes, 1))
    message = why(tmp_path / "mine.yaml", data="coco8.yaml")
    assert message.startswith(reason)
    if "Ultralytics " in reason:
        assert "does not have (close: " in message or "Upsampel" in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("train: a\nval: b\nnames: [x]\n", "it is a data yaml: give it to --data; a model yaml has backbone and head."),
        ("backbone: [1, 2\nhead: :\n", "it is no model yaml, which has backbone and head ("),
        ("- backbone\n- head\n", "it is no model yaml, which has backbone and head ("),
        ("", "it is no model yaml"),
    ],
)
def test_a_yaml_file_of_something_else(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    message = why(tmp_path / "mine.yaml")
    assert message.startswith(reason) or "cannot be read as yaml" in message
    assert "http" not in message


def test_a_path_with_an_apostrophe(tmp_path: Path) -> None:
    assert why(tmp_path / "it's.pt").startswith("Ultralytics takes apostrophes out of the path")


def test_a_yaml_file_in_whose_place_another_one_would_be_read(shipped: str, tmp_path: Path) -> None:
    asked, other = tmp_path / "net5s" / "my.yaml", tmp_path / "net5" / "my.yaml"
    for file in (asked, other):
        file.parent.mkdir()
        file.write_text(shipped)
    assert model_file(str(asked)) == str(asked)
    other.write_text(shipped.replace("nc: 80", "nc: 81"))
    with pytest.raises(CaseRejected, match=f"would read '{other}' in its place") as caught:
        model_file(str(asked))
    assert caught.value.status == "substituted"


def test_a_size_that_a_users_file_does_not_have(shipped: str, tmp_path: Path) -> None:
    (tmp_path / "yolov8l.yaml").write_text(shipped.replace("  l: ", "  q: "))
    assert why(tmp_path / "yolov8l.yaml").startswith("its name asks for size l, and it has the sizes n, s, m, q, x: ")


@pytest.mark.parametrize("name", ["my8x.yaml", "yolov8-p2x.yaml", "net_2x.yaml"])
def test_a_size_that_ultralytics_would_not_see(name: str, shipped: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(shipped)
    with pytest.raises(CaseRejected) as caught:
        model_file(str(tmp_path / name))
    assert caught.value.status == "substituted"
    assert "Ultralytics would build size n" in caught.value.reason and "yolov8x.yaml" in caught.value.reason


@pytest.mark.parametrize("name", ["yolov8x.yaml", "mine.yaml", "my8n.yaml", "custom2large.yaml", "yolov8.yaml"])
def test_a_users_file_may_be_called_anything_else(name: str, shipped: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(shipped)
    assert model_file(str(tmp_path / name)) == str(tmp_path / name)


@pytest.mark.parametrize("name", ["yolov8-p2x", "yolov3n", "yolov10nb"])
def test_a_name_without_that_size(name: str) -> None:
    with pytest.raises(CaseRejected, match=f"^model {name}: this Ultralytics does not know it: "):
        model_file(name)


def test_a_checkpoint_takes_the_images_that_it_was_made_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from ultralytics.nn.tasks import DetectionModel

    torch.save({"model": DetectionModel("yolov8n.yaml", ch=10, nc=1, verbose=False)}, tmp_path / "ten.pt")
    monkeypatch.setattr(models, "shape_of", lambda data: {"channels": 3, "nc": 1, "names": {0: "a"}})
    assert why(tmp_path / "ten.pt", "predict", "a.yaml").startswith("it takes images of 10 channels, and the dataset")
    with pytest.raises(CaseRejected, match="Ultralytics would train another network, of 3 channels") as caught:
        model_file(str(tmp_path / "ten.pt"), "train", "a.yaml")
    assert caught.value.status == "substituted"
    monkeypatch.setattr(models, "shape_of", lambda data: {"channels": 10, "nc": 1, "names": {0: "a"}})
    assert model_file(str(tmp_path / "ten.pt"), "train", "a.yaml") == str(tmp_path / "ten.pt")


def test_a_yaml_model_predicts_as_the_network_that_would_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = {"channels": 10, "nc": 2, "names": {0: "a", 1: "b"}}
    monkeypatch.setattr(models, "shape_of", lambda data: shape)
    model = built("yolov8n", find_model("yolov8n"), "a.yaml")
    assert (channels(model), model.model[-1].nc, model.names, model.task) == (10, 2, {0: "a", 1: "b"}, "detect")
