"""The cache of exports: what an export depends on, and what a failed, damaged or second one leaves there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from bench.worker.protocol import ExportJob
from bench.worker.rejection import CaseRejected
from bench.worker.workloads.ultralytics import formats
from bench.worker.workloads.ultralytics.formats import base, export
from bench.worker.workloads.ultralytics.models import Model
from bench.worker.workloads.ultralytics.tasks import DETECT

CASE = {
    "mode": "predict",
    "model": "yolov8n",
    "device": "cpu",
    "amp": "off",
    "batch": 2,
    "imgsz": 64,
    "further": [["format", "torchscript"]],
}
FACTS = {"end2end": False, "head": "Detect", "classes": 80}


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ultralytics: None) -> Any:
    """Exports that write a file and take no time; ``fake.exports`` counts them, and ``fake.fails`` lets one fail."""

    class Fake:
        exports = 0
        fails: BaseException | None = None
        metadata: dict[str, Any] = {"imgsz": [64, 64], "batch": 2, "args": {}}  # noqa: RUF012

        def job(self, **axes: Any) -> ExportJob:
            scratch = tmp_path / f"scratch{self.exports}-{len(list(tmp_path.iterdir()))}"
            scratch.mkdir()
            return ExportJob(
                "ultralytics", {**CASE, **axes}, {}, str(tmp_path), str(tmp_path / "exports"), str(scratch)
            )

        def provide(self, **axes: Any) -> dict[str, Any]:
            return export.provide(self.job(**axes))

        def left(self) -> list[str]:
            root = tmp_path / "exports"
            return sorted(path.name for path in root.iterdir()) if root.exists() else []

    def run(saved: Model, runtime: Any, case: Any, arguments: Any, folder: Path) -> Path:
        state.exports += 1
        if state.fails is not None:
            (folder / "model.onnx").write_text("half of it")
            raise state.fails
        place = folder / f"model{runtime.suffix}"
        place.write_text(json.dumps(arguments))
        (folder / "model.onnx").write_text("a step on the way")
        return place

    def original(saved: Model, named: Model, job: ExportJob, folder: Path) -> tuple[Path, dict[str, Any]]:
        (folder / "reference.npz").write_text("outputs")
        return folder / "reference.npz", dict(FACTS)

    state = Fake()
    model = tmp_path / "mine.pt"
    model.write_bytes(b"weights")
    monkeypatch.setattr(export, "run_exporter", run)
    monkeypatch.setattr(export, "original", original)
    monkeypatch.setattr(export, "verify", lambda *arguments: None)
    monkeypatch.setattr(export, "forbid_installs", lambda: None)
    monkeypatch.setattr(export.models, "find_model", lambda name, mode, data: Model(str(model), DETECT, "Detect"))
    return state


def test_an_export_is_whole_under_its_name_and_leaves_nothing_else(fake: Any, tmp_path: Path) -> None:
    details = fake.provide()
    folder = Path(details["folder"])
    assert details["made"] is True and details["format"] == "torchscript"
    assert sorted(path.name for path in folder.iterdir()) == ["made.json", "model.torchscript", "reference.npz"]
    assert Path(details["file"]) == folder / "model.torchscript"
    assert details["bytes"] == Path(details["file"]).stat().st_size
    assert details["arguments"] == {"imgsz": 64, "batch": 2}
    assert set(details["packages"]) == {"ultralytics", "torch"}
    assert len(folder.name) == 12 and fake.left() == [folder.name]
    assert sorted(path.name for path in tmp_path.glob("mine*")) == ["mine.pt"], "nothing next to the user's file"


def test_a_run_notes_its_use_and_deletes_what_nobody_used(fake: Any) -> None:
    folder, other = Path(fake.provide()["folder"]), Path(fake.provide(batch=4)["folder"])
    for place in (folder, other):
        os.utime(place / export.MADE, (1.7e9, 1.7e9))  # years ago
    assert fake.provide()["made"] is False
    assert fake.left() == [folder.name]


def test_a_second_run_exports_nothing(fake: Any) -> None:
    first, second = fake.provide(), fake.provide()
    assert fake.exports == 1
    assert second == {**first, "made": False}


@pytest.mark.parametrize(
    "change", [{"batch": 4}, {"imgsz": 96}, {"further": [["format", "onnx"]]}], ids=["batch", "imgsz", "format"]
)
def test_every_case_has_an_export_of_its_own(
    fake: Any, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base.Runtime, "why_missing", lambda self, making, amp="off": "")
    assert fake.provide()["folder"] != fake.provide(**change)["folder"]
    assert fake.exports == 2


def test_other_weights_and_other_versions_are_exported_again(
    fake: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.provide()
    (tmp_path / "mine.pt").write_bytes(b"other weights")
    fake.provide()
    monkeypatch.setattr(export, "packages", lambda runtime: {"torch": "0"})
    fake.provide()
    assert fake.exports == 3 and len(fake.left()) == 3


@pytest.mark.parametrize("name", ["model.torchscript", "reference.npz", "made.json"])
@pytest.mark.parametrize("damage", ["cut", "gone", "longer"])
def test_a_damaged_file_is_noticed_and_made_again(fake: Any, name: str, damage: str) -> None:
    file = Path(fake.provide()["folder"]) / name
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(file.read_bytes()[:3] if damage == "cut" else file.read_bytes() + b" x")
    assert fake.provide()["made"] is True
    assert fake.provide()["made"] is False
    assert fake.exports == 2 and len(fake.left()) == 1


@pytest.mark.parametrize("error", [CaseRejected("failed", "No."), KeyboardInterrupt(), MemoryError()])
def test_a_failed_export_leaves_nothing(fake: Any, error: BaseException) -> None:
    fake.fails = error
    with pytest.raises(type(error)):
        fake.provide()
    assert fake.left() == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("unexpected pos 64 vs 32")])
def test_a_full_disk_is_one_sentence(fake: Any, error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch, which saves the checkpoint, has an error of its own for it."""
    monkeypatch.setattr(export.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 5_000_000}))
    fake.fails = error
    with pytest.raises(CaseRejected) as caught:
        fake.provide()
    assert caught.value.status == "unsupported"
    assert "cannot be written to" in caught.value.reason and "No space left on device" in caught.value.reason
    assert fake.left() == []


# The exporter itself


class Exporter:
    """A model of Ultralytics whose export does what a test says."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome

    def export(self, **arguments: Any) -> str:
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return str(self.outcome)


def exported(monkeypatch: pytest.MonkeyPatch, folder: Path, outcome: Any, free: int = 10**12) -> Path:
    monkeypatch.setattr(export.models, "user_model", lambda saved: Exporter(outcome))
    monkeypatch.setattr(export.shutil, "disk_usage", lambda place: type("Usage", (), {"free": free}))
    return export.run_exporter(Model("model.pt", DETECT, "Detect"), formats.find("onnx"), CASE, {}, folder)


def test_the_file_of_the_exporter_is_returned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_text("x")
    assert exported(monkeypatch, tmp_path, tmp_path / "model.onnx") == tmp_path / "model.onnx"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("WorldModel is not supported"), "unsupported"),
        (AssertionError("needs dynamic"), "unsupported"),
        (RuntimeError("the converter crashed"), "failed"),
    ],
)
def test_a_failing_exporter_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: Exception, status: str
) -> None:
    with pytest.raises(CaseRejected) as caught:
        exported(monkeypatch, tmp_path, error)
    assert caught.value.status == status and str(error) in caught.value.reason
    assert ("model" in caught.value.scope) == (status == "unsupported")


def test_an_error_on_a_full_disk_is_that_of_the_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        exported(monkeypatch, tmp_path, RuntimeError("cannot write"), free=1000)


@pytest.mark.parametrize("place", ["model.pb", "elsewhere/model.onnx", "missing.onnx"])
def test_a_file_of_another_format_or_place_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in ("model.pb", "elsewhere/model.onnx"):
        (tmp_path / name).write_text("x")
    with pytest.raises(CaseRejected, match="left no file of that format"):
        exported(monkeypatch, tmp_path, tmp_path / place)


# Metadata


def verified(monkeypatch: pytest.MonkeyPatch, metadata: dict[str, Any], **arguments: Any) -> None:
    from ultralytics.nn.autobackend import AutoBackend

    reader = AutoBackend._BACKEND_MAP["onnx"]
    monkeypatch.setattr(reader, "read_metadata", staticmethod(lambda file: dict(metadata)))
    export.verify(Path("model.onnx"), CASE, arguments, FACTS)


METADATA = {"imgsz": "[64, 64]", "batch": "2", "args": "{'nms': None, 'dynamic': False}", "end2end": "False"}


@pytest.mark.usefixtures("ultralytics")
def test_metadata_of_the_case_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    verified(monkeypatch, METADATA)


@pytest.mark.usefixtures("ultralytics")
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"imgsz": "[192, 192]"}, "imgsz 64 requested, imgsz 192 would run: sizes are rounded up"),
        ({"imgsz": "[64, 96]"}, "imgsz 64 requested, imgsz 64x96 would run"),
        ({"batch": "1"}, "batch 2 requested, batch 1 would run"),
        ({"args": "{'quantize': 16}"}, "quantize None requested, quantize 16 would run"),
        ({"args": "{'nms': True}"}, "end2end False requested, end2end True would run"),
        ({"end2end": "True"}, "end2end False requested, end2end True would run"),
        ({"args": "{'dynamic': True}"}, "dynamic False requested, dynamic True would run"),
    ],
)
def test_metadata_of_another_case_are_substituted(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, str], sentence: str
) -> None:
    with pytest.raises(CaseRejected) as caught:
        verified(monkeypatch, {**METADATA, **change})
    assert caught.value.status == "substituted" and caught.value.reason.startswith(sentence)


@pytest.mark.usefixtures("ultralytics")
def test_an_export_without_metadata_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a half-made folder of OpenVINO, which loads as batch 1 of an unknown size."""
    with pytest.raises(CaseRejected) as caught:
        verified(monkeypatch, {})
    assert caught.value.status == "failed"


# Calibration


def user_set(folder: Path, images: int) -> str:
    for number in range(images):
        (folder / f"{number}.jpg").write_bytes(bytes([number]))
    (folder / "images.json").write_text(json.dumps({"used": [str(folder / f"{n}.jpg") for n in range(images)]}))
    return str(folder / "data.yaml")


def test_int8_needs_images(tmp_path: Path) -> None:
    with pytest.raises(CaseRejected) as caught:
        export.calibration_images(user_set(tmp_path, 3))
    assert (caught.value.status, caught.value.scope) == ("unsupported", ("amp",))
    assert caught.value.reason == (
        "amp int8 requested: it is calibrated by at least 8 training images, and the dataset has 3: "
        "name a larger one by --data."
    )


def test_int8_is_calibrated_by_links_to_the_users_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "shape_of", lambda data: {"channels": 3, "nc": 1, "names": {0: "it's"}})
    folder = tmp_path / "work"
    folder.mkdir()
    content = json.loads(Path(export.calibration_data(folder, user_set(tmp_path, 100))).read_text())
    images = sorted((Path(content["path"]) / content["val"]).iterdir())
    assert len(images) == export.CALIBRATION_IMAGES
    assert all(image.is_symlink() and image.resolve().parent == tmp_path for image in images)
    assert content["names"] == {"0": "it's"}
