from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from bench.cases.axes import fixed_axes, parse_values
from bench.errors import UsageError

MODEL = fixed_axes()["model"]
YAML = b"backbone: []\nhead: []\n"


def why(path: object) -> str:
    with pytest.raises(UsageError) as caught:
        MODEL.parse(str(path))
    message = str(caught.value)
    assert message.startswith(f"model {str(path)!r}: ") and message.endswith(".") and "\n" not in message
    return message.removeprefix(f"model {str(path)!r}: ")


def archive(path: Path, *names: str) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, "x")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("best.onnx", "ONNX"),
        ("best.engine", "TensorRT"),
        ("best.torchscript", "TorchScript"),
        ("best.tflite", "TensorFlow Lite"),
        ("BEST.ONNX", "ONNX"),
    ],
)
def test_an_exported_model(name: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_bytes(b"x")
    message = f"an exported model ({kind}) cannot be measured yet: name the .pt file that it was made from."
    assert why(tmp_path / name) == message
    monkeypatch.chdir(tmp_path)
    assert why(name) == message
    assert why(f"other-{name}") == "there is no such file; exported models cannot be measured yet: name the .pt file."


@pytest.mark.parametrize("name", ["best_openvino_model", "best.mlpackage", "best_ncnn_model"])
def test_an_exported_model_that_is_a_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    assert "cannot be measured yet: name the .pt file that it was made from" in why(tmp_path / name)


def test_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert why(tmp_path) == "it is a folder: name a .pt or .yaml file."
    (tmp_path / "best.pt").mkdir()
    assert why(tmp_path / "best.pt") == "it is a folder: name a .pt or .yaml file."
    (tmp_path / "train" / "weights").mkdir(parents=True)
    (tmp_path / "train" / "weights" / "best.pt").write_bytes(b"\x80")
    inner = str(tmp_path / "train" / "weights" / "best.pt")
    assert why(tmp_path / "train") == f"it is a folder: name the file in it, {inner!r}."
    monkeypatch.chdir(tmp_path)
    assert why("train").startswith("it is a folder: name the file in it, ")


@pytest.mark.parametrize("name", ["best.PT", "mine.YAML", "mine.Yml"])
def test_an_ending_in_capitals(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x80")
    assert why(tmp_path / name) == f"its ending has to be written {Path(name).suffix.lower()}: rename the file."


@pytest.mark.parametrize("name", ["best.pth", "best.safetensors", "best", "data.zip"])
def test_a_file_of_another_kind(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x80")
    assert why(tmp_path / name) == "it is neither a .pt nor a .yaml file: name one of these."


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty: get it again."),
        (b"hello", "it is no checkpoint of PyTorch: name a best.pt or last.pt as Ultralytics saves it."),
        (b"version https://git-lfs.github.com/spec/v1\noid", "it is a pointer of Git LFS in place of the file: fetch"),
        (
            b"\n<!DOCTYPE html><html>",
            "it is a web page, since a download failed: get the file again.",
        ),
        (b"PK\x03\x04 and then nothing", "the file is cut off or damaged: get it again."),
    ],
)
def test_weights_that_are_none(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "best.pt").write_bytes(content)
    assert why(tmp_path / "best.pt").startswith(reason)


def test_archives_called_weights(tmp_path: Path) -> None:
    archive(tmp_path / "script.pt", "script/constants.pkl", "script/data.pkl")
    archive(tmp_path / "photos.pt", "a.jpg")
    archive(tmp_path / "best.pt", "best/data.pkl", "best/version")
    assert why(tmp_path / "script.pt").startswith("an exported model (TorchScript) cannot be measured yet: ")
    assert why(tmp_path / "photos.pt").startswith("it is a zip archive, and no checkpoint of PyTorch: ")
    assert MODEL.parse(str(tmp_path / "best.pt")) == str((tmp_path / "best.pt").resolve())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty: a model yaml has backbone and head."),
        (b"path: x\ntrain: a\nval: b\nnames: [a]\n", "it is a data yaml: give it to --data; a model yaml has backbone"),
        (b"hello: 1\n", "it is no model yaml: that has backbone and head."),
    ],
)
def test_a_yaml_file_that_is_no_model(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_bytes(content)
    assert why(tmp_path / "data.yaml").startswith(reason)


@pytest.mark.parametrize("name", ["best.pt", "mine.yaml"])
def test_a_file_that_may_not_be_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / name).write_bytes(b"\x80")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert why(tmp_path / name) == "it cannot be read (Permission denied): make it readable (chmod u+r)."


@pytest.mark.parametrize("text", ["https://example.org/best.pt", "ul://me/project/model", "http://example.org/x"])
def test_an_address_is_not_fetched(text: str) -> None:
    assert why(text) == "nothing is fetched from an address: get the file, and name it by its path."


def test_what_is_not_there(tmp_path: Path) -> None:
    assert why(tmp_path / "none.pt") == "there is no such file."
    (tmp_path / "link.pt").symlink_to(tmp_path / "gone.pt")
    assert why(tmp_path / "link.pt") == "there is no such file."


@pytest.mark.parametrize("name", ["a\x1b[31m.pt", "a\nb.pt", "a\udcff.pt"])
def test_a_name_that_cannot_be_shown(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        MODEL.parse(name)
    assert str(caught.value).isprintable() and "rename it" in str(caught.value)


def test_a_path_with_commas_is_one_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [tmp_path / "a, b" / "best.pt", tmp_path / "c,d,e" / "mine.yaml", tmp_path / "c"]
    for file in files[:2]:
        file.parent.mkdir()
        file.write_bytes(b"\x80" if file.suffix == ".pt" else YAML)
    files[2].write_bytes(b"")  # so that a part alone is a file too: the longest one counts
    first, second = map(str, files[:2])
    assert parse_values(MODEL, f"yolov8n,{first},{second}, yolo11n") == ["yolov8n", first, second, "yolo11n"]
    assert parse_values(MODEL, f" {first} ") == [first]
    monkeypatch.chdir(tmp_path)
    assert parse_values(MODEL, "c,d,e/mine.yaml,yolov8n") == [second, "yolov8n"]
    with pytest.raises(UsageError, match="there is no such file"):
        parse_values(MODEL, f"{first}x")


def test_other_lists_have_commas_between_their_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cpu,0").write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    assert parse_values(fixed_axes()["device"], "cpu,0") == ["cpu", "0"]


def test_a_link_may_stand_for_a_name_that_cannot_be_shown(tmp_path: Path) -> None:
    (tmp_path / "we\nird.yaml").write_bytes(YAML)
    (tmp_path / "plain.yaml").symlink_to(tmp_path / "we\nird.yaml")
    assert MODEL.parse(str(tmp_path / "plain.yaml")) == str(tmp_path / "plain.yaml")
